package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// server is net/http's, which speaks HTTP/2 on its own account.
func server(t *testing.T) (addr string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" && r.ProtoMajor == 2 {
			_, _ = io.WriteString(w, strings.Repeat("x", 100))
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestClientMakesOneRequestAndKeepsTheConnection(t *testing.T) {
	addr := server(t)
	conn, err := NewClient(false).Open(context.Background(), addr, "/small", 100)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.(*tls.Conn).ConnectionState().NegotiatedProtocol != "h2" {
		t.Error("not HTTP/2")
	}
}

func TestAResponseOfAnotherSizeIsAnError(t *testing.T) {
	_, err := NewClient(false).Open(context.Background(), server(t), "/other", 100)
	if err == nil || !strings.Contains(err.Error(), "want 100") {
		t.Errorf("got %v", err)
	}
}

func TestAResumingClientResumesEveryConnectionAfterTheFirst(t *testing.T) {
	addr := server(t)
	c := NewClient(true)
	if bad, err := c.Cycle(context.Background(), addr, "/small", 100, 1, 1000); bad != 1 || err == nil {
		t.Errorf("the first connection cannot resume anything: %d, %v", bad, err)
	}
	if bad, err := c.Cycle(context.Background(), addr, "/small", 100, 5, 1000); bad != 0 || err != nil {
		t.Errorf("%d of 5 were not resumed: %v", bad, err)
	}
}

func TestCycleCountsWhatFails(t *testing.T) {
	bad, err := NewClient(false).Cycle(context.Background(), "127.0.0.1:1", "/small", 100, 3, 1000)
	if bad != 3 || err == nil {
		t.Errorf("%d, %v", bad, err)
	}
}

func TestReadResponseAcknowledgesSettingsAndCountsTheBody(t *testing.T) {
	var in, out bytes.Buffer
	in.Write(frame(nil, frameSettings, 0, 0, nil))
	in.Write(frame(nil, frameSettings, flagAck, 0, nil))
	in.Write(frame(nil, frameHeaders, flagEndHeaders, 1, []byte{0x88}))
	in.Write(frame(nil, frameData, 0, 1, make([]byte, 60)))
	in.Write(frame(nil, frameData, flagEndStream, 1, make([]byte, 40)))
	n, err := readResponse(bufio.NewReader(&in), &out)
	if n != 100 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if !bytes.Equal(out.Bytes(), frame(nil, frameSettings, flagAck, 0, nil)) {
		t.Errorf("answered %x", out.Bytes())
	}
}

func TestResetGoawayAndAnEarlyEndAreErrors(t *testing.T) {
	for _, in := range [][]byte{
		frame(nil, frameReset, 0, 1, make([]byte, 4)),
		frame(nil, frameGoAway, 0, 0, make([]byte, 8)),
		frame(nil, frameHeaders, flagEndHeaders, 1, nil),
	} {
		if _, err := readResponse(bufio.NewReader(bytes.NewReader(in)), io.Discard); err == nil {
			t.Errorf("no error after %x", in)
		}
	}
}
