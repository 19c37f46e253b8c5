package vconn

import "sync/atomic"

var chunksOut atomic.Int64

// Every chunk that any test takes and returns is counted.
func init() { onChunk = func(delta int) { chunksOut.Add(int64(delta)) } }

// ChunksOut returns how many chunks are not in the pools now.
func ChunksOut() int { return int(chunksOut.Load()) }
