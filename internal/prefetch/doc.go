// Package prefetch has the processor fetch memory before it is used.
//
// Whoever serves one of thousands of connections touches more than a hundred cache
// lines that the others have driven out since it was its turn, one after the other,
// each a wait of its own. Asked for together, while the one before is served, they
// are there in time. What is asked for in vain costs some nanoseconds and nothing
// else.
package prefetch
