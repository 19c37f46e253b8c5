package gateway

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"
)

// A client that reads nothing is cut off at once when timeouts.write_stall has
// gone by, also in the middle of a batch of TLS records. TLS would give itself five
// seconds more to say goodbye; a busy machine may take as long once, but not each
// time.
func TestAClientThatReadsNothingIsCutOff(t *testing.T) {
	var took time.Duration
	for range 3 {
		if took = cutOff(t); took < 4*time.Second {
			return
		}
	}
	t.Errorf("it took %v, three times", took)
}

// cutOff is how long it takes until a client that reads nothing is cut off.
func cutOff(t *testing.T) (took time.Duration) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 1024 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}, nil, "timeouts.write_stall=1s")
	c, err := tls.Dial("tcp", r.Addr(ListenerTLS).String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now() // before the stall, or it may be over when it is looked at
	// Windows as large as they can be, and GET / .
	c.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
		"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff" +
		"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\x00\x00" +
		"\x00\x00\x0e\x01\x05\x00\x00\x00\x01\x82\x84\x87\x41\x09localhost"))
	eventually(t, "the connection has ended", func() bool { return r.front.Open() == 0 })
	took = time.Since(began)
	eventually(t, "it is counted", func() bool {
		return r.metric("h2gw_connections_closed_total", `cause="write_stall"`) == 1
	})
	return took
}
