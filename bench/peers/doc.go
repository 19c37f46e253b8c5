// Package peers starts gateways as child processes, all arranged alike: two
// workers, TLS and HTTP/2 towards the client, HTTP/1.1 with keep-alive towards
// one origin. What differs between them is in List (how each is started) and
// in configs/ (what each is told, with the reasons).
//
// It also starts the origin, builds h2gw from the tree and makes the one
// certificate they all show. Everything lives in a temporary folder and
// listens on loopback only.
package peers
