package scenario

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
)

// A wire turns the lines of "client sends" into bytes of HTTP/2. It makes
// whatever it is told to: nothing here knows what is allowed.
type wire struct {
	https bool
	next  uint32 // stream of the next request without an id
	last  uint32 // stream of the last HEADERS
	opens []uint32
}

var frameTypes = map[string]http2.FrameType{
	"DATA": http2.FrameData, "HEADERS": http2.FrameHeaders, "PRIORITY": http2.FramePriority,
	"RST_STREAM": http2.FrameRSTStream, "SETTINGS": http2.FrameSettings, "PUSH_PROMISE": http2.FramePushPromise,
	"PING": http2.FramePing, "GOAWAY": http2.FrameGoAway, "WINDOW_UPDATE": http2.FrameWindowUpdate,
	"CONTINUATION": http2.FrameContinuation, "FRAME": 0xff,
}

// A frameLine is a line taken apart.
type frameLine struct {
	kind  string
	args  []string          // words that are none of the following
	opts  map[string]string // name=value
	id    uint32
	hasID bool
	text  string // quoted
}

func splitFrame(it item) (*frameLine, error) {
	ws, err := words(it.text)
	if err != nil {
		return nil, it.errorf("%v", err)
	}
	f := &frameLine{kind: ws[0], opts: make(map[string]string)}
	for _, w := range ws[1:] {
		if s, quoted, err := unquote(w); quoted || err != nil {
			if f.text = s; err != nil {
				return nil, it.errorf("%v", err)
			}
			continue
		}
		if n, err := strconv.ParseUint(w, 10, 32); err == nil && !f.hasID {
			f.id, f.hasID = uint32(n), true
			continue
		}
		if k, v, ok := strings.Cut(w, "="); ok && !strings.HasPrefix(w, "/") {
			f.opts[k] = v
			continue
		}
		f.args = append(f.args, w)
	}
	return f, nil
}

func (f *frameLine) is(word string) bool { return slices.Contains(f.args, word) }

// number returns option name, def without one.
func (f *frameLine) number(name string, def uint64) (uint64, error) {
	s, ok := f.opts[name]
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("%s=%s is not a number", name, s)
	}
	return n, nil
}

// bytes returns what the item sends. "repeat N" in front of it sends it N times.
func (w *wire) bytes(it item) ([]byte, error) {
	n := 1
	if rest, ok := strings.CutPrefix(it.text, "repeat "); ok {
		count, rest, _ := strings.Cut(rest, " ")
		var err error
		if n, err = strconv.Atoi(count); err != nil {
			return nil, it.errorf("repeat takes a number")
		}
		it.text = rest
	}
	var out []byte
	for range n {
		b, err := w.one(it)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

func (w *wire) one(it item) ([]byte, error) {
	f, err := splitFrame(it)
	if err != nil {
		return nil, err
	}
	if f.kind == "PREFACE" {
		return []byte(http2.ClientPreface), nil
	}
	typ, isFrame := frameTypes[f.kind]
	if !isFrame {
		return w.request(it, f)
	}
	if !f.hasID && (typ == http2.FrameData || typ == http2.FrameHeaders || typ == http2.FrameContinuation || typ == http2.FrameRSTStream) {
		f.id = max(w.last, 1)
	}
	if typ == http2.FrameHeaders {
		w.noteOpen(f.id)
	}
	flags, payload, err := w.payload(it, f, typ)
	if err != nil {
		return nil, it.errorf("%v", err)
	}
	if t, err := f.number("type", uint64(typ)); err != nil {
		return nil, it.errorf("%v", err)
	} else if typ = http2.FrameType(t); typ == http2.FrameHeaders && f.opts["split"] != "" {
		return splitBlock(it, f, flags, payload)
	}
	return appendFrame(nil, typ, flags, f.id, payload), nil
}

func (w *wire) noteOpen(id uint32) {
	if !slices.Contains(w.opens, id) {
		w.opens = append(w.opens, id)
	}
	w.last, w.next = id, max(w.next, id+2)
}

func appendFrame(b []byte, t http2.FrameType, flags http2.Flags, id uint32, payload []byte) []byte {
	b = append(b, byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload)), byte(t), byte(flags))
	return append(binary.BigEndian.AppendUint32(b, id), payload...)
}

