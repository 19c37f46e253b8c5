// Package e2e holds no code, only end-to-end tests: they build the h2gw binary,
// put it in front of a real nginx and drive it with what its users use (curl,
// nghttp, h2load, promtool, a Prometheus server). After each run the log, the
// metrics and the load generator must have counted the same.
//
// A tool that is not installed is named and its test skipped; with
// H2GW_E2E=require in the environment that is a failure instead.
package e2e
