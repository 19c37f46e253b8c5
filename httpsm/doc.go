// Package httpsm is the HTTP/1 state machine: it runs one transaction, from the
// request head of a client to the record that is written when both have left.
//
// A [Machine] serves two kinds of client connection with the same code. Behind
// every HTTP/2 stream it is the acceptor of a virtual connection
// ([Machine.AcceptVConn]), which carries exactly one HTTP/1.1 request; an
// HTTP/1.1 client's own connection ([Machine.ServeConn]) carries one after the
// other. What an origin sees, which hooks run and what the record says does not
// depend on which of the two it was.
//
// A transaction ([Txn]) passes through named states:
//
//	readRequestHead → route → selectOrigin → connectOrigin
//	    → sendRequestHead → exchange → finish
//
// with the side exits replyLocally (the gateway answers) and abort (nobody
// does). In exchange the two directions have small states of their own. What
// follows from what is decided in decide.go, without I/O; run.go does it.
//
// A transaction runs on one goroutine at a time: where it has nothing to wait for
// but its origin's answer, on those of the session and of the origin connection
// (inline.go), otherwise on one of its own, which is reused (worker.go). One more
// forwards a request body that was not already there; the first always waits for
// the second.
//
// Hooks ([Hooks]) look at and change a transaction at nine points; docs/hooks.md
// has the diagram. A [Record] says what became of it.
package httpsm
