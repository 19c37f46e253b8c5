package report

import (
	"encoding/json"
	"io"
	"time"
)

// A Summary is what a log says: the value that [Summarize] returns, that Render
// prints and that WriteJSON writes. Its JSON keys are promised; the comments
// here are their documentation. Every list is there, if empty.
//
// Exact are all counts, sums, smallest, mean and largest values, and everything
// that comes from session lines. Percentiles are at most [PercentileError]
// above the exact value. What is known of connections without a session line
// is exact unless Followed says otherwise.
type Summary struct {
	// Inputs are the files, in the order given; standard input is "-".
	Inputs []Input `json:"inputs"`
	// From and To are the earliest and latest time of an access or session
	// line; both are left out when there was none. Seconds is between them.
	From    *time.Time `json:"from,omitempty"`
	To      *time.Time `json:"to,omitempty"`
	Seconds float64    `json:"seconds"`
	// Lines counts the lines by what they are.
	Lines LineCounts `json:"lines"`
	// Broken names the first ten broken lines; Lines.Broken counts all.
	Broken []BrokenLine `json:"broken"`
	// Connections is over all protocols.
	Connections Connections `json:"connections"`
	// Streams compares access lines with what the sessions account for.
	Streams StreamBalance `json:"streams"`
	// Protocols has one element per value of pitag, by number of connections,
	// then by name.
	Protocols []Protocol `json:"protocols"`
	// Origins has one element per origin, by number of requests, then by name.
	// At most 256 are told apart; the rest is "(other)".
	Origins []Origin `json:"origins"`
	// Busiest are the client connections with the most streams.
	Busiest []Connection `json:"busiest"`
	// Followed says how the connections without a session line were counted.
	Followed Followed `json:"followed"`
	// PercentileError is the constant of that name.
	PercentileError float64 `json:"percentile_error"`
}

// An Input is one file, or standard input.
type Input struct {
	Name   string `json:"name"`
	Bytes  uint64 `json:"bytes"` // uncompressed
	Lines  uint64 `json:"lines"`
	Broken uint64 `json:"broken"`
	Gzip   bool   `json:"gzip"`
	// Error says why the input could not be read, or not to its end.
	Error string `json:"error,omitempty"`
	err   error
}

// LineCounts counts lines: Total is the sum of the others.
type LineCounts struct {
	Total   uint64 `json:"total"`
	Access  uint64 `json:"access"`
	Session uint64 `json:"session"`
	// Other lines are JSON objects of another event, such as start-up lines.
	Other  uint64 `json:"other"`
	Blank  uint64 `json:"blank"`
	Broken uint64 `json:"broken"`
}

func (c *LineCounts) add(o LineCounts) {
	c.Total += o.Total
	c.Access += o.Access
	c.Session += o.Session
	c.Other += o.Other
	c.Blank += o.Blank
	c.Broken += o.Broken
}

// A BrokenLine is a line that could not be used. Line counts from 1.
type BrokenLine struct {
	File   string `json:"file"`
	Line   uint64 `json:"line"`
	Reason string `json:"reason"`
}

// Connections counts client connections.
type Connections struct {
	// Closed have a session line. Once all connections of a gateway are
	// closed it equals its h2gw_connections_total.
	Closed uint64 `json:"closed"`
	// Open have access lines that no session line accounts for: the
	// connection was still open, or its session line is not in this log.
	Open uint64 `json:"open"`
}

// A StreamBalance compares the access lines with the session lines. Always:
// AccessLines = InSessions + InOpenConnections + Unidentified - Missing.
type StreamBalance struct {
	AccessLines uint64 `json:"access_lines"`
	// InSessions is the sum of streams over the session lines.
	InSessions uint64 `json:"in_sessions"`
	// InOpenConnections are access lines of connections counted as open.
	InOpenConnections uint64 `json:"in_open_connections"`
	// Missing are streams of closed connections without an access line.
	Missing uint64 `json:"missing"`
	// MissingConnections is how many connections miss some.
	MissingConnections uint64 `json:"missing_connections"`
	// Unidentified are access lines without piid, less the streams of session
	// lines without one.
	Unidentified int64 `json:"unidentified"`
	// Complete is true when nothing is missing.
	Complete bool `json:"complete"`
}

