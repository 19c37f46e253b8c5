package scenario

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// An http1Client is the client side of a case on HTTP/1.1.
type http1Client struct {
	*monitor
	conn net.Conn
	in   []byte // what came and no step has seen
	err  error  // why the connection ended
	read chan struct{}
	// Of the request that was begun with "METHOD target open".
	chunked bool
	begun   []field // of the response that was unfinished
}

func newHTTP1Client(conn net.Conn) *http1Client {
	c := &http1Client{monitor: newMonitor(), conn: conn, read: make(chan struct{})}
	go func() {
		defer close(c.read)
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			c.change(func() {
				c.in = append(c.in, buf[:n]...)
				c.err = err
			})
			if err != nil {
				return
			}
		}
	}()
	return c
}

// send writes all items at once.
func (c *http1Client) send(items []item) error {
	var out []byte
	for _, it := range items {
		switch {
		case isRaw(it):
			s, err := rawText([]item{it})
			if err != nil {
				return err
			}
			out = append(out, s...)
		case it.text == "close":
			c.conn.Write(out)
			return c.conn.Close()
		case it.text == "half-close":
			c.conn.Write(out)
			return c.conn.(interface{ CloseWrite() error }).CloseWrite()
		default:
			b, err := c.bytes(it)
			if err != nil {
				return err
			}
			out = append(out, b...)
		}
	}
	if _, err := c.conn.Write(out); err != nil {
		return items[0].errorf("sending: %v", err)
	}
	return nil
}

