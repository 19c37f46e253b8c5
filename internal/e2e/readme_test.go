package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fenced returns the code blocks of a language in a Markdown text.
func fenced(text, language string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheGoExampleOfTheReadmeCompiles(t *testing.T) {
	blocks := fenced(readme(t), "go")
	if len(blocks) != 1 {
		t.Fatalf("README.md has %d Go blocks, want one", len(blocks))
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(blocks[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "vet", file)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the Go block does not compile: %v\n%s", err, out)
	}
}

func TestTheQuickStartIsExactlyTwoCommands(t *testing.T) {
	first := strings.TrimSpace(fenced(readme(t), "sh")[0])
	if want := "go run ./cmd/h2gw demo\ngo test ./..."; first != want {
		t.Errorf("the quick start is %q, want %q", first, want)
	}
}

// Every flag that the README's table names exists in the command's help.
func TestTheReadmeNamesOnlyFlagsThatExist(t *testing.T) {
	for line := range strings.Lines(readme(t)) {
		m := regexp.MustCompile("^\\| `h2gw ([a-z]+)").FindStringSubmatch(line)
		if m == nil {
			continue
		}
		help := run(t, binary, m[1], "--help")
		for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(line, -1) {
			if !strings.Contains(help, flag) {
				t.Errorf("README.md names %s for h2gw %s, whose help does not:\n%s", flag, m[1], help)
			}
		}
	}
}
