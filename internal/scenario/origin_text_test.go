package scenario

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// pseudonym is what is different for every gateway. The mark that stands for it
// has the same length, so that offsets stay.
var pseudonym = regexp.MustCompile(`h2gw-[0-9a-f]{8}`)

const pseudonymMark = "h2gw-########"

// webSocketKey is what the gateway makes up for every extended CONNECT. Where a
// case writes $key any will do, and $accept is the answer to the last.
var webSocketKey = regexp.MustCompile(`(Sec-WebSocket-Key: )([A-Za-z0-9+/]{22}==)`)

const keyMark = "######################=="

// maskedFor is masked, with the key hidden too if want does not name one.
func maskedFor(want string, b []byte) string {
	if strings.Contains(want, keyMark) {
		b = webSocketKey.ReplaceAll(b, []byte("${1}"+keyMark))
	}
	return masked(b)
}

// accept is the answer to the last Sec-WebSocket-Key in b (RFC 6455, 4.2.2).
func accept(b []byte) string {
	keys := webSocketKey.FindAllSubmatch(b, -1)
	if len(keys) == 0 {
		return "$accept"
	}
	sum := sha1.Sum(append(keys[len(keys)-1][2], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func masked(b []byte) string { return pseudonym.ReplaceAllString(string(b), pseudonymMark) }

// requestText is the request that "METHOD target [chunked] ["body"]" stands for,
// as the gateway writes it: Host, the fields given, its own fields, framing.
func (o *origin) requestText(it item) (string, error) {
	if isRaw(it) {
		items := []item{it}
		for _, s := range it.sub {
			items = append(items, item{it.where, s, nil})
		}
		items[0].sub = nil
		text, err := rawText(items)
		return o.fill(text), err
	}
	ws, err := words(it.text)
	if err != nil || len(ws) < 2 {
		return "", it.errorf("a request is METHOD target: %v", err)
	}
	body, _, err := bodyWord(ws)
	if err != nil {
		return "", it.errorf("%v", err)
	}
	target, err := expand(ws[1])
	if err != nil {
		return "", it.errorf("%v", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", ws[0], target)
	if len(it.sub) == 0 || !strings.HasPrefix(strings.ToLower(it.sub[0]), "host:") {
		b.WriteString("Host: example.com\r\n")
	}
	fields, err := parseFields(it.sub)
	if err != nil {
		return "", it.errorf("%v", err)
	}
	for _, f := range fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
	}
	b.WriteString("$added\r\n")
	if strings.Contains(it.text, " chunked") {
		b.WriteString("Transfer-Encoding: chunked\r\n")
		if body != "" {
			body = fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
		}
		body += "0\r\n\r\n"
	}
	return o.fill(b.String() + "\r\n" + body), nil
}

var hostLine = regexp.MustCompile(`(?im)^host: *([^\r\n]*)\r$`)

// fill replaces $added by the fields that the gateway adds to every request of
// a client on loopback, and $origin by the origin's address.
func (o *origin) fill(text string) string {
	version, scheme := "2", "https"
	switch o.proto {
	case protoHTTP, protoHTTPS:
		version = "1.1"
	}
	if o.proto == protoHTTP || o.proto == protoH2C {
		scheme = "http"
	}
	host := ""
	if m := hostLine.FindStringSubmatch(text); m != nil {
		host = m[1]
	}
	added := "Via: " + version + " " + pseudonymMark + "\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: " + scheme + "\r\nX-Forwarded-Host: " + host
	text = strings.ReplaceAll(text, "$added", added)
	text = strings.ReplaceAll(text, "$via", "Via: "+version+" "+pseudonymMark)
	text = strings.ReplaceAll(text, "$pseudonym", pseudonymMark)
	text = strings.ReplaceAll(text, "$key", keyMark)
	text = strings.ReplaceAll(text, "$scheme", scheme)
	return strings.ReplaceAll(text, "$origin", o.o.Addr())
}

// responseText is what `STATUS "body"` stands for.
func responseText(it item) (string, error) {
	ws, err := words(it.text)
	if err != nil || len(ws[0]) != 3 {
		return "", it.errorf(`the origin sends STATUS "body", raw lines, close, half-close or reset: %v`, err)
	}
	body, has, err := bodyWord(ws)
	if err != nil {
		return "", it.errorf("%v", err)
	}
	fields, err := parseFields(it.sub)
	if err != nil {
		return "", it.errorf("%v", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %s X\r\n", ws[0])
	for _, f := range fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
	}
	if has {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.String(), nil
}