// bytes turns the lines that mean the same on every protocol into HTTP/1.1: a
// request line with fields, DATA, and HEADERS for trailers.
func (c *http1Client) bytes(it item) (string, error) {
	f, err := splitFrame(it)
	if err != nil {
		return "", err
	}
	fields, err := parseFields(it.sub)
	if err != nil {
		return "", it.errorf("%v", err)
	}
	lines := ""
	for _, fl := range fields {
		lines += fl.name + ": " + fl.value + "\r\n"
	}
	switch f.kind {
	case "DATA":
		return c.data(f), nil
	case "HEADERS":
		return "0\r\n" + lines + "\r\n", nil
	}
	if _, frame := frameTypes[f.kind]; frame || len(f.args) == 0 {
		return "", it.errorf("an HTTP/1.1 client cannot send %q", it.text)
	}
	target, err := expand(f.args[0])
	if err != nil {
		return "", it.errorf("%v", err)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(fields, func(f field) bool { return f.name == name })
	}
	if !has("host") {
		lines = "Host: example.com\r\n" + lines
	}
	if c.chunked = f.is("open") && !has("content-length"); c.chunked {
		lines += "Transfer-Encoding: chunked\r\n"
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\n%s\r\n", f.kind, target, lines), nil
}

func (c *http1Client) data(f *frameLine) string {
	if !c.chunked {
		return f.text
	}
	s := ""
	if f.text != "" {
		s = fmt.Sprintf("%x\r\n%s\r\n", len(f.text), f.text)
	}
	if f.is("end") {
		s += "0\r\n\r\n"
	}
	return s
}

func (c *http1Client) see(it item) error {
	f, err := splitFrame(it)
	if err != nil {
		return err
	}
	switch f.kind {
	case "closed", "truncated":
		return c.seeEnd(it)
	case "broken":
		return c.seeBroken(it)
	case "malformed":
		if err := c.see(item{it.where, "error 400 http_request_error", nil}); err != nil {
			return err
		}
		return c.seeEnd(it)
	case "nothing":
		return it.errorf(`on HTTP/1.1 nothing can be asked that shows that nothing comes: have the origin see it, or end the case`)
	}
	w, err := wantResponse(it, f)
	if err != nil {
		return err
	}
	r, err := c.response(w)
	if err != nil {
		return err
	}
	return w.check(r)
}

// seeEnd waits for the end of the connection, without another byte.
func (c *http1Client) seeEnd(it item) error {
	if !c.await(func() bool { return c.err != nil || len(c.in) > 0 }) {
		return it.errorf("the connection stays open")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) > 0 {
		return it.errorf("before the end of the connection the client saw\n%s", show(string(c.in)))
	}
	return nil
}

// seeBroken takes a 502, or what cannot be taken for a whole response: the rest
// of one that was unfinished, or one from its head on.
func (c *http1Client) seeBroken(it item) error {
	var r *response
	var err error
	if c.begun != nil {
		r = &response{fields: c.begun}
		err = (&reader{c, it}).body(r)
	} else if r, err = c.response(&wanted{it: it}); err == nil && r.status == 502 {
		return nil
	}
	if err != nil && c.ended() {
		c.change(func() { c.in = nil })
		return nil
	}
	return it.errorf("the client saw a whole response, or one that stays open: %+v, %v", r, err)
}

func (c *http1Client) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// A reader takes apart what came; its steps wait for what is missing.
type reader struct {
	c  *http1Client
	it item
}

func (p *reader) line() (string, error) {
	at := -1
	p.c.await(func() bool {
		at = strings.Index(string(p.c.in), "\r\n")
		return at >= 0 || p.c.err != nil
	})
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if at < 0 {
		return "", p.it.errorf("the client waited for a line and has %q (connection: %v)", p.c.in, p.c.err)
	}
	l := string(p.c.in[:at])
	p.c.in = p.c.in[at+2:]
	return l, nil
}

func (p *reader) bytes(n int) (string, error) {
	p.c.await(func() bool { return len(p.c.in) >= n || p.c.err != nil })
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if len(p.c.in) < n {
		return "", p.it.errorf("the client waited for %d bytes and has %.300q (connection: %v)", n, p.c.in, p.c.err)
	}
	s := string(p.c.in[:n])
	p.c.in = p.c.in[n:]
	return s, nil
}

func (p *reader) fields() ([]field, error) {
	var out []field
	for {
		l, err := p.line()
		if err != nil || l == "" {
			return out, err
		}
		name, value, ok := strings.Cut(l, ":")
		if !ok {
			return nil, p.it.errorf("the client saw the field line %q", l)
		}
		out = append(out, field{strings.ToLower(name), strings.TrimLeft(value, " ")})
	}
}

// response reads one response by RFC 9112, section 6.3.
func (c *http1Client) response(w *wanted) (*response, error) {
	p := &reader{c, w.it}
	if w.rest {
		r := &response{fields: c.begun}
		if w.unfinished {
			return r, p.part(r, len(w.body))
		}
		return r, p.body(r)
	}
	c.begun = nil
	start, err := p.line()
	if err != nil {
		return nil, err
	}
	r := &response{own: true}
	if rest, ok := strings.CutPrefix(start, "HTTP/1.1 "); !ok || len(rest) < 4 {
		return nil, w.it.errorf("the client saw the status line %q", start)
	} else if r.status, err = strconv.Atoi(rest[:3]); err != nil {
		return nil, w.it.errorf("the client saw the status line %q", start)
	}
	if r.fields, err = p.fields(); err != nil {
		return nil, err
	}
	if w.head || r.status < 200 || r.status == 204 || r.status == 304 {
		return r, nil
	}
	if w.unfinished {
		c.begun = r.fields
		return r, p.part(r, len(w.body))
	}
	return r, p.body(r)
}

func (p *reader) body(r *response) (err error) {
	length := r.get("content-length")
	switch {
	case r.get("transfer-encoding") == "chunked":
		if length != "" {
			return p.it.errorf("the client saw both content-length and transfer-encoding")
		}
		for more := true; more && err == nil; {
			more, err = p.chunk(r)
		}
		if err == nil {
			r.trailers, err = p.fields()
		}
	case length != "":
		n, err := strconv.Atoi(length)
		if err != nil {
			return p.it.errorf("the client saw content-length %q", length)
		}
		r.body, err = p.bytes(n)
		return err
	default: // until the end of the connection
		if !p.c.await(func() bool { return p.c.err != nil }) {
			return p.it.errorf("a response without framing, and the connection stays open")
		}
		r.body, err = p.bytes(len(p.c.in))
	}
	return err
}

// chunk reads one chunk; false after the last.
func (p *reader) chunk(r *response) (bool, error) {
	l, err := p.line()
	if err != nil {
		return false, err
	}
	n, err := strconv.ParseUint(l, 16, 31)
	if err != nil {
		return false, p.it.errorf("the client saw the chunk size %q", l)
	}
	if n == 0 {
		return false, nil
	}
	data, err := p.bytes(int(n) + 2)
	if err == nil {
		r.body += data[:n]
	}
	return true, err
}

// part reads n bytes of a body that goes on.
func (p *reader) part(r *response, n int) (err error) {
	if r.get("transfer-encoding") != "chunked" {
		r.body, err = p.bytes(n)
		return err
	}
	for more := true; more && err == nil && len(r.body) < n; {
		more, err = p.chunk(r)
	}
	return err
}

// finish closes and looks at what no step has seen.
func (c *http1Client) finish() error {
	if h, ok := c.conn.(interface{ CloseWrite() error }); ok {
		h.CloseWrite()
	}
	if !c.await(func() bool { return c.err != nil }) {
		return errors.New("the connection stays open after the client has closed its side")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.in) > 0 {
		return fmt.Errorf("the client saw more than it should:\n%s", show(string(c.in)))
	}
	return nil
}

func (c *http1Client) waiting() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%.300q (connection: %v)", c.in, c.err)
}

func (c *http1Client) close() {
	c.conn.Close()
	<-c.read
}
