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

// A Client opens HTTP/2 connections and makes one request on each. It speaks
// just enough HTTP/2 for that: no header compression state, no flow control
// (responses are far below the default window).
type Client struct {
	config *tls.Config // nil: cleartext with prior knowledge
	resume bool
}

// NewPlainClient returns a client of cleartext connections.
func NewPlainClient() *Client { return new(Client) }

// requestWithin bounds a connection's handshake and request, however busy the machine.
const requestWithin = 30 * time.Second

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
func (c *Client) Open(ctx context.Context, addr, path string, size int) (net.Conn, error) {
	conn, err := c.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(requestWithin))
	if err := c.request(conn, addr, path, size); err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, nil
}

// dial opens a connection that will speak HTTP/2.
func (c *Client) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	var d net.Dialer
	if c.config == nil {
		return d.DialContext(ctx, "tcp", addr)
	}
	conn, err := (&tls.Dialer{Config: c.config, NetDialer: &d}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if p := conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; p != "h2" {
		_ = conn.Close()
		return nil, fmt.Errorf("agreed on %q, want h2", p)
	}
	return conn, nil
}

// Abandon closes a connection without a word: no TLS alert, no GOAWAY.
func Abandon(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close()
}

func (c *Client) request(conn net.Conn, addr, path string, size int) error {
	if _, err := conn.Write(c.opening(addr, path)); err != nil {
		return err
	}
	got, err := readResponse(bufio.NewReader(conn), conn)
	if err == nil && got != size {
		err = fmt.Errorf("response body of %d bytes, want %d", got, size)
	}
	return err
}

// Frame types and flags of RFC 9113, section 6.
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7

	flagEndStream, flagAck = 1, 1
	flagEndHeaders         = 4
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// opening is the preface, empty SETTINGS and one GET on stream 1.
func (c *Client) opening(authority, path string) []byte {
	b := frame([]byte(preface), frameSettings, 0, 0, nil)
	return frame(b, frameHeaders, flagEndStream|flagEndHeaders, 1, c.block(get, authority, path))
}

// Indexed fields of the static table (RFC 7541, appendix A).
const get, post, schemeHTTP, schemeHTTPS = 0x82, 0x83, 0x86, 0x87

// block is the field section of a request.
func (c *Client) block(method byte, authority, path string) []byte {
	scheme := byte(schemeHTTPS)
	if c.config == nil {
		scheme = schemeHTTP
	}
	return literal(literal([]byte{method, scheme}, 4, path), 1, authority)
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
	if c.resume && !t.(*tls.Conn).ConnectionState().DidResume {
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