// payload makes the payload of a frame by its own rules, or as hex= says.
func (w *wire) payload(it item, f *frameLine, typ http2.FrameType) (flags http2.Flags, p []byte, err error) {
	switch typ {
	case http2.FrameData:
		p = []byte(f.text)
	case http2.FrameHeaders, http2.FrameContinuation:
		flags, p, err = headerPayload(it, f, typ)
	case http2.FrameRSTStream:
		var code uint32
		code, err = errorCode(f.args)
		p = binary.BigEndian.AppendUint32(nil, code)
	case http2.FrameSettings:
		p, err = settingsPayload(f)
	case http2.FramePing:
		p = append([]byte(f.text), make([]byte, 8)...)[:8]
	case http2.FrameGoAway:
		p, err = goAwayPayload(f)
	case http2.FrameWindowUpdate:
		var n uint64
		n, err = f.number("add", 1)
		p = binary.BigEndian.AppendUint32(nil, uint32(n))
	case http2.FramePriority:
		p, err = priorityPayload(f)
	}
	if err != nil {
		return 0, nil, err
	}
	if f.is("end") {
		flags |= http2.FlagDataEndStream
	}
	if f.is("ack") {
		flags |= http2.FlagSettingsAck
	}
	if s, ok := f.opts["hex"]; ok {
		if p, err = hex.DecodeString(strings.ReplaceAll(s, "_", "")); err != nil {
			return 0, nil, err
		}
	}
	if _, ok := f.opts["pad"]; ok {
		n, err := f.number("pad", 0)
		if err != nil {
			return 0, nil, err
		}
		flags |= http2.FlagDataPadded
		p = append(append([]byte{byte(n)}, p...), make([]byte, n)...)
	}
	n, err := f.number("flags", uint64(flags))
	return http2.Flags(n), p, err
}

func headerPayload(it item, f *frameLine, typ http2.FrameType) (flags http2.Flags, p []byte, err error) {
	fields, err := parseFields(it.sub)
	if err != nil {
		return 0, nil, err
	}
	if !f.is("more") {
		flags |= http2.FlagHeadersEndHeaders
	}
	if typ == http2.FrameHeaders && f.opts["on"] != "" {
		if p, err = priorityPayload(f); err != nil {
			return 0, nil, err
		}
		flags |= http2.FlagHeadersPriority
	}
	return flags, append(p, block(fields, f.is("indexed"))...), nil
}

// block encodes fields as HPACK literals without Huffman coding, so that every
// byte is on the wire as written (RFC 7541, section 6.2); indexed puts them into
// the dynamic table as well.
func block(fields []field, indexed bool) []byte {
	var b []byte
	for _, f := range fields {
		first := byte(0)
		if indexed {
			first = 0x40
		}
		b = append(b, first)
		b = append(hpackInt(b, len(f.name)), f.name...)
		b = append(hpackInt(b, len(f.value)), f.value...)
	}
	return b
}

