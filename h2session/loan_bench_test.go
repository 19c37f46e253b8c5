package h2session

import (
	"fmt"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
	"github.com/h2gw/h2gw/vconn"
)

// BenchmarkAnswers is one session in memory whose responses come from a goroutine
// of their own, all of a burst in a row, as from a poller of origins: written by
// that, or by the write loop.
func BenchmarkAnswers(b *testing.B) {
	for _, burst := range []int{1, 4, 32} {
		for _, by := range []string{"loop", "later"} {
			b.Run(fmt.Sprintf("%d/%s", burst, by), func(b *testing.B) {
				client, server := testkit.Pipe()
				txns := make(waiting, burst)
				srv := &Server{Connector: vconn.NewConnector(txns)}
				done := make(chan error, 1)
				go func() {
					done <- srv.ServeConn(b.Context(), &gatherConn{Conn: server, take: -1}, testIdentity)
				}()
				answered := make(chan struct{})
				go func() {
					defer close(answered)
					answerBursts(txns, by == "later")
				}()
				b.ReportAllocs()
				benchRequests(b, client, burst)
				client.Close()
				<-done
				close(txns)
				<-answered
			})
		}
	}
}

// answerBursts answers what there is of requests, over and over.
func answerBursts(txns waiting, lend bool) {
	var all pile
	var later vconn.Later
	if lend {
		later = &all
	}
	for c := range txns {
		c.TryWriteClose(benchResponse, later)
		for len(txns) > 0 {
			if c, ok := <-txns; ok {
				c.TryWriteClose(benchResponse, later)
			}
		}
		all.flush()
	}
}
