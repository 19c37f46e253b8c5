package report

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"time"
)

// A field is one of those that the report uses. The others are checked to be
// JSON and skipped.
type field uint8

// Text fields come first, then numbers, then the one truth value.
const (
	fEvent field = iota
	fTS
	fTag
	fClient
	fOutcome
	fOrigin
	fH2Error
	fGoAway
	fCause
	nTexts

	fID = iota - 1
	fStatus
	fBytesIn
	fBytesOut
	fOriginConn
	fRetries
	fStreams
	fStreamsPeak
	fStreamsRefused
	fResetsIn
	fResetsOut
	fDuration // microseconds, from here on
	fTTFB
	nNumbers

	fOriginReused = iota - 2
	fUnknown
)

// fieldNames is for messages; fieldOf is what reads names.
var fieldNames = [...]string{
	fEvent: "event", fTS: "ts", fTag: "pitag", fClient: "client", fOutcome: "outcome", fOrigin: "origin",
	fH2Error: "h2_error", fGoAway: "goaway", fCause: "cause", fID: "piid", fStatus: "status",
	fBytesIn: "bytes_in", fBytesOut: "bytes_out", fOriginConn: "origin_conn", fRetries: "retries",
	fStreams: "streams", fStreamsPeak: "streams_peak", fStreamsRefused: "streams_refused",
	fResetsIn: "resets_in", fResetsOut: "resets_out", fDuration: "duration_ms", fTTFB: "ttfb_ms",
	fOriginReused: "origin_reused",
}

// fieldOf is a switch and not a map: the compiler turns it into comparisons of
// length and word, several times faster than a hash.
func fieldOf(name []byte) field {
	switch string(name) {
	case "event":
		return fEvent
	case "ts":
		return fTS
	case "pitag":
		return fTag
	case "client":
		return fClient
	case "outcome":
		return fOutcome
	case "origin":
		return fOrigin
	case "h2_error":
		return fH2Error
	case "goaway":
		return fGoAway
	case "cause":
		return fCause
	case "piid":
		return fID
	case "status":
		return fStatus
	case "bytes_in":
		return fBytesIn
	case "bytes_out":
		return fBytesOut
	case "origin_conn":
		return fOriginConn
	case "retries":
		return fRetries
	case "streams":
		return fStreams
	case "streams_peak":
		return fStreamsPeak
	case "streams_refused":
		return fStreamsRefused
	case "resets_in":
		return fResetsIn
	case "resets_out":
		return fResetsOut
	case "duration_ms":
		return fDuration
	case "ttfb_ms":
		return fTTFB
	case "origin_reused":
		return fOriginReused
	}
	return fUnknown
}

// Why a line is broken. The set is closed and without details of the line, so
// that a broken log of any size costs nothing.
var (
	errNotObject  = errors.New("not a JSON object")
	errTruncated  = errors.New("truncated: the object does not end")
	errName       = errors.New("want a field name in quotes")
	errColon      = errors.New("want ':' after a field name")
	errComma      = errors.New("want ',' or '}' after a value")
	errString     = errors.New("string with a bad escape or a control character")
	errNumber     = errors.New("bad number")
	errValue      = errors.New("bad value")
	errAfter      = errors.New("something follows the object")
	errTooLong    = errors.New("longer than 1 MiB")
	errTime       = errors.New("field ts is not an RFC 3339 time")
	errStatusCode = errors.New("field status is not a number from 100 to 999")
)

// typeErrors has, for each field, what is said when its value has another type.
var typeErrors = func() (e [len(fieldNames)]error) {
	for f, name := range fieldNames {
		want := "a string"
		switch {
		case field(f) == fOriginReused:
			want = "true or false"
		case field(f) >= fDuration:
			want = "a number of milliseconds from 0 on"
		case field(f) == fID || field(f) == fOriginConn:
			want = "a whole number below 2^64"
		case field(f) >= field(nTexts):
			want = "a whole number from 0 to 2^53"
		}
		e[f] = errors.New("field " + name + " is not " + want)
	}
	return e
}()

