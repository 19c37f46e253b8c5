package h1

import (
	"encoding/binary"
	"unsafe"
)

// A Name is a field name in common use as a small number. Fields finds it once for
// each line, when it is parsed or added; whoever asks for a name then compares
// numbers. Names below 64 are in the set of what is present, so that asking for one
// that is not there is a single test. The zero Name stands for all other names.
// Numbers may change between versions of this program: they are for its memory only.
type Name uint8

// The names that this program asks for. More have a number (see nameList), which is
// for tables that are indexed by it.
const (
	NameOther Name = iota // none of those that have a number

	NameConnection
	NameKeepAlive
	NameProxyConnection
	NameTE
	NameTransferEncoding
	NameUpgrade
	NameContentLength
	NameTrailer
	NameHost
	NameExpect
	NameDate
	NameServer
	NameContentType
	NameUserAgent
	NameReferer
	NameXRequestID
	NameVia
	NameMaxForwards
	NameForwarded
	NameXForwardedFor
	NameXForwardedHost
	NameXForwardedPort
	NameXForwardedProto
	NameXRealIP
	NameCookie
	NameSetCookie
	NameAuthorization
	NamePriority
	NameProxyStatus
	NameSecWebSocketKey
	NameSecWebSocketAccept
	nameClose // what Connection says most often: it names no field, but it could
	nameCacheControl
	nameContentEncoding
	nameContentRange
	nameLocation
	nameOrigin
	nameRange

	lastTracked // names below are in Fields.present
)

// What the rules say of a name.
const (
	// hop: for this connection only (RFC 9110 section 7.6.1).
	hop = 1 << iota
	// endToEnd: must not be named in Connection, since it is meant for all
	// recipients (RFC 9110 section 7.6.1). Dropping one because a client says so
	// would change framing, routing, identity or loop detection.
	endToEnd
	// noTrailer: RFC 9110 section 6.5.1 keeps it out of trailer sections: framing,
	// routing, request modifiers, authentication, response control, and how the
	// content is to be processed. It would come when all is decided.
	noTrailer
)

type nameInfo struct {
	text  string // as it is usually written
	rules uint8
}

