// Command bench measures what a request costs h2gw and the other gateways it
// finds installed, side by side on one machine:
//
//	go run ./bench            # all workloads, three rounds
//	go run ./bench -quick     # one short round, under two minutes
//	go run ./bench -scale     # curves: streams, connections, processors, memory
//	go run ./bench -soak 10m  # everything at once: does anything grow?
//	go run ./bench -profiles DIR
//
// bench/README.md says how to read the tables and what they do not show. The
// program is made of these parts, below bench/:
//
//	peers    the gateways: their configurations, starting and stopping them
//	load     the workloads: h2load, and a small client for what it cannot do
//	usage    what the kernel says a gateway has used
//	report   tables, curves, JSON and the HTML pages
//	profile  profiles of h2gw under load
//
// This package puts them together: flags.go (what is asked for), field.go (what
// is running), rounds.go (in which order), sample.go and idle.go (one run each),
// soak.go and profiles.go (what is run instead).
package main
