package pitag

import (
	"fmt"
	"strconv"
	"strings"
)

// AbsentTag is how a missing tag is written in text forms, as Apache Traffic
// Server writes it in its log field pitag.
const AbsentTag = "*"

// Tags of the client protocols: the ALPN protocol ids of RFC 7301's registry.
// TagH2C is never negotiated (RFC 9113, 3.1 retired it from ALPN); it names
// HTTP/2 over cleartext TCP begun with prior knowledge.
const (
	TagH2    = "h2"
	TagH2C   = "h2c"
	TagHTTP1 = "http/1.1"
)

// An Identity names the session behind a transaction: the protocol tag ("h2")
// and the session's numeric id. The zero Identity means "not set". Identities
// are plain values: compare them with ==, use them as map keys, copy them
// freely.
//
// Source: TSHttpConnectWithPluginId(addr, tag, id), log fields pitag and piid.
type Identity struct {
	// Tag is the class: the client session's protocol as its ALPN string.
	// Empty means absent; text forms then show [AbsentTag].
	Tag string
	// ID is the number of the session. Ids handed out by a Sequence start at
	// 1; 0 means "not set".
	ID uint64
}

// IsZero reports whether neither tag nor id is set.
func (i Identity) IsZero() bool { return i.Tag == "" && i.ID == 0 }

// TagText returns the tag as text forms show it: [AbsentTag] when absent.
func (i Identity) TagText() string {
	if i.Tag == "" {
		return AbsentTag
	}
	return i.Tag
}

// AppendText appends the text form "tag#id" to b: "h2#17", or "*#0" when
// nothing is set. It never fails; the error is there for
// [encoding.TextAppender].
func (i Identity) AppendText(b []byte) ([]byte, error) {
	b = append(b, i.TagText()...)
	b = append(b, '#')
	return strconv.AppendUint(b, i.ID, 10), nil
}

// MarshalText returns the text form of AppendText.
func (i Identity) MarshalText() ([]byte, error) { return i.AppendText(nil) }

// String returns the text form "tag#id" of AppendText.
func (i Identity) String() string {
	b, _ := i.AppendText(make([]byte, 0, len(i.Tag)+22))
	return string(b)
}

// UnmarshalText sets i from the form that AppendText writes. On an error, which
// says what was read and what would be right, i is unchanged.
func (i *Identity) UnmarshalText(text []byte) error {
	s := string(text)
	// The last '#' separates: a tag may hold one, a decimal number cannot.
	at := strings.LastIndexByte(s, '#')
	if at < 0 {
		return fmt.Errorf("pitag: identity %q has no '#': want TAG#ID, such as h2#17 or *#0", s)
	}
	tag := s[:at]
	if tag == "" {
		return fmt.Errorf("pitag: identity %q has an empty tag: write %s for an absent one", s, AbsentTag)
	}
	id, err := strconv.ParseUint(s[at+1:], 10, 64)
	if err != nil {
		return fmt.Errorf("pitag: identity %q has id %q: want a decimal number below 2^64", s, s[at+1:])
	}
	if tag == AbsentTag {
		tag = ""
	}
	*i = Identity{Tag: tag, ID: id}
	return nil
}
