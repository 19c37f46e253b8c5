package accesslog

import (
	"crypto/tls"
	"net/netip"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/pitag"
)

// noSession stands in for a record's session when there is none.
var noSession = &pitag.Session{}

// encodeAccess adds the fields of a transaction to e, in the promised order.
// zerolog escapes what is not safe in JSON and puts U+FFFD in the place of each
// byte that is not UTF-8, so that any bytes a client sends give a valid line.
func encodeAccess(e *zerolog.Event, r *httpsm.Record) {
	s := r.Session
	if s == nil {
		s = noSession
	}
	addHead(e, EventAccess, r.End, s.Identity)
	e.Uint32(fieldStream, r.Stream)
	e.Uint64(fieldTxn, r.Txn)
	addStr(e, fieldListener, s.Listener)
	addAddr(e, fieldClient, s.Client)
	addStr(e, fieldMethod, r.Method)
	addStr(e, fieldHost, r.Host)
	addStr(e, fieldPath, r.Path)
	if r.Status != 0 {
		e.Int(fieldStatus, r.Status)
	}
	addStr(e, fieldOutcome, string(r.Outcome))
	e.Int64(fieldBytesIn, r.BytesIn)
	e.Int64(fieldBytesOut, r.BytesOut)
	addMillis(e, fieldDuration, between(r.Start, r.End))
	if !r.FirstByte.IsZero() {
		addMillis(e, fieldTTFB, between(r.Start, r.FirstByte))
	}
	addStr(e, fieldRoute, r.Route)
	addStr(e, fieldOrigin, r.Origin)
	if r.OriginConn != 0 {
		e.Uint64(fieldOriginConn, r.OriginConn)
		e.Bool(fieldOriginReused, r.OriginReused)
	}
	e.Int(fieldRetries, r.Retries)
	addStr(e, fieldUserAgent, r.UserAgent)
	addStr(e, fieldRequestID, r.RequestID)
	addStr(e, fieldH2Error, r.H2Error)
}

// encodeSession adds the fields of a client connection to e.
func encodeSession(e *zerolog.Event, r *pitag.SessionRecord) {
	s := r.Session
	if s == nil {
		s = noSession
	}
	addHead(e, EventSession, r.End, s.Identity)
	addAddr(e, fieldClient, s.Client)
	addStr(e, fieldListener, s.Listener)
	if t := s.TLS; t != nil {
		// A handshake that failed may have a state without a version.
		if t.Version != 0 {
			e.Str(fieldTLSVersion, tls.VersionName(t.Version))
			e.Str(fieldTLSCipher, tls.CipherSuiteName(t.CipherSuite))
			e.Bool(fieldTLSResumed, t.DidResume)
		}
		addStr(e, fieldALPN, t.NegotiatedProtocol)
		addStr(e, fieldSNI, t.ServerName)
	}
	addMillis(e, fieldDuration, between(s.Start, r.End))
	e.Uint64(fieldStreams, r.Streams)
	e.Uint64(fieldStreamsPeak, r.StreamsPeak)
	e.Uint64(fieldStreamsRefused, r.StreamsRefused)
	e.Uint64(fieldResetsIn, r.ResetsIn)
	e.Uint64(fieldResetsOut, r.ResetsOut)
	e.Uint64(fieldBytesIn, r.BytesIn)
	e.Uint64(fieldBytesOut, r.BytesOut)
	addStr(e, fieldGoAway, r.GoAway)
	addStr(e, fieldCause, string(r.Cause))
}

// addHead adds what both events begin with.
func addHead(e *zerolog.Event, event string, at time.Time, id pitag.Identity) {
	e.Str(fieldEvent, event)
	var buf [40]byte
	e.RawJSON(fieldTS, appendTimestamp(buf[:0], at))
	addStr(e, fieldTag, id.Tag)
	if id.ID != 0 {
		e.Uint64(fieldID, id.ID)
	}
}

func addStr(e *zerolog.Event, name, value string) {
	if value != "" {
		e.Str(name, value)
	}
}

func addAddr(e *zerolog.Event, name string, a netip.AddrPort) {
	if !a.IsValid() {
		return
	}
	var buf [64]byte
	b := append(buf[:0], '"')
	// A zone (fe80::1%eth0) comes from the system and may be any text.
	if a.Addr().Zone() != "" {
		e.Str(name, a.String())
		return
	}
	e.RawJSON(name, append(a.AppendTo(b), '"'))
}

func addMillis(e *zerolog.Event, name string, d time.Duration) {
	var buf [32]byte
	e.RawJSON(name, appendMillis(buf[:0], d))
}

// between returns the time from start to end, or 0 where one of them is not
// known or the end is the earlier one.
func between(start, end time.Time) time.Duration {
	if start.IsZero() || end.IsZero() {
		return 0
	}
	return max(end.Sub(start), 0)
}

// appendTimestamp appends t as a JSON string. The layout with six decimals has
// no fast path in package time, RFC3339 has: the fraction is put in by hand.
func appendTimestamp(b []byte, t time.Time) []byte {
	t = t.UTC()
	b = append(b, '"')
	b = t.AppendFormat(b, time.RFC3339)
	b[len(b)-1] = '.' // was the Z
	b = appendPadded(b, uint64(t.Nanosecond()/1000), 6)
	return append(b, 'Z', '"')
}

// appendMillis appends d, which is not negative, as milliseconds with three
// decimals. Integers all the way: 0.1 never becomes 0.10000000000000001.
func appendMillis(b []byte, d time.Duration) []byte {
	us := uint64(d / time.Microsecond)
	b = strconv.AppendUint(b, us/1000, 10)
	b = append(b, '.')
	return appendPadded(b, us%1000, 3)
}

// appendPadded appends v with leading zeros to width digits.
func appendPadded(b []byte, v uint64, width int) []byte {
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; v > 0; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
	}
	return b
}
