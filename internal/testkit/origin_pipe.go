package testkit

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// originPipeBound is how many bytes each direction of a pipe holds before Write
// waits, as the buffers of a socket would.
const originPipeBound = 256 << 10

// An originPipe is one end of a connection in memory that behaves as a TCP
// connection does: buffered, with half-close, reset and deadlines. Waiting is
// on a sync.Cond, so that it counts as durably blocked in a synctest bubble.
type originPipe struct {
	link     *originLink
	in, out  *originHalf
	at       [2]time.Time // read and write deadline
	timer    [2]*time.Timer
	closed   bool
	from, to net.Addr
}

// An originLink is what both ends share; its mutex guards everything.
type originLink struct {
	mu     sync.Mutex
	change *sync.Cond
	broken bool // reset
}

// An originHalf is one direction.
type originHalf struct {
	data  []byte
	ended bool // the writer will write no more
	gone  bool // the reader will read no more
}

// newOriginPipe returns both ends; number makes the client's port.
func newOriginPipe(number int) (client, origin *originPipe) {
	link := new(originLink)
	link.change = sync.NewCond(&link.mu)
	there, back := new(originHalf), new(originHalf)
	addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(OriginAddr))
	own := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 99), Port: 40000 + number%20000}
	client = &originPipe{link: link, in: back, out: there, from: own, to: addr}
	origin = &originPipe{link: link, in: there, out: back, from: addr, to: own}
	return client, origin
}

func (p *originPipe) LocalAddr() net.Addr  { return p.from }
func (p *originPipe) RemoteAddr() net.Addr { return p.to }

func (p *originPipe) Read(b []byte) (int, error) {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	for {
		switch {
		case p.closed:
			return 0, p.opError("read", net.ErrClosed)
		case p.passed(0):
			return 0, p.opError("read", os.ErrDeadlineExceeded)
		case p.link.broken:
			return 0, p.opError("read", syscall.ECONNRESET)
		case len(p.in.data) > 0 || len(b) == 0:
			n := copy(b, p.in.data)
			p.in.data = p.in.data[n:]
			p.link.change.Broadcast()
			return n, nil
		case p.in.ended:
			return 0, io.EOF
		}
		p.link.change.Wait()
	}
}

func (p *originPipe) Write(b []byte) (int, error) {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	sent := 0
	for {
		switch {
		case p.closed:
			return sent, p.opError("write", net.ErrClosed)
		case p.passed(1):
			return sent, p.opError("write", os.ErrDeadlineExceeded)
		case p.link.broken:
			return sent, p.opError("write", syscall.ECONNRESET)
		case p.out.ended || p.out.gone:
			return sent, p.opError("write", syscall.EPIPE)
		}
		n := min(len(b)-sent, originPipeBound-len(p.out.data))
		if n > 0 {
			p.out.data = append(p.out.data, b[sent:sent+n]...)
			sent += n
			p.link.change.Broadcast()
		}
		if sent == len(b) {
			return sent, nil
		}
		p.link.change.Wait()
	}
}

// CloseWrite ends this end's sending.
func (p *originPipe) CloseWrite() error {
	return p.locked(func() { p.out.ended = true })
}

// Close closes this end: the other reads what was sent, then io.EOF, and its
// writes fail.
func (p *originPipe) Close() error {
	return p.locked(func() {
		p.closed, p.out.ended, p.in.gone = true, true, true
		for _, t := range p.timer {
			if t != nil {
				t.Stop()
			}
		}
	})
}

// reset breaks the connection; what was not read is lost.
func (p *originPipe) reset() { p.locked(func() { p.link.broken = true }) }

// locked changes the state of an open end and wakes who waits.
func (p *originPipe) locked(change func()) error {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	if p.closed {
		return p.opError("close", net.ErrClosed)
	}
	change()
	p.link.change.Broadcast()
	return nil
}

func (p *originPipe) SetReadDeadline(t time.Time) error  { return p.setDeadline(0, t) }
func (p *originPipe) SetWriteDeadline(t time.Time) error { return p.setDeadline(1, t) }
func (p *originPipe) SetDeadline(t time.Time) error {
	p.setDeadline(0, t)
	return p.setDeadline(1, t)
}

func (p *originPipe) setDeadline(side int, t time.Time) error {
	return p.locked(func() {
		p.at[side] = t
		if p.timer[side] != nil {
			p.timer[side].Stop()
		}
		if d := time.Until(t); !t.IsZero() && d > 0 {
			p.timer[side] = time.AfterFunc(d, func() { p.locked(func() {}) })
		}
	})
}

func (p *originPipe) passed(side int) bool {
	return !p.at[side].IsZero() && !time.Now().Before(p.at[side])
}

func (p *originPipe) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: p.from, Addr: p.to, Err: err}
}
