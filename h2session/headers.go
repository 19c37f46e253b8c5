package h2session

import (
	"strconv"
	"strings"

	"github.com/h2gw/h2gw/internal/h1"
)

// A headerBlock collects one field section while it arrives in HEADERS and
// CONTINUATION frames. It is decoded to the end whatever it holds, because the
// HPACK table is the session's; what it may not hold is dropped on the way. It
// belongs to the read loop and is used again for the next block.
type headerBlock struct {
	cfg *Config
	dec decoder
	blockState
}

// A blockState is what is known of the block that is being received.
type blockState struct {
	// id 0 means none.
	id      uint32
	end     bool // END_STREAM
	selfDep bool // the stream depends on itself
	bytes   int  // compressed
	held    int  // what the account was told of it
	noName  int  // fields without a name

	fields     []field // regular ones, in order
	size       int     // as SETTINGS_MAX_HEADER_LIST_SIZE counts
	pseudo     [numPseudo]string
	seen       [numPseudo]bool
	agent      string // user-agent, for the log
	priority   string // the field's value; its lines joined
	forwarded  bool   // the client is an intermediary
	expects    bool   // ... an answer before it sends its body (RFC 9110, section 10.1.1)
	bad        string // why it is malformed; the first reason
	tooMany    bool   // more bytes or fields than the limits: 431
	manyFields bool   // ... and it was the fields
	longTarget bool   // 414
}

// The pseudo-fields of a request (RFC 9113, section 8.3.1).
const (
	pseudoMethod = iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoProtocol // RFC 8441
	numPseudo
)

func newHeaderBlock(cfg *Config) *headerBlock {
	b := &headerBlock{cfg: cfg}
	b.dec = newDecoder(headerTable, maxStringFactor*cfg.requestHead(), b.emit)
	return b
}

// begin starts a block; the one before was forgotten.
func (b *headerBlock) begin(id uint32, end, selfDep bool) {
	b.id, b.end, b.selfDep = id, end, selfDep
}

// A string of more than this many times the limit is not waited for: the decoder
// would keep its pieces. Below, a block is read to its end, and told by 431.
const maxStringFactor = 4

// forget lets go of the strings of the last block, so that an idle session does
// not hold them.
func (b *headerBlock) forget() {
	clear(b.fields)
	b.blockState = blockState{fields: b.fields[:0]}
	b.dec.reset()
}

// fragment decodes a piece of the block.
func (b *headerBlock) fragment(p []byte) error {
	b.bytes += len(p)
	return b.dec.write(p)
}

// finish ends the block.
func (b *headerBlock) finish() error {
	b.id = 0
	if err := b.dec.end(); err != nil {
		return connError(codeCompression, "header block is truncated")
	}
	return nil
}

// emit takes a decoded field and reports whether it has kept it. It is called by
// the decoder, with no lock held.
func (b *headerBlock) emit(f *field) (kept bool) {
	b.size += len(f.name) + len(f.value) + fieldOverhead
	if f.name == "" {
		b.noName++
	}
	if b.size > b.cfg.requestHead() {
		b.tooMany = true
	}
	switch {
	case f.name != "" && f.name[0] == ':':
		b.emitPseudo(f)
		return false
	case b.tooMany:
		return false
	case len(b.fields) >= b.cfg.fields():
		b.tooMany, b.manyFields = true, true
		return false
	}
	b.note(f)
	b.fields = append(b.fields, *f)
	return true
}

// note keeps the values that the session itself has use for.
func (b *headerBlock) note(f *field) {
	switch f.id {
	case h1.NameUserAgent:
		b.agent = f.lasting(f.value)
	case h1.NamePriority:
		if b.priority != "" {
			b.priority += ", " + f.value // RFC 8941, section 4.2
		} else {
			b.priority = f.value
		}
	case h1.NameExpect:
		b.expects = true
	case h1.NameVia, h1.NameForwarded, h1.NameXForwardedFor:
		b.forwarded = true
	}
}

// lasting is v, which is f's value or a part of it, as a string that may be kept.
func (f *field) lasting(v string) string {
	if f.owned {
		return v
	}
	return strings.Clone(v)
}

