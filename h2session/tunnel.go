package h2session

import (
	"crypto/rand"
	"encoding/base64"
	"strings"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/vconn"
)

// Extended CONNECT (RFC 8441) asks for a protocol other than HTTP on a stream. A
// WebSocket becomes an HTTP/1.1 upgrade on the virtual connection, whose 101 is
// the 200 of the stream. From there on DATA is bytes, each way until its
// END_STREAM.

// protocolWebSocket is the one protocol that :protocol may ask for.
const protocolWebSocket = "websocket"

// connectLine is requestLine for an extended CONNECT (RFC 8441, section 4).
func (r *request) connectLine(b *headerBlock) string {
	path, scheme := b.pseudo[pseudoPath], b.pseudo[pseudoScheme]
	r.protocol = b.pseudo[pseudoProtocol]
	switch {
	case b.pseudo[pseudoMethod] != "CONNECT":
		return ":protocol without CONNECT"
	case !b.seen[pseudoScheme] || !b.seen[pseudoPath]:
		return "extended CONNECT without :scheme or :path"
	case !h1.ValidName(rawOf(r.protocol)):
		return ":protocol is not a token"
	case scheme != "http" && scheme != "https":
		return "the scheme is neither http nor https"
	case !strings.HasPrefix(path, "/"):
		return "the path does not start with a slash"
	case !h1.ValidTarget(rawOf(path)):
		return "invalid path"
	}
	r.line("GET", path)
	return r.host(b)
}

// known reports whether we serve what an extended CONNECT asks for, if it is one.
// Protocol names have no case (RFC 9110, section 7.8).
func (r *request) known() bool {
	return r.protocol == "" || h1.EqualFold([]byte(r.protocol), protocolWebSocket)
}

// tunnelField judges a field of an extended CONNECT. drop means that it has no
// place in the HTTP/1.1 request: the key is ours, since the client has no use for
// one (RFC 8441, section 5).
func (r *request) tunnelField(id h1.Name) (drop bool, reason string) {
	switch id {
	case h1.NameContentLength:
		return false, "content-length in a CONNECT" // what follows is no content
	case h1.NameSecWebSocketKey, h1.NameSecWebSocketAccept:
		return true, ""
	}
	return false, ""
}

// upgrade makes the head ask for a WebSocket (RFC 6455, section 4.1).
func (r *request) upgrade() string {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails (crypto/rand)
	for _, f := range [...][2]string{
		{"Connection", "Upgrade"},
		{"Upgrade", protocolWebSocket},
		{"Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(nonce[:])},
	} {
		r.add(&field{name: f[0], value: f[1]}) // valid
	}
	return ""
}

// explainTunnel notes what became of an extended CONNECT.
func explainTunnel(n *vconn.Notes, r *request) {
	if n != nil && r.protocol != "" {
		n.Request("CONNECT with :protocol becomes GET with Connection, Upgrade and a new Sec-WebSocket-Key (RFC 8441, 5)")
	}
}

// pullSwitched appends the head of a tunnel that stands. The fields that make an
// upgrade in HTTP/1.1 have no place in HTTP/2 (RFC 8441, section 5): the encoder
// leaves out those of the connection. The rest of src is bytes.
func (w *puller) pullSwitched(r *response, id uint32, b []byte, p *pulled) []byte {
	w.head.Fields.Del("Sec-WebSocket-Accept")
	r.body.Reset(h1.Framing{Kind: h1.UntilClose}, h1.Limits{})
	r.begun, r.switched = true, true
	w.head.SetStatus(200, "") // valid, so no error
	if r.notes != nil {
		explainHead(r.notes, &w.head)
	}
	w.enc.head(200, &w.head.Fields)
	p.priority = w.enc.priority
	return w.appendHead(b, id, false, p)
}

// pullEnded looks whether the client's direction of a tunnel still has a reader,
// when ours has ended.
func (r *response) pullEnded(p *pulled) {
	c, ok := r.src.(*vconn.Conn)
	if !ok {
		return
	}
	if cause, _ := c.ResetCause(); cause != nil {
		p.fail(resetCode(cause))
		return
	}
	p.left = c.PeerClosed()
}
