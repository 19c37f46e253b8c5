package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docs/security.md tells every bound with its default.
func TestSecurityDocHasEveryBound(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range floodSettings() {
		if want := fmt.Sprintf("| `%s` | %s |", row.Name, row.Default); !strings.Contains(string(text), want) {
			t.Errorf("docs/security.md has no row %q", want)
		}
	}
}
