package origin

// TryGet returns an exchange on a kept-alive connection at once, or nil if one
// would have to be waited for or made: then Get is to be called. It never
// blocks. Connections that cannot be waited for without a goroutine (TLS, and
// those that are no kernel sockets) are left to Get.
func (e *Endpoint) TryGet() Awaitable {
	for {
		c := e.pool.takeIdle()
		if c == nil {
			return nil
		}
		if !e.revive(c) {
			continue
		}
		e.load.Add(1)
		e.counters.requests.Add(1)
		return c
	}
}

var _ Awaitable = (*conn)(nil)

// TryWrite sends what the socket takes now.
func (c *conn) TryWrite(p []byte) (int, error) {
	if !c.plain() {
		return 0, nil
	}
	n, err := c.sock.send(p)
	if err != nil {
		c.broken.Store(true)
		err = c.fail(err)
	}
	return n, err
}

// Await has nobody to call Resume yet.
func (c *conn) Await(Resumer) bool { return false }

// plain says that HTTP is spoken on a kernel socket itself.
func (c *conn) plain() bool { return c.sock != nil && c.probe == nil }
