package h2session

import (
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/h1"
)

// A headerBlock collects one field section while it arrives in HEADERS and
// CONTINUATION frames. It is decoded to the end whatever it holds, because the
// HPACK table is the session's; what it may not hold is dropped on the way. It
// belongs to the read loop and is used again for the next block.
type headerBlock struct {
	cfg *Config
	dec *hpack.Decoder

	// Of the block that is being received; id 0 means none.
	id      uint32
	end     bool // END_STREAM
	selfDep bool // the stream depends on itself
	bytes   int  // compressed
	held    int  // what the account was told of it
	noName  int  // fields without a name

	fields     []hpack.HeaderField // regular ones, in order
	size       int                 // as SETTINGS_MAX_HEADER_LIST_SIZE counts
	pseudo     [numPseudo]string
	seen       [numPseudo]bool
	agent      string // user-agent, for the log
	priority   string // the field's value; its lines joined
	forwarded  bool   // the client is an intermediary
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
	b.dec = hpack.NewDecoder(headerTable, b.emit)
	b.dec.SetMaxStringLength(maxStringFactor * cfg.requestHead())
	return b
}

// begin starts a block.
func (b *headerBlock) begin(id uint32, end, selfDep bool) {
	clear(b.fields)
	*b = headerBlock{cfg: b.cfg, dec: b.dec, fields: b.fields[:0], id: id, end: end, selfDep: selfDep}
}

// A string of more than this many times the limit is not waited for: the decoder
// would keep its pieces. Below, a block is read to its end, and told by 431.
const maxStringFactor = 4

// forget lets go of the strings of the last block, so that an idle session does
// not hold them.
func (b *headerBlock) forget() { b.begin(0, false, false) }

// fragment decodes a piece of the block.
func (b *headerBlock) fragment(p []byte) error {
	b.bytes += len(p)
	_, err := b.dec.Write(p)
	return err
}

// finish ends the block.
func (b *headerBlock) finish() error {
	b.id = 0
	if err := b.dec.Close(); err != nil {
		return connError(codeCompression, "header block is truncated")
	}
	return nil
}

// emit takes a decoded field. It is called by the decoder, with no lock held.
func (b *headerBlock) emit(f hpack.HeaderField) {
	b.size += len(f.Name) + len(f.Value) + 32
	if f.Name == "" {
		b.noName++
	}
	if b.size > b.cfg.requestHead() {
		b.tooMany = true
	}
	switch {
	case strings.HasPrefix(f.Name, ":"):
		b.emitPseudo(f)
	case b.tooMany:
	case len(b.fields) >= b.cfg.fields():
		b.tooMany, b.manyFields = true, true
	default:
		b.note(f)
		b.fields = append(b.fields, f)
	}
}

// note keeps the values that the session itself has use for.
func (b *headerBlock) note(f hpack.HeaderField) {
	switch f.Name {
	case "user-agent":
		b.agent = f.Value
	case "priority":
		if b.priority != "" {
			f.Value = b.priority + ", " + f.Value // RFC 8941, section 4.2
		}
		b.priority = f.Value
	case "via", "forwarded", "x-forwarded-for":
		b.forwarded = true
	}
}

