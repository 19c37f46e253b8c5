package h1

import (
	"strings"
	"testing"
)

var refusedResponses = []refusal{
	// RFC 9112 section 4: the status line.
	{"a status line ending with a bare LF", "HTTP/1.1 200 OK\nA: b\r\n\r\n", 502},
	{"a status line of HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", 502},
	{"a status line of HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", 502},
	{"a version in lower case", "http/1.1 200 OK\r\n\r\n", 502},
	{"another protocol", "ICY 200 OK\r\n\r\n", 502},
	{"an empty line before the status line", "\r\nHTTP/1.1 200 OK\r\n\r\n", 502},
	{"two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n", 502},
	{"a tab before the status", "HTTP/1.1\t200 OK\r\n\r\n", 502},
	{"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", 502},
	{"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", 502},
	{"a status with a sign", "HTTP/1.1 +20 OK\r\n\r\n", 502},
	{"a status below 100", "HTTP/1.1 099 OK\r\n\r\n", 502},
	{"a status above 599", "HTTP/1.1 600 OK\r\n\r\n", 502},
	{"a tab behind the status", "HTTP/1.1 200\tOK\r\n\r\n", 502},
	{"no status", "HTTP/1.1\r\n\r\n", 502},
	{"HTTP/0.9", "<html>hello</html>\r\n", 502},
	{"a NUL in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", 502},
	{"a bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", 502},
	{"a bare CR behind the status", "HTTP/1.1 200\rX\r\n\r\n", 502},
	// RFC 9112 section 5: field lines, as in requests.
	{"a space before the colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 502},
	{"a folded line", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", 502},
	{"white space before the first field", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", 502},
	{"a bare LF behind a field", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", 502},
	{"a bare CR in a value", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", 502},
	{"a NUL in a value", "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", 502},
	{"a line without a colon", "HTTP/1.1 200 OK\r\nA\r\n\r\n", 502},
	{"an empty name", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", 502},
	{"too many fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 129) + "\r\n", 502},
	{"too large a head", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 64<<10), 502},
	{"too long a reason", "HTTP/1.1 200 " + strings.Repeat("b", 64<<10), 502},
}

func TestRefusedResponses(t *testing.T) {
	for _, c := range refusedResponses {
		t.Run(c.rule, func(t *testing.T) {
			var h ResponseHead
			n, err := ParseResponseHead(&h, []byte(c.head), Limits{})
			wantRefused(t, n, err, c.status)
		})
	}
}

func TestAcceptedResponses(t *testing.T) {
	cases := []struct {
		rule, head     string
		status, minor  int
		reason, fields string
	}{
		{"a status line and fields", "HTTP/1.1 200 OK\r\nA: b\r\nSet-Cookie: 1\r\nset-cookie: 2\r\n\r\n", 200, 1, "OK", "A=b|Set-Cookie=1|set-cookie=2"},
		{"no fields", "HTTP/1.1 404 Not Found\r\n\r\n", 404, 1, "Not Found", ""},
		{"an empty reason", "HTTP/1.1 200 \r\n\r\n", 200, 1, "", ""},
		{"no reason and no space", "HTTP/1.1 200\r\n\r\n", 200, 1, "", ""},
		{"a reason with tabs and obs-text", "HTTP/1.1 599 \ta \xe4\r\n\r\n", 599, 1, "\ta \xe4", ""},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", 200, 0, "OK", ""},
		{"an interim response", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 103, 1, "Early Hints", "Link=</a>"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			var h ResponseHead
			n, err := ParseResponseHead(&h, []byte(c.head+"next"), Limits{})
			if err != nil || n != len(c.head) {
				t.Fatalf("n=%d of %d, error %v", n, len(c.head), err)
			}
			if h.Status() != c.status || h.Minor() != c.minor || string(h.Reason()) != c.reason || fieldText(&h.Fields) != c.fields {
				t.Errorf("HTTP/1.%d %d %q %s", h.Minor(), h.Status(), h.Reason(), fieldText(&h.Fields))
			}
		})
	}
}

func TestSetStatusChecks(t *testing.T) {
	var h ResponseHead
	for _, code := range []int{-1, 0, 99, 600, 1000} {
		if h.SetStatus(code, "") == nil {
			t.Errorf("%d was accepted", code)
		}
	}
	if h.SetStatus(200, "OK\r\nA: b") == nil {
		t.Error("a reason with a line end was accepted")
	}
	if err := h.SetStatus(502, ""); err != nil || string(h.Reason()) != "Bad Gateway" {
		t.Errorf("reason %q, error %v", h.Reason(), err)
	}
	if err := h.SetStatus(299, ""); err != nil || string(h.Reason()) != "" {
		t.Errorf("reason %q, error %v", h.Reason(), err)
	}
}

func TestAResetResponseHeadRemembersNothing(t *testing.T) {
	var h ResponseHead
	if _, err := ParseResponseHead(&h, []byte("HTTP/1.0 404 Gone?\r\nA: b\r\n\r\n"), Limits{}); err != nil {
		t.Fatal(err)
	}
	h.Reset()
	if h.Status() != 0 || len(h.Reason()) != 0 || h.Minor() != 1 || h.Fields.Len() != 0 {
		t.Errorf("%d %q %d %s", h.Status(), h.Reason(), h.Minor(), fieldText(&h.Fields))
	}
	if s := string(AppendResponseHead(nil, &h)); s != "HTTP/1.1 500 Internal Server Error\r\n\r\n" {
		t.Errorf("an empty head is written as %q", s)
	}
}
