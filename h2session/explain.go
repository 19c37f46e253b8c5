package h2session

import (
	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/vconn"
)

// What the translation between HTTP/2 and HTTP/1.1 does to a request and its
// response, in words: notes that travel with the virtual connection, to which
// the transaction behind it adds its own, and which it writes into the log.
// All of this happens at debug level only; otherwise there are no notes.

// explainRequest notes what build made of the block.
func (s *Session) explainRequest(b *headerBlock, r *request) *vconn.Notes {
	n := new(vconn.Notes)
	if b.seen[pseudoAuthority] {
		n.Request(":method and :path become the request line, :authority becomes Host, :scheme is dropped (RFC 9113, 8.3.1)")
	} else {
		n.Request(":method and :path become the request line, :scheme is dropped (RFC 9113, 8.3.1)")
	}
	crumbs, hosts, lengths := 0, 0, 0
	for i := range b.fields {
		switch b.fields[i].id {
		case h1.NameCookie:
			crumbs++
		case h1.NameHost:
			hosts++
		case h1.NameContentLength:
			lengths++
		}
	}
	if hosts > 0 && b.seen[pseudoAuthority] {
		n.Request("host merged with :authority, which says the same (RFC 9113, 8.3.1)")
	}
	if crumbs > 1 {
		n.Request("cookie: %d crumbs merged into one field (RFC 9113, 8.2.3)", crumbs)
	}
	switch {
	case r.chunked:
		n.Request("Transfer-Encoding: chunked added: the body has no content-length (RFC 9112, 6.1)")
	case r.empty:
		n.Request("Content-Length: 0 added: %s without a body (RFC 9110, 8.6)", b.pseudo[pseudoMethod])
	case lengths > 0 && !b.end:
		n.Request("content-length frames the body, and DATA has to add up to it (RFC 9113, 8.1.1)")
	}
	return n
}

// explainTrailers notes what becomes of the trailers in b.
func explainTrailers(n *vconn.Notes, b *headerBlock, chunked bool) {
	if !chunked {
		n.Request("trailers dropped: a body with content-length has no place for them (RFC 9112, 6.3)")
		return
	}
	for i := range b.fields {
		if f := &b.fields[i]; f.id.ForbiddenInTrailers() {
			n.Request("trailer %s dropped: it is not allowed there (RFC 9110, 6.5.1)", f.name)
		}
	}
	n.Request("trailers become a trailer section behind the last chunk (RFC 9112, 7.1.2)")
}

// explainHead notes what becomes of a final response head.
func explainHead(n *vconn.Notes, h *h1.ResponseHead) {
	n.Response("the status line becomes :status %d, the reason phrase is dropped (RFC 9113, 8.3.2)", h.Status())
	lowered := false
	for name := range h.Fields.All() {
		lower := h1.LowerName(name)
		lowered = lowered || lower != string(name)
		switch {
		case lower == "transfer-encoding":
			n.Response("%s dropped: DATA and END_STREAM frame the body (RFC 9113, 8.1)", name)
		case connectionSpecific(lower):
			n.Response("%s dropped: it is connection-specific (RFC 9113, 8.2.2)", name)
		}
	}
	if lowered {
		n.Response("all field names go in lower case (RFC 9113, 8.2)")
	}
}

// logRefusal is the line of a request that no transaction was made for.
func (s *Session) logRefusal(r *Refusal) {
	s.cfg.Log.Debug().
		Str("pitag", r.Session.Identity.TagText()).Uint64("piid", r.Session.Identity.ID).
		Uint32("stream", r.Stream).Uint64("txn", r.Txn).
		Strs("request", []string{"refused: " + r.Reason}).
		Msg("translation")
}
