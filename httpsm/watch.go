package httpsm

import "time"

// An HTTP/1.1 client that leaves says so only by closing, which one has to read
// to see. Reading costs a goroutine, so that it begins when the origin has been
// slow for watchAfter; most transactions never pay for it. A virtual connection
// tells by itself.

// canWatch: the reading side of the client's connection is free, and what comes
// there can only be the next request or the end.
func (t *Txn) canWatch() bool {
	return t.cl.vc == nil && !t.watching && t.up.readAll.Load() && (!t.up.running || t.up.ended.Load())
}

func (t *Txn) startWatch() {
	if t.up.running {
		t.joinUpload()
	}
	if t.watchDone == nil {
		t.watchDone = make(chan struct{}, 1)
	}
	t.watching = true
	t.cl.resume() // no deadline: only leaving and stopWatch end it
	go t.watch()
}

// watch owns the client's reading side until it has sent on watchDone.
func (t *Txn) watch() {
	for len(t.cl.buffered()) < maxPrefetch {
		if err := t.cl.fill(); err != nil {
			if !isTimeout(err) {
				t.leave()
			}
			break
		}
	}
	t.watchDone <- struct{}{}
}

func (t *Txn) stopWatch() {
	if !t.watching {
		return
	}
	t.cl.interrupt()
	<-t.watchDone
	t.cl.resume()
	t.watching = false
}

// A connectWatch begins watching while a connection to the origin is waited
// for. Whoever waits asks the context for its channel first, which is what arms
// the timer: a kept-alive connection costs none. That is on any goroutine, so the
// context's lock guards it; what the timer does is joined by disarmConnectWatch.
type connectWatch struct {
	timer *time.Timer
	begun chan struct{}
}

func (w *connectWatch) arm(t *Txn) {
	begun := make(chan struct{})
	w.begun = begun
	w.timer = time.AfterFunc(watchAfter, func() {
		t.startWatch()
		close(begun)
	})
}

func (t *Txn) armConnectWatch() {
	if t.canWatch() {
		t.ctx.mu.Lock()
		t.ctx.waits = t
		t.ctx.mu.Unlock()
	}
}

// disarmConnectWatch stops the timer, or takes over the watch that it began.
func (t *Txn) disarmConnectWatch() {
	if t.cl.vc != nil {
		return
	}
	t.ctx.mu.Lock()
	w := t.armed
	t.armed, t.ctx.waits = connectWatch{}, nil
	t.ctx.mu.Unlock()
	if w.timer != nil && !w.timer.Stop() {
		<-w.begun
	}
}
