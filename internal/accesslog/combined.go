package accesslog

import (
	"strconv"

	"github.com/h2gw/h2gw/httpsm"
)

var starts = secondText{layout: "02/Jan/2006:15:04:05 -0700"}

// appendCombined appends the line of a transaction in Apache's combined format,
//
//	%h - - %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"
//
// with pitag, piid and stream appended, and the newline. Here, unlike in JSON,
// an absent value has to hold its place: it is "-", and the absent tag "*".
func appendCombined(b []byte, r *httpsm.Record) []byte {
	s := r.Session
	if s == nil {
		s = noSession
	}
	switch a := s.Client.Addr(); {
	case !a.IsValid():
		b = append(b, '-')
	case a.Zone() != "": // fe80::1%eth0: the zone may be any text
		b = appendEscaped(b, a.String(), true)
	default:
		b = a.AppendTo(b)
	}
	b = append(b, " - - ["...)
	b = append(b, starts.of(r.Start)...)
	b = append(b, `] "`...)
	b = appendRequestLine(b, r)
	b = append(b, `" `...)
	b = appendCount(b, int64(r.Status))
	b = append(b, ' ')
	b = appendCount(b, r.BytesOut)
	b = append(b, ` "`...)
	b = appendQuoted(b, r.Referer)
	b = append(b, `" "`...)
	b = appendQuoted(b, r.UserAgent)
	b = append(b, `" `...)
	b = appendEscaped(b, s.Identity.TagText(), true)
	b = append(b, ' ')
	b = strconv.AppendUint(b, s.Identity.ID, 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(r.Stream), 10)
	return append(b, '\n')
}

// appendRequestLine appends what stands for the request line, with the
// protocol that the client spoke.
func appendRequestLine(b []byte, r *httpsm.Record) []byte {
	if r.Method == "" {
		return append(b, '-')
	}
	b = appendEscaped(b, r.Method, true)
	b = append(b, ' ')
	b = appendEscaped(b, r.Path, true)
	if r.Proto != "" {
		b = append(b, ' ')
		b = appendEscaped(b, r.Proto, true)
	}
	return b
}

// appendCount appends n, or "-" for none, as %b does.
func appendCount(b []byte, n int64) []byte {
	if n <= 0 {
		return append(b, '-')
	}
	return strconv.AppendInt(b, n, 10)
}

func appendQuoted(b []byte, s string) []byte {
	if s == "" {
		return append(b, '-')
	}
	return appendEscaped(b, s, false)
}

// appendEscaped appends s as Apache's mod_log_config does since 2.0.46: what
// could end the field or the line, or drive a terminal, becomes \" \\ or \xhh.
// With bare set, a space is escaped too, for a field that no quotes enclose.
func appendEscaped(b []byte, s string, bare bool) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f || bare && c == ' ':
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
