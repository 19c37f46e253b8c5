package h2session

import (
	"fmt"
	"strings"
	"time"

	"github.com/h2gw/h2gw/internal/h1"
)

// Answers of the session's own, to requests that no transaction gets. To a
// client they look like those of a transaction: status line, the word of the
// log, and the reason.

// reply answers a request without a transaction: a small HTTP/1.1 response takes
// the place of the virtual connection, and goes the way of all responses.
func (s *Session) reply(st *stream, txn uint64, status int, outcome, reason string) error {
	r := s.refusal(st.id, txn)
	r.Status, r.Outcome, r.Reason = status, outcome, reason
	body := fmt.Sprintf("%d %s: %s: %s\n", status, h1.ReasonPhrase(status), outcome, reason)
	if r.Method != "HEAD" {
		r.BytesOut = int64(len(body))
	}
	s.refuse(r) // first, so that whoever has the answer finds the line in the log
	s.answer(st, replyHead(status, outcome, len(body))+body)
	return nil
}

// allowed is the Allow field that a 405 must have (RFC 9110, section 15.5.6):
// the same methods as a transaction names.
const allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

func replyHead(status int, outcome string, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n", status, h1.ReasonPhrase(status))
	if status == 405 {
		b.WriteString("Allow: " + allowed + "\r\n")
	}
	// RFC 9110, section 6.6.1: a server with a clock sends Date.
	date := time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	fmt.Fprintf(&b, "Proxy-Status: h2gw; error=%s\r\nContent-Length: %d\r\nDate: %s\r\n\r\n", outcome, size, date)
	return b.String()
}

func (s *Session) answer(st *stream, text string) {
	s.lock()
	defer s.unlock()
	s.disowned(st)
	st.resp.src = &textSource{[]byte(text)}
	st.resp.head = s.block.pseudo[pseudoMethod] == "HEAD"
	st.request = requestBody{length: -1, discarded: true}
	s.m.refused++
	s.m.wake(st)
}

// translate fills req from the block. The result is the reason why the request
// is malformed, refusedConnect, or "".
func (s *Session) translate(b *headerBlock, req *request) string {
	if b.pseudo[pseudoMethod] == "CONNECT" && !b.seen[pseudoProtocol] {
		return b.plainConnect()
	}
	return req.build(b)
}

const refusedConnect = "CONNECT: this gateway is not a forward proxy"

// plainConnect judges a CONNECT without :protocol, which is refused when it is
// well-formed. RFC 9113, section 8.5: it has no scheme and no path, and a host
// with a port.
func (b *headerBlock) plainConnect() string {
	switch host := b.pseudo[pseudoAuthority]; {
	case b.bad != "":
		return b.bad
	case b.seen[pseudoScheme] || b.seen[pseudoPath]:
		return "CONNECT with :scheme or :path"
	case !b.seen[pseudoAuthority] || !h1.ValidHost(rawOf(host)) || !strings.Contains(host, ":"):
		return "CONNECT without a host and port in :authority"
	}
	for i := range b.fields {
		if reason := checkField(&b.fields[i]); reason != "" {
			return reason
		}
	}
	return refusedConnect
}
