package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/h2gw/h2gw"
	root   = "../.."
)

// A rule allows a package its imports from this module. A package without a
// rule fails the test, so a new one cannot slip in unseen.
type rule struct {
	may    []string // packages of this module it may import
	reason string   // what would be lost otherwise
}

var rules = map[string]rule{
	"pitag":       {nil, "identity is the bottom of the house: everything may name a session, so it may need nothing"},
	"vconn":       {[]string{"pitag", "internal/prefetch"}, "a connection does not know which protocol is spoken at either end"},
	"internal/h1": {nil, "HTTP/1.1 rules without I/O are used from both ends of a virtual connection"},
	"h2session": {[]string{"vconn", "pitag", "internal/h1", "internal/prefetch"},
		"h2session and httpsm meet only through vconn: that is the whole design"},
	"httpsm": {[]string{"vconn", "pitag", "internal/h1", "internal/prefetch", "httpsm/origin"},
		"a transaction must not know whether an HTTP/2 stream or a TCP client is in front of it"},
	"httpsm/origin":   {[]string{"internal/netio", "internal/prefetch"}, "the pool is about connections, not about transactions"},
	"httpsm/plugin/*": {[]string{"httpsm", "pitag", "internal/h1"}, "a plugin sees the hooks and nothing behind them"},
	"metrics": {[]string{"httpsm", "httpsm/origin", "h2session", "vconn", "pitag"},
		"sinks point at the core, never back"},
	"internal/accesslog": {[]string{"httpsm", "h2session", "pitag"}, "sinks point at the core, never back"},
	"internal/netio":     {[]string{"internal/prefetch"}, "system calls and nothing else"},
	"internal/prefetch":  {nil, "it knows addresses, not what is there"},
	"internal/frontend":  {[]string{"internal/netio"}, "the client side of the socket hands connections to a handler it is given"},
	"internal/admin":     {nil, "handlers are injected, so the admin address can serve anything"},
	"internal/config": {[]string{"h2session", "httpsm", "httpsm/origin", "internal/frontend"},
		"settings produce the other packages' Config values and start nothing"},
	"internal/report":  {[]string{"pitag"}, "the log is the interface: a reader of logs must not depend on what wrote them"},
	"internal/gateway": {[]string{"*"}, "the composition root is the only one that sees all"},
	"cmd/h2gw": {[]string{"internal/gateway", "internal/config", "internal/report", "internal/frontend", "internal/accesslog"},
		"the command parses flags and composes nothing itself"},
	"internal/testkit":  {[]string{"vconn", "pitag", "internal/h1"}, "test harness of the core packages; no product code imports it"},
	"internal/arch":     {nil, "tests only"},
	"internal/e2e":      {[]string{"*"}, "tests only"},
	"internal/scenario": {[]string{"*"}, "the runner of testdata/scenarios: it composes a whole gateway"},
	"internal/failure":  {[]string{"*"}, "tests only"},
	"internal/hostile":  {[]string{"*"}, "tests only"},
	"bench":             {[]string{"*"}, "measures the product from outside"},
}

// only lists modules and packages that exactly some packages may import.
var only = []struct {
	imported string
	by       []string
	reason   string
}{
	{"golang.org/x/net/http2", []string{"h2session", "internal/testkit", "internal/e2e", "internal/gateway"},
		"of x/net only Framer and hpack are kept alive, and they stay behind one package (gateway and e2e: tests only)"},
	{"github.com/prometheus/client_golang", []string{"metrics", "internal/gateway"},
		"metrics are one sink (gateway makes the registry it is given)"},
	{"github.com/alecthomas/kong", []string{"cmd/h2gw"}, "flags belong to the command"},
	{"github.com/rs/zerolog", []string{"h2session", "httpsm", "internal/accesslog", "internal/gateway", "internal/frontend", "internal/admin", "cmd/h2gw", "internal/e2e"},
		"drivers may log, pure machines return errors"},
	{module + "/internal/testkit", []string{}, "a test harness is not product code"},
	{"net/http", []string{"metrics", "internal/admin", "internal/gateway", "internal/testkit", "internal/e2e", "cmd/h2gw", "bench", "bench/profile", "bench/usage"},
		"net/http is not on the request path"},
}

type file struct {
	dir, name string
	test      bool
	imports   []string
}

// sources parses the imports of every Go file of the module.
func sources(t *testing.T) []file {
	t.Helper()
	var out []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && p != root || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		src := file{dir: filepath.ToSlash(rel), name: d.Name(), test: strings.HasSuffix(p, "_test.go")}
		for _, im := range f.Imports {
			v, _ := strconv.Unquote(im.Path.Value)
			src.imports = append(src.imports, v)
		}
		out = append(out, src)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("found only %d Go files below %s: the test looks in the wrong place", len(out), root)
	}
	return out
}

func ruleFor(dir string) (rule, bool) {
	if r, ok := rules[dir]; ok {
		return r, true
	}
	if path.Dir(dir) == "httpsm/plugin" {
		return rules["httpsm/plugin/*"], true
	}
	if strings.HasPrefix(dir, "bench/") || strings.HasPrefix(dir, "internal/e2e/") {
		return rule{may: []string{"*"}}, true
	}
	return rule{}, false
}

func TestEveryPackageImportsOnlyAlongTheArrows(t *testing.T) {
	for _, f := range sources(t) {
		r, ok := ruleFor(f.dir)
		if !ok {
			t.Errorf("%s has no rule: add it to ARCHITECTURE.md and to rules in this file", f.dir)
			continue
		}
		if f.test || slices.Contains(r.may, "*") {
			continue
		}
		for _, im := range f.imports {
			to, inside := strings.CutPrefix(im, module+"/")
			if inside && to != f.dir && !slices.Contains(r.may, to) {
				t.Errorf("%s/%s imports %s: it may import %v only, because %s", f.dir, f.name, to, r.may, r.reason)
			}
		}
	}
}

// The one arrow that tests may not have either.
func TestH2sessionAndHttpsmMeetOnlyThroughVconn(t *testing.T) {
	for _, f := range sources(t) {
		for _, im := range f.imports {
			if f.dir == "h2session" && strings.HasPrefix(im, module+"/httpsm") ||
				strings.HasPrefix(f.dir, "httpsm") && im == module+"/h2session" {
				t.Errorf("%s/%s imports %s: %s", f.dir, f.name, im, rules["h2session"].reason)
			}
		}
	}
}

func TestEachForeignPackageIsUsedWhereItBelongs(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, im := range f.imports {
			for _, o := range only {
				if (im == o.imported || strings.HasPrefix(im, o.imported+"/")) && !slices.Contains(o.by, f.dir) {
					t.Errorf("%s/%s imports %s: only %v may, because %s", f.dir, f.name, im, o.by, o.reason)
				}
			}
		}
	}
}

// The bottom packages stay free of third-party code.
func TestTheBottomPackagesUseTheStandardLibraryOnly(t *testing.T) {
	bottom := []string{"pitag", "vconn", "internal/h1", "httpsm/origin", "internal/frontend"}
	for _, f := range sources(t) {
		if f.test || !slices.Contains(bottom, f.dir) {
			continue
		}
		for _, im := range f.imports {
			first, _, _ := strings.Cut(im, "/")
			foreign := strings.Contains(first, ".") && !strings.HasPrefix(im, module)
			if foreign && im != "golang.org/x/net/http/httpguts" && !strings.HasPrefix(im, "golang.org/x/sys/") {
				t.Errorf("%s/%s imports %s: these packages are embedded by others and bring no dependencies", f.dir, f.name, im)
			}
		}
	}
}
