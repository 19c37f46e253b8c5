package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/frontend"
	"github.com/h2gw/h2gw/internal/testkit"
)

// A frameClient speaks HTTP/2 frame by frame, for what a real client hides.
type frameClient struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	enc    *hpack.Encoder
	block  bytes.Buffer
}

func dialFrames(t *testing.T, r *rig) *frameClient {
	t.Helper()
	raw, err := net.Dial("tcp", r.Addr(ListenerTLS).String())
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{RootCAs: r.roots(), ServerName: "localhost", NextProtos: []string{"h2"}})
	c.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	f := &frameClient{t: t, conn: c, framer: http2.NewFramer(c, c)}
	f.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.enc = hpack.NewEncoder(&f.block)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	f.check(f.framer.WriteSettings())
	return f
}

func (f *frameClient) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// get opens a stream with a GET request.
func (f *frameClient) get(stream uint32, path string) {
	f.t.Helper()
	f.block.Reset()
	for _, kv := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}} {
		f.check(f.enc.WriteField(hpack.HeaderField{Name: kv[0], Value: kv[1]}))
	}
	f.check(f.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block.Bytes(), EndStream: true, EndHeaders: true}))
}

// next returns the next frame that is not about settings or windows, and
// answers pings; io.EOF at the end of the connection.
func (f *frameClient) next() (http2.Frame, error) {
	for {
		fr, err := f.framer.ReadFrame()
		if err != nil {
			return nil, err
		}
		switch fr := fr.(type) {
		case *http2.SettingsFrame:
			if !fr.IsAck() {
				f.check(f.framer.WriteSettingsAck())
			}
		case *http2.PingFrame:
			if !fr.IsAck() {
				f.check(f.framer.WritePing(true, fr.Data))
			}
		case *http2.WindowUpdateFrame:
		default:
			return fr, nil
		}
	}
}

// gate is an origin whose answers wait until it is opened.
type gate struct{ arrived, open chan struct{} }

func newGate() *gate { return &gate{make(chan struct{}, 1000), make(chan struct{})} }

func (g *gate) handler(w http.ResponseWriter, r *http.Request) {
	g.arrived <- struct{}{}
	select {
	case <-g.open:
	case <-r.Context().Done():
	}
	fmt.Fprint(w, "finished")
}

// RFC 9113, 6.8: first a GOAWAY that refuses nothing, then, once requests sent
// meanwhile have arrived, one with the last stream; streams finish.
func TestDrainTellsTwiceAndFinishesStreams(t *testing.T) {
	for range 20 {
		if drainTellsTwice(t) {
			return
		}
		t.Log("the request was later than it may be: once more")
	}
	t.Error("the request was never in time")
}

// drainTellsTwice is false when more than the second went by that the gateway waits
// for what was on its way, and a request came behind that.
func drainTellsTwice(t *testing.T) (inTime bool) {
	gate := newGate()
	r := newRig(t, gate.handler, func(c *Config) { c.Plain = testkit.ReservePort(t) })
	f := dialFrames(t, r)
	f.get(1, "/slow")
	<-gate.arrived
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(context.Background()) }()

	var goaways []uint32
	var body string
	opened := false
	for {
		fr, err := f.next()
		if err != nil {
			break
		}
		switch fr := fr.(type) {
		case *http2.GoAwayFrame:
			if fr.ErrCode != http2.ErrCodeNo {
				t.Errorf("GOAWAY with %v", fr.ErrCode)
			}
			goaways = append(goaways, fr.LastStreamID)
			if len(goaways) == 1 {
				f.get(3, "/raced") // was on its way when the first one came
			} else if fr.LastStreamID == 1 && time.Since(began) > time.Second {
				close(gate.open)
				<-done
				return false
			}
		case *http2.DataFrame:
			body += string(fr.Data())
		case *http2.MetaHeadersFrame:
		default:
			t.Errorf("unexpected %v", fr)
		}
		if len(goaways) == 2 && !opened {
			opened = true
			if code, text := adminGet(t, r, "/readyz"); code != 503 || text != "draining\n" {
				t.Errorf("/readyz while draining: %d %q", code, text)
			}
			if r.metric("h2gw_draining") != 1 {
				t.Error("h2gw_draining is not 1")
			}
			if _, err := net.Dial("tcp", r.Addr(ListenerPlain).String()); err == nil {
				t.Error("a draining gateway accepts")
			}
			close(gate.open)
		}
	}
	if !opened {
		close(gate.open)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(goaways) != 2 || goaways[0] != 1<<31-1 || goaways[1] != 3 {
		t.Errorf("GOAWAY with last streams %v, want 2^31-1 and 3", goaways)
	}
	if body != "finishedfinished" {
		t.Errorf("bodies %q: a stream was cut", body)
	}
	access, sessions := r.log()
	if len(access) != 2 || len(sessions) != 1 || sessions[0].Cause != "drain" || sessions[0].Streams != 2 {
		t.Errorf("log:\n%+v\n%+v", access, sessions)
	}
	for _, a := range access {
		if a.Status != 200 || a.Outcome != "completed" {
			t.Errorf("access line: %+v", a)
		}
	}
	return true
}

