// Command bench measures what a request costs h2gw and the other gateways it
// finds installed, side by side on one machine:
//
//	go run ./bench            # all workloads, three rounds
//	go run ./bench -quick     # one short round, under two minutes
//
// bench/README.md says how to read the tables and what they do not show. The
// program is made of these parts, below bench/:
//
//	peers    the gateways: their configurations, starting and stopping them
//	load     the workloads: h2load, and a small client for what it cannot do
//	usage    what the kernel says a gateway has used
//	report   tables, JSON and the HTML page
//
// This package puts them together: flags.go (what is asked for), field.go (what
// is running), rounds.go (in which order), sample.go and idle.go (one run each).
package main
