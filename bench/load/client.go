package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// A Client opens HTTP/2 connections over TLS and makes one request on each.
// It speaks just enough HTTP/2 for that: no header compression state, no flow
// control (responses are far below the default window).
type Client struct {
	config *tls.Config
	resume bool
}

// requestWithin bounds a connection's handshake and request.
const requestWithin = 5 * time.Second

// NewClient returns a client. With resume, connections after the first resume
// its TLS session.
func NewClient(resume bool) *Client {
	c := &Client{resume: resume, config: &tls.Config{
		// The certificate is made for this run; what is measured is the server.
		InsecureSkipVerify: true,
		NextProtos:         []string{"h2"},
		// What h2load offers. A hybrid post-quantum group costs more, and only some of the gateways know one.
		CurvePreferences: []tls.CurveID{tls.X25519},
	}}
	if resume {
		c.config.ServerName = "localhost"
		c.config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	}
	return c
}

// Open opens a connection to addr, asks for path and reads the response, which
// must have a body of size bytes. The connection is left open and idle.
func (c *Client) Open(ctx context.Context, addr, path string, size int) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	d := tls.Dialer{Config: c.config, NetDialer: &net.Dialer{}}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	t := conn.(*tls.Conn)
	if err := c.request(t, addr, path, size); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

func (c *Client) request(t *tls.Conn, addr, path string, size int) error {
	_ = t.SetDeadline(time.Now().Add(requestWithin))
	if p := t.ConnectionState().NegotiatedProtocol; p != "h2" {
		return fmt.Errorf("agreed on %q, want h2", p)
	}
	if _, err := t.Write(opening(addr, path)); err != nil {
		return err
	}
	got, err := readResponse(bufio.NewReader(t), t)
	if err == nil && got != size {
		err = fmt.Errorf("response body of %d bytes, want %d", got, size)
	}
	_ = t.SetDeadline(time.Time{})
	return err
}

// Frame types and flags of RFC 9113, section 6.
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7

	flagEndStream, flagAck = 1, 1
	flagEndHeaders         = 4
)

// opening is the preface, empty SETTINGS and one GET on stream 1.
func opening(authority, path string) []byte {
	var block []byte
	block = append(block, 0x82, 0x87) // :method GET, :scheme https (RFC 7541, appendix A)
	block = literal(block, 4, path)
	block = literal(block, 1, authority)
	b := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	b = frame(b, frameSettings, 0, 0, nil)
	return frame(b, frameHeaders, flagEndStream|flagEndHeaders, 1, block)
}

// literal appends a field that is not indexed, its name from the static table
// (RFC 7541, 6.2.2). Values here are shorter than 127 bytes.
func literal(b []byte, name byte, value string) []byte {
	b = append(b, name, byte(len(value)))
	return append(b, value...)
}

func frame(b []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// readResponse reads frames until stream 1 has ended, acknowledges SETTINGS,
// and returns the number of body bytes. It does not decode fields: a response
// without a body of the right size is found out by its size.
func readResponse(r *bufio.Reader, w io.Writer) (int, error) {
	var head [9]byte
	body := 0
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return 0, err
		}
		n := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		kind, flags := head[3], head[4]
		if _, err := r.Discard(n); err != nil {
			return 0, err
		}
		switch kind {
		case frameSettings:
			if flags&flagAck == 0 {
				if _, err := w.Write(frame(nil, frameSettings, flagAck, 0, nil)); err != nil {
					return 0, err
				}
			}
		case frameReset:
			return 0, errors.New("the stream was reset")
		case frameGoAway:
			return 0, errors.New("the connection was told to go away")
		case frameData, frameHeaders:
			if kind == frameData {
				body += n
			}
			if flags&flagEndStream != 0 {
				return body, nil
			}
		}
	}
}

// Cycle opens n connections of one request each, at rate per second, closing
// each after its response. It returns how many failed (or, for a resuming
// client, were not resumed) and one of the errors.
func (c *Client) Cycle(ctx context.Context, addr, path string, size, n, rate int) (bad int, err error) {
	start := time.Now()
	for i := range n {
		at := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		select {
		case <-ctx.Done():
			return bad, ctx.Err()
		case <-time.After(time.Until(at)):
		}
		if e := c.once(ctx, addr, path, size); e != nil {
			bad++
			err = e
		}
	}
	return bad, err
}

func (c *Client) once(ctx context.Context, addr, path string, size int) error {
	t, err := c.Open(ctx, addr, path, size)
	if err != nil {
		return err
	}
	defer t.Close()
	if c.resume && !t.ConnectionState().DidResume {
		return errors.New("the TLS session was not resumed")
	}
	return nil
}

// Prime makes the connection whose session the next ones resume.
func (c *Client) Prime(ctx context.Context, addr, path string, size int) error {
	t, err := c.Open(ctx, addr, path, size)
	if err != nil {
		return err
	}
	return t.Close()
}
