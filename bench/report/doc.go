// Package report holds what a benchmark measured and writes it down: as text
// tables, Markdown, JSON, and an HTML page that needs no network.
//
// Its one rule: a gateway that failed a request in a workload has no figure
// there (Row.Refused), because a gateway that does less work is cheaper.
package report
