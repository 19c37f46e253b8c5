package frontend

import (
	"iter"
	"net"
	"time"

	"github.com/h2gw/h2gw/internal/netio"
)

// An arrival is a connection from its acceptance until it is known what it speaks:
// then the Handler has it.
//
// A connection that a Poller waits for has no goroutine meanwhile, but a coroutine:
// crypto/tls knows nothing of pollers, and is left in the middle of a Read. Who
// finds that something has arrived goes on with it, on its stack. A handshake is
// three steps that come a moment apart; to wake a goroutine for each, and a thread
// for the goroutine, costs as much again where there is little else to do.
type arrival struct {
	f      *Frontend
	l      *ListenerConfig
	c      net.Conn
	info   *Info
	served net.Conn // when it is over: what the Handler gets, or why it does not
	reason Reason
	err    error

	turns netio.Turns // who runs the coroutine
	step  func() (struct{}, bool)
	yield func(struct{}) bool
}

// suspendable is a connection that a Poller waits for; see package netio.
type suspendable interface {
	Suspend(news netio.News, pause func()) bool
	Block()
}

// arrive takes care of an accepted connection. It waits for the client where that
// cannot be suspended, and only then.
func (f *Frontend) arrive(c net.Conn, l *ListenerConfig, lane int) {
	a := &arrival{f: f, l: l, c: c, info: &Info{
		Listener: l.Name, Client: addrPort(c.RemoteAddr()), Local: addrPort(c.LocalAddr()), Accepted: time.Now(), Lane: lane,
	}}
	if err := f.admission.enter(c, a.info.Client.Addr()); err != nil {
		abortConn(c)
		go func() { // the books may have to wait, and who accepts must not
			f.handler.Refused(a.info, ReasonLimit, err)
			f.conns.Done()
		}()
		return
	}
	limit := f.cfg.Preface
	if l.TLS != nil {
		limit = f.cfg.Handshake
	}
	f.admission.begin(c, limit)
	if s, ok := c.(suspendable); ok && s.Suspend(a.news, a.pause) {
		return
	}
	a.identify()
	a.over()
}

// news goes on where there is news.
func (a *arrival) news(interface{ Later(f interface{ Flush() }) }) { a.turns.Run(a.turn) }

// turn runs the coroutine until it waits again, which it is true for.
func (a *arrival) turn() bool {
	if a.step == nil {
		a.step, _ = iter.Pull(func(yield func(struct{}) bool) {
			a.yield = yield
			a.identify()
		})
	}
	if _, waits := a.step(); waits {
		return true
	}
	a.c.(suspendable).Block()
	if a.reason == "" && a.info.Protocol == ProtoH2 {
		a.over()
	} else {
		go a.over() // it is going to wait
	}
	return false
}

// pause is called by the coroutine.
func (a *arrival) pause() { a.yield(struct{}{}) }

func (a *arrival) identify() { a.served, a.reason, a.err = a.f.identify(a.c, a.l, a.info) }

// over hands the connection to the Handler, who has it counted out when it ends.
func (a *arrival) over() {
	f, c, client := a.f, a.c, a.info.Client.Addr() // info is not to live as long as the connection
	done := func() {
		f.admission.leave(c, client)
		f.conns.Done()
	}
	if a.reason != "" {
		c.Close()
		f.handler.Refused(a.info, a.reason, a.err)
		done()
		return
	}
	f.handler.ServeConn(a.served, a.info, done)
}
