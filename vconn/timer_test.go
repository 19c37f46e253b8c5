package vconn

import (
	"testing"
	"testing/synctest"
	"time"
)

// A closed end leaves no timer that holds the pair in memory for an hour.
func TestTimersStopWithTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *Conn
		a, _ := NewConnector(AcceptorFunc(func(c *Conn) { p = c })).Open(Options{ActiveToPassive: 1})
		a.SetDeadline(time.Now().Add(time.Hour))
		go a.Read(make([]byte, 1))
		go a.Write([]byte("full"))
		synctest.Wait()
		a.Close()
		p.Close()
		for what, d := range map[string]*deadline{"read": &a.in().wait.readBy, "write": &a.out().wait.writeBy} {
			if d.timer.Stop() {
				t.Errorf("the %s timer was still running", what)
			}
		}
	})
}
