package h1_test

import (
	"fmt"

	"github.com/h2gw/h2gw/internal/h1"
)

// Reading one message from the front of a buffer, the way a connection's owner does.
func Example() {
	buf := []byte("POST /jobs HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n")

	var head h1.RequestHead
	n, err := h1.ParseRequestHead(&head, buf, h1.Limits{})
	if err != nil || n == 0 {
		return // refused, or more input is needed
	}
	framing, err := h1.RequestFraming(&head)
	if err != nil {
		return
	}
	buf = buf[n:]
	var body h1.BodyReader
	body.Reset(framing, h1.Limits{})
	for !body.Done() {
		data, n, err := body.Next(buf)
		if err != nil || n == 0 {
			return
		}
		fmt.Printf("%s %s %v %q\n", head.Method(), head.Path(), framing.Kind, data)
		buf = buf[n:]
	}
	fmt.Printf("next: %q\n", buf)
	// Output:
	// POST /jobs chunked "hello"
	// POST /jobs chunked ""
	// next: "GET / HTTP/1.1\r\n"
}

// A head is built from parts that are checked one by one, and written without any
// way to fail.
func ExampleAppendRequestHead() {
	var head h1.RequestHead
	head.SetMethod("GET")
	head.SetTarget([]byte("/a?b=c"))
	head.Fields.AddBytes([]byte("host"), []byte("example.com"))
	fmt.Println(head.Fields.Add("x", "a\r\nsmuggled: yes"))
	fmt.Printf("%q\n", h1.AppendRequestHead(nil, &head))
	// Output:
	// http/1.1: a field value holds a control character or white space at an end
	// "GET /a?b=c HTTP/1.1\r\nhost: example.com\r\n\r\n"
}
