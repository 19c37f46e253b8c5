package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/h2gw/h2gw/internal/frontend"
	"github.com/h2gw/h2gw/metrics"
	"github.com/h2gw/h2gw/pitag"
)

// ServeConn serves one client connection from the moment its protocol is known
// to its end. It implements frontend.Handler.
func (g *Gateway) ServeConn(conn net.Conn, info *frontend.Info, done func()) {
	if info.TLS != nil {
		g.sinks.metrics.TLSHandshake(info.TLS.Version, info.TLS.DidResume, metrics.HandshakeOK)
	}
	s := g.newSession(info)
	g.registry.add(s)
	g.sinks.opened(s)
	over := func(rec *pitag.SessionRecord) {
		g.registry.remove(s)
		g.sinks.closed(rec)
		g.logClosed(rec)
		g.tidier.note()
		done()
	}
	if rec := g.serve(conn, s, over); rec != nil {
		over(rec)
	}
}

// serve runs the protocol; over is called at its end. The record is nil when
// that is done already or will be by others, as with HTTP/2. A panic that nothing
// below has recovered ends this connection and no other.
func (g *Gateway) serve(conn net.Conn, s *pitag.Session, over func(*pitag.SessionRecord)) (rec *pitag.SessionRecord) {
	defer func() {
		if p := recover(); p != nil {
			g.panics.Add(1)
			g.log.Error().Stringer("session", s.Identity).Interface("panic", p).Bytes("stack", debug.Stack()).
				Msg("panic in a connection; only this one ends")
			conn.Close()
			rec = &pitag.SessionRecord{Session: s, End: time.Now(), Cause: pitag.CauseInternal, Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	switch s.Identity.Tag {
	case pitag.TagH2:
		g.h2.ServeUntilRest(conn, s, over)
		return nil
	case pitag.TagH2C:
		g.h2c.ServeUntilRest(conn, s, over)
		return nil
	}
	return g.serveHTTP1(conn, s)
}

func (g *Gateway) serveHTTP1(conn net.Conn, s *pitag.Session) *pitag.SessionRecord {
	g.memory.Add(http1Cost)
	defer g.memory.Add(-http1Cost)
	return g.machine.ServeConn(context.Background(), conn, s)
}

// http1Cost is what an HTTP/1.1 connection holds: two buffers, goroutines, TLS.
// Its bodies pass through buffers of a fixed size.
const http1Cost = 64 << 10

var errMemory = errors.New("twice limits.memory is in use")

// admit refuses connections when memory is short: before that, new streams were.
func (g *Gateway) admit() error {
	if g.memory.Overfull() {
		return errMemory
	}
	return nil
}

// Refused records a connection that never got to speak a protocol: opened and
// closed at once, with no tag. It implements frontend.Handler.
func (g *Gateway) Refused(info *frontend.Info, reason frontend.Reason, err error) {
	if info.Tried {
		g.sinks.metrics.TLSHandshake(0, false, metrics.HandshakeResult(err))
	}
	if reason == frontend.ReasonPanic {
		g.panics.Add(1)
		g.log.Error().Stringer("client", info.Client).Str("listener", info.Listener).Err(err).Msg("panic before a protocol was known; only this connection ends")
	}
	rec := &pitag.SessionRecord{Session: g.newSession(info), End: time.Now(), Cause: cause(reason), Err: err}
	g.sinks.opened(rec.Session)
	g.sinks.closed(rec)
	g.logClosed(rec)
}

func (g *Gateway) newSession(info *frontend.Info) *pitag.Session {
	return &pitag.Session{
		Identity: g.ids.next(info.Protocol),
		Client:   info.Client,
		Local:    info.Local,
		Listener: info.Listener,
		TLS:      info.TLS,
		Start:    info.Accepted,
		Lane:     info.Lane,
	}
}

// logClosed tells people of connections that ended for a reason. It is at debug
// level: clients make these happen, and as often as they like.
func (g *Gateway) logClosed(r *pitag.SessionRecord) {
	if r.Err == nil {
		return
	}
	g.log.Debug().Stringer("session", r.Identity).Stringer("client", r.Client).Str("listener", r.Listener).
		Str("cause", string(r.Cause)).Err(r.Err).Msg("client connection closed")
}

// cause translates the frontend's reasons.
func cause(r frontend.Reason) pitag.Cause {
	switch r {
	case frontend.ReasonLimit:
		return pitag.CauseLimit
	case frontend.ReasonHandshake:
		return pitag.CauseHandshakeFailed
	case frontend.ReasonHandshakeTimeout:
		return pitag.CauseHandshakeTimeout
	case frontend.ReasonPrefaceTimeout:
		return pitag.CausePrefaceTimeout
	case frontend.ReasonGarbage:
		return pitag.CauseClientError
	case frontend.ReasonClosed:
		return pitag.CauseClientClosed
	case frontend.ReasonAborted:
		return pitag.CauseDrain
	}
	return pitag.CauseInternal
}