func (b *headerBlock) emitPseudo(f *field) {
	i, value := 0, f.value
	switch f.name {
	case ":method":
		i = pseudoMethod
	case ":scheme":
		i = pseudoScheme
	case ":authority":
		i = pseudoAuthority
	case ":path":
		i = pseudoPath
		if len(value) > b.cfg.target() {
			b.longTarget = true
			value = value[:min(len(value), 256)] // for the log
		}
	case ":protocol":
		i = pseudoProtocol
	default:
		b.malformed("unknown pseudo-field")
		return
	}
	switch {
	case b.seen[i]:
		b.malformed("pseudo-field given twice")
	case len(b.fields) > 0:
		b.malformed("pseudo-field after a regular field")
	}
	b.seen[i], b.pseudo[i] = true, f.lasting(value)
}

func (b *headerBlock) malformed(reason string) {
	if b.bad == "" {
		b.bad = reason
	}
}

// A request is what a header block means to HTTP/1.1. The text is written while
// the fields are judged, by the rules of h1 for what a head may hold: there is no
// head in between.
type request struct {
	text    []byte // of the head
	length  int64  // content-length; -1 without one
	chunked bool
	empty   bool   // Content-Length: 0 was added
	cookie  []byte // crumbs, joined

	protocol string // of an extended CONNECT, whose DATA is no body; "" when it is none
}

// build fills r from the block, by rules 1 to 6 of the translation (RFC 9113,
// sections 8.1 to 8.3). The result is the reason why the request is malformed,
// or "".
func (r *request) build(b *headerBlock) string {
	r.text, r.cookie = r.text[:0], r.cookie[:0]
	r.length, r.chunked, r.empty, r.protocol = -1, false, false, ""
	if reason := r.requestLine(b); reason != "" {
		return reason
	}
	crumbs := false
	for i := range b.fields {
		f := &b.fields[i]
		if reason := r.field(f); reason != "" {
			return reason
		}
		crumbs = crumbs || f.id == h1.NameCookie
	}
	if crumbs && !r.add(&field{name: "cookie", value: textOf(r.cookie), id: h1.NameCookie}) {
		return "invalid cookie"
	}
	if reason := r.framing(b); reason != "" {
		return reason
	}
	r.text = append(r.text, "\r\n"...)
	return ""
}

// add writes a field; false means that it is not valid (RFC 9110, section 5).
func (r *request) add(f *field) bool {
	if !f.valid && (f.id == h1.NameOther && !h1.ValidName(rawOf(f.name)) || !h1.ValidValue(rawOf(f.value))) {
		return false
	}
	r.text = append(r.text, f.name...)
	r.text = append(r.text, ": "...)
	r.text = append(r.text, f.value...)
	r.text = append(r.text, "\r\n"...)
	return true
}

// line writes the request line; the path is in origin-form or "*".
func (r *request) line(method, path string) {
	r.text = append(r.text, method...)
	r.text = append(r.text, ' ')
	r.text = append(r.text, path...)
	r.text = append(r.text, " HTTP/1.1\r\n"...)
}

// requestLine checks the pseudo-fields, and sets method, target and Host.
func (r *request) requestLine(b *headerBlock) string {
	method, path := b.pseudo[pseudoMethod], b.pseudo[pseudoPath]
	switch {
	case b.bad != "":
		return b.bad
	case b.selfDep:
		return "the stream depends on itself"
	case b.seen[pseudoProtocol]:
		return r.connectLine(b)
	case !b.seen[pseudoMethod] || !b.seen[pseudoScheme] || !b.seen[pseudoPath]:
		return "a pseudo-field is missing"
	case b.pseudo[pseudoScheme] != "http" && b.pseudo[pseudoScheme] != "https":
		return "the scheme is neither http nor https"
	case !strings.HasPrefix(path, "/") && (path != "*" || method != "OPTIONS"):
		return "the path does not start with a slash"
	case !h1.ValidMethod(rawOf(method)):
		return "invalid method"
	case !h1.ValidTarget(rawOf(path)):
		return "invalid path"
	}
	r.line(method, path)
	return r.host(b)
}

