package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The cases of the README run as they stand there.
func TestTheReadmeIsTrue(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(b), "```scenario\n")
	if len(parts) < 3 {
		t.Fatal("no cases in the README")
	}
	for _, p := range parts[1:] {
		text, _, _ := strings.Cut(p, "```")
		for _, c := range mustParse(t, text) {
			for _, proto := range c.on {
				report(t, c, runCase(t, c, proto))
			}
		}
	}
}

func mustParse(t *testing.T, text string) []*testCase {
	t.Helper()
	cases, err := parseFile("test", text)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// A case must be able to fail: each of these claims something that is not so.
func TestWrongCasesFail(t *testing.T) {
	const ok = "\norigin sees GET /\norigin sends 200 \"ok\"\nclient sees 200 \"ok\""
	for name, tc := range map[string]struct{ text, fault string }{
		"a byte more at the origin":    {"client sends POST / open\n  content-length: 3\nclient sends DATA \"abc\" end\norigin sees\n  | POST / HTTP/1.1\norigin sends 200 \"ok\"\nclient sees 200 \"ok\"", "the origin saw more than it should"},
		"another request":              {"client sends GET /x" + ok, "the origin saw"},
		"a field of the origin's":      {"client sends GET /\norigin sees GET /\norigin sends 200 \"ok\"\n  X: y\nclient sees 200 \"ok\"", "the client saw the fields"},
		"another body":                 {"client sends GET /\norigin sees GET /\norigin sends 200 \"no\"\nclient sees 200 \"ok\"", "the client saw the body"},
		"another status":               {"client sends GET /\norigin sees GET /\norigin sends 201 \"ok\"\nclient sees 200 \"ok\"", "the client saw status 201"},
		"a frame nobody asked for":     {"client sends PING \"12345678\"\norigin sees nothing\nclient sends GET /" + ok, "the client saw more than it should"},
		"a reset that does not come":   {"client sends GET /\norigin sees GET /\norigin sends 200 \"ok\"\nclient sees reset CANCEL", "want RST_STREAM CANCEL"},
		"a log line that is not there": {"client sends GET /" + ok + "\nlog status=500", "no access line"},
		"another answer in the log":    {"client sends CONNECT example.com:443\n  :authority: example.com:443\n  -:scheme\n  -:path\norigin sees nothing\nclient sees error 200 nothing", "the client saw status"},
		"another end of the session":   {"client sends GET /" + ok + "\nsession cause=drain", "session line: cause"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := mustParse(t, "case x\nref y\n"+tc.text)[0]
			r := runCase(t, c, protoH2C)
			if all := strings.Join(r.faults, "\n"); !strings.Contains(all, tc.fault) {
				t.Errorf("faults %q, want %q", all, tc.fault)
			}
		})
	}
}

// A request is incomplete until its last byte.
func TestIncompleteIsNotComplete(t *testing.T) {
	o := &origin{left: []leftover{{whole: "GET / HTTP/1.1\r\n\r\n"}}}
	for rest, want := range map[string]bool{
		"GET / HTTP/1.1\r\n\r": true, "GET / HTTP/1.1\r\n\r\n": false, "POST": false,
	} {
		if got := o.mayBeLeft(rest); got != want {
			t.Errorf("%q may be left: %v", rest, got)
		}
	}
}

// Mistakes in a case are told with their place.
func TestMistakesAreTold(t *testing.T) {
	const good = "case x\nref y\nclient sends GET /\norigin sees nothing\nclient sees closed\n"
	for text, want := range map[string]string{
		"ref y\n":                                 "comes before the first case",
		"case\n":                                  "is empty or used twice",
		good + good:                               "used twice",
		"case x\nclient sends GET /\n":            "no ref",
		"case x\nref y\n":                         "no steps",
		"case x\nref y\nclient sends GET /\n":     "origin must see",
		"case x\nref y\norigin sees nothing\n":    "client must see",
		"case x\nref y\nclient says GET /\n":      "a side sends or sees",
		"case x\nref y\n  indented\n":             "belongs to no step",
		"case x\nref y\nwhat\n":                   `unknown keyword "what"`,
		good + "log status\n":                     "is not name=value",
		good + "on h3\n":                          `on "h3"`,
		good + "client sends\n\tGET /\n":          "a tab",
		good + "client sends GET /\n    x: y\n":   "indented by too much",
		good + "handshake on\n":                   `only "off"`,
		"case x\nref y\nclient sends\n    x: y\n": "indented by too much",
	} {
		_, err := parseFile("test", text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "test.txt:") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestTextIsExpanded(t *testing.T) {
	for in, want := range map[string]string{
		`a\r\n\t\0\s\\\"\x41`: "a\r\n\t\x00 \\\"A",
		`{ab*3}c{d*2}`:        "abababcdd",
		`{"json": 1}`:         `{"json": 1}`,
	} {
		if got, err := expand(in); err != nil || got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{`\`, `\q`, `\x4`, `\xzz`} {
		if _, err := expand(in); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
}
