package httpsm

import (
	"crypto/tls"
	"testing"

	"github.com/h2gw/h2gw/pitag"
)

func TestTheHostOfAnAuthority(t *testing.T) {
	for authority, want := range map[string]string{
		"a": "a", "a.example:443": "a.example", "a.example.": "a.example", "a.example.:443": "a.example",
		"[::1]": "::1", "[::1]:443": "::1", "192.0.2.1:80": "192.0.2.1", "": "", ":443": "", "a:": "a",
	} {
		if got := string(hostOf([]byte(authority))); got != want {
			t.Errorf("%q: %q, want %q", authority, got, want)
		}
	}
}

// The certificate is asked only about requests that SNI does not settle, and in
// lower case.
func TestWhenTheCertificateIsAsked(t *testing.T) {
	tests := []struct {
		name, request string
		tls           *tls.ConnectionState
		asked         string
		status        int
	}{
		{"cleartext", get, nil, "", 200},
		{"no SNI", get, &tls.ConnectionState{}, "", 200},
		{"the host of SNI", get, &tls.ConnectionState{ServerName: "Example.COM"}, "", 200},
		{"another host", get, &tls.ConnectionState{ServerName: "a.example"}, "example.com", 421},
		{"another host, which it covers", "GET / HTTP/1.1\r\nHost: Covered.Example:8443\r\n\r\n", &tls.ConnectionState{ServerName: "a.example"}, "covered.example", 200},
		{"no host", "GET / HTTP/1.0\r\n\r\n", &tls.ConnectionState{ServerName: "a.example"}, "", 200},
	}
	for _, tt := range tests {
		bubble(t, tt.name, func(t *testing.T) {
			asked := ""
			r := newRig(t, func(c *Config) {
				c.Covers = func(_ *pitag.Session, host string) bool { asked = host; return host == "covered.example" }
				c.Hooks = new(Hooks)
				c.Hooks.On(TxnStart, func(txn *Txn) Verdict { txn.Session().TLS = tt.tls; return Continue })
			})
			wantStatus(t, r.ask(tt.request), tt.status)
			if asked != tt.asked {
				t.Errorf("asked about %q, want %q", asked, tt.asked)
			}
		})
	}
}
