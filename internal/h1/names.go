package h1

// Names that appear in most messages, lower case. What is listed here is turned into
// a string without an allocation.
var commonNames = nameSet(
	"accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges",
	"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
	"access-control-allow-origin", "access-control-expose-headers", "access-control-max-age",
	"access-control-request-headers", "access-control-request-method", "age", "allow", "alt-svc",
	"authorization", "cache-control", "cf-ray", "connection", "content-disposition", "content-encoding",
	"content-language", "content-length", "content-location", "content-range", "content-security-policy",
	"content-type", "cookie", "date", "dnt", "early-data", "etag", "expect", "expires", "forwarded", "from",
	"grpc-accept-encoding", "grpc-encoding", "grpc-message", "grpc-status", "grpc-timeout", "host",
	"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive",
	"last-modified", "link", "location", "max-forwards", "origin", "permissions-policy", "pragma", "priority",
	"proxy-authenticate", "proxy-authorization", "proxy-connection", "proxy-status", "range", "referer",
	"referrer-policy", "refresh", "retry-after", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform",
	"sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "server", "server-timing",
	"set-cookie", "strict-transport-security", "te", "traceparent", "tracestate", "trailer",
	"transfer-encoding", "upgrade", "upgrade-insecure-requests", "user-agent", "vary", "via",
	"www-authenticate", "x-content-type-options", "x-correlation-id", "x-forwarded-for", "x-forwarded-host",
	"x-forwarded-proto", "x-frame-options", "x-powered-by", "x-real-ip", "x-request-id", "x-requested-with",
	"x-xss-protection",
)

// A names is a set of lower-case names, looked up in any case without allocating and
// without lower-casing first: a hash table with open addressing, filled once. A map
// costs three times as much, for each field of each message.
type names [1 << nameBits]string

const nameBits = 8

func nameSet(list ...string) *names {
	t := new(names)
	for _, n := range list {
		i := slotOf([]byte(n))
		for t[i] != "" {
			i = (i + 1) % len(t)
		}
		t[i] = n
	}
	return t
}

// slotOf mixes the length and three letters, which tell names apart well enough.
func slotOf(name []byte) int {
	n := len(name)
	if n == 0 {
		return 0
	}
	h := uint32(lower[name[0]]) | uint32(lower[name[n/2]])<<8 | uint32(lower[name[n-1]])<<16 | uint32(n)<<24
	return int(h * 0x9e3779b1 >> (32 - nameBits))
}

// find returns the one string of the set for name.
func (t *names) find(name []byte) (string, bool) {
	for i := slotOf(name); t[i] != ""; i = (i + 1) % len(t) {
		if EqualFold(name, t[i]) {
			return t[i], true
		}
	}
	return "", false
}

// LowerName returns name in lower case as a string that is valid for ever, without an
// allocation for the field names in common use.
func LowerName(name []byte) string {
	if s, ok := commonNames.find(name); ok {
		return s
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
