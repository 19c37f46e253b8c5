package failure

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/gateway"
)

// prompt is how soon one side has to learn that the other has ended the
// exchange: the median of several rounds, for a busy machine may delay any of
// them. Where it delays all of them, requests are as slow to get to the origin:
// ten times as long as that is prompt, too.
const prompt = 100 * time.Millisecond

// transports are clients of every protocol, and the URL to reach r with.
func transports(r *rig) map[string]func() (*http.Transport, string) {
	over := func(listener string, set func(*http.Protocols)) func() (*http.Transport, string) {
		scheme := "http://"
		if listener == gateway.ListenerTLS {
			scheme = "https://"
		}
		return func() (*http.Transport, string) {
			p := new(http.Protocols)
			set(p)
			return &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, scheme + r.Addr(listener).String()
		}
	}
	return map[string]func() (*http.Transport, string){
		"h2":       over(gateway.ListenerTLS, func(p *http.Protocols) { p.SetHTTP2(true) }),
		"https":    over(gateway.ListenerTLS, func(p *http.Protocols) { p.SetHTTP1(true) }),
		"h2c":      over(gateway.ListenerPlain, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }),
		"http/1.1": over(gateway.ListenerPlain, func(p *http.Protocols) { p.SetHTTP1(true) }),
	}
}

var phases = []string{"/head", "/body", "/upload"}

// begun is a request of one phase, sent in a goroutine: the head of its response
// awaited, in its body, or in the middle of its upload. headed is closed when a
// response head has come, ended tells how it all ended.
func begun(ctx context.Context, t *testing.T, tr *http.Transport, url, phase string) (headed <-chan struct{}, ended <-chan error, release func()) {
	var body io.Reader
	r, w := io.Pipe()
	if phase == "/upload" {
		body = r
		go io.WriteString(w, "hello")
	}
	req, err := http.NewRequestWithContext(ctx, map[bool]string{true: "POST", false: "GET"}[body != nil], url+phase, body)
	if err != nil {
		t.Fatal(err)
	}
	head, done := make(chan struct{}), make(chan error, 1)
	go func() {
		resp, err := tr.RoundTrip(req)
		if err == nil {
			close(head)
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		done <- err
	}()
	return head, done, func() { w.CloseWithError(io.ErrClosedPipe) }
}

// script answers as far as the phase wants, says so on ready, and goes on with
// then.
func script(ready chan<- *peer, then func(*peer)) func(*peer) {
	return func(p *peer) {
		req, err := http.ReadRequest(p.br)
		if err != nil {
			return
		}
		switch req.URL.Path {
		case "/body":
			p.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
		case "/upload":
			io.ReadFull(req.Body, make([]byte, 5))
		}
		ready <- p
		then(p)
	}
}

const promptRounds = 9

// wantPrompt compares how long the news took with how long the requests had taken
// to get to the origin.
func wantPrompt(t *testing.T, what string, asked, took []time.Duration) {
	t.Helper()
	slices.Sort(asked)
	slices.Sort(took)
	median, most := took[len(took)/2], prompt+10*asked[len(asked)/2]
	t.Logf("%-18s median %8v  max %8v", what, median.Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))
	if median > most {
		t.Errorf("%s: the median is %v, want %v at most", what, median, most)
	}
}

// A client that cancels a request, whatever its protocol and however far the
// exchange is, frees the origin at once.
func TestACancelReachesTheOriginPromptly(t *testing.T) {
	begin(t)
	ready, gone := make(chan *peer), make(chan time.Time)
	o := startOrigin(t, script(ready, func(p *peer) {
		p.gone()
		gone <- time.Now()
	}))
	r := newRig(t, []string{o.addr()})
	for proto, client := range transports(r) {
		tr, url := client()
		for _, phase := range phases {
			var asked, took []time.Duration
			for range promptRounds {
				ctx, cancel := context.WithCancel(t.Context())
				sent := time.Now()
				_, ended, release := begun(ctx, t, tr, url, phase)
				<-ready
				asked = append(asked, time.Since(sent))
				start := time.Now()
				cancel()
				took = append(took, (<-gone).Sub(start))
				release()
				if err := <-ended; err == nil {
					t.Errorf("%s %s: a request that was cancelled is complete", proto, phase)
				}
			}
			wantPrompt(t, proto+" "+phase, asked, took)
		}
		r.cleanup = append(r.cleanup, tr.CloseIdleConnections)
	}
	for _, l := range r.settle() {
		if l.Outcome != "client_abort" {
			t.Errorf("%+v", l)
		}
	}
}

// An origin that resets its connection is no secret either: the client learns of
// it at once, by a 502 while that is possible, by a broken response when not.
func TestAResetOfTheOriginReachesTheClientPromptly(t *testing.T) {
	begin(t)
	ready, now := make(chan *peer), make(chan struct{})
	o := startOrigin(t, script(ready, func(p *peer) {
		<-now
		p.reset()
	}))
	r := newRig(t, []string{o.addr()})
	for proto, client := range transports(r) {
		tr, url := client()
		for _, phase := range phases {
			var asked, took []time.Duration
			for range promptRounds {
				sent := time.Now()
				headed, ended, release := begun(t.Context(), t, tr, url, phase)
				<-ready
				asked = append(asked, time.Since(sent))
				if phase == "/body" {
					<-headed
				}
				start := time.Now()
				now <- struct{}{}
				err := <-ended
				took = append(took, time.Since(start))
				release()
				if looksComplete := err == nil; looksComplete == (phase == "/body") {
					t.Errorf("%s %s: %v", proto, phase, err)
				}
			}
			wantPrompt(t, proto+" "+phase, asked, took)
		}
		r.cleanup = append(r.cleanup, tr.CloseIdleConnections)
	}
	for _, l := range r.settle() {
		if inBody := strings.HasPrefix(l.Path, "/body"); inBody != (l.Outcome == "http_response_incomplete") || inBody != (l.Status == 200) {
			t.Errorf("%+v", l)
		}
	}
}
