package h2session

import (
	"crypto/tls"

	"github.com/h2gw/h2gw/internal/prefetch"
)

// Where many sessions have one stream each, or few sessions many, a request and its
// answer find nothing of their session in the near caches. Who polls its connection,
// or its origin's, has it fetched before (see internal/prefetch).

// nameNear names what a turn of the session touches, if who polls c asks for it. What
// is made and dropped as the session goes is left out.
func (s *Session) nameNear(c pollable) {
	n, ok := c.(interface{ Near() *prefetch.List })
	if !ok {
		return
	}
	if s.near = n.Near(); s.near == nil {
		return
	}
	prefetch.Add(s.near, s)
	prefetch.Add(s.near, s.m)
	prefetch.Add(s.near, s.block)
	prefetch.Add(s.near, s.out.enc)
	if c, ok := s.conn.(*tls.Conn); ok {
		nameTLS(s.near, c)
	}
}

// nameTLS names what reading and writing a record touches: the connection, and its
// ciphers with their keys. It reports whether it found all of them.
func nameTLS(l *prefetch.List, c *tls.Conn) (all bool) {
	prefetch.Add(l, c)
	all = prefetch.Reach(l, c, "rawInput", "buf")
	for _, half := range []string{"in", "out"} {
		all = prefetch.Reach(l, c, half, "cipher") && all
		all = prefetch.Reach(l, c, half, "cipher", "aead") && all
	}
	return all
}

// Near names what an answer for st is going to touch. It is for who has st's
// transaction, while that runs.
func (st *stream) Near(l *prefetch.List) {
	prefetch.Add(l, st)
	if s := st.sess; s.near != nil {
		l.AddAll(s.near)
	}
}
