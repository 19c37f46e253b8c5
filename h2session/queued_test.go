package h2session

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/pitag"
	"github.com/h2gw/h2gw/vconn"
)

// A client that makes answers faster than it reads them is held back, each time
// until they are taken; doing that over and over is past a bound.
func TestHoldingTheReaderBackOverAndOverIsPastABound(t *testing.T) {
	for name, tc := range map[string]struct {
		budget Budget
		held   int // times it is held back
		ends   bool
		floods uint64
	}{
		"within the bound": {per(3, time.Hour), 3, false, 0},
		"past it":          {per(3, time.Hour), 4, true, 1},
		"only observed":    {Budget{Count: 3, Per: time.Hour, Observe: true}, 5, false, 2},
		"off":              {Unlimited, 50, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := Config{Floods: noBounds()}
				cfg.Floods[FloodQueued] = tc.budget
				_, server := testkit.Pipe()
				srv := &Server{Config: cfg, Connector: vconn.NewConnector(vconn.AcceptorFunc(func(*vconn.Conn) {}))}
				s := newSession(srv, server, &pitag.Session{})
				defer s.timer.Stop()
				s.m.settingsSeen = true
				var err error
				for range tc.held {
					err = heldBack(t, s)
				}
				var end *ConnError
				if ended := errors.As(err, &end); ended != tc.ends {
					t.Fatalf("held back %d times with %v: %v", tc.held, tc.budget, err)
				}
				if tc.ends && (end.Code != codeCalm || end.Reason != "flood: queued 3/1h") {
					t.Errorf("ended with %v", end)
				}
				if got := s.m.count.rare().floods[FloodQueued]; got != tc.floods {
					t.Errorf("counted %d, want %d", got, tc.floods)
				}
			})
		})
	}
}

// heldBack lets a PING come while too many answers wait, and takes those once
// the reader waits.
func heldBack(t *testing.T, s *Session) error {
	s.mu.Lock()
	s.m.ctrl = make([]byte, maxControl+1)
	s.mu.Unlock()
	result := make(chan error, 1)
	go func() { result <- s.admit(&frame{typ: http2.FramePing}) }()
	synctest.Wait()
	select {
	case err := <-result:
		if err == nil {
			t.Fatal("the reader was not held back")
		}
		return err
	default:
	}
	s.mu.Lock()
	s.m.ctrl = nil
	s.reader.Signal()
	s.mu.Unlock()
	return <-result
}
