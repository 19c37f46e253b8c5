// Package accesslog writes one line per transaction and one per client
// connection, without ever holding up the request that it tells of.
//
// A line is encoded where the event happens ([Log.Record], [Log.Refused],
// [Log.Session]), copied into a chunk under a short lock, and written by one
// goroutine, a chunk of whole lines per write call, at most the flush interval
// later. The memory held is bounded: when the output cannot keep up, whole
// lines are dropped and counted, so that lines written + lines dropped = lines
// offered, always. An idle log holds no timer and wakes nothing up.
//
// The JSON form is the promise of the project: its field names are all in
// fields.go, its units and order in appendAccess and appendSession. The
// combined form is Apache's, with the identity of the client connection
// appended.
package accesslog
