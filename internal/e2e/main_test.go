package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
)

const root = "../.."

// binary is the path of the h2gw that TestMain built.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "h2gw-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "h2gw")
	build := exec.Command("go", "build", "-o", binary, "./cmd/h2gw")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building cmd/h2gw: %v\n%s", err, out)
		os.Exit(1)
	}
	code := testkit.Run(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// tool returns the path of a program that the test needs. Absent, it skips the
// test and says so, or fails it when H2GW_E2E=require.
func tool(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err == nil {
		return p
	}
	if os.Getenv("H2GW_E2E") == "require" {
		t.Fatalf("%s is not installed and H2GW_E2E=require is set", name)
	}
	t.Skipf("%s is not installed: this end-to-end test did not run", name)
	return ""
}
