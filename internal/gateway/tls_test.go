package gateway

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
)

// A client that comes back resumes its TLS session with a ticket, in either
// version, and metric and session line say so.
func TestAResumedTLSSessionIsCounted(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		name := tls.VersionName(version)
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, nil)
			cache := tls.NewLRUClientSessionCache(4)
			const visits = 3
			for range visits {
				p := new(http.Protocols)
				p.SetHTTP2(true)
				tr := &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{
					RootCAs: r.roots(), MinVersion: version, MaxVersion: version, ClientSessionCache: cache,
				}}
				resp, err := (&http.Client{Transport: tr}).Get("https://" + r.Addr(ListenerTLS).String())
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				tr.CloseIdleConnections()
			}
			for resumed, want := range map[string]float64{"false": 1, "true": visits - 1} {
				if n := r.metric("h2gw_tls_handshakes_total", `version="`+name+`"`, `resumed="`+resumed+`"`, `result="ok"`); n != want {
					t.Errorf("resumed=%s: %v, want %v", resumed, n, want)
				}
			}
			r.shutdown()
			_, sessions := r.log()
			resumed := 0
			for _, s := range sessions {
				if s.TLSResumed {
					resumed++
				}
			}
			if len(sessions) != visits || resumed != visits-1 {
				t.Errorf("%d sessions, %d resumed", len(sessions), resumed)
			}
		})
	}
}
