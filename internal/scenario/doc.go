// Package scenario holds no code, only the tests that run the cases of
// testdata/scenarios: hostile and odd clients and origins, written down as text
// files, against a whole gateway on loopback. The README.md there says how a
// case is written.
//
// A case is a sequence chart. Its steps run in the order of the file, one after
// the other: what the client sends, what the origin must see, what the origin
// sends, what the client must see. The origin keeps every byte it receives and
// the client every frame; whatever no step asked for fails the case. Nothing is
// ever waited for by sleeping: a case ends when the client's connection has
// ended, the gateway has shut down, and the origin has read to the end of each
// connection, so that "the origin must see nothing" is a fact and not a guess.
package scenario
