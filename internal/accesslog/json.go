package accesslog

import (
	"crypto/tls"
	"net/netip"
	"strconv"
	"time"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/pitag"
)

// Lines are made by hand: a line is written for each request, and a general encoder
// spends most of its time on names that are known before the program starts.

// noSession stands in for a record's session when there is none.
var noSession = &pitag.Session{}

// What stands around the name of a field that is not the first.
const (
	pre  = `,"`
	post = `":`
)

// appendAccess appends the line of a transaction, newline included, with the fields
// in the promised order.
func appendAccess(b []byte, r *httpsm.Record) []byte {
	s := r.Session
	if s == nil {
		s = noSession
	}
	b = appendHead(b, EventAccess, r.End, s.Identity)
	b = appendUint(b, pre+fieldStream+post, uint64(r.Stream))
	b = appendUint(b, pre+fieldTxn+post, r.Txn)
	b = appendStr(b, pre+fieldListener+post, s.Listener)
	b = appendAddr(b, pre+fieldClient+post, s.Client)
	b = appendStr(b, pre+fieldMethod+post, r.Method)
	b = appendStr(b, pre+fieldHost+post, r.Host)
	b = appendStr(b, pre+fieldPath+post, r.Path)
	if r.Status != 0 {
		b = appendInt(b, pre+fieldStatus+post, int64(r.Status))
	}
	b = appendStr(b, pre+fieldOutcome+post, string(r.Outcome))
	b = appendInt(b, pre+fieldBytesIn+post, r.BytesIn)
	b = appendInt(b, pre+fieldBytesOut+post, r.BytesOut)
	b = appendMillis(append(b, pre+fieldDuration+post...), between(r.Start, r.End))
	if !r.FirstByte.IsZero() {
		b = appendMillis(append(b, pre+fieldTTFB+post...), between(r.Start, r.FirstByte))
	}
	b = appendStr(b, pre+fieldRoute+post, r.Route)
	b = appendStr(b, pre+fieldOrigin+post, r.Origin)
	if r.OriginConn != 0 {
		b = appendUint(b, pre+fieldOriginConn+post, r.OriginConn)
		b = appendBool(b, pre+fieldOriginReused+post, r.OriginReused)
	}
	b = appendInt(b, pre+fieldRetries+post, int64(r.Retries))
	b = appendStr(b, pre+fieldUserAgent+post, r.UserAgent)
	b = appendStr(b, pre+fieldRequestID+post, r.RequestID)
	b = appendStr(b, pre+fieldH2Error+post, r.H2Error)
	return append(b, "}\n"...)
}

// appendSession appends the line of a client connection.
func appendSession(b []byte, r *pitag.SessionRecord) []byte {
	s := r.Session
	if s == nil {
		s = noSession
	}
	b = appendHead(b, EventSession, r.End, s.Identity)
	b = appendAddr(b, pre+fieldClient+post, s.Client)
	b = appendStr(b, pre+fieldListener+post, s.Listener)
	if t := s.TLS; t != nil {
		// A handshake that failed may have a state without a version.
		if t.Version != 0 {
			b = appendStr(b, pre+fieldTLSVersion+post, tls.VersionName(t.Version))
			b = appendStr(b, pre+fieldTLSCipher+post, tls.CipherSuiteName(t.CipherSuite))
			b = appendBool(b, pre+fieldTLSResumed+post, t.DidResume)
		}
		b = appendStr(b, pre+fieldALPN+post, t.NegotiatedProtocol)
		b = appendStr(b, pre+fieldSNI+post, t.ServerName)
	}
	b = appendMillis(append(b, pre+fieldDuration+post...), between(s.Start, r.End))
	b = appendUint(b, pre+fieldStreams+post, r.Streams)
	b = appendUint(b, pre+fieldStreamsPeak+post, r.StreamsPeak)
	b = appendUint(b, pre+fieldStreamsRefused+post, r.StreamsRefused)
	b = appendUint(b, pre+fieldResetsIn+post, r.ResetsIn)
	b = appendUint(b, pre+fieldResetsOut+post, r.ResetsOut)
	b = appendUint(b, pre+fieldBytesIn+post, r.BytesIn)
	b = appendUint(b, pre+fieldBytesOut+post, r.BytesOut)
	b = appendStr(b, pre+fieldGoAway+post, r.GoAway)
	b = appendStr(b, pre+fieldCause+post, string(r.Cause))
	return append(b, "}\n"...)
}

// appendHead appends what both events begin with.
func appendHead(b []byte, event string, at time.Time, id pitag.Identity) []byte {
	b = append(b, `{"`+fieldEvent+`":"`...)
	b = append(b, event...)
	b = append(b, `","`+fieldTS+`":`...)
	b = appendTimestamp(b, at)
	b = appendStr(b, pre+fieldTag+post, id.Tag)
	if id.ID != 0 {
		b = appendUint(b, pre+fieldID+post, id.ID)
	}
	return b
}

// appendStr appends a field, unless its value is absent.
func appendStr(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(b, name...), '"')
	return append(appendText(b, value), '"')
}

func appendUint(b []byte, name string, v uint64) []byte {
	return strconv.AppendUint(append(b, name...), v, 10)
}

func appendInt(b []byte, name string, v int64) []byte {
	return strconv.AppendInt(append(b, name...), v, 10)
}

func appendBool(b []byte, name string, v bool) []byte {
	return strconv.AppendBool(append(b, name...), v)
}

func appendAddr(b []byte, name string, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return b
	}
	// A zone (fe80::1%eth0) comes from the system and may be any text.
	if a.Addr().Is6() && a.Addr().Zone() != "" {
		return appendStr(b, name, a.String())
	}
	return append(a.AppendTo(append(append(b, name...), '"')), '"')
}

// between returns the time from start to end, or 0 where one of them is not
// known or the end is the earlier one.
func between(start, end time.Time) time.Duration {
	if start.IsZero() || end.IsZero() {
		return 0
	}
	return max(end.Sub(start), 0)
}

var stamps = secondText{layout: `"2006-01-02T15:04:05.`}

// appendTimestamp appends t as a JSON string. The layout with six decimals has no
// fast path in package time.
func appendTimestamp(b []byte, t time.Time) []byte {
	b = append(b, stamps.of(t)...)
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