func adminGet(t *testing.T, r *rig, path string) (int, string) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	return get(t, &http.Client{Transport: tr}, "http://"+r.AdminAddr().String()+path)
}

func TestDrainFinishesHTTP1AndClosesIdleConnections(t *testing.T) {
	gate := newGate()
	r := newRig(t, gate.handler, nil)
	c, url := r.client(frontend.ProtoHTTP1)
	result := make(chan string, 1)
	go func() {
		resp, err := c.Get(url + "/slow")
		if err != nil {
			result <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		result <- fmt.Sprint(string(body), " ", err, " close=", resp.Close)
	}()
	<-gate.arrived
	idle, err := net.Dial("tcp", r.Addr(ListenerPlain).String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	// Else it is the listener that ends it, before others have been told.
	eventually(t, "the silent connection is accepted", func() bool { return r.front.Open() == 2 })
	done := make(chan error, 1)
	go func() { done <- r.Shutdown(context.Background()) }()
	idle.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := idle.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the silent connection is not closed: %v", err)
	}
	close(gate.open)
	if got := <-result; got != "finished <nil> close=true" {
		t.Errorf("the request under way: %s", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWhatDoesNotFinishInTimeIsAborted(t *testing.T) {
	for _, proto := range []string{frontend.ProtoH2, frontend.ProtoHTTP1} {
		t.Run(strings.ReplaceAll(proto, "/", ""), func(t *testing.T) {
			gate := newGate()
			defer close(gate.open)
			r := newRig(t, gate.handler, nil, "timeouts.drain=200ms")
			c, url := r.client(proto)
			failed := make(chan error, 1)
			go func() {
				resp, err := c.Get(url + "/forever")
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				failed <- err
			}()
			<-gate.arrived
			start := time.Now()
			err := r.Shutdown(context.Background())
			if err == nil || !strings.Contains(err.Error(), "1 client connections had to be aborted") {
				t.Errorf("shutdown: %v", err)
			}
			if d := time.Since(start); d < 200*time.Millisecond || d > 15*time.Second {
				t.Errorf("shutdown took %v", d)
			}
			<-failed
			access, sessions := r.log()
			if len(access) != 1 || len(sessions) != 1 || sessions[0].Cause != "drain" || sessions[0].Streams != 1 {
				t.Errorf("log:\n%+v\n%+v", access, sessions)
			}
		})
	}
}

func TestAnIdleGatewayDrainsAtOnce(t *testing.T) {
	r := newRig(t, nil, nil)
	for _, p := range protocols {
		c, url := r.client(p.client)
		get(t, c, url+"/")
	}
	start := time.Now()
	r.shutdown()
	if d := time.Since(start); d > 10*time.Second { // not timeouts.drain, which is 30 s
		t.Errorf("draining four idle connections took %v", d)
	}
	if _, sessions := r.log(); len(sessions) != len(protocols) {
		t.Errorf("session lines: %+v", sessions)
	}
}

func TestReopenGoesOnInANewFile(t *testing.T) {
	dir := t.TempDir()
	file, old := filepath.Join(dir, "access.log"), filepath.Join(dir, "access.log.1")
	r := newRig(t, nil, func(c *Config) { c.AccessLogOutput, c.AccessLog = nil, file })
	c, url := r.client(frontend.ProtoH2)
	get(t, c, url+"/before")
	if err := os.Rename(file, old); err != nil {
		t.Fatal(err)
	}
	// The line is given to the log when both ends of its stream have closed, which
	// the client need not wait for.
	eventually(t, "the first request has ended", func() bool { return r.machine.Stats().Active == 0 })
	if err := r.ReopenLogs(t.Context()); err != nil {
		t.Fatal(err)
	}
	get(t, c, url+"/after")
	r.shutdown()
	for name, want := range map[string]string{old: "/before", file: "/after"} {
		text, err := os.ReadFile(name)
		if err != nil || strings.Count(string(text), `"event":"access"`) != 1 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}