// A Protocol is what was counted of one value of pitag.
type Protocol struct {
	// Name is the tag; "*" when it is absent, as in the metrics.
	Name        string      `json:"protocol"`
	Connections Connections `json:"connections"`
	// AccessLines is the number of streams that ended.
	AccessLines uint64 `json:"access_lines"`
	// InSessions is the sum of streams over the session lines, Refused that of
	// streams_refused, PeakStreams the largest streams_peak.
	InSessions  uint64 `json:"in_sessions"`
	Refused     uint64 `json:"refused"`
	PeakStreams uint64 `json:"peak_streams"`
	// StreamsPerConnection is over the closed connections, with its
	// distribution by powers of two. StreamsPerOpen is over the open ones.
	StreamsPerConnection Distribution `json:"streams_per_connection"`
	StreamBuckets        []Bucket     `json:"stream_buckets"`
	StreamsPerOpen       Distribution `json:"streams_per_open_connection"`
	// LifetimeMS is how long the closed connections lasted.
	LifetimeMS Distribution `json:"lifetime_ms"`
	// LatencyMS is duration_ms of the access lines, TTFBMS their ttfb_ms.
	LatencyMS Distribution `json:"latency_ms"`
	TTFBMS    Distribution `json:"ttfb_ms"`
	// Statuses counts access lines by status; the key "none" is for streams
	// that got no response.
	Statuses map[string]uint64 `json:"statuses"`
	Outcomes map[string]uint64 `json:"outcomes"`
	// H2Errors counts access lines by h2_error, the code of a stream's reset.
	H2Errors map[string]uint64 `json:"h2_errors"`
	// Causes and GoAways count session lines by cause and goaway.
	Causes  map[string]uint64 `json:"causes"`
	GoAways map[string]uint64 `json:"goaways"`
	// ResetsIn and ResetsOut count RST_STREAM frames of closed connections.
	ResetsIn  uint64 `json:"resets_in"`
	ResetsOut uint64 `json:"resets_out"`
	Retries   uint64 `json:"retries"`
	// Bodies are the bytes of access lines, Wire those of session lines: what
	// went over the closed connections, inside TLS.
	Bodies Traffic `json:"body_bytes"`
	Wire   Traffic `json:"connection_bytes"`
}

// Traffic is bytes from (In) and to (Out) the clients.
type Traffic struct {
	In  uint64 `json:"in"`
	Out uint64 `json:"out"`
}

// A Distribution is zero when Count is.
type Distribution struct {
	Count uint64  `json:"count"`
	Min   float64 `json:"min"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99_9"`
	Max   float64 `json:"max"`
}

// A Bucket counts the connections with From to To streams, both included.
type Bucket struct {
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
	Count uint64 `json:"count"`
}

// An Origin is what was counted of one origin.
type Origin struct {
	Name     string `json:"origin"`
	Requests uint64 `json:"requests"`
	// Connections is how many connections to the origin gave a request its
	// first use: requests with origin_conn that did not reuse it.
	Connections           uint64  `json:"connections"`
	RequestsPerConnection float64 `json:"requests_per_connection"`
	// ReusedShare is 0 to 1: of the requests that had a connection, those that
	// reused one.
	ReusedShare float64      `json:"reused_share"`
	Retries     uint64       `json:"retries"`
	Failed      uint64       `json:"failed"` // status 500 to 599
	LatencyMS   Distribution `json:"latency_ms"`
}

// A Connection is one client connection.
type Connection struct {
	Protocol string `json:"pitag"`
	ID       uint64 `json:"piid"`
	Client   string `json:"client,omitempty"`
	Streams  uint64 `json:"streams"`
	// BytesIn and BytesOut are those of the connection; of an open one those
	// of the bodies in its access lines.
	BytesIn  uint64 `json:"bytes_in"`
	BytesOut uint64 `json:"bytes_out"`
	Open     bool   `json:"open"`
}

// Followed says how connections whose lines do not add up were followed.
type Followed struct {
	// Exact is true when all were. Otherwise the numbers named open and
	// missing are estimates, and an open connection may not be in Busiest.
	Exact bool `json:"exact"`
	// Bound is how many were followed at most, OneIn the share: 1, 2, 4 ….
	Bound int    `json:"bound"`
	OneIn uint64 `json:"one_in"`
	// RelativeError is that of Connections.Open at 95 % confidence; 0: exact.
	RelativeError float64 `json:"relative_error"`
}

// WriteJSON writes s as one indented JSON object and a newline.
func (s *Summary) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(s)
}
