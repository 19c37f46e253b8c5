// Package gateway is the composition root: it turns one [Config] into
// listeners, sessions, transactions and sinks, starts them together or not at
// all, and orders the drain.
//
//	frontend ──conn──► Gateway.ServeConn ──h2, h2c──► h2session ──vconn──► httpsm ──► origin
//	                        │            ──http/1.1──────────────────────►    │
//	                        ▼                                                 ▼
//	               session opened, closed                          one record per transaction
//	                        └──────────────► metrics, access log ◄────────────┘
//
// It is the one place that counts client connections: every connection that the
// frontend accepted is opened once and closed once, with its protocol, or with
// none when it never got to speak one.
package gateway
