package httpsm

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/h2gw/h2gw/pitag"
)

// An http1Conn is an HTTP/1.1 client connection: one transaction after the
// other, in the order the requests came, however many are pipelined.
type http1Conn struct {
	m    *Machine
	conn net.Conn // cl's, for other goroutines: it does not change
	cl   client
	ses  *pitag.Session
	rec  *pitag.SessionRecord

	mu       sync.Mutex // guards what follows
	idle     bool       // waiting for a request
	draining bool
	aborted  bool // the context of ServeConn has ended
	txn      *Txn // running; nil between two
}

// ServeConn serves an HTTP/1.1 client connection until it ends, on the caller's
// goroutine, and returns what became of it. It owns and closes c. When ctx ends
// the connection is closed and its transaction aborted. The TLS handshake, if
// any, is over; s describes the connection and its Identity is on every
// transaction.
func (m *Machine) ServeConn(ctx context.Context, c net.Conn, s *pitag.Session) *pitag.SessionRecord {
	hc := &http1Conn{m: m, conn: c, ses: s, rec: &pitag.SessionRecord{Session: s}}
	hc.cl.open(c, nil)
	m.addConn(hc)
	defer m.removeConn(hc)
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, hc.abort)
		defer stop()
	}
	for hc.awaitRequest() && hc.serveRequest() {
	}
	r := hc.rec
	r.End = time.Now()
	r.BytesIn, r.BytesOut = hc.cl.bytesIn, hc.cl.bytesOut
	if r.Streams > 0 {
		r.StreamsPeak = 1
	}
	hc.cl.release()
	return r
}

func (m *Machine) addConn(hc *http1Conn) {
	m.connMu.Lock()
	defer m.connMu.Unlock()
	m.conns[hc] = struct{}{}
	if m.draining.Load() {
		hc.drain()
	}
}

func (m *Machine) removeConn(hc *http1Conn) {
	m.connMu.Lock()
	delete(m.conns, hc)
	m.connMu.Unlock()
	m.noteEnd()
}

// drain closes the connection if it is idle, by ending its wait.
func (hc *http1Conn) drain() {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	hc.draining = true
	if hc.idle {
		hc.cl.interrupt()
	}
}

// abort ends the connection and its transaction, from any goroutine.
func (hc *http1Conn) abort() {
	hc.mu.Lock()
	hc.aborted = true
	if hc.txn != nil {
		hc.txn.kill()
	}
	hc.mu.Unlock()
	hc.conn.Close()
}

// setTxn tells abort what is running.
func (hc *http1Conn) setTxn(t *Txn) {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	hc.txn = t
	if t != nil && hc.aborted {
		t.killed.Store(true)
	}
}

// setIdle tells drain whether a wait may be ended. It returns false when the
// connection is not to wait at all.
func (hc *http1Conn) setIdle(idle bool, wait time.Duration) bool {
	hc.mu.Lock()
	defer hc.mu.Unlock()
	if idle && hc.draining && hc.rec.Streams > 0 {
		return false
	}
	hc.idle = idle
	hc.cl.wait(time.Now(), wait)
	if hc.draining {
		if idle {
			hc.cl.interrupt()
		} else {
			hc.cl.resume() // from drain's interrupt, if a request came all the same
		}
	}
	return true
}

// awaitRequest waits for the first byte of a request. false: the connection is
// closed, and the record says why.
func (hc *http1Conn) awaitRequest() bool {
	for skipped := false; ; {
		if !skipped {
			skipped = hc.skipEmptyLine()
		}
		if b := hc.cl.buffered(); len(b) > 1 || len(b) == 1 && (skipped || b[0] != '\r') {
			return true
		}
		limit, cause := hc.patience()
		if !hc.setIdle(true, limit) {
			return hc.close(pitag.CauseDrain, nil)
		}
		err := hc.cl.fill()
		hc.setIdle(false, 0)
		if err != nil {
			return hc.idleEnd(err, cause)
		}
	}
}

// skipEmptyLine ignores an empty line in front of a request line, as RFC 9112
// section 2.2 asks a server to: one, so that a client cannot stay by sending
// nothing else.
func (hc *http1Conn) skipEmptyLine() bool {
	if b := hc.cl.buffered(); len(b) < 2 || b[0] != '\r' || b[1] != '\n' {
		return false
	}
	hc.cl.discard(2)
	return true
}

