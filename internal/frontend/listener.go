package frontend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/h2gw/h2gw/internal/netio"
)

// A Frontend owns the listening sockets and the connections accepted on them.
// Make one with Listen. Its methods are safe for concurrent use.
type Frontend struct {
	cfg       Config
	listeners []net.Listener
	acceptors []*netio.Acceptor // of each listener that has one; set by Serve
	handler   Handler
	admission *admission

	stop  chan struct{} // closed by Close
	close sync.Once
	loops sync.WaitGroup // accept loops
	conns sync.WaitGroup // accepted connections
}

// Listen opens every listener of cfg, or none: on an error, which says what
// address, why, and what would be right, nothing is left open. Connections
// queue in the kernel until Serve is called.
func Listen(cfg Config) (*Frontend, error) {
	if len(cfg.Listeners) == 0 {
		return nil, errors.New("no listener is configured: give at least one address to listen on")
	}
	f := newFrontend(cfg)
	lc := net.ListenConfig{KeepAlive: -1, Control: inheritedOptions}
	for _, l := range cfg.Listeners {
		ln, err := lc.Listen(context.Background(), "tcp", l.Addr)
		if err != nil {
			f.closeListeners()
			return nil, listenError(l, err)
		}
		f.listeners = append(f.listeners, ln)
	}
	return f, nil
}

// newFrontend is Listen without the sockets, for tests that bring their own.
func newFrontend(cfg Config) *Frontend {
	if cfg.Handshake == 0 {
		cfg.Handshake = DefaultHandshake
	}
	if cfg.Preface == 0 {
		cfg.Preface = DefaultPreface
	}
	if cfg.MaxSessions == 0 {
		cfg.MaxSessions = DefaultMaxSessions
	}
	f := &Frontend{cfg: cfg, admission: newAdmission(cfg.MaxSessions, cfg.MaxPerClient), stop: make(chan struct{})}
	f.admission.admit = cfg.Admit
	return f
}

func listenError(l ListenerConfig, err error) error {
	return fmt.Errorf("cannot listen on %q (listener %s): %s", l.Addr, l.Name, ListenHint(err))
}

// ListenHint says in words which of the things that can be wrong with a
// listening address is, and what would be right. err is net.Listen's.
func ListenHint(err error) string {
	var (
		dns  *net.DNSError
		addr *net.AddrError
	)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "the address is in use: stop what listens there, or choose another port (port 0 takes a free one)"
	case errors.Is(err, syscall.EACCES):
		return "permission denied: ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher port or grant it"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "the address is not one of this machine: use one that is, or :PORT for all"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the name or port is not known: use host:port with a number, such as 127.0.0.1:8443"
	case errors.As(err, &addr):
		return addr.Err + ": use host:port, such as 127.0.0.1:8443 or [::1]:8443"
	case errors.As(err, &dns):
		return fmt.Sprintf("%v: use host:port, such as 127.0.0.1:8443", dns)
	}
	return rootError(err).Error()
}

// rootError strips the layers that repeat the address.
func rootError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Addr returns the address the named listener is bound to, with the real port
// where 0 was asked for; nil when there is no such listener.
func (f *Frontend) Addr(name string) net.Addr {
	for i, l := range f.cfg.Listeners {
		if l.Name == name && i < len(f.listeners) {
			return f.listeners[i].Addr()
		}
	}
	return nil
}

// Serve starts accepting and returns at once. It is called once.
func (f *Frontend) Serve(h Handler) {
	f.handler = h
	for i, ln := range f.listeners {
		cfg := &f.cfg.Listeners[i]
		accept := f.acceptFrom(ln)
		if cfg.TLS != nil {
			if a := netio.NewAcceptor(ln); a != nil {
				f.acceptors = append(f.acceptors, a)
				accept = f.acceptPolled(a)
			}
		}
		f.loops.Add(1)
		go f.acceptLoop(accept, cfg)
	}
}

// Close stops accepting. Connections being served go on; those not so far yet, in
// their handshake or silent, have a second to get there. It returns when no
// accept loop runs; later calls return at once.
func (f *Frontend) Close() {
	f.close.Do(func() {
		close(f.stop)
		f.closeListeners()
		for _, a := range f.acceptors {
			a.Close()
		}
	})
	f.loops.Wait()
	f.admission.hurryUp()
}

func (f *Frontend) closeListeners() {
	for _, ln := range f.listeners {
		ln.Close()
	}
}

// Wait returns when every accepted connection has ended, or with ctx's error
// when ctx ends first. Call Close before it.
func (f *Frontend) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { f.conns.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Abort closes the sockets of all connections still open. It does not wait.
func (f *Frontend) Abort() { f.admission.closeAll() }

// Open returns the number of client connections now held, those in a handshake
// included.
func (f *Frontend) Open() int { return f.admission.open() }

// An accept waits for a connection and returns what is to be done with it.
type accept func() (begin func(l *ListenerConfig), err error)

// acceptFrom accepts connections that have a goroutine each.
func (f *Frontend) acceptFrom(ln net.Listener) accept {
	return func() (func(*ListenerConfig), error) {
		c, err := ln.Accept()
		return func(l *ListenerConfig) { go f.arrive(netio.Wrap(c), l, netio.AnyLane()) }, err
	}
}

// acceptPolled accepts connections that have none; see arrival.
func (f *Frontend) acceptPolled(a *netio.Acceptor) accept {
	return func() (func(*ListenerConfig), error) {
		lane := netio.AnyLane()
		c, err := a.Accept(netio.PollerOf(lane))
		return func(l *ListenerConfig) { f.arrive(c, l, lane) }, err
	}
}

// acceptLoop does nothing but accept: everything that can wait for the client
// happens elsewhere.
func (f *Frontend) acceptLoop(next accept, cfg *ListenerConfig) {
	defer f.loops.Done()
	var (
		pause backoff
		told  time.Time // when OnAcceptError was last called
	)
	for {
		begin, err := next()
		if err != nil {
			if f.stopped() {
				return
			}
			// Out of file descriptors or memory, or a connection that was gone
			// before it was accepted. None of these is an end of the listener,
			// and the first ones pass only when other connections close.
			if now := time.Now(); f.cfg.OnAcceptError != nil && now.Sub(told) >= tellEvery {
				told = now
				f.cfg.OnAcceptError(cfg.Name, err)
			}
			if !pause.wait(f.stop) {
				return
			}
			continue
		}
		pause.reset()
		f.conns.Add(1)
		begin(cfg)
	}
}

func (f *Frontend) stopped() bool {
	select {
	case <-f.stop:
		return true
	default:
		return false
	}
}

// A backoff spaces out retries of a failing accept: 5 ms, doubling up to 1 s.
type backoff struct{ d time.Duration }

const (
	backoffMin = 5 * time.Millisecond
	backoffMax = time.Second
	tellEvery  = 10 * time.Second // at most this often OnAcceptError is called
)

func (b *backoff) reset() { b.d = 0 }

// wait sleeps for the next interval; false means stop was closed meanwhile.
func (b *backoff) wait(stop <-chan struct{}) bool {
	b.d = min(max(2*b.d, backoffMin), backoffMax)
	t := time.NewTimer(b.d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}
