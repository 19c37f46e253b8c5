//go:build race

package gateway

// raceEnabled says that sync.Pool drops at random and everything is slower.
const raceEnabled = true