// patience is how long to wait for a request, and what it means when none came.
func (hc *http1Conn) patience() (time.Duration, pitag.Cause) {
	limit, cause := hc.m.cfg.Timeouts.SessionIdle, pitag.CauseIdleTimeout
	if hc.rec.Streams == 0 {
		limit, cause = hc.m.cfg.Timeouts.Preface, pitag.CausePrefaceTimeout
	}
	if age := hc.m.cfg.Timeouts.SessionAge; age > 0 {
		left := max(time.Until(hc.ses.Start.Add(age)), time.Nanosecond)
		if limit == 0 || left < limit {
			limit, cause = left, pitag.CauseMaxAge
		}
	}
	return limit, cause
}

func (hc *http1Conn) idleEnd(err error, onTimeout pitag.Cause) bool {
	switch {
	case isTimeout(err):
		hc.mu.Lock()
		draining := hc.draining
		hc.mu.Unlock()
		if draining {
			onTimeout = pitag.CauseDrain
		}
		return hc.close(onTimeout, nil)
	case err == io.EOF:
		return hc.close(pitag.CauseClientClosed, nil)
	case hc.m.killed.Load() || errors.Is(err, net.ErrClosed):
		return hc.close(pitag.CauseDrain, nil)
	}
	return hc.close(pitag.CauseClientReset, err)
}

// close ends the connection; it returns false for its callers to return.
func (hc *http1Conn) close(cause pitag.Cause, err error) bool {
	hc.rec.Cause, hc.rec.Err = cause, err
	hc.cl.conn.Close()
	return false
}

// serveRequest runs one transaction. true: the connection carries another.
func (hc *http1Conn) serveRequest() bool {
	m := hc.m
	hc.rec.Streams++
	m.http1.Add(1)
	t := m.get()
	t.cl = &hc.cl
	t.bind(hc.ses, 0, hc.rec.Streams)
	m.register(t)
	hc.setTxn(t)
	t.driveGuarded()
	hc.setTxn(nil)
	keep := t.keep
	linger := !t.hist.endedIn(StateAbort) && !(t.headOK && t.up.readAll.Load())
	if !keep {
		hc.rec.Cause, hc.rec.Err = hc.lastCause(t)
	}
	t.emit()
	m.http1.Add(-1)
	m.unregister(t)
	m.put(t)
	switch {
	case keep:
		return true
	case linger:
		hc.cl.linger()
	default:
		hc.cl.conn.Close()
	}
	return false
}

// lastCause says why a connection carries no further request.
func (hc *http1Conn) lastCause(t *Txn) (pitag.Cause, error) {
	err := t.rec.Err
	var te *TxnError
	errors.As(err, &te)
	switch t.rec.Outcome {
	case ClientAbort:
		return pitag.CauseClientReset, err
	case HTTPRequestError:
		return pitag.CauseClientError, err
	case ClientTimeout:
		switch {
		case te != nil && te.State == StateReadRequestHead:
			return pitag.CauseHeadTimeout, err
		case t.rec.Status == 408 || t.up.fail.Load() != nil:
			return pitag.CauseBodyTimeout, err
		}
		return pitag.CauseWriteStall, err
	case ConnectionReadTimeout:
		return pitag.CauseIdleTimeout, err
	case ProxyInternalError:
		return pitag.CauseInternal, err
	case GatewayDraining:
		return pitag.CauseDrain, err
	}
	switch tn := t.tun.Load(); {
	case tn != nil && tn.first.Load() == clientEnded:
		return pitag.CauseClientClosed, nil
	case hc.m.draining.Load():
		return pitag.CauseDrain, nil
	case hc.m.aged(t):
		return pitag.CauseMaxAge, nil
	}
	return pitag.CauseServerClosed, nil
}

// aged: the connection is older than timeouts.session_age.
func (m *Machine) aged(t *Txn) bool {
	age := m.cfg.Timeouts.SessionAge
	return age > 0 && t.now.Sub(t.rec.Session.Start) >= age
}
