package httpsm

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// pieces cuts b into pieces of sizes that a client might send.
func pieces(b []byte, rnd *rand.Rand) (out [][]byte) {
	for len(b) > 0 {
		n := 1 + rnd.IntN(1<<(1+rnd.IntN(17)))
		n = min(n, len(b))
		out = append(out, b[:n])
		b = b[n:]
	}
	return out
}

// The origin gets the bytes of the client, whatever their number, however they
// are cut, and wherever they lie when they are written.
func TestUploadsArriveAsTheyWereSent(t *testing.T) {
	sizes := []int{1, 2, 100, 4095, 10 << 10, wholeBytes - 1, wholeBytes, wholeBytes + 1,
		outBound - 1, outBound, outBound + 1, 2*outBound + 17, 300_001}
	for _, framing := range []string{"length", "chunked"} {
		for _, size := range sizes {
			for seed := range uint64(4) {
				bubble(t, fmt.Sprint(framing, " ", size, " ", seed), func(t *testing.T) {
					rnd := rand.New(rand.NewPCG(seed, uint64(size)))
					body := make([]byte, size)
					for i := range body {
						body[i] = byte(rnd.Uint32())
					}
					got := make(chan []byte, 1)
					r := newRig(t, nil, func(c *testkit.OriginConn) {
						req, _ := c.ReadRequest()
						got <- []byte(req.Body)
						c.Send(testkit.Reply("ok"))
						c.ReadToEnd()
					})
					c := r.open()
					defer c.Close()
					posted := posting(c, framing, body, rnd, seed%2 == 0)
					wantStatus(t, r.readAll(c), 200)
					<-posted
					if b := <-got; sha256.Sum256(b) != sha256.Sum256(body) {
						t.Errorf("%d bytes arrived, or others, of %d", len(b), size)
					}
					c.Close()
					if rec := r.wantRecord(Completed, 200); rec.BytesIn != int64(size) {
						t.Errorf("bytes_in %d, want %d", rec.BytesIn, size)
					}
				})
			}
		}
	}
}

// posting is post in a goroutine; the result is closed at its end.
func posting(c *vconn.Conn, framing string, body []byte, rnd *rand.Rand, pause bool) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		post(c, framing, body, rnd, pause)
	}()
	return done
}

// post sends a POST; with pauses, so that each piece is there alone.
func post(c *vconn.Conn, framing string, body []byte, rnd *rand.Rand, pause bool) {
	if framing == "length" {
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(body))
	} else {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	}
	for _, p := range pieces(body, rnd) {
		if framing == "chunked" {
			p = fmt.Appendf(nil, "%x\r\n%s\r\n", len(p), p)
		}
		for _, q := range pieces(p, rnd) {
			c.Write(q)
			if pause {
				time.Sleep(time.Millisecond)
			}
		}
	}
	if framing == "chunked" {
		io.WriteString(c, "0\r\n\r\n")
	}
	c.CloseWrite()
}

// A client gets room for more when the origin has taken what it sent.
func TestAnUploadIsConsumedWhenItIsWritten(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		const total = 4 << 20
		read := make(chan int)
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.ReadN(<-read)
			c.Send(testkit.Reply("ok"))
			c.ReadToEnd()
		})
		c := r.open()
		defer c.Close()
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", total)
		go c.Write(make([]byte, total))
		synctest.Wait()
		if room := c.Room(); room != 0 {
			t.Errorf("room for %d while the origin reads nothing", room)
		}
		if taken := int(c.Taken()); taken > testkit.PipeCapacity+2*outBound {
			t.Errorf("%d bytes were consumed of what the origin has not read", taken)
		}
		read <- total
		wantStatus(t, r.readAll(c), 200)
	})
}

// What the client has left is not sent as if it were whole, and ends the wait for
// an origin that does not read.
func TestAnUploadThatIsCutShort(t *testing.T) {
	for name, cut := range map[string]func(c *vconn.Conn){
		"by a reset": func(c *vconn.Conn) { c.Reset(8) },
		"by leaving": func(c *vconn.Conn) { c.Close() },
	} {
		for _, sent := range []int{1, wholeBytes, 3*outBound + 5} {
			bubble(t, fmt.Sprint(name, " after ", sent), func(t *testing.T) {
				got := make(chan []byte, 1)
				r := newRig(t, nil, func(c *testkit.OriginConn) {
					c.ReadHead()
					got <- []byte(c.ReadToEnd())
				})
				c := r.open()
				fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 4*outBound)
				body := bytes.Repeat([]byte("x"), sent)
				c.Write(body)
				synctest.Wait()
				cut(c)
				if b := <-got; !bytes.HasPrefix(body, b) {
					t.Errorf("the origin got %d bytes that are not of the client's %d", len(b), sent)
				}
				r.wantRecord(ClientAbort, 499)
			})
		}
	}
	bubble(t, "while the origin does not read", func(t *testing.T) {
		r := newRig(t, nil, func(c *testkit.OriginConn) {
			c.ReadHead()
			c.Wait(time.Hour)
		})
		c := r.open()
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 4<<20)
		done := make(chan error, 1)
		go func() {
			_, err := c.Write(make([]byte, 4<<20))
			done <- err
		}()
		synctest.Wait()
		began := time.Now()
		c.Reset(8)
		if err := <-done; err == nil {
			t.Error("a write after the reset")
		}
		r.wantRecord(ClientAbort, 499)
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %v to notice", d)
		}
	})
}

// Bytes behind the body are no part of the request, in one piece with it or not.
func TestBytesBehindABodyAreRefused(t *testing.T) {
	for _, size := range []int{3, wholeBytes, outBound + wholeBytes} {
		for _, together := range []bool{true, false} {
			bubble(t, fmt.Sprint(size, together), func(t *testing.T) {
				r := newRig(t, nil, func(c *testkit.OriginConn) { c.ReadToEnd() })
				c := r.open()
				defer c.Close()
				body := bytes.Repeat([]byte("x"), size)
				head := fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
				go func() {
					if together {
						c.Write(append(append(head, body...), "GET / HTTP/1.1\r\n"...))
					} else {
						c.Write(head)
						synctest.Wait()
						c.Write(append(body, "GET / HTTP/1.1\r\n"...))
					}
					c.CloseWrite()
				}()
				wantStatus(t, r.readAll(c), 400)
			})
		}
	}
}

// The limit holds wherever the bytes lie.
func TestABodyOverTheLimitIsRefusedAsItComes(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, func(c *Config) { c.Limits.RequestBody = 2 * outBound }, func(c *testkit.OriginConn) { c.ReadToEnd() })
		c := r.open()
		defer c.Close()
		posted := posting(c, "chunked", make([]byte, 4*outBound), rand.New(rand.NewPCG(1, 2)), true)
		wantStatus(t, r.readAll(c), 413)
		c.Close()
		<-posted
	})
}

// The goroutine of an upload is one of the crew's, which serves the next.
func TestUploadsUseTheCrew(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		r := newRig(t, nil, testkit.Serve(testkit.Reply("ok")))
		for range 5 {
			c := r.open()
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
			synctest.Wait()
			io.WriteString(c, "body")
			wantStatus(t, r.readAll(c), 200)
			c.Close()
			synctest.Wait()
		}
		parked := 0
		for i := range r.m.crews {
			r.m.crews[i].mu.Lock()
			parked += len(r.m.crews[i].parked)
			r.m.crews[i].mu.Unlock()
		}
		if parked == 0 || parked > 10 {
			t.Errorf("%d goroutines are parked", parked)
		}
	})
}
