package peers

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed configs/*.tmpl
var configs embed.FS

var templates = template.Must(template.New("").Option("missingkey=error").ParseFS(configs, "configs/*.tmpl"))

// Hundred is the body of the small workload: 100 bytes.
func (Setting) Hundred() string { return strings.Repeat("0123456789", 10) }

// write renders the peer's files into its folder.
func (p Peer) write(s Setting) error {
	for name, tmpl := range p.Files {
		var text bytes.Buffer
		if err := templates.ExecuteTemplate(&text, tmpl, s); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		path := s.file(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
