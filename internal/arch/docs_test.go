package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// packageDirs lists the directories that hold non-test Go code.
func packageDirs(t *testing.T) []string {
	var dirs []string
	for _, f := range sources(t) {
		if !f.test && !slices.Contains(dirs, f.dir) {
			dirs = append(dirs, f.dir)
		}
	}
	return dirs
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, dir := range packageDirs(t) {
		text, err := os.ReadFile(filepath.Join(root, dir, "doc.go"))
		if err != nil {
			t.Errorf("%s has no doc.go: say there what the package is for", dir)
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), "doc.go", text, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc == nil || len(f.Doc.Text()) < 60 {
			t.Errorf("%s/doc.go has no package comment worth the name", dir)
		}
	}
}

// exportedWithoutDoc names the exported declarations of one file that have no
// comment of their own or of their group.
func exportedWithoutDoc(f *ast.File) []string {
	var bad []string
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && receiverExported(d) && !isWellKnown(d.Name.Name) {
				bad = append(bad, d.Name.Name)
			}
		case *ast.GenDecl:
			bad = append(bad, specsWithoutDoc(d)...)
		}
	}
	return bad
}

func specsWithoutDoc(d *ast.GenDecl) []string {
	var bad []string
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
				bad = append(bad, s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, n := range s.Names {
				if n.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					bad = append(bad, n.Name)
				}
			}
		}
	}
	return bad
}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	id, ok := typ.(*ast.Ident)
	return !ok || id.IsExported()
}

// isWellKnown names methods whose meaning their interface fixes.
func isWellKnown(name string) bool {
	return slices.Contains([]string{"Error", "String", "Unwrap", "Is"}, name)
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, src := range sources(t) {
		if src.test {
			continue
		}
		p := filepath.Join(root, src.dir, src.name)
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range exportedWithoutDoc(f) {
			t.Errorf("%s/%s: %s has no doc comment", src.dir, src.name, name)
		}
	}
}

func TestThePublicPackagesHaveRunnableExamples(t *testing.T) {
	for _, dir := range []string{"pitag", "vconn", "httpsm", "h2session", "metrics"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, p := range files {
			text, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(text), "\nfunc Example") && strings.Contains(string(text), "// Output:")
		}
		if !found {
			t.Errorf("%s has no Example with an Output comment: a reader cannot run it", dir)
		}
	}
}

func TestTheFilesANewcomerIsSentToExist(t *testing.T) {
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile",
		"docker-compose.yml", "Dockerfile", "docs/hooks.md", "docs/config.md", ".ci/run"} {
		if st, err := os.Stat(filepath.Join(root, name)); err != nil || st.Size() == 0 {
			t.Errorf("%s is missing or empty (%v)", name, err)
		}
	}
	records, err := filepath.Glob(filepath.Join(root, "docs/decisions/[0-9][0-9][0-9][0-9]-*.md"))
	if err != nil || len(records) < 11 {
		t.Errorf("docs/decisions holds %d records, want the eleven of the architecture at least (%v)", len(records), err)
	}
}
