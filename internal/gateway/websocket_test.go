package gateway

//lint:file-ignore SA1019 net/http's own Transport refuses the field :protocol

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/frontend"
)

// wsOrigin serves WebSockets: it echoes messages, and closes with the code that
// a message "close CODE" asks for.
func wsOrigin(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/forbidden" {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}, InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(2 << 20)
	for {
		typ, msg, err := c.Read(r.Context())
		if err != nil {
			return
		}
		var code websocket.StatusCode
		if n, _ := fmt.Sscanf(string(msg), "close %d", &code); n == 1 && len(msg) < 20 {
			c.Close(code, "as you wish")
			return
		}
		if err := c.Write(r.Context(), typ, msg); err != nil {
			return
		}
	}
}

// An h2Upgrader lets a WebSocket library that knows HTTP/1.1 only speak over
// HTTP/2: what it asks for becomes an extended CONNECT (RFC 8441), and the 200 a
// 101.
type h2Upgrader struct{ tr *http2.Transport }

func (u h2Upgrader) RoundTrip(req *http.Request) (*http.Response, error) {
	body, w := io.Pipe()
	connect := req.Clone(req.Context())
	connect.Method, connect.Body, connect.ContentLength = http.MethodConnect, body, -1
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Key"} {
		connect.Header.Del(name)
	}
	connect.Header[":protocol"] = []string{"websocket"}
	res, err := u.tr.RoundTrip(connect)
	if err != nil || res.StatusCode != http.StatusOK {
		return res, err
	}
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Accept"} {
		if v, ok := res.Header[name]; ok {
			return nil, fmt.Errorf("the answer to an extended CONNECT has %s: %v", name, v)
		}
	}
	sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	res.StatusCode = http.StatusSwitchingProtocols
	res.Header.Set("Connection", "Upgrade")
	res.Header.Set("Upgrade", "websocket")
	res.Header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	res.Body = struct {
		io.Reader
		io.Writer
		io.Closer
	}{res.Body, w, bothWays{w, res.Body}}
	return res, nil
}

// bothWays ends a stream as RFC 8441 section 5 wants it: END_STREAM for our side,
// and then that of the other is waited for; otherwise it would be reset.
type bothWays struct {
	w *io.PipeWriter
	r io.ReadCloser
}

func (b bothWays) Close() error {
	b.w.Close()
	io.Copy(io.Discard, b.r)
	return b.r.Close()
}

// webSocket opens one over the given protocol.
func (r *rig) webSocket(ctx context.Context, proto, path string) (*websocket.Conn, *http.Response, error) {
	r.t.Helper()
	client, url := &http.Client{}, ""
	if proto == frontend.ProtoH2 {
		tr := &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots()}}
		r.t.Cleanup(tr.CloseIdleConnections)
		client.Transport, url = h2Upgrader{tr}, "https://"+r.Addr(ListenerTLS).String()
	} else {
		client, url = r.client(proto)
		client.Timeout = 0
	}
	return websocket.Dial(ctx, url+path, &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"echo"}})
}

var wsProtocols = []string{frontend.ProtoH2, frontend.ProtoHTTP1, "plain " + frontend.ProtoHTTP1}

// wantTunnel waits for the only access line and checks it.
func (r *rig) wantTunnel(proto string, in, out, messages int64) line {
	r.t.Helper()
	var access []line
	eventually(r.t, "an access line", func() bool { access, _ = r.log(); return len(access) > 0 })
	l := access[0]
	method, status := "GET", 101
	if proto == frontend.ProtoH2 {
		method, status = "CONNECT", 200
	}
	if len(access) != 1 || l.Method != method || l.Status != status || l.Outcome != "completed" {
		r.t.Errorf("access lines %v, want one: %s, %v, completed", access, method, status)
	}
	// Each message has a frame's head, of a client's side with a mask; pings
	// and closes are bytes too.
	if got := l.BytesIn; got < in+6*messages || got > in+14*messages+1024 {
		r.t.Errorf("bytes_in %d, want a little more than %d", got, in)
	}
	if got := l.BytesOut; got < out+2*messages || got > out+10*messages+1024 {
		r.t.Errorf("bytes_out %d, want a little more than %d", got, out)
	}
	return l
}

