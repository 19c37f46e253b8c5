package h2session

import (
	"crypto/tls"

	"github.com/h2gw/h2gw/internal/prefetch"
)

// Where many sessions have one stream each, or few sessions many, a request and its
// answer find nothing of their session in the near caches. Who polls its connection,
// or its origin's, has it fetched before (see internal/prefetch).

// nameNear names what a turn of the session touches, if who polls p asks for it. What
// is made and dropped as the session goes is left out.
func (s *Session) nameNear(p pollable) {
	n, ok := p.(interface{ Near() *prefetch.List })
	if !ok {
		return
	}
	if s.near = n.Near(); s.near == nil {
		return
	}
	prefetch.Add(s.near, s)
	prefetch.Add(s.near, s.m)
	prefetch.Add(s.near, s.out.enc)
	c, ok := s.conn.(*tls.Conn)
	if ok {
		prefetch.Add(s.near, c)
		nameCipher(s.near, c, "out")
	}
	s.answers = s.near.Len()
	prefetch.Add(s.near, s.block)
	if ok {
		nameCipher(s.near, c, "in")
		prefetch.Reach(s.near, c, "rawInput", "buf")
	}
}

// nameCipher names the cipher of one half of c, "in" or "out", with its keys. It
// reports whether it has found them.
func nameCipher(l *prefetch.List, c *tls.Conn, half string) (found bool) {
	found = prefetch.Reach(l, c, half, "cipher")
	return prefetch.Reach(l, c, half, "cipher", "aead") && found
}

// Near names what an answer for st is going to touch. It is for who has st's
// transaction, while that runs.
func (st *stream) Near(l *prefetch.List) {
	prefetch.Add(l, st)
	if s := st.sess; s.near != nil {
		l.AddFirst(s.answers, s.near)
	}
}
