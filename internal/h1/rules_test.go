package h1

import (
	"bytes"
	"strings"
	"testing"
)

func TestBytesOfTokensValuesAndTargets(t *testing.T) {
	for c := range 256 {
		b := []byte{'a', byte(c), 'a'}
		visible := c > ' ' && c < 0x7f
		token := visible && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c))
		if ValidName(b) != token || ValidMethod(b) != token {
			t.Errorf("%#x in a token: %v", c, ValidName(b))
		}
		if want := visible && !strings.ContainsRune(`#"<>`, rune(c)); ValidTarget(b) != want {
			t.Errorf("%#x in a target: %v", c, ValidTarget(b))
		}
		if want := c == '\t' || c >= ' ' && c != 0x7f; ValidValue(b) != want {
			t.Errorf("%#x in a value: %v", c, ValidValue(b))
		}
		if want := visible || c >= 0x80; ValidValue([]byte{byte(c)}) != want {
			t.Errorf("%#x as a value: %v", c, !want)
		}
	}
	if ValidName(nil) || ValidMethod(nil) || ValidTarget(nil) || !ValidValue(nil) {
		t.Error("empty: only a value may be")
	}
}

// The scan of values looks at eight bytes at a time: every byte at every place of a
// word, beside every kind of neighbour, has to be judged as the table judges it.
func TestTheFastScanAgreesWithTheTable(t *testing.T) {
	for _, fill := range []byte{' ', '\t', 'a', 0x7e, 0x80, 0xff, 0x1f, 0x20} {
		for size := range 20 {
			b := bytes.Repeat([]byte{fill}, size)
			for at := range size {
				for c := range 256 {
					b[at] = byte(c)
					want := 0
					for want < size && class[b[want]]&isValue != 0 {
						want++
					}
					if got := scanValue(b, 0); got != want {
						t.Fatalf("% x: stops at %d, want %d", b, got, want)
					}
				}
				b[at] = fill
			}
		}
	}
}

func TestValidHost(t *testing.T) {
	good := []string{
		"h", "h:80", "h:0", "h:65535", "example.com", "EXAMPLE.com.", "a_b.example", "xn--bcher-kva.example:443", "127.0.0.1", "127.0.0.1:8080",
		"[::1]", "[::1]:443", "[2001:db8::a:1]", "[::ffff:1.2.3.4]:80", "a~b", "a%20b", "1",
	}
	bad := []string{
		"", ":", ":80", "h:", "h:a", "h:-1", "h:+1", "h:65536", "h:000080", "h:80:80", "u@h", "h/", "/h", "h?", "h#", "h ", " h", "a b", "a,b", "a;b", "a\\b",
		"h\x00", "h\r\n", "\x80", "h%", "h%2", "h%zz", "[", "]", "[]", "[]:80", "[::1", "::1", "[::1]x", "[::1]:", "[::1]:x", "[::1%25eth0]", "[::1%eth0]",
		"[1.2.3.4]", "[v1.a]", "[:::]", "[g::]", "[[::1]]", "[1:2:3:4:5:6:7:8:9]", "a[::1]", "http://h", "h\"", "<h>", "*",
	}
	for _, h := range good {
		if !ValidHost([]byte(h)) {
			t.Errorf("%q is refused", h)
		}
	}
	for _, h := range bad {
		if ValidHost([]byte(h)) {
			t.Errorf("%q is accepted", h)
		}
	}
}

func TestEqualFoldIsASCII(t *testing.T) {
	if !EqualFold([]byte("hOsT"), "host") || EqualFold([]byte("hos"), "host") || EqualFold([]byte("@["), "`{") ||
		EqualFold([]byte("\u212a"), "k") || EqualFold([]byte("\xc3"), "\xe3") {
		t.Error("EqualFold folds more or less than A to Z")
	}
}

func TestReasonPhrases(t *testing.T) {
	for status, want := range map[int]string{200: "OK", 421: "Misdirected Request", 503: "Service Unavailable", 299: "", -1: "", 600: "", 1 << 20: ""} {
		if got := ReasonPhrase(status); got != want {
			t.Errorf("%d is %q", status, got)
		}
	}
}