// nameList holds the names in most messages. What is here is turned into a string
// in lower case without an allocation.
var nameList = [...]nameInfo{
	NameConnection:         {"Connection", hop | noTrailer},
	NameKeepAlive:          {"Keep-Alive", hop | noTrailer},
	NameProxyConnection:    {"Proxy-Connection", hop | noTrailer},
	NameTE:                 {"TE", hop | noTrailer},
	NameTransferEncoding:   {"Transfer-Encoding", hop | endToEnd | noTrailer},
	NameUpgrade:            {"Upgrade", hop | noTrailer},
	NameContentLength:      {"Content-Length", endToEnd | noTrailer},
	NameTrailer:            {"Trailer", endToEnd | noTrailer},
	NameHost:               {"Host", endToEnd | noTrailer},
	NameExpect:             {"Expect", endToEnd | noTrailer},
	NameDate:               {"Date", noTrailer},
	NameServer:             {"Server", 0},
	NameContentType:        {"Content-Type", endToEnd | noTrailer},
	NameUserAgent:          {"User-Agent", 0},
	NameReferer:            {"Referer", 0},
	NameXRequestID:         {"X-Request-Id", 0},
	NameVia:                {"Via", endToEnd | noTrailer},
	NameMaxForwards:        {"Max-Forwards", endToEnd | noTrailer},
	NameForwarded:          {"Forwarded", endToEnd | noTrailer},
	NameXForwardedFor:      {"X-Forwarded-For", endToEnd | noTrailer},
	NameXForwardedHost:     {"X-Forwarded-Host", endToEnd | noTrailer},
	NameXForwardedPort:     {"X-Forwarded-Port", 0},
	NameXForwardedProto:    {"X-Forwarded-Proto", endToEnd | noTrailer},
	NameXRealIP:            {"X-Real-IP", endToEnd | noTrailer},
	NameCookie:             {"Cookie", endToEnd | noTrailer},
	NameSetCookie:          {"Set-Cookie", endToEnd | noTrailer},
	NameAuthorization:      {"Authorization", endToEnd | noTrailer},
	NamePriority:           {"Priority", 0},
	NameProxyStatus:        {"Proxy-Status", 0},
	NameSecWebSocketKey:    {"Sec-WebSocket-Key", 0},
	NameSecWebSocketAccept: {"Sec-WebSocket-Accept", 0},
	nameClose:              {"Close", 0},
	nameCacheControl:       {"Cache-Control", endToEnd | noTrailer},
	nameContentEncoding:    {"Content-Encoding", endToEnd | noTrailer},
	nameContentRange:       {"Content-Range", endToEnd | noTrailer},
	nameLocation:           {"Location", endToEnd | noTrailer},
	nameOrigin:             {"Origin", endToEnd | noTrailer},
	nameRange:              {"Range", endToEnd | noTrailer},

	lastTracked: {"Accept", 0}, {"Accept-Charset", 0}, {"Accept-Encoding", 0}, {"Accept-Language", 0}, {"Accept-Ranges", 0},
	{"Access-Control-Allow-Credentials", 0}, {"Access-Control-Allow-Headers", 0}, {"Access-Control-Allow-Methods", 0},
	{"Access-Control-Allow-Origin", 0}, {"Access-Control-Expose-Headers", 0}, {"Access-Control-Max-Age", 0},
	{"Access-Control-Request-Headers", 0}, {"Access-Control-Request-Method", 0}, {"Age", noTrailer}, {"Allow", 0}, {"Alt-Svc", 0},
	{"CF-Ray", 0}, {"Content-Disposition", 0}, {"Content-Language", 0}, {"Content-Location", noTrailer},
	{"Content-Security-Policy", 0}, {"DNT", 0}, {"Early-Data", 0}, {"ETag", 0}, {"Expires", noTrailer}, {"From", 0},
	{"Grpc-Accept-Encoding", 0}, {"Grpc-Encoding", 0}, {"Grpc-Message", 0}, {"Grpc-Status", 0}, {"Grpc-Timeout", 0},
	{"If-Match", noTrailer}, {"If-Modified-Since", noTrailer}, {"If-None-Match", noTrailer}, {"If-Range", noTrailer},
	{"If-Unmodified-Since", noTrailer}, {"Last-Modified", 0}, {"Link", 0}, {"Permissions-Policy", 0}, {"Pragma", noTrailer},
	{"Proxy-Authenticate", noTrailer}, {"Proxy-Authorization", noTrailer}, {"Referrer-Policy", 0}, {"Refresh", noTrailer},
	{"Retry-After", noTrailer}, {"Sec-CH-UA", 0}, {"Sec-CH-UA-Mobile", 0}, {"Sec-CH-UA-Platform", 0}, {"Sec-Fetch-Dest", 0},
	{"Sec-Fetch-Mode", 0}, {"Sec-Fetch-Site", 0}, {"Sec-Fetch-User", 0}, {"Sec-WebSocket-Extensions", 0},
	{"Sec-WebSocket-Protocol", 0}, {"Sec-WebSocket-Version", 0}, {"Server-Timing", 0}, {"Strict-Transport-Security", 0},
	{"Traceparent", 0}, {"Tracestate", 0}, {"Upgrade-Insecure-Requests", 0}, {"Vary", noTrailer}, {"Warning", noTrailer},
	{"WWW-Authenticate", noTrailer}, {"X-Content-Type-Options", 0}, {"X-Correlation-Id", 0}, {"X-Frame-Options", 0},
	{"X-Powered-By", 0}, {"X-Requested-With", 0}, {"X-XSS-Protection", 0},
}

// NumNames is the number of Names; every Name is below it.
const NumNames = len(nameList)

// names is how a Name is found: by a hash of its length, its first and its last
// eight letters, which is perfect for the names in nameList.
var names = func() (t [nameSlots]nameSlot) {
	for i, info := range nameList[1:] {
		first, last := ends([]byte(info.text))
		first, last = first|foldBit, last|foldBit
		t[slotOf(first, last, len(info.text), nameFactor)] = nameSlot{first, last, uint32(len(info.text)), Name(i + 1)}
	}
	return t
}()

// A nameSlot is a name of up to 16 letters, or the ends of a longer one, in lower
// case.
type nameSlot struct {
	first, last uint64
	length      uint32
	id          Name
}

// lowerNames has the names in lower case.
var lowerNames = func() (t [NumNames]string) {
	for i, info := range nameList {
		t[i] = string(AppendLower(nil, []byte(info.text)))
	}
	return t
}()

