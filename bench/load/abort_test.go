package load

import (
	"context"
	"testing"
	"time"
)

func TestRudeClientsConnectDoTheirThingAndLeave(t *testing.T) {
	addr := holder(t)
	for _, r := range Rudes() {
		start := time.Now()
		if err := r.Do(context.Background(), NewClient(false), addr); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		if d := time.Since(start); d > time.Minute {
			t.Errorf("%s: stayed for %v", r.Name, d)
		}
		if err := r.Do(context.Background(), NewClient(false), "127.0.0.1:1"); err == nil {
			t.Errorf("%s: nobody listens, and no error", r.Name)
		}
	}
}

func TestAVisitStaysAndAResumingVisitorMustResume(t *testing.T) {
	addr := server(t)
	start := time.Now()
	if err := NewClient(false).Visit(context.Background(), addr, "/small", 100, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if time.Since(start) < 20*time.Millisecond {
		t.Error("did not stay")
	}
	c := NewClient(true)
	if err := c.Visit(context.Background(), addr, "/small", 100, 0); err == nil {
		t.Error("a first visit resumed")
	}
	if err := c.Visit(context.Background(), addr, "/small", 100, 0); err != nil {
		t.Error(err)
	}
}
