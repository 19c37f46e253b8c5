// Package report is h2gw's log post-processor: it reads the JSON access log and
// says how many client connections of each protocol there were, how many
// streams each carried, how the requests ended and how long they took.
//
// # What is read
//
// One JSON object a line, in the fields of package accesslog: "event":"access"
// for each transaction, "event":"session" for each client connection that
// closed. Objects of other events are counted as other. A line that is not
// JSON, is longer than 1 MiB or has a field of the wrong type is broken: it is
// counted and named by file and line, and nothing else of it is used. Inputs are
// files and standard input, plain or gzip, in any mixture.
//
// # How
//
// Workers take chunks of whole lines in turn, parse them with a scanner for
// flat objects, and count what needs no order (tally). What belongs to a client
// connection is put back into the log's order (sequencer) and followed there
// (ledger). Memory depends on none of the sizes of the log.
//
// # What is exact
//
// All counts and sums. Connections that closed are counted by their session
// lines, which also hold their streams; so they equal the gateway's metrics
// (h2gw_connections_total, h2gw_connection_streams) once all have closed, also
// over restarts, where numbers begin again. A connection without a session line
// is followed through its access lines; only where more than
// [DefaultFollowed] of those are open at once does the report sample, and says
// so. Percentiles come from histograms with the error [PercentileError].
package report
