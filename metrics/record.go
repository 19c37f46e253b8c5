package metrics

import (
	"crypto/tls"
	"strconv"
	"time"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/pitag"
)

// Record counts a transaction that has ended. It does not block, allocate in
// steady state, or keep r.
func (m *Metrics) Record(r *httpsm.Record) {
	k := kind{
		method: methodIndex(r.Method), status: r.Status, outcome: string(r.Outcome),
		originStatus: r.OriginStatus, group: r.Group, origin: r.Origin,
	}
	times := [2]time.Duration{between(r.Start, r.End), -1}
	if !r.FirstByte.IsZero() {
		times[1] = between(r.Start, r.FirstByte)
	}
	m.tally.count(k.session(r.Session), &k, &times)
}

// Refused counts a stream that was refused before a transaction existed. It is
// in the counters of streams, requests and outcomes, and not in the histograms:
// it took no time, and would make a flood look like a fast service. It does not
// block or keep r.
func (m *Metrics) Refused(r *h2session.Refusal) {
	k := kind{method: methodIndex(r.Method), status: r.Status, outcome: r.Outcome}
	m.tally.count(k.session(r.Session), &k, nil)
}

// session sets the protocol of k, and returns the number of the client connection;
// s may be nil.
func (k *kind) session(s *pitag.Session) (id uint64) {
	if s == nil {
		k.proto = protoAbsent
		return 0
	}
	k.proto = protoIndex(s.Identity.Tag)
	return s.Identity.ID
}

// SessionOpened counts a client connection as open. The caller promises one
// SessionClosed for each, with the same session.
func (m *Metrics) SessionOpened(s *pitag.Session) {
	proto, listener := protoName(s.Identity.Tag), m.listeners.label(s.Listener)
	m.connections.WithLabelValues(proto, listener).Inc()
	m.connectionsActive.WithLabelValues(proto, listener).Inc()
}

// SessionClosed counts the end of a client connection. It does not keep r.
func (m *Metrics) SessionClosed(r *pitag.SessionRecord) {
	if r.Session == nil {
		return // was never opened
	}
	proto := protoName(r.Identity.Tag)
	m.connectionsClosed.WithLabelValues(proto, m.causes.label(string(r.Cause))).Inc()
	m.connectionDuration.WithLabelValues(proto).Observe(seconds(r.Start, r.End))
	m.connectionStreams.WithLabelValues(proto).Observe(float64(r.Streams))
	// Last: whoever has seen that none is active finds everything counted in
	// the next scrape.
	m.connectionsActive.WithLabelValues(proto, m.listeners.label(r.Listener)).Dec()
}

// TLSHandshake counts a handshake that has ended: version as in
// tls.ConnectionState, 0 when none was agreed on; result from HandshakeResult.
func (m *Metrics) TLSHandshake(version uint16, resumed bool, result string) {
	m.handshakes.WithLabelValues(versionLabel(version), strconv.FormatBool(resumed), m.results.label(result)).Inc()
}

// versionLabel names the versions that crypto/tls can speak.
func versionLabel(v uint16) string {
	switch v {
	case 0:
		return absent
	case tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13:
		return tls.VersionName(v)
	}
	return other
}

// between returns the time from start to end, or 0 when one of them is unknown or
// the end is the earlier one.
func between(start, end time.Time) time.Duration {
	if start.IsZero() || end.IsZero() {
		return 0
	}
	return max(end.Sub(start), 0)
}

func seconds(start, end time.Time) float64 { return between(start, end).Seconds() }
