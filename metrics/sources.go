package metrics

import (
	"time"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/httpsm/origin"
	"github.com/h2gw/h2gw/vconn"
)

// Sources are asked when somebody scrapes. Each may be nil: its metrics are then
// left out. They must be safe for concurrent use, and must not block.
type Sources struct {
	// H2 has one entry per HTTP/2 server: a server for each of h2 and h2c, so
	// that streams open now can be told by protocol.
	H2 []H2Source
	// HTTP is the transaction machine.
	HTTP func() httpsm.Stats
	// VConns are the virtual connections, per tag.
	VConns func() []vconn.TagStats
	// Origins are the origin groups; OriginGroups makes one.
	Origins func() []OriginGroup
	// Buffered is how many bytes all sessions hold, of limits.memory.
	Buffered func() int64
	// Certificates are the ends of validity by name.
	Certificates func() map[string]time.Time
	// AccessLogDropped is the number of access log lines lost.
	AccessLogDropped func() uint64
	// Panics are recovered panics by place, beside those that the HTTP/2
	// servers and the transaction machine count themselves.
	Panics func() map[string]uint64
}

// An H2Source is one HTTP/2 server. Tag is the protocol of its sessions.
type H2Source struct {
	Tag   string
	Stats func() h2session.Stats
}

// An OriginGroup is what a group of origins counts.
type OriginGroup struct {
	Name      string
	Endpoints []origin.EndpointStats
}

// OriginGroups returns a source for groups that do not change.
func OriginGroups(groups ...*origin.Group) func() []OriginGroup {
	return func() []OriginGroup {
		out := make([]OriginGroup, 0, len(groups))
		for _, g := range groups {
			out = append(out, OriginGroup{Name: g.Name(), Endpoints: g.Stats()})
		}
		return out
	}
}

// SetSources sets what is asked when somebody scrapes, in place of what was set
// before.
func (m *Metrics) SetSources(s Sources) { m.sources.Store(&s) }
