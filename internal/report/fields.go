package report

import "errors"

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
