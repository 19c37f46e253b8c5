//go:build !race

package h2session

const raceEnabled = false
