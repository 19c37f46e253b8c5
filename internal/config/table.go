package config

import (
	"slices"
	"time"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm/origin"
)

// A Setting is one row of the table: a name operators may script against.
type Setting struct {
	// Name is "group.name".
	Name string
	// Kind says how values are written.
	Kind Kind
	// Default is the value in text form; parsing it gives what Defaults holds.
	Default string
	// Min and Max bound the value, in nanoseconds, bytes or pieces; both
	// inclusive. Those of a Rate are as packRate makes them.
	Min, Max int64
	// CanBeOff says whether "off" is a value.
	CanBeOff bool
	// Doc is what expires or is bounded and what the peer sees, in one line of
	// Markdown.
	Doc string

	// field finds the value in Settings; durations live as *time.Duration.
	field func(*Settings) any
}

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
	day = 24 * int64(time.Hour)
	kib = int64(1) << 10
	mib = int64(1) << 20
	tib = int64(1) << 40
)

// Table returns every setting, in the order of the documentation. The slice is
// the caller's.
func Table() []Setting {
	return slices.Concat(timeoutSettings(), limitSettings(), originSettings(), tlsSettings(), floodSettings())
}

func timeoutSettings() []Setting {
	d := func(name, def string, min int64, off bool, field func(*Timeouts) *time.Duration, doc string) Setting {
		return Setting{Name: "timeouts." + name, Kind: Duration, Default: def, Min: min, Max: 365 * day, CanBeOff: off, Doc: doc,
			field: func(s *Settings) any { return field(&s.Timeouts) }}
	}
	return []Setting{
		d("handshake", "10s", 10*ms, false, func(t *Timeouts) *time.Duration { return &t.Handshake },
			"The TLS handshake. The connection is closed."),
		d("preface", "10s", 10*ms, false, func(t *Timeouts) *time.Duration { return &t.Preface },
			"The HTTP/2 preface and first SETTINGS, or the first byte of HTTP/1.1. The connection is closed."),
		d("request_head", "10s", 10*ms, false, func(t *Timeouts) *time.Duration { return &t.RequestHead },
			"A request head, CONTINUATION included. 408, or GOAWAY on HTTP/2, where the HPACK state is lost."),
		d("request_body_idle", "30s", 10*ms, true, func(t *Timeouts) *time.Duration { return &t.RequestBodyIdle },
			"No byte of a request body came. 408 or RST_STREAM."),
		d("write_stall", "30s", 10*ms, true, func(t *Timeouts) *time.Duration { return &t.WriteStall },
			"The client reads nothing although it owes a read or a window. The stream, then the session, is closed."),
		d("session_idle", "120s", 10*ms, true, func(t *Timeouts) *time.Duration { return &t.SessionIdle },
			"No stream is open. GOAWAY, then close."),
		d("session_age", "off", sec, true, func(t *Timeouts) *time.Duration { return &t.SessionAge },
			"The age of a client connection. GOAWAY, jittered."),
		d("connect", "5s", ms, false, func(t *Timeouts) *time.Duration { return &t.Connect },
			"Connecting to an origin: name, TCP, TLS. 504 after retries."),
		d("response_head", "60s", ms, true, func(t *Timeouts) *time.Duration { return &t.ResponseHead },
			"The origin's response head. 504."),
		d("response_body_idle", "60s", ms, true, func(t *Timeouts) *time.Duration { return &t.ResponseBodyIdle },
			"No byte of a response body came. RST_STREAM(INTERNAL_ERROR), or the connection is cut."),
		d("tunnel_idle", "1h", 10*ms, true, func(t *Timeouts) *time.Duration { return &t.TunnelIdle },
			"No byte passed a WebSocket, in either direction. RST_STREAM(CANCEL), or the connection is cut."),
		d("origin_idle", "60s", ms, true, func(t *Timeouts) *time.Duration { return &t.OriginIdle },
			"A kept-alive origin connection that is not used. `off`: connections are not kept."),
		d("drain", "30s", 0, false, func(t *Timeouts) *time.Duration { return &t.Drain },
			"From TERM to exit. What is still open then is aborted."),
	}
}