// hpackInt appends n with a prefix of seven bits (RFC 7541, section 5.1).
func hpackInt(b []byte, n int) []byte {
	if n < 127 {
		return append(b, byte(n))
	}
	b = append(b, 127)
	for n -= 127; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// splitBlock cuts a header block into HEADERS and CONTINUATION of split= bytes.
func splitBlock(it item, f *frameLine, flags http2.Flags, p []byte) ([]byte, error) {
	n, err := f.number("split", 0)
	if err != nil || n == 0 {
		return nil, it.errorf("split= takes a number of bytes")
	}
	typ, last := http2.FrameHeaders, flags&http2.FlagHeadersEndHeaders
	flags &^= http2.FlagHeadersEndHeaders
	var out []byte
	for {
		k := min(int(n), len(p))
		if k == len(p) {
			flags |= last
		}
		out = appendFrame(out, typ, flags, f.id, p[:k])
		if p = p[k:]; len(p) == 0 {
			return out, nil
		}
		typ, flags = http2.FrameContinuation, 0
	}
}

var settingIDs = map[string]uint16{
	"HEADER_TABLE_SIZE": 1, "ENABLE_PUSH": 2, "MAX_CONCURRENT_STREAMS": 3, "INITIAL_WINDOW_SIZE": 4,
	"MAX_FRAME_SIZE": 5, "MAX_HEADER_LIST_SIZE": 6, "ENABLE_CONNECT_PROTOCOL": 8, "NO_RFC7540_PRIORITIES": 9,
}

func settingsPayload(f *frameLine) ([]byte, error) {
	var p []byte
	for _, k := range slices.Sorted(mapKeys(f.opts)) {
		if k == "hex" || k == "flags" {
			continue
		}
		id, ok := settingIDs[k]
		if !ok {
			n, err := strconv.ParseUint(k, 0, 16)
			if err != nil {
				return nil, fmt.Errorf("unknown setting %s", k)
			}
			id = uint16(n)
		}
		v, err := f.number(k, 0)
		if err != nil {
			return nil, err
		}
		p = binary.BigEndian.AppendUint16(p, id)
		p = binary.BigEndian.AppendUint32(p, uint32(v))
	}
	return p, nil
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func goAwayPayload(f *frameLine) ([]byte, error) {
	code, err := errorCode(f.args)
	if err != nil {
		return nil, err
	}
	last, err := f.number("last", 0)
	p := binary.BigEndian.AppendUint32(nil, uint32(last))
	p = binary.BigEndian.AppendUint32(p, code)
	return append(p, f.text...), err
}

// priorityPayload is RFC 9113, section 6.3: exclusive bit, dependency, weight.
func priorityPayload(f *frameLine) ([]byte, error) {
	dep, err := f.number("on", 0)
	if err != nil {
		return nil, err
	}
	if f.is("exclusive") {
		dep |= 1 << 31
	}
	weight, err := f.number("weight", 15)
	return append(binary.BigEndian.AppendUint32(nil, uint32(dep)), byte(weight)), err
}

// errorCode finds the error code among words; NO_ERROR when there is none.
func errorCode(ws []string) (uint32, error) {
	for _, w := range ws {
		if n, err := strconv.ParseUint(w, 0, 32); err == nil {
			return uint32(n), nil
		}
		for c := http2.ErrCodeNo; c <= http2.ErrCodeHTTP11Required; c++ {
			if c.String() == w {
				return uint32(c), nil
			}
		}
		if strings.ToUpper(w) == w {
			return 0, fmt.Errorf("unknown error code %s", w)
		}
	}
	return 0, nil
}

// request makes HEADERS of "METHOD target [open]" with the usual pseudo-fields.
// A field line of a pseudo-field's name replaces it, one with a minus in front
// takes it away; others follow.
func (w *wire) request(it item, f *frameLine) ([]byte, error) {
	if len(f.args) == 0 {
		return nil, it.errorf("%q is neither a frame nor METHOD target", it.text)
	}
	target, err := expand(f.args[0])
	if err != nil {
		return nil, it.errorf("%v", err)
	}
	scheme := "http"
	if w.https {
		scheme = "https"
	}
	fields := []field{{":method", f.kind}, {":scheme", scheme}, {":authority", "example.com"}, {":path", target}}
	for _, line := range it.sub {
		if name, ok := strings.CutPrefix(line, "-"); ok && strings.HasPrefix(name, ":") {
			fields = slices.DeleteFunc(fields, func(f field) bool { return f.name == name })
			continue
		}
		add, err := parseFields([]string{line})
		if err != nil {
			return nil, it.errorf("%v", err)
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == add[0].name && strings.HasPrefix(f.name, ":") })
		if i >= 0 {
			fields[i].value = add[0].value
			continue
		}
		fields = append(fields, add...)
	}
	if !f.hasID {
		f.id = w.next
	}
	w.noteOpen(f.id)
	flags := http2.FlagHeadersEndHeaders
	if !f.is("open") {
		flags |= http2.FlagHeadersEndStream
	}
	if f.opts["split"] == "" {
		f.opts["split"] = "16384" // what fits a frame by default
	}
	return splitBlock(it, f, flags, block(fields, f.is("indexed")))
}
