// Package pitag is plugin identity: the tag and the numeric session id that
// join every transaction to the client connection it came from.
//
// An [Identity] is the pair that Apache Traffic Server calls pitag and piid: a
// class name that is the same for all connections of a kind (for a client
// connection its protocol, the ALPN string) and a number that names one of
// them. A [Sequence] hands identities out. A [Session] is what is known of the
// client connection an identity stands for, and a [SessionRecord] what is known
// when that connection has closed.
//
// With both in the log, a reader of the log alone can count the connections
// per protocol and the streams of each real client connection.
package pitag
