package origin

import "sync/atomic"

// EndpointStats is a snapshot of one endpoint's counters.
type EndpointStats struct {
	// Endpoint is the address as configured.
	Endpoint string
	// Active and Idle count connections: in use or being made, and kept unused.
	Active, Idle int
	// Waiting counts requests waiting because MaxConns are in use.
	Waiting int
	// InFlight counts requests from Get to Release.
	InFlight int
	// Connects counts attempts by result: "ok" and the Kinds.
	Connects map[string]uint64
	// Requests counts exchanges handed out, Reused those among them on a
	// connection that had served before.
	Requests, Reused uint64
	// IdleClosed counts kept connections that the origin closed, when that is
	// noticed: at once on plain TCP connections, else at reuse. IdleUnexpected
	// counts those closed because bytes had arrived.
	IdleClosed, IdleUnexpected uint64
	// Pipelining says that requests may share connections to the endpoint.
	Pipelining bool
	// Pipelines counts shared connections, which are in Active and Idle too,
	// and PipelineInFlight requests on them. PipelineRequests were written to
	// such connections so far, in PipelineBatches writes; PipelineStray of them
	// ended for bytes that belonged to no response, and PipelineDiscarded
	// responses were read only to be thrown away.
	Pipelines, PipelineInFlight       int
	PipelineRequests, PipelineBatches uint64
	PipelineStray, PipelineDiscarded  uint64
	// Healthy is false while the last connects failed.
	Healthy bool
}

// connectResults is the closed set of results; the index is the counter's.
var connectResults = [...]Kind{"ok", KindRefused, KindTimeout, KindTLS, KindDNS, KindLimit, KindResource, KindCanceled, KindOther}

// counters are an endpoint's, all atomic, of what is rare; what is frequent is
// counted by the pool, under the lock that it holds anyway.
type counters struct {
	connects                   [len(connectResults)]atomic.Uint64
	first, reused              atomic.Uint64 // exchanges on new and on kept connections
	idleClosed, idleUnexpected atomic.Uint64
}

// connect counts one attempt.
func (c *counters) connect(result Kind) {
	for i, r := range connectResults {
		if r == result {
			c.connects[i].Add(1)
			return
		}
	}
}

// Stats returns a snapshot of every endpoint: configured ones in order, then
// those of EndpointFor in no order.
func (g *Group) Stats() []EndpointStats {
	var out []EndpointStats
	for _, e := range g.all() {
		out = append(out, e.Stats())
	}
	return out
}

// Stats returns a snapshot of the endpoint's counters.
func (e *Endpoint) Stats() EndpointStats {
	active, idle, waiting := e.pool.counts()
	reused := e.counters.reused.Load() + e.pool.idle.quick()
	s := EndpointStats{
		Endpoint:       e.cfg.Addr,
		Active:         active,
		Idle:           idle,
		Waiting:        waiting,
		InFlight:       int(e.load.Load()),
		Connects:       make(map[string]uint64, len(connectResults)),
		Requests:       reused + e.counters.first.Load(),
		Reused:         reused,
		IdleClosed:     e.counters.idleClosed.Load(),
		IdleUnexpected: e.counters.idleUnexpected.Load(),
		Healthy:        e.health.ok(),
	}
	for i, r := range connectResults {
		s.Connects[string(r)] = e.counters.connects[i].Load()
	}
	e.shared.stats(&s)
	return s
}
