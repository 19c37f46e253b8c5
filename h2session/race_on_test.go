//go:build race

package h2session

// raceEnabled says that sync.Pool drops at random and everything is slower.
const raceEnabled = true