func limitSettings() []Setting {
	l := func(name string, kind Kind, def string, min, max int64, off bool, field func(*Limits) *int64, doc string) Setting {
		return Setting{Name: "limits." + name, Kind: kind, Default: def, Min: min, Max: max, CanBeOff: off, Doc: doc,
			field: func(s *Settings) any { return field(&s.Limits) }}
	}
	return []Setting{
		l("request_head", Size, "64KiB", kib, 16*mib, false, func(l *Limits) *int64 { return &l.RequestHead },
			"A request's line and fields together. 431."),
		l("response_head", Size, "64KiB", kib, 16*mib, false, func(l *Limits) *int64 { return &l.ResponseHead },
			"A response's line and fields together. 502."),
		l("fields", Count, "128", 1, 65536, false, func(l *Limits) *int64 { return &l.Fields },
			"Field lines in one head. 431."),
		l("target", Size, "16KiB", 64, 16*mib, false, func(l *Limits) *int64 { return &l.Target },
			"The request target. 414."),
		l("request_body", Size, "off", 0, 1024*tib, true, func(l *Limits) *int64 { return &l.RequestBody },
			"A request body. 413."),
		l("request_body_rate", Size, "240B", 1, tib, true, func(l *Limits) *int64 { return &l.RequestBodyRate },
			"Bytes a second of a request body, on an average over `timeouts.request_body_idle`, while the client is waited for and its response has not begun. 408."),
		l("streams", Count, "250", 1, 1<<20, false, func(l *Limits) *int64 { return &l.Streams },
			"Concurrent streams per HTTP/2 session. REFUSED_STREAM, safe to retry."),
		l("sessions", Count, "100000", 1, 1<<30, true, func(l *Limits) *int64 { return &l.Sessions },
			"Client connections in all. The connection is closed."),
		l("sessions_per_client", Count, "off", 1, 1<<30, true, func(l *Limits) *int64 { return &l.SessionsPerClient },
			"Client connections from one IPv4 address or IPv6 /64. The connection is closed."),
		l("origin_connections", Count, "1024", 1, 1<<20, false, func(l *Limits) *int64 { return &l.OriginConnections },
			"Connections to one endpoint. Beyond it requests wait, then 503."),
		l("memory", Size, "1GiB", mib, tib, true, func(l *Limits) *int64 { return &l.Memory },
			"Bytes buffered by all client connections. REFUSED_STREAM for new streams; from twice as many on, new connections are closed."),
		l("session_memory", Size, "32MiB", mib, tib, true, func(l *Limits) *int64 { return &l.SessionMemory },
			"Bytes buffered by one HTTP/2 session. REFUSED_STREAM for its new streams."),
	}
}

func originSettings() []Setting {
	return []Setting{{
		Name: "origin.pipeline", Kind: Count, Default: "off", Min: 0, Max: origin.MaxPipeline, CanBeOff: true,
		Doc: "Requests outstanding at once on one connection to an origin: GET, HEAD and OPTIONS without a body, of all clients, " +
			"are written one behind the other and answered in that order. `off`, 0 and 1: one at a time. Only for origins that you control.",
		field: func(s *Settings) any { return &s.Origins.Pipeline },
	}}
}

func tlsSettings() []Setting {
	return []Setting{{
		Name: "tls.misdirected", Kind: Switch, Default: "on", Min: 1, Max: 1, CanBeOff: true,
		Doc: "A request over TLS for a host that is neither the name in the client's SNI nor in the certificate. 421. " +
			"Not looked at when the client sent no SNI, nor with `--self-signed`.",
		field: func(s *Settings) any { return &s.TLS.Misdirected },
	}}
}

// Defaults returns the settings as they are when none is set.
func Defaults() Settings {
	var s Settings
	for _, row := range Table() {
		v, err := row.parse(row.Default)
		if err != nil {
			panic("config: default of " + row.Name + ": " + err.Error())
		}
		row.store(&s, v)
	}
	return s
}

// store writes v into the setting's field.
func (row *Setting) store(s *Settings, v int64) {
	switch p := row.field(s).(type) {
	case *time.Duration:
		*p = time.Duration(v)
	case *int64:
		*p = v
	case *h2session.Budget:
		*p = unpackRate(v)
	}
}

// load is the reverse of store.
func (row *Setting) load(s *Settings) int64 {
	switch p := row.field(s).(type) {
	case *time.Duration:
		return int64(*p)
	case *int64:
		return *p
	case *h2session.Budget:
		return packRate(*p)
	}
	return 0
}

// Value returns the setting's value in s, in the text form Set takes.
func (row *Setting) Value(s *Settings) string { return row.Kind.format(row.load(s)) }