// A line is one line of the log, taken apart. Its texts are views into the
// parsed bytes or into scratch: valid until the next parse.
type line struct {
	have    uint32 // one bit per field present
	texts   [nTexts][]byte
	numbers [nNumbers]uint64 // indexed by field; only those from nTexts on are used
	reused  bool
	bad     error // first field with a wrong type; matters only in our own events
	scratch []byte
}

// text returns the field's text, nil when absent.
func (l *line) text(f field) []byte {
	if l.have&(1<<f) == 0 {
		return nil
	}
	return l.texts[f]
}

// number returns the field's number, 0 when absent.
func (l *line) number(f field) uint64 {
	if l.have&(1<<f) == 0 {
		return 0
	}
	return l.numbers[f]
}

// has reports whether the line has the field, with a value other than null.
func (l *line) has(f field) bool { return l.have&(1<<f) != 0 }

// parse takes b, one line without its newline, apart. Of a field that appears
// more than once the last value counts, as in encoding/json.
func (l *line) parse(b []byte) error {
	l.have, l.bad, l.reused, l.scratch = 0, nil, false, l.scratch[:0]
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return errNotObject
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return l.end(b, i+1)
	}
	for {
		if i >= len(b) {
			return errTruncated
		}
		if b[i] != '"' {
			return errName
		}
		end, escaped := stringEnd(b, i+1)
		if end < 0 {
			return stringError(end)
		}
		name := b[i+1 : end]
		if escaped {
			name = appendUnescaped(nil, name)
		}
		if i = skipSpace(b, end+1); i >= len(b) {
			return errTruncated
		}
		if b[i] != ':' {
			return errColon
		}
		var err error
		if i, err = l.value(b, skipSpace(b, i+1), fieldOf(name)); err != nil {
			return err
		}
		if i = skipSpace(b, i); i >= len(b) {
			return errTruncated
		}
		switch b[i] {
		case ',':
			i = skipSpace(b, i+1)
		case '}':
			return l.end(b, i+1)
		default:
			return errComma
		}
	}
}

func stringError(end int) error {
	if end == noEnd {
		return errTruncated
	}
	return errString
}

func (l *line) end(b []byte, i int) error {
	if skipSpace(b, i) != len(b) {
		return errAfter
	}
	return nil
}

// value reads the value of f that begins at b[i] and returns the position after it.
func (l *line) value(b []byte, i int, f field) (int, error) {
	if i >= len(b) {
		return 0, errTruncated
	}
	switch c := b[i]; {
	case c == '"':
		end, escaped := stringEnd(b, i+1)
		if end < 0 {
			return 0, stringError(end)
		}
		if f < field(nTexts) {
			l.setText(f, b[i+1:end], escaped)
		} else {
			l.wrongType(f)
		}
		return end + 1, nil
	case c == '-' || c-'0' <= 9:
		n, end := scanNumber(b, i)
		if end < 0 {
			return 0, errNumber
		}
		if f >= field(nTexts) && f < field(nNumbers) {
			l.setNumber(f, n, b[i:end])
		} else {
			l.wrongType(f)
		}
		return end, nil
	case c == '{' || c == '[':
		end := skipNested(b, i)
		if end < 0 {
			return 0, errValue
		}
		l.wrongType(f)
		return end, nil
	}
	return l.literal(b, i, f)
}

// literal reads true, false or null.
func (l *line) literal(b []byte, i int, f field) (int, error) {
	rest := b[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("null")):
		if f < fUnknown { // as if it were not there
			l.have &^= 1 << f
		}
		return i + 4, nil
	case bytes.HasPrefix(rest, []byte("true")), bytes.HasPrefix(rest, []byte("false")):
		isTrue := b[i] == 't'
		if f == fOriginReused {
			l.reused = isTrue
			l.have |= 1 << f
		} else {
			l.wrongType(f)
		}
		if isTrue {
			return i + 4, nil
		}
		return i + 5, nil
	}
	return 0, errValue
}

