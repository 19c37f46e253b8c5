package scenario

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// checkLog holds the lines of the log against the case's, and against each
// other: every stream of a session has one access line.
func checkLog(c *testCase, proto, log string) error {
	var access, sessions []map[string]any
	for l := range strings.Lines(log) {
		m := make(map[string]any)
		d := json.NewDecoder(strings.NewReader(l))
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			return fmt.Errorf("log line %q: %w", l, err)
		}
		if m["event"] == "session" {
			sessions = append(sessions, m)
		} else {
			access = append(access, m)
		}
	}
	if len(sessions) != 1 {
		return fmt.Errorf("%d session lines, want 1", len(sessions))
	}
	if n := fmt.Sprint(sessions[0]["streams"]); n != strconv.Itoa(len(access)) {
		return fmt.Errorf("%d access lines of a session with %s streams", len(access), n)
	}
	if k, ok := differs(sessions[0], c.session); ok {
		return fmt.Errorf("session line: %s is %v, want %s", k, sessions[0][k], c.session[k])
	}
	if err := matchLines(access, impliedLines(c, proto)); err != nil {
		return err
	}
	return matchLines(access, c.access)
}

// impliedLines are what the log must say about the answers and resets of the
// gateway's own that the client saw: a refusal is logged as what it is.
func impliedLines(c *testCase, proto string) []map[string]string {
	var want []map[string]string
	for _, s := range c.steps {
		if !s.client || s.sends {
			continue
		}
		for _, it := range s.items {
			f := strings.Fields(it.text)
			switch {
			case f[0] == "error":
				want = append(want, map[string]string{"status": f[1], "outcome": f[2]})
			case f[0] == "malformed" && (proto == protoH2 || proto == protoH2C):
				want = append(want, map[string]string{"status": "-", "outcome": "http_request_error", "h2_error": "PROTOCOL_ERROR"})
			case f[0] == "malformed":
				want = append(want, map[string]string{"status": "400", "outcome": "http_request_error"})
			}
		}
	}
	return want
}

// matchLines finds a line of its own for each wanted one.
func matchLines(lines []map[string]any, want []map[string]string) error {
	used := make(map[int]bool)
next:
	for _, w := range want {
		for i, l := range lines {
			if _, bad := differs(l, w); !bad && !used[i] {
				used[i] = true
				continue next
			}
		}
		return fmt.Errorf("no access line with %v", w)
	}
	return nil
}

// differs returns a name whose value is not the wanted one; "-" wants none.
func differs(line map[string]any, want map[string]string) (string, bool) {
	for k, v := range want {
		got, has := line[k]
		if v == "-" && !has || has && fmt.Sprint(got) == v {
			continue
		}
		return k, true
	}
	return "", false
}
