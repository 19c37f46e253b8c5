package vconn_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/h2gw/h2gw/vconn"
)

// A virtual connection is opened, a request is written to it, and the response
// is read from it: what runs the transaction sees an ordinary connection and who
// it belongs to.
func Example() {
	connector := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { go answer(c) }))
	conn, err := connector.ConnectWithPluginID(netip.MustParseAddrPort("192.0.2.7:80"), "h2", 17)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /hello HTTP/1.1\r\nHost: example.com\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(response.Body)
	fmt.Printf("%s: %s", response.Status, body)
	// Output: 200 OK: GET /hello for h2#17, to 192.0.2.7:80
}

// answer is a transaction: one request, one response.
func answer(c *vconn.Conn) {
	defer c.Close()
	request, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	body := fmt.Sprintf("%s %s for %s, to %s\n", request.Method, request.URL, c.Identity(), c.Addr())
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Without blocking: TryWrite takes what fits, Peek and Discard read in place.
func ExampleConn_TryWrite() {
	var passive *vconn.Conn
	connector := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { passive = c }))
	conn, _ := connector.Open(vconn.Options{ActiveToPassive: 4})
	defer conn.Close()
	defer passive.Close()

	n, err := conn.TryWrite([]byte("request"))
	fmt.Println(n, err, "room", conn.Room())
	head, err := passive.Peek()
	fmt.Printf("%s %v\n", head, err)
	passive.Discard(len(head))
	fmt.Println("room", conn.Room())
	// Output:
	// 4 <nil> room 0
	// requ <nil>
	// room 4
}

// A reset tells what it discarded, so that flow-control windows can be refunded.
func ExampleConn_Reset() {
	var passive *vconn.Conn
	connector := vconn.NewConnector(vconn.AcceptorFunc(func(c *vconn.Conn) { passive = c }))
	conn, _ := connector.Open(vconn.Options{})
	defer passive.Close()

	conn.Write([]byte("request"))
	passive.Write([]byte("response"))
	in, out := conn.Reset(8) // CANCEL
	fmt.Println("discarded", in, out)
	_, err := passive.Read(make([]byte, 1))
	fmt.Println(err)
	// Output:
	// discarded 8 7
	// vconn: connection reset with error code 8
}