// A real library at both ends, over real sockets.
func TestWebSocketsEchoMessagesOfAllSizes(t *testing.T) {
	for _, proto := range wsProtocols {
		t.Run(proto, func(t *testing.T) {
			r := newRig(t, wsOrigin, nil)
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			c, res, err := r.webSocket(ctx, proto, "/chat")
			if err != nil {
				t.Fatalf("%v (%v)", err, res)
			}
			defer c.CloseNow()
			c.SetReadLimit(2 << 20)
			if c.Subprotocol() != "echo" {
				t.Errorf("subprotocol %q", c.Subprotocol())
			}
			total := int64(0)
			for _, size := range []int{0, 1, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 300_000, 1 << 20, 1, 0} {
				for i := range 3 {
					msg := bytes.Repeat([]byte{byte('a' + i)}, size)
					if err := c.Write(ctx, websocket.MessageBinary, msg); err != nil {
						t.Fatalf("%d bytes: %v", size, err)
					}
					typ, got, err := c.Read(ctx)
					if err != nil || typ != websocket.MessageBinary || !bytes.Equal(got, msg) {
						t.Fatalf("%d bytes: got %d, %v, %v", size, len(got), typ, err)
					}
					total += int64(size)
				}
			}
			c.CloseRead(ctx) // reads pongs
			for range 5 {
				if err := c.Ping(ctx); err != nil {
					t.Fatalf("ping: %v", err)
				}
			}
			if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
				t.Errorf("close: %v", err)
			}
			r.wantTunnel(proto, total, total, 42)
			eventually(t, "no transaction left", func() bool { return r.machine.Stats().Active == 0 })
		})
	}
}

// Many small messages in both directions at once, with no one waiting for the
// other.
func TestWebSocketsCarryManyMessagesAtOnce(t *testing.T) {
	const n = 2000
	for _, proto := range wsProtocols {
		t.Run(proto, func(t *testing.T) {
			r := newRig(t, wsOrigin, nil)
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			c, _, err := r.webSocket(ctx, proto, "/")
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			sent := make(chan error, 1)
			go func() {
				for i := range n {
					if err := c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "message %d", i)); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			for i := range n {
				if _, got, err := c.Read(ctx); err != nil || string(got) != fmt.Sprintf("message %d", i) {
					t.Fatalf("message %d: %q, %v", i, got, err)
				}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			c.Close(websocket.StatusNormalClosure, "")
			r.wantTunnel(proto, n*9, n*9, n)
		})
	}
}

func TestCloseCodesPassBothWays(t *testing.T) {
	for _, proto := range wsProtocols {
		t.Run(proto, func(t *testing.T) {
			r := newRig(t, wsOrigin, nil)
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			c, _, err := r.webSocket(ctx, proto, "/")
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			if err := c.Write(ctx, websocket.MessageText, []byte("close 4321")); err != nil {
				t.Fatal(err)
			}
			_, _, err = c.Read(ctx)
			if ce, ok := errors.AsType[websocket.CloseError](err); !ok || ce.Code != 4321 || ce.Reason != "as you wish" {
				t.Errorf("closed by %v", err)
			}
			c.CloseNow()
			r.wantTunnel(proto, 10, 13, 1)
		})
	}
}

func TestAWebSocketThatTheOriginRefuses(t *testing.T) {
	for _, proto := range wsProtocols {
		t.Run(proto, func(t *testing.T) {
			r := newRig(t, wsOrigin, nil)
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			_, res, err := r.webSocket(ctx, proto, "/forbidden")
			if err == nil || res == nil || res.StatusCode != 403 {
				t.Fatalf("%v, %v; want 403", res, err)
			}
			var access []line
			eventually(t, "an access line", func() bool { access, _ = r.log(); return len(access) > 0 })
			if l := access[0]; l.Status != 403 || l.Outcome != "completed" {
				t.Errorf("access line %v", l)
			}
		})
	}
}

// A WebSocket nobody uses ends by its own limit, and one that is open holds up a
// drain to its end.
func TestHowTheGatewayEndsWebSockets(t *testing.T) {
	for _, proto := range wsProtocols {
		for _, tc := range []struct{ name, setting, outcome string }{
			{"idle", "timeouts.tunnel_idle=1s", "connection_read_timeout"},
			{"drain", "timeouts.drain=200ms", "gateway_draining"},
		} {
			t.Run(tc.name+" "+proto, func(t *testing.T) {
				r := newRig(t, wsOrigin, nil, tc.setting)
				ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
				defer cancel()
				c, _, err := r.webSocket(ctx, proto, "/")
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				if tc.name == "drain" {
					go r.Shutdown(context.Background()) // the end of the test waits for it
				}
				if _, msg, err := c.Read(ctx); err == nil || ctx.Err() != nil {
					t.Errorf("read %q, %v", msg, err)
				}
				var access []line
				eventually(t, "an access line", func() bool { access, _ = r.log(); return len(access) > 0 })
				if l := access[0]; l.Outcome != tc.outcome {
					t.Errorf("access line %v, want %s", l, tc.outcome)
				}
			})
		}
	}
}