// host sets Host from :authority, with which a host field must agree (RFC 9113,
// section 8.3.1). Host comes first: RFC 9110, section 7.2.
func (r *request) host(b *headerBlock) string {
	host, known := b.pseudo[pseudoAuthority], b.seen[pseudoAuthority]
	given := 0
	for i := range b.fields {
		if b.fields[i].id != h1.NameHost {
			continue
		}
		given++
		if known && !strings.EqualFold(host, b.fields[i].value) {
			return "host and :authority differ"
		}
		host = b.fields[i].value
	}
	switch {
	case given > 1:
		return "host given twice"
	case !known && given == 0:
		return "neither :authority nor host"
	}
	if known {
		host = b.pseudo[pseudoAuthority]
	}
	if !h1.ValidHost(rawOf(host)) || !r.add(&field{name: "Host", value: host, id: h1.NameHost}) {
		return "invalid authority"
	}
	return ""
}

// field takes over one regular field.
func (r *request) field(f *field) string {
	if reason := checkField(f); reason != "" {
		return reason
	}
	if r.protocol != "" {
		if drop, reason := r.tunnelField(f.id); drop || reason != "" {
			return reason
		}
	}
	switch f.id {
	case h1.NameHost:
		return "" // in place already
	case h1.NameTE:
		if f.value != "trailers" {
			return "te is not trailers"
		}
	case h1.NameContentLength:
		if r.length >= 0 {
			return "content-length given twice"
		}
		n, err := strconv.ParseUint(f.value, 10, 63)
		if err != nil || f.value[0] == '+' {
			return "invalid content-length"
		}
		r.length = int64(n)
	case h1.NameCookie:
		// One field in HTTP/1.1 (RFC 9113, section 8.2.3).
		if len(r.cookie) > 0 {
			r.cookie = append(r.cookie, "; "...)
		}
		r.cookie = append(r.cookie, f.value...)
		return ""
	}
	if !r.add(f) {
		return "invalid field"
	}
	return ""
}

// checkField applies what holds for requests and trailers alike (RFC 9113,
// sections 8.2.1 and 8.2.2). That name and value are well-formed otherwise is
// for h1 to say.
func checkField(f *field) string {
	if f.id != h1.NameOther {
		if nameRules[f.id].drop {
			return "connection-specific field"
		}
		return ""
	}
	for i := range len(f.name) {
		if c := f.name[i]; 'A' <= c && c <= 'Z' {
			return "upper case in a field name"
		}
	}
	return ""
}

func connectionSpecific(name string) bool {
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return true
	}
	return false
}

// framing decides how the body is told to HTTP/1.1: by content-length if the
// client gave one, chunked if not; a request without a body says nothing, unless
// its method makes one expected (RFC 9110, section 8.6).
func (r *request) framing(b *headerBlock) string {
	switch {
	case r.protocol != "":
		return r.upgrade()
	case b.end && r.length > 0:
		return "END_STREAM before content-length was reached"
	case b.end && r.length < 0:
		switch b.pseudo[pseudoMethod] {
		case "POST", "PUT", "PATCH":
			r.empty = true
			r.text = append(r.text, "Content-Length: 0\r\n"...)
		}
	case !b.end && r.length < 0:
		r.chunked = true
		r.text = append(r.text, "Transfer-Encoding: chunked\r\n"...)
	}
	return ""
}

// trailers fills fs from a block that came as trailers (RFC 9113, section 8.1),
// without the fields that RFC 9110, section 6.5.1, keeps out of them.
func (b *headerBlock) trailers(fs *h1.Fields) string {
	fs.Reset()
	for i := range b.seen {
		if b.seen[i] {
			return "pseudo-field in trailers"
		}
	}
	if b.bad != "" {
		return b.bad
	}
	for i := range b.fields {
		f := &b.fields[i]
		if reason := checkField(f); reason != "" {
			return reason
		}
		if f.id.ForbiddenInTrailers() {
			continue
		}
		if fs.Add(f.name, f.value) != nil {
			return "invalid field in trailers"
		}
	}
	return ""
}
