// Command h2gw is an HTTP/2 front door: it takes HTTP/2 and HTTP/1.1 from
// clients and runs every request as one HTTP/1.1 transaction against ordinary
// origins. `h2gw --help` lists its commands; each is in a file of its own here.
//
// The command parses flags, handles signals and chooses exit codes: 0 done, 1
// failed at run time, 2 wrong usage or configuration. What it runs is put
// together in internal/gateway.
package main
