// Package admin serves the gateway's own address, on loopback unless told
// otherwise: metrics, health and readiness, and profiles when asked for. What it
// serves is injected; it knows of nothing but net/http.
package admin
