// Package metrics turns what the gateway knows into Prometheus metrics.
//
// There are two ways in. What happens once per transaction or connection is
// pushed: [Metrics.Record], [Metrics.Refused], [Metrics.SessionOpened],
// [Metrics.SessionClosed], [Metrics.TLSHandshake]. What another package counts
// anyway is read when somebody scrapes: [Metrics.SetSources].
//
// The push for a transaction counts in one of some shards, in plain numbers under a
// lock that two processors rarely meet at; nothing is allocated. A scrape adds the
// shards up. It has each transaction whole or not at all, so that the sums of
// streams, requests, outcomes and durations agree at any time.
//
// Labels come from closed sets. A method, status code or tag outside its set is
// counted under "_other"; sets that only the configuration knows (listeners,
// origins, causes) are bounded in size, whatever comes in. No client can make a
// series. An absent value is "*", as [pitag.AbsentTag].
//
// Three statements always hold once nothing is in flight, and the tests of the
// gateway hold it to them:
//
//   - h2gw_connections_total − Σ h2gw_connections_closed_total = h2gw_connections_active
//   - h2gw_streams_total = Σ h2gw_connection_streams (its sum) + streams of open connections
//   - h2gw_streams_total = Σ h2gw_outcomes_total = Σ h2gw_requests_total = access lines
//
// Durations are in seconds. The histograms have classic buckets, and native ones
// for a Prometheus server that asks for them.
package metrics
