package httpsm_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/vconn"
)

// A Machine behind vconn.Connect: a request written to the virtual connection
// runs one standard transaction against the address it was opened to.
func Example() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello from the origin")
	}))
	defer site.Close()

	done := make(chan struct{})
	machine := httpsm.New(httpsm.Config{OnRecord: func(r *httpsm.Record) {
		fmt.Println(r.Session.Identity, r.Method, r.Path, r.Status, r.Outcome)
		close(done)
	}})
	defer machine.Shutdown(context.Background())

	addr := netip.MustParseAddrPort(site.Listener.Addr().String())
	conn, _ := vconn.NewConnector(machine).ConnectWithPluginID(addr, "h2", 17)
	io.WriteString(conn, "GET /index.html HTTP/1.1\r\nHost: example.com\r\n\r\n")

	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(res.Body)
	fmt.Println(res.StatusCode, string(body))
	conn.Close()
	<-done
	// Output:
	// 200 hello from the origin
	// h2#17 GET /index.html 200 completed
}

// A hook that answers some requests itself, and one that marks the others.
func ExampleHooks() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "asked by %s", r.Header.Get("X-Session"))
	}))
	defer site.Close()

	hooks := new(httpsm.Hooks)
	hooks.On(httpsm.PreRoute, func(t *httpsm.Txn) httpsm.Verdict {
		if strings.HasPrefix(string(t.Request().Path()), "/private") {
			return t.Reply(403, []httpsm.Field{{Name: "Content-Type", Value: "text/plain"}}, []byte("not for you"))
		}
		return httpsm.Continue
	})
	hooks.On(httpsm.SendRequestHead, func(t *httpsm.Txn) httpsm.Verdict {
		t.OriginRequest().Fields.Set("X-Session", t.Identity().String())
		return httpsm.Continue
	})
	machine := httpsm.New(httpsm.Config{Hooks: hooks})
	defer machine.Shutdown(context.Background())

	addr := netip.MustParseAddrPort(site.Listener.Addr().String())
	connector := vconn.NewConnector(machine)
	for _, path := range []string{"/private/x", "/x"} {
		conn, _ := connector.ConnectWithPluginID(addr, "h2", 3)
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: example.com\r\n\r\n", path)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(res.Body)
		fmt.Println(res.StatusCode, string(body))
		conn.Close()
	}
	// Output:
	// 403 not for you
	// 200 asked by h2#3
}
