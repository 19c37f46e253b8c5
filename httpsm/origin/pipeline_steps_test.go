package origin

import (
	"errors"
	"testing"
)

// What comes next follows from what holds.
func TestTheNextStep(t *testing.T) {
	errEnd := errors.New("the end")
	for _, tc := range []struct {
		name  string
		bytes int // buffered
		do    func(p *pipeline, a, b *turn)
		want  step
	}{
		{"nothing is asked", 0, func(p *pipeline, a, b *turn) { p.queued = 0 }, stepFill},
		{"nobody has asked for that", 1, func(p *pipeline, a, b *turn) { p.queued, p.heard = 0, 0 }, stepStray},
		{"nobody had asked for that", 1, func(p *pipeline, a, b *turn) { p.heard = 0 }, stepStray},
		{"the first waits", 0, func(p *pipeline, a, b *turn) {}, stepFill},
		{"the first has something", 1, func(p *pipeline, a, b *turn) {}, stepResume},
		{"it has seen that", 1, func(p *pipeline, a, b *turn) { a.seen = 1 }, stepFill},
		{"there is no room for more", 1, func(p *pipeline, a, b *turn) { a.seen, a.fault = 1, ErrBufferFull }, stepResume},
		{"it does not wait yet", 1, func(p *pipeline, a, b *turn) { a.waits = false }, stepNone},
		{"it uses what is there", 1, func(p *pipeline, a, b *turn) { a.waits, p.holder = false, a }, stepNone},
		{"it has had its turn", 1, func(p *pipeline, a, b *turn) { p.done = 1 }, stepResume},
		{"that came before the second was sent", 1, func(p *pipeline, a, b *turn) { p.done, p.heard = 1, 1 }, stepStray},
		{"more is waited for", 1, func(p *pipeline, a, b *turn) { p.awaits = true }, stepNone},
		{"the first is the last", 0, func(p *pipeline, a, b *turn) { p.passed, p.holder = true, a }, stepPass},
		{"it has ended", 1, func(p *pipeline, a, b *turn) { p.err, p.holder = errEnd, a }, stepTell},
		{"everybody knows", 1, func(p *pipeline, a, b *turn) { p.err, p.told = errEnd, true }, stepClose},
		{"somebody uses what is there", 1, func(p *pipeline, a, b *turn) { p.err, p.told, p.holder = errEnd, true, a }, stepNone},
		{"somebody reads", 0, func(p *pipeline, a, b *turn) { p.err, p.told, p.awaits = errEnd, true, true }, stepNone},
		{"somebody writes", 0, func(p *pipeline, a, b *turn) { p.err, p.told, p.writing = errEnd, true, true }, stepNone},
		{"it is closed", 0, func(p *pipeline, a, b *turn) { p.err, p.told, p.closed = errEnd, true, true }, stepNone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := &conn{buf: &buffer{b: make([]byte, 8)}, w: tc.bytes}
			p := newPipeline(&pipelines{depth: 8}, x)
			a, b := &turn{p: p, number: 1, waits: true}, &turn{p: p, number: 2, waits: true}
			p.ring[0], p.ring[1] = a, b
			p.queued, p.sent, p.heard = 2, 2, 2
			tc.do(p, a, b)
			if got := p.nextLocked(); got != tc.want {
				t.Errorf("step %d, want %d", got, tc.want)
			}
		})
	}
}
