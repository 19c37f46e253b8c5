// Package h1 reads and writes HTTP/1.1 messages (RFC 9112) without doing I/O:
// heads, body framing, the chunked coding with trailers, and the rules that say
// what a well-formed one is.
//
// Bytes go in, values or a *ProtocolError come out. The package holds no
// connection, goroutine or clock, so each rule is a table test. Whoever owns the
// connection owns the read buffer, and offers it from its front:
//
//	n, err := h1.ParseRequestHead(head, buf, limits) // n == 0: read more
//	framing, err := h1.RequestFraming(head)
//	body.Reset(framing, limits)
//	data, n, err := body.Next(buf[n:])               // data is a part of buf
//
// # Strictness
//
// Where the RFCs leave a choice this package takes the strict one, because a
// gateway that is lenient disagrees with somebody behind it about where a message
// ends. It refuses what others accept: bare LF as a line end, obs-fold, white
// space before a colon, repeated Content-Length even if identical, any
// Transfer-Encoding but exactly "chunked", both length rules together, white space
// after a chunk size, targets with `"`, `<`, `>` or bytes beyond ASCII. A
// malformed line is refused as soon as it is seen, without waiting for the end of
// its head, and the verdict never depends on how the bytes were split.
//
// # Names
//
// The names in common use have a number ([Name]), found once for each line; a field
// section keeps a set of those it has. So whoever forwards a message, and has to drop
// or add a dozen fields that are mostly not there, asks by one test each, and what it
// keeps is written as it was read, in one piece.
//
// # Memory
//
// A head owns one buffer and a list of offsets into it. Reset keeps both, so that
// a pooled head is parsed without allocating whatever the number of its fields;
// only a method outside the registered ones costs a string. Body data is never
// copied.
//
// No type here is safe for concurrent use.
package h1