const (
	nameBits  = 9
	nameSlots = 1 << nameBits
)

// nameFactor gives each name a slot of its own. It was found by trying; the test that
// checks it says another one when names were added.
const nameFactor = 0x1cfa8301d27001e1

func slotOf(first, last uint64, length int, factor uint64) uint64 {
	return (first ^ last<<7 ^ uint64(length)) * factor >> (64 - nameBits)
}

const (
	foldBit  = 0x2020202020202020
	upperBit = 0x4040404040404040
)

// ends returns the first and the last eight bytes of name. In a shorter one they
// overlap, or are the same.
func ends(name []byte) (first, last uint64) {
	if n := len(name); n >= 8 {
		return binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
	} else if n >= 4 {
		first = uint64(binary.LittleEndian.Uint32(name)) | uint64(binary.LittleEndian.Uint32(name[n-4:]))<<32
	} else if n >= 2 {
		first = uint64(name[0]) | uint64(name[1])<<8 | uint64(name[n-1])<<16 | foldBit&^0xffffff
	}
	return first, first
}

// NameOf returns the number of name, in any case; NameOther when it has none.
//
// It folds the case by setting a bit, which is exact where a byte has that bit or is
// a letter: of the bytes with 0x40 only letters become letters. A byte that has
// neither bit is a control character, and would look like a digit or the hyphen.
func NameOf(name []byte) Name {
	first, last := ends(name)
	exact := (first | first<<1) & (last | last<<1) & upperBit
	first, last = first|foldBit, last|foldBit
	slot := &names[slotOf(first, last, len(name), nameFactor)]
	if slot.first != first || slot.last != last || int(slot.length) != len(name) || exact != upperBit {
		return NameOther
	}
	if len(name) > 16 && !EqualFold(name[8:len(name)-8], lowerNames[slot.id][8:len(name)-8]) {
		return NameOther
	}
	return slot.id
}

// NameOfString is NameOf for strings.
func NameOfString(name string) Name { return NameOf(bytesOf(name)) }

// bytesOf returns the bytes of s without copying them. They must not be written to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// String returns the name in lower case, "" for NameOther. It does not allocate.
func (n Name) String() string { return lowerNames[n] }

// ForbiddenInTrailers reports whether a field with that name must not be in a
// trailer section (RFC 9110 section 6.5.1).
func (n Name) ForbiddenInTrailers() bool { return nameList[n].rules&noTrailer != 0 }

// A NameSet is a set of Names. Those from 64 on, and NameOther, are one member.
type NameSet uint64

// SetOf returns the set of some of the constants of this package but NameOther. It
// panics for others: as the one member that they share they would stand for each
// other.
func SetOf(list ...Name) (s NameSet) {
	for _, n := range list {
		if !n.tracked() {
			panic("h1: SetOf wants constants: " + n.String())
		}
		s |= n.set()
	}
	return s
}

func (n Name) set() NameSet {
	if n >= lastTracked {
		n = NameOther
	}
	return 1 << (n & 63)
}

// tracked reports whether n is told apart from all others in a NameSet.
func (n Name) tracked() bool { return n > NameOther && n < lastTracked }

// withRule returns the tracked names that rule says something of.
func withRule(rule uint8) (s NameSet) {
	for n := NameOther + 1; n < lastTracked; n++ {
		if nameList[n].rules&rule != 0 {
			s |= n.set()
		}
	}
	return s
}

// LowerName returns name in lower case as a string that is valid for ever, without an
// allocation for the field names in common use.
func LowerName(name []byte) string {
	if id := NameOf(name); id != NameOther {
		return lowerNames[id]
	}
	return string(AppendLower(make([]byte, 0, len(name)), name))
}

// InternMethod returns method as a string, without an allocation for those in common
// use. It does not check it.
func InternMethod(method []byte) string { return internMethod("", method) }

// internMethod also returns last, when that is the same.
func internMethod(last string, b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "HEAD":
		return "HEAD"
	case "PUT":
		return "PUT"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	case "PATCH":
		return "PATCH"
	case "CONNECT":
		return "CONNECT"
	case "TRACE":
		return "TRACE"
	case "PROPFIND":
		return "PROPFIND"
	case "QUERY":
		return "QUERY"
	case "PURGE":
		return "PURGE"
	case "REPORT":
		return "REPORT"
	}
	if last == string(b) {
		return last
	}
	return string(b)
}
