package h2session

import (
	"testing"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

// serve returns a machine past its handshake with stream 1 open, whose virtual
// connection is conn.
func serve(t *testing.T) (*machine, *stream) {
	now := time.Now()
	m := newMachine(new(Config), now)
	if err := m.recvSettings(nil, now); err != nil {
		t.Fatal(err)
	}
	st, v, err := m.recvHeaders(1, false, now)
	if err != nil || v != headersOpen {
		t.Fatal(v, err)
	}
	conn, err := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { c.Close() })).Open(vconn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st.conn, st.live = conn, true
	m.live++
	return m, st
}

// While the write loop looks into a virtual connection's buffer, that must not be
// given back: Close and Reset wait for the end of the turn.
func TestOpsWaitForTheTurn(t *testing.T) {
	now := time.Now()
	for name, end := range map[string]func(m *machine, st *stream){
		"reset by the client": func(m *machine, st *stream) { m.recvReset(1, codeCancel, now) },
		"reset by us":         func(m *machine, st *stream) { m.reset(st, codeProtocol, Local, vconn.ReasonFault, now) },
		"session fails":       func(m *machine, st *stream) { m.fail(codeProtocol, "", "client_error", nil, now) },
		"connection lost":     func(m *machine, st *stream) { m.abandon(now) },
	} {
		m, st := serve(t)
		m.wake(st)
		if got, _ := m.next(); got != st {
			t.Fatal("the stream is not ready")
		}
		end(m, st)
		if m.ops.n != 0 {
			t.Errorf("%s: done at once", name)
		}
		m.sent(st, &pulled{}, now)
		if m.ops.n != 1 || m.ops.first[0].kind != opReset {
			t.Errorf("%s: not done after the turn", name)
		}
		m.connClosed(st)
		if m.zombies != 0 || m.live != 0 || m.streams.n != 0 {
			t.Errorf("%s: %d zombies, %d live, %d streams", name, m.zombies, m.live, m.streams.n)
		}
	}
}

// A stream object is used again only when nothing can refer to it.
func TestRecycle(t *testing.T) {
	now := time.Now()
	m, st := serve(t)
	m.recvReset(1, codeCancel, now)
	if m.spare != nil {
		t.Error("recycled while its transaction runs")
	}
	m.connClosed(st)
	if m.spare != st {
		t.Error("not recycled")
	}
	st2, _, _ := m.recvHeaders(3, true, now)
	if st2 != st || st2.id != 3 || st2.conn != nil || st2.state != halfClosedRemote || m.nspare != 0 {
		t.Errorf("got %+v", st2)
	}

	m, st = serve(t)
	m.wake(st)
	m.next()
	m.recvReset(1, codeCancel, now)
	m.connClosed(st)
	if m.spare != nil {
		t.Error("recycled during its turn")
	}
	m.sent(st, &pulled{}, now)
	if m.spare != st || m.nspare != 1 {
		t.Error("not recycled after its turn")
	}
}

func TestReadyListIsAQueue(t *testing.T) {
	var l, other streamList
	a, b, c := &stream{id: 1}, &stream{id: 3}, &stream{id: 5}
	for _, st := range []*stream{a, b, c, a} {
		l.push(st)
	}
	other.push(b) // it is in one already
	b.unlist()
	b.unlist()
	if l.pop() != a || l.pop() != c || l.pop() != nil || other.pop() != nil {
		t.Error("wrong order")
	}
	l.push(b)
	if l.pop() != b {
		t.Error("a stream that left cannot join again")
	}
}
