package httpsm

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"

	"github.com/h2gw/h2gw/internal/h1"
	"github.com/h2gw/h2gw/pitag"
)

// A WebSocket begins as an HTTP/1.1 request that asks to upgrade the connection
// (RFC 6455 section 4). HTTP/2 clients ask by extended CONNECT (RFC 8441), of
// which their session makes the same request. Other upgrades are offers, which
// a server may ignore (RFC 9110 section 7.8), and so we do.

// An upgrade is what a transaction knows of the one asked for. The zero value:
// none was.
type upgrade struct {
	asked   bool
	connect bool     // by extended CONNECT: success is a 200 to the client
	key     [24]byte // Sec-WebSocket-Key, as the origin gets it
}

var (
	errUpgradeMethod  = errors.New("a request for a WebSocket that is not a GET")
	errUpgradeBody    = errors.New("a request for a WebSocket that has a body")
	errUpgradeKey     = errors.New("Sec-WebSocket-Key is not the base64 form of 16 bytes, once")
	errSwitchProtocol = errors.New("a 101 that does not switch to websocket")
	errSwitchAccept   = errors.New("Sec-WebSocket-Accept does not match the key")
	errSwitchHook     = errors.New("a hook changed the status of a 101")
	errNotSwitched    = errors.New("success without 101: to a CONNECT it would mean that the tunnel stands")
)

// wantsWebSocket: a client may only offer; a server ignores what it does not
// know (RFC 9110 section 7.8). h2c is such an offer, which curl makes of itself.
// An offer that Connection does not name is none, and HTTP/1.0 has none.
func wantsWebSocket(h *RequestHead) bool {
	f := &h.Fields
	return f.HasName(h1.NameUpgrade) && h.Minor() == 1 &&
		hasMember(f, h1.NameUpgrade, "websocket") && hasMember(f, h1.NameConnection, "upgrade")
}

// hasMember reports whether the lists in all fields of that name have member, in
// lower case.
func hasMember(f *h1.Fields, name h1.Name, member string) bool {
	for i := range f.Len() {
		n, _, v := f.Line(i)
		if n != name {
			continue
		}
		for m := range bytes.SplitSeq(v, []byte(",")) {
			if h1.EqualFold(bytes.Trim(m, " \t"), member) {
				return true
			}
		}
	}
	return false
}

// readUpgrade checks what RFC 6455 section 4.2.1 wants of the request. Its
// version, protocols and extensions are between client and origin.
func (t *Txn) readUpgrade() error {
	u, f := &t.upgrade, &t.req.Fields
	switch {
	case t.req.Method() != "GET":
		return errUpgradeMethod
	case !t.up.readAll.Load():
		return errUpgradeBody
	case f.Count("Sec-WebSocket-Key") != 1:
		return errUpgradeKey
	}
	key, _ := f.Get("Sec-WebSocket-Key")
	var nonce [18]byte
	if len(key) != len(u.key) {
		return errUpgradeKey
	}
	if n, err := base64.StdEncoding.Decode(nonce[:], key); n != 16 || err != nil {
		return errUpgradeKey
	}
	copy(u.key[:], key)
	u.asked = true
	switch t.rec.Session.Identity.Tag {
	case pitag.TagH2, pitag.TagH2C:
		u.connect = true
		t.rec.Method = "CONNECT" // the client's
	}
	return nil
}

// frameUpgrade makes the origin's head ask for what the client's asked for,
// whatever hooks did to these fields.
func (t *Txn) frameUpgrade(f *h1.Fields) error {
	f.Del("TE")
	f.Del("Connection")
	return errors.Join(
		f.Set("Connection", "Upgrade"),
		f.Set("Upgrade", "websocket"),
		f.Set("Sec-WebSocket-Key", string(t.upgrade.key[:])))
}

// accept is what the key makes the origin answer (RFC 6455 section 4.2.2).
func (u *upgrade) accept() string {
	h := sha1.New()
	h.Write(u.key[:])
	h.Write([]byte("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// switchProtocols judges a 101 and makes it the client's head. It is the final
// head of its transaction, and hooks see it as such.
func (t *Txn) switchProtocols() event {
	if err := t.checkSwitch(); err != nil {
		return event{kind: evResponseBad, err: err}
	}
	t.rec.OriginStatus = 101
	if t.explain != nil {
		t.explain.before.CopyFrom(&t.resp.Fields)
	}
	t.keep, t.originKeep = false, false
	if ev := t.hookEvent(ReadResponseHead); ev.kind != evNone {
		return ev
	}
	if err := t.rewriteResponse(); err != nil {
		return event{kind: evResponseBad, err: err}
	}
	if ev := t.hookEvent(SendResponseHead); ev.kind != evNone {
		return ev
	}
	if t.resp.Status() != 101 {
		return event{kind: evFault, err: errSwitchHook}
	}
	f := &t.resp.Fields
	f.DelNames(namesFraming)
	if err := errors.Join(
		f.Set("Connection", "Upgrade"),
		f.Set("Upgrade", "websocket"),
		f.Set("Sec-WebSocket-Accept", t.upgrade.accept())); err != nil {
		return event{kind: evFault, err: err}
	}
	if t.explain != nil {
		t.explain.switched(t)
	}
	return event{kind: evSwitched}
}

// checkSwitch: RFC 6455 section 4.1, what the client has to check. It is checked
// here too, because from a 101 on nobody looks at what passes: an origin that
// was made to send one by other means must not open a tunnel.
func (t *Txn) checkSwitch() error {
	f := &t.resp.Fields
	if !t.upgrade.asked {
		return errUnasked101
	}
	proto, _ := f.Get("Upgrade")
	accept, _ := f.Get("Sec-WebSocket-Accept")
	switch {
	case t.resp.Minor() == 0 || f.Count("Upgrade") != 1 || !h1.EqualFold(proto, "websocket") || !hasMember(f, h1.NameConnection, "upgrade"):
		return errSwitchProtocol
	case f.Count("Sec-WebSocket-Accept") != 1 || string(accept) != t.upgrade.accept():
		return errSwitchAccept
	}
	_, err := h1.ResponseFraming(&t.resp, "GET") // a 101 has no body
	return err
}
