package testkit

// An errWouldBlock is the error of a Read after NonBlocking that would wait.
type errWouldBlock struct{}

func (errWouldBlock) Error() string   { return "testkit: nothing to read" }
func (errWouldBlock) Timeout() bool   { return true }
func (errWouldBlock) Temporary() bool { return true }
func (errWouldBlock) WouldBlock()     {}

// NonBlocking has Read return an error that says WouldBlock instead of waiting, and news
// called, in a goroutine of the connection's own and with a later that it ends
// after the call, whenever anything has changed, as connections of internal/netio
// do.
func (c *Conn) NonBlocking(news func(later interface{ Later(f interface{ Flush() }) })) {
	c.pipe.mu.Lock()
	defer c.pipe.mu.Unlock()
	c.news = news
	go c.poll(c.pipe.changes)
}

func (c *Conn) poll(seen int) {
	var r round
	p := c.pipe
	for open := true; open; r.end() {
		p.mu.Lock()
		for p.changes == seen {
			p.cond.Wait()
		}
		seen, open = p.changes, !c.closed
		p.mu.Unlock()
		c.news(&r)
	}
}

// TryWrite writes what there is room for.
func (c *Conn) TryWrite(b []byte) (int, error) {
	c.pipe.mu.Lock()
	room := min(c.out.capacity-len(c.out.buf), len(b))
	c.pipe.mu.Unlock()
	return c.Write(b[:max(0, room)]) // nobody else writes
}

type round []interface{ Flush() }

func (r *round) Later(f interface{ Flush() }) { *r = append(*r, f) }

func (r *round) end() {
	for _, f := range *r {
		f.Flush()
	}
	*r = (*r)[:0]
}
