package config

import (
	"math"
	"time"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/internal/frontend"
)

// Off is what a setting holds that was set to "off". The packages configured
// from here take a negative value as "not bounded".
const Off = -1

// Settings are the values of everything in [Table]. Make them with [Defaults]:
// the zero value is not useful. A plain value; copies are independent.
type Settings struct {
	Timeouts Timeouts
	Limits   Limits
	// Floods are the settings floods.*, by bound; what is off is Unlimited.
	Floods [h2session.NumBounds]h2session.Budget
	TLS    TLS
	// Origins are the settings origin.*.
	Origins OriginLimits
}

// TLS are the settings tls.*: 1 is on, Off is off.
type TLS struct {
	Misdirected int64
}

// OriginLimits are the settings origin.*. Pipeline is a count; Off, 0 and 1 mean
// the same.
type OriginLimits struct {
	Pipeline int64
}

// Timeouts are the durations of the settings timeouts.*; Off means never.
type Timeouts struct {
	Handshake, Preface, RequestHead, RequestBodyIdle, WriteStall time.Duration
	SessionIdle, SessionAge                                      time.Duration
	Connect, ResponseHead, ResponseBodyIdle, OriginIdle          time.Duration
	TunnelIdle, Drain                                            time.Duration
}

// Limits are the numbers of the settings limits.*: sizes in bytes, the others
// counts; Off means no bound.
type Limits struct {
	RequestHead, ResponseHead, Target, RequestBody, RequestBodyRate int64
	Fields, Streams                                                 int64
	Sessions, SessionsPerClient                                     int64
	OriginConnections                                               int64
	Memory, SessionMemory                                           int64
}

// Frontend returns the settings' part of a frontend's configuration: all but
// the listeners.
func (s *Settings) Frontend() frontend.Config {
	return frontend.Config{
		Handshake:    s.Timeouts.Handshake,
		Preface:      s.Timeouts.Preface,
		MaxSessions:  toInt(s.Limits.Sessions),
		MaxPerClient: toInt(s.Limits.SessionsPerClient),
	}
}

// Session returns the settings' part of the configuration of HTTP/2 sessions.
func (s *Settings) Session() h2session.Config {
	return h2session.Config{
		MaxStreams:         toInt(s.Limits.Streams),
		RequestHead:        toInt(s.Limits.RequestHead),
		Fields:             toInt(s.Limits.Fields),
		Target:             toInt(s.Limits.Target),
		Preface:            s.Timeouts.Preface,
		RequestHeadTimeout: s.Timeouts.RequestHead,
		WriteStall:         s.Timeouts.WriteStall,
		SessionIdle:        s.Timeouts.SessionIdle,
		SessionAge:         s.Timeouts.SessionAge,
		Floods:             s.Floods,
		SessionMemory:      s.Limits.SessionMemory,
	}
}

// Machine returns the settings' part of the configuration of transactions.
func (s *Settings) Machine() (httpsm.Timeouts, httpsm.Limits) {
	t := httpsm.Timeouts{
		Preface:          s.Timeouts.Preface,
		RequestHead:      s.Timeouts.RequestHead,
		RequestBodyIdle:  s.Timeouts.RequestBodyIdle,
		WriteStall:       s.Timeouts.WriteStall,
		SessionIdle:      s.Timeouts.SessionIdle,
		SessionAge:       s.Timeouts.SessionAge,
		ResponseHead:     s.Timeouts.ResponseHead,
		ResponseBodyIdle: s.Timeouts.ResponseBodyIdle,
		TunnelIdle:       s.Timeouts.TunnelIdle,
		Connect:          s.Timeouts.Connect,
	}
	l := httpsm.Limits{
		RequestHead:  toInt(s.Limits.RequestHead),
		ResponseHead: toInt(s.Limits.ResponseHead),
		Fields:       toInt(s.Limits.Fields),
		Target:       toInt(s.Limits.Target),
		RequestBody:  s.Limits.RequestBody,

		RequestBodyRate: s.Limits.RequestBodyRate,
	}
	return t, l
}

// Origin returns the settings' part of an origin group's configuration: all but
// its name and endpoints.
func (s *Settings) Origin() origin.Config {
	return origin.Config{
		ConnectTimeout: s.Timeouts.Connect,
		IdleTimeout:    s.Timeouts.OriginIdle,
		MaxConns:       toInt(s.Limits.OriginConnections),
		// What was opened under load is kept until it has been idle: a lower
		// bound here would close and reopen connections at every burst.
		MaxIdle: toInt(s.Limits.OriginConnections),
		// A head at its limit must fit the buffer it is read in, with room for
		// the body bytes that came with it.
		MaxBuffer: toInt(2 * s.Limits.ResponseHead),
		Pipeline:  toInt(s.Origins.Pipeline),
	}
}

// toInt narrows on machines whose int has 32 bits.
func toInt(v int64) int { return int(min(v, math.MaxInt)) }