func (l *line) wrongType(f field) {
	if f < fUnknown && l.bad == nil {
		l.bad = typeErrors[f]
	}
}

func (l *line) setText(f field, raw []byte, escaped bool) {
	if escaped {
		at := len(l.scratch)
		l.scratch = appendUnescaped(l.scratch, raw)
		raw = l.scratch[at:len(l.scratch):len(l.scratch)]
	}
	l.texts[f] = raw
	l.have |= 1 << f
}

// setNumber stores n, written as text: whole numbers exactly, durations, which
// the log has in milliseconds, as microseconds.
func (l *line) setNumber(f field, n number, text []byte) {
	v, ok := n.digits, !n.neg || n.digits == 0
	switch {
	case f >= fDuration:
		var good bool
		v, good = micros(n, text)
		ok = ok && good
	case n.odd:
		var err error
		v, err = strconv.ParseUint(string(text), 10, 64)
		ok = err == nil
	case n.scale != 0 || n.neg:
		ok = false
	}
	// Amounts beyond this are not of this world, and sums of them would overflow.
	if f != fID && f != fOriginConn && v > 1<<53 {
		ok = false
	}
	if !ok {
		l.wrongType(f)
		return
	}
	l.numbers[f] = v
	l.have |= 1 << f
}

// micros returns a number of milliseconds as whole microseconds, rounded.
func micros(n number, text []byte) (us uint64, ok bool) {
	if n.odd || n.scale > 15 || n.digits > math.MaxUint64/1000 {
		ms, err := strconv.ParseFloat(string(text), 64)
		if err != nil || ms < 0 || ms > maxMicros/1000 {
			return maxMicros, err == nil && ms >= 0
		}
		return uint64(math.Round(ms * 1000)), true
	}
	us = n.digits * 1000
	if n.scale > 0 {
		p := pow10[n.scale]
		us = (us + p/2) / p
	}
	return min(us, maxMicros), true
}

// maxMicros bounds durations at 100 days, the range of the histograms: a client
// connection may live that long, and a nonsense value cannot spoil a sum.
const maxMicros = 100 * 24 * 3600 * 1e6

var pow10 = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// A clock reads times. It remembers the last day: nearly all lines share it.
type clock struct {
	day   [10]byte
	since int64 // microseconds from the epoch to that day
}

// read returns the microseconds since the epoch of an RFC 3339 time.
func (c *clock) read(b []byte) (int64, bool) {
	const layout = "2006-01-02T15:04:05.000000Z"
	if len(b) != len(layout) || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != '.' || b[26] != 'Z' {
		return readSlowly(b)
	}
	h, ok1 := decimal(b[11:13])
	m, ok2 := decimal(b[14:16])
	s, ok3 := decimal(b[17:19])
	us, ok4 := decimal(b[20:26])
	if !ok1 || !ok2 || !ok3 || !ok4 || h > 23 || m > 59 || s > 59 {
		return 0, false
	}
	if string(b[:10]) != string(c.day[:]) {
		day, err := time.Parse(time.DateOnly, string(b[:10]))
		if err != nil {
			return 0, false
		}
		copy(c.day[:], b)
		c.since = day.UnixMicro()
	}
	return c.since + ((h*60+m)*60+s)*1e6 + us, true
}

func readSlowly(b []byte) (int64, bool) {
	t, err := time.Parse(time.RFC3339Nano, string(b))
	return t.UnixMicro(), err == nil
}

func decimal(b []byte) (v int64, ok bool) {
	for _, c := range b {
		if c -= '0'; c > 9 {
			return 0, false
		}
		v = v*10 + int64(c)
	}
	return v, true
}
