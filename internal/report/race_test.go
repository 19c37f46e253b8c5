//go:build race

package report

// raceDetector makes the tests of size smaller: it slows them down tenfold.
const raceDetector = true
