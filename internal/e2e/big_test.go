package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"hash"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

const gig = 1 << 30

// A bigOrigin serves and takes 1 GiB bodies and says how far it got.
type bigOrigin struct {
	*httptest.Server
	sent     atomic.Int64 // bytes of the response body written
	received chan string  // checksum of an upload
}

func startBigOrigin(t *testing.T) *bigOrigin {
	o := &bigOrigin{received: make(chan string, 1)}
	block := pattern(1 << 20)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /down", func(w http.ResponseWriter, r *http.Request) {
		for range gig / len(block) {
			n, err := w.Write(block)
			o.sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	mux.HandleFunc("POST /up", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		if _, err := io.Copy(h, r.Body); err != nil {
			t.Errorf("the origin could not read the upload: %v", err)
		}
		sum := hex.EncodeToString(h.Sum(nil))
		o.received <- sum
		io.WriteString(w, sum)
	})
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

func (o *bigOrigin) addr() string { return o.Listener.Addr().String() }

// gigSum is the checksum of what /down sends.
func gigSum() string {
	h := sha256.New()
	block := pattern(1 << 20)
	for range gig / len(block) {
		h.Write(block)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// h2client returns a client that speaks HTTP/2 to the gateway, one connection.
func h2client(t *testing.T) *http.Client {
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// slowly reads n bytes at a few MiB a second while it watches the gateway.
func slowly(t *testing.T, r io.Reader, h hash.Hash, n int, watch func()) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for n > 0 {
		m, err := io.ReadFull(r, buf[:min(n, len(buf))])
		h.Write(buf[:m])
		n -= m
		if err != nil {
			t.Fatal(err)
		}
		watch()
		time.Sleep(10 * time.Millisecond)
	}
}

func TestOneGigabyteDownThroughOneStreamInBoundedMemory(t *testing.T) {
	o := startBigOrigin(t)
	g := startGateway(t, []string{o.addr()})
	client := h2client(t)
	before := g.rss()
	res, err := client.Get(g.url("/down"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Fatalf("got HTTP/%d, the test is about HTTP/2", res.ProtoMajor)
	}
	h := sha256.New()
	var most int64
	slowly(t, res.Body, h, 16<<20, func() { most = max(most, g.rss()-before) })
	wantOriginHeldBack(t, o)
	if _, err := io.Copy(h, res.Body); err != nil {
		t.Fatal(err)
	}
	most = max(most, g.rss()-before)
	if got, want := hex.EncodeToString(h.Sum(nil)), gigSum(); got != want {
		t.Errorf("checksum %s, want %s", got, want)
	}
	t.Logf("the gateway grew by %.1f MiB at most", float64(most)/(1<<20))
	if most > 64<<20 {
		t.Errorf("the gateway grew by %d bytes, want less than 64 MiB", most)
	}
	client.CloseIdleConnections()
	g.settle()
	g.quit()
}

// wantOriginHeldBack: while the client reads nothing the origin's progress must
// come to a stand within what buffers can hold.
func wantOriginHeldBack(t *testing.T, o *bigOrigin) {
	t.Helper()
	last := int64(-1)
	eventually(t, "the origin is no longer read", func() bool {
		now := o.sent.Load()
		still := now == last
		last = now
		time.Sleep(300 * time.Millisecond)
		return still
	})
	// 16 MiB were read; socket buffers of three connections and the windows lie between.
	if held := o.sent.Load(); held > 80<<20 {
		t.Errorf("the origin could send %d bytes to a client that had read 16 MiB", held)
	}
}

// A patternReader yields size bytes of the repeated 1 MiB pattern.
type patternReader struct {
	block []byte
	at    int
	size  int
	sent  atomic.Int64
}

func (p *patternReader) Read(b []byte) (int, error) {
	if p.at == p.size {
		return 0, io.EOF
	}
	n := copy(b, p.block[p.at%len(p.block):])
	n = min(n, p.size-p.at)
	p.at += n
	p.sent.Add(int64(n))
	return n, nil
}

func TestOneGigabyteUpThroughOneStreamInBoundedMemory(t *testing.T) {
	o := startBigOrigin(t)
	g := startGateway(t, []string{o.addr()})
	client := h2client(t)
	before, most := g.rss(), int64(0)
	body := &patternReader{block: pattern(1 << 20), size: gig}
	req, err := http.NewRequest("POST", g.url("/up"), io.NopCloser(body))
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				most = max(most, g.rss()-before)
			}
		}
	}()
	res, err := client.Do(req)
	close(stop)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := gigSum(); string(got) != want || <-o.received != want {
		t.Errorf("the origin's checksum is %q, want %s", got, want)
	}
	t.Logf("the gateway grew by %.1f MiB at most", float64(most)/(1<<20))
	if most > 64<<20 {
		t.Errorf("the gateway grew by %d bytes, want less than 64 MiB", most)
	}
	client.CloseIdleConnections()
	g.settle()
	g.quit()
}