func (b *headerBlock) emitPseudo(f hpack.HeaderField) {
	i := 0
	switch f.Name {
	case ":method":
		i = pseudoMethod
	case ":scheme":
		i = pseudoScheme
	case ":authority":
		i = pseudoAuthority
	case ":path":
		i = pseudoPath
		if len(f.Value) > b.cfg.target() {
			b.longTarget = true
			f.Value = f.Value[:min(len(f.Value), 256)] // for the log
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
	b.seen[i], b.pseudo[i] = true, f.Value
}

func (b *headerBlock) malformed(reason string) {
	if b.bad == "" {
		b.bad = reason
	}
}

// A request is what a header block means to HTTP/1.1.
type request struct {
	head    h1.RequestHead
	length  int64 // content-length; -1 without one
	chunked bool
	cookie  []byte // crumbs, joined

	protocol string // of an extended CONNECT, whose DATA is no body; "" when it is none
}

// build fills r from the block, by rules 1 to 6 of the translation (RFC 9113,
// sections 8.1 to 8.3). The result is the reason why the request is malformed,
// or "".
func (r *request) build(b *headerBlock) string {
	r.head.Reset()
	r.length, r.chunked, r.cookie = -1, false, r.cookie[:0]
	r.protocol = ""
	if reason := r.requestLine(b); reason != "" {
		return reason
	}
	crumbAt := -1
	for i := range b.fields {
		f := &b.fields[i]
		if reason := r.field(f, &crumbAt); reason != "" {
			return reason
		}
	}
	if crumbAt >= 0 {
		if r.head.Fields.AddBytes([]byte("cookie"), r.cookie) != nil {
			return "invalid cookie"
		}
	}
	return r.framing(b)
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
	case r.head.SetMethod(method) != nil:
		return "invalid method"
	case r.head.SetTarget([]byte(path)) != nil:
		return "invalid path"
	}
	return r.host(b)
}

// host sets Host from :authority, with which a host field must agree (RFC 9113,
// section 8.3.1). Host comes first: RFC 9110, section 7.2.
func (r *request) host(b *headerBlock) string {
	host, known := b.pseudo[pseudoAuthority], b.seen[pseudoAuthority]
	given := 0
	for i := range b.fields {
		if b.fields[i].Name != "host" {
			continue
		}
		given++
		if known && !strings.EqualFold(host, b.fields[i].Value) {
			return "host and :authority differ"
		}
		host = b.fields[i].Value
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
	if !h1.ValidHost([]byte(host)) || r.head.Fields.Add("Host", host) != nil {
		return "invalid authority"
	}
	return ""
}

// field takes over one regular field.
func (r *request) field(f *hpack.HeaderField, crumbAt *int) string {
	if reason := checkField(f); reason != "" {
		return reason
	}
	if r.protocol != "" {
		if drop, reason := r.tunnelField(f.Name); drop || reason != "" {
			return reason
		}
	}
	switch f.Name {
	case "host":
		return "" // in place already
	case "te":
		if f.Value != "trailers" {
			return "te is not trailers"
		}
	case "content-length":
		if r.length >= 0 {
			return "content-length given twice"
		}
		n, err := strconv.ParseUint(f.Value, 10, 63)
		if err != nil || f.Value[0] == '+' {
			return "invalid content-length"
		}
		r.length = int64(n)
	case "cookie":
		// One field in HTTP/1.1 (RFC 9113, section 8.2.3).
		if *crumbAt = max(*crumbAt, 0); len(r.cookie) > 0 {
			r.cookie = append(r.cookie, "; "...)
		}
		r.cookie = append(r.cookie, f.Value...)
		return ""
	}
	if r.head.Fields.Add(f.Name, f.Value) != nil {
		return "invalid field"
	}
	return ""
}

// checkField applies what holds for requests and trailers alike (RFC 9113,
// sections 8.2.1 and 8.2.2). That name and value are well-formed otherwise is
// for h1.Fields to say.
func checkField(f *hpack.HeaderField) string {
	for i := range len(f.Name) {
		if c := f.Name[i]; 'A' <= c && c <= 'Z' {
			return "upper case in a field name"
		}
	}
	if connectionSpecific(f.Name) {
		return "connection-specific field"
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
			r.head.Fields.Add("Content-Length", "0")
		}
	case !b.end && r.length < 0:
		r.chunked = true
		r.head.Fields.Add("Transfer-Encoding", "chunked")
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
		if h1.ForbiddenTrailer([]byte(f.Name)) {
			continue
		}
		if fs.Add(f.Name, f.Value) != nil {
			return "invalid field in trailers"
		}
	}
	return ""
}
