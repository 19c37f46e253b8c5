package origin

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/h2gw/h2gw/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Run(m)) }

// groupOf returns a group of one endpoint, o, closed with the test.
func groupOf(t testing.TB, o *testkit.Origin, change ...func(*Config)) *Group {
	t.Helper()
	cfg := Config{Endpoints: []EndpointConfig{{Addr: o.Addr()}}, Dial: o.Dial}
	for _, f := range change {
		f(&cfg)
	}
	g, err := NewGroup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// get gets an exchange, which must be had.
func get(t testing.TB, e *Endpoint, fresh bool) Exchange {
	t.Helper()
	x, err := e.Get(context.Background(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

const (
	request  = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

var requestBytes = []byte(request)

// roundTrip sends the request and reads the response, both exactly.
func roundTrip(x Exchange) error {
	if err := x.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := x.Write(requestBytes); err != nil {
		return err
	}
	for len(x.Buffered()) < len(response) {
		if err := x.Fill(); err != nil {
			return err
		}
	}
	x.Discard(len(response))
	return nil
}

// use does one exchange and gives the connection back.
func use(t testing.TB, e *Endpoint) Info {
	t.Helper()
	x := get(t, e, false)
	info := x.Info()
	if err := roundTrip(x); err != nil {
		t.Error(err)
	}
	x.Release(true)
	return info
}
