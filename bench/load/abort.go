package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// A Rude client does one thing that a client should not, and leaves.
type Rude struct {
	Name string
	do   func(c *Client, ctx context.Context, addr string) error
}

// Do runs it once against addr. The error is for what should have worked: to
// connect. What the gateway then says to it is its own affair.
func (r Rude) Do(ctx context.Context, c *Client, addr string) error { return r.do(c, ctx, addr) }

// Rudes returns all of them.
func Rudes() []Rude {
	return []Rude{
		{"leaves in the middle of a response", leaveEarly},
		{"resets its streams as soon as they are open", resetStreams},
		{"leaves in the middle of a request body", leaveUpload},
		{"connects and says nothing", sayNothing},
		{"does not read, and leaves", neverRead},
		{"speaks something else inside TLS", speakNonsense},
	}
}

// patience is how long a rude client stays.
const patience = 300 * time.Millisecond

// begin connects and writes what is given.
func (c *Client) begin(ctx context.Context, addr string, b []byte) (net.Conn, error) {
	conn, err := c.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(requestWithin))
	if _, err := conn.Write(b); err != nil {
		Abandon(conn)
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience)) // which is for reading what comes
	return conn, nil
}

func leaveEarly(c *Client, ctx context.Context, addr string) error {
	conn, err := c.begin(ctx, addr, c.opening(addr, "/1m"))
	if err != nil {
		return err
	}
	_, _ = io.CopyN(io.Discard, conn, 20<<10)
	Abandon(conn)
	return nil
}

func resetStreams(c *Client, ctx context.Context, addr string) error {
	b := frame([]byte(preface), frameSettings, 0, 0, nil)
	block := c.block(get, addr, "/10k")
	for id := uint32(1); id < 10; id += 2 {
		b = frame(b, frameHeaders, flagEndStream|flagEndHeaders, id, block)
		b = frame(b, frameReset, 0, id, []byte{0, 0, 0, 8}) // CANCEL
	}
	conn, err := c.begin(ctx, addr, b)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, conn)
	Abandon(conn)
	return nil
}

func leaveUpload(c *Client, ctx context.Context, addr string) error {
	b := frame([]byte(preface), frameSettings, 0, 0, nil)
	b = frame(b, frameHeaders, flagEndHeaders, 1, c.block(post, addr, "/upload"))
	conn, err := c.begin(ctx, addr, frame(b, frameData, 0, 1, make([]byte, 5<<10)))
	if err != nil {
		return err
	}
	_, _ = io.CopyN(io.Discard, conn, 20)
	Abandon(conn)
	return nil
}

func sayNothing(_ *Client, ctx context.Context, addr string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = conn.Read(make([]byte, 1))
	return conn.Close()
}

func neverRead(c *Client, ctx context.Context, addr string) error {
	h := Hold{Streams: 4, Path: "/1m"}
	conn, err := c.begin(ctx, addr, c.holding(addr, h))
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(patience):
	}
	Abandon(conn)
	return nil
}

func speakNonsense(c *Client, ctx context.Context, addr string) error {
	conn, err := c.begin(ctx, addr, []byte("PRI * HTTP/2.0\r\n\r\nnonsense that is no preface"))
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, conn)
	return conn.Close()
}

// Visit opens a connection, makes a request and keeps it for a while.
func (c *Client) Visit(ctx context.Context, addr, path string, size int, stay time.Duration) error {
	conn, err := c.Open(ctx, addr, path, size)
	if err != nil {
		return err
	}
	if t, ok := conn.(*tls.Conn); ok && c.resume && !t.ConnectionState().DidResume {
		err = errors.New("the TLS session was not resumed")
	}
	select {
	case <-ctx.Done():
	case <-time.After(stay):
	}
	if e := conn.Close(); e != nil && err == nil {
		err = fmt.Errorf("closing: %w", e)
	}
	return err
}
