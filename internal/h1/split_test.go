package h1

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// A verdict is all that parsing a head tells, as text.
func requestVerdict(h *RequestHead, n int, err error) string {
	if err != nil {
		return verdictOf(err)
	}
	f, ferr := RequestFraming(h)
	return fmt.Sprintf("%d %s %s %s %s %d %s %v %v %v", n, h.Method(), h.Target(), h.Authority(), h.Path(), h.Minor(),
		fieldText(&h.Fields), f, ferr, RequestKeepAlive(h))
}

func responseVerdict(h *ResponseHead, n int, err error) string {
	if err != nil {
		return verdictOf(err)
	}
	f, ferr := ResponseFraming(h, "GET")
	return fmt.Sprintf("%d %d %s %d %s %v %v", n, h.Status(), h.Reason(), h.Minor(), fieldText(&h.Fields), f, ferr)
}

// Only the status of a refusal is compared: a broken line may be known for one thing
// when half of it is there and for another when all of it is.
func verdictOf(err error) string {
	var pe *ProtocolError
	if errors.As(err, &pe) {
		return fmt.Sprintf("refused with %d", pe.Status)
	}
	return "an error of another type: " + err.Error()
}

// requestInPieces offers growing parts of b, cut where cuts says; how is
// ParseRequestHead, which starts over, or ContinueRequestHead, which does not.
func requestInPieces(b []byte, lim Limits, how func(*RequestHead, []byte, Limits) (int, error), cuts ...int) string {
	var h RequestHead
	for _, cut := range append(cuts, len(b)) {
		// A copy with nothing behind it: reading beyond the end would panic.
		n, err := how(&h, bytes.Clone(b[:cut:cut]), lim)
		if n > 0 || err != nil {
			return requestVerdict(&h, n, err)
		}
	}
	return "incomplete"
}

func responseInPieces(b []byte, lim Limits, how func(*ResponseHead, []byte, Limits) (int, error), cuts ...int) string {
	var h ResponseHead
	for _, cut := range append(cuts, len(b)) {
		n, err := how(&h, bytes.Clone(b[:cut:cut]), lim)
		if n > 0 || err != nil {
			return responseVerdict(&h, n, err)
		}
	}
	return "incomplete"
}

func everyByte(b []byte) []int {
	cuts := make([]int, len(b))
	for i := range cuts {
		cuts[i] = i
	}
	return cuts
}

const sampleHead = "POST /a/b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nUser-Agent: x (y; z) \t\r\nAccept:*/*\r\n" +
	"Empty:\r\nCookie: a=b; c=\xff\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nx-a: 2\r\n\r\n"

func splitRequests() []refusal {
	return append([]refusal{
		{rule: "a whole head", head: sampleHead},
		{rule: "a head with an empty line in front", head: "\r\n" + sampleHead},
		{rule: "a head with a URI", head: "GET http://h?x HTTP/1.0\r\nHost: h\r\n\r\n"},
		{rule: "the short version line", head: "GET / HTTP/2.0\nX"},
		{rule: "a version cut by LF", head: "GET / HTT\nP/1.1 "},
	}, refusedRequests...)
}

func TestRequestHeadsDoNotDependOnHowTheyAreSplit(t *testing.T) {
	for _, lim := range []Limits{{}, {Head: 60, Fields: 3, Target: 9}} {
		for _, c := range splitRequests() {
			b := []byte(c.head)
			if len(b) > 4<<10 {
				continue
			}
			want := requestInPieces(b, lim, ParseRequestHead)
			check := func(how string, got string) {
				if got != want {
					t.Errorf("%s (%+v), %s:\n got %s\nwant %s", c.rule, lim, how, got, want)
				}
			}
			check("byte by byte", requestInPieces(b, lim, ParseRequestHead, everyByte(b)...))
			check("byte by byte, continued", requestInPieces(b, lim, ContinueRequestHead, everyByte(b)...))
			for cut := range b {
				check(fmt.Sprint("cut at ", cut), requestInPieces(b, lim, ParseRequestHead, cut))
				check(fmt.Sprint("continued at ", cut), requestInPieces(b, lim, ContinueRequestHead, cut))
			}
		}
	}
}

func TestResponseHeadsDoNotDependOnHowTheyAreSplit(t *testing.T) {
	cases := append([]refusal{
		{rule: "a whole head", head: "HTTP/1.1 200 Fine \r\nServer: x\r\nContent-Length: 5\r\nA:\r\n\r\nhello"},
		{rule: "no reason", head: "HTTP/1.0 304\r\nETag: \"x\"\r\n\r\n"},
	}, refusedResponses...)
	for _, lim := range []Limits{{}, {Head: 40, Fields: 1}} {
		for _, c := range cases {
			b := []byte(c.head)
			if len(b) > 4<<10 {
				continue
			}
			want := responseInPieces(b, lim, ParseResponseHead)
			check := func(how string, got string) {
				if got != want {
					t.Errorf("%s (%+v), %s:\n got %s\nwant %s", c.rule, lim, how, got, want)
				}
			}
			check("byte by byte", responseInPieces(b, lim, ParseResponseHead, everyByte(b)...))
			check("byte by byte, continued", responseInPieces(b, lim, ContinueResponseHead, everyByte(b)...))
			for cut := range b {
				check(fmt.Sprint("cut at ", cut), responseInPieces(b, lim, ParseResponseHead, cut))
				check(fmt.Sprint("continued at ", cut), responseInPieces(b, lim, ContinueResponseHead, cut))
			}
		}
	}
}

// bodyVerdict reads a body in two or more pieces that end at the cuts.
func bodyVerdict(f Framing, lim Limits, in []byte, cuts ...int) string {
	var r BodyReader
	r.Reset(f, lim)
	var body []byte
	from := 0
	for _, cut := range append(cuts, len(in)) {
		for !r.Done() {
			data, n, err := r.Next(bytes.Clone(in[from:cut:cut]))
			if err != nil {
				return verdictOf(err)
			}
			body, from = append(body, data...), from+n
			if n == 0 || from == cut {
				break
			}
		}
	}
	end := ""
	if err := r.EOF(); err != nil {
		end = err.Error()
	}
	return fmt.Sprintf("%q %q %s %d %v %d %s", body, in[from:], fieldText(r.Trailers()), r.Dropped(), r.Done(), r.Remaining(), end)
}

func TestBodiesDoNotDependOnHowTheyAreSplit(t *testing.T) {
	cases := append([]refusal{
		{rule: "chunks and trailers", head: "5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: b\r\nHost: c\r\nD:\t e \r\n\r\nnext"},
		{rule: "no chunk", head: "0\r\n\r\nnext"},
		{rule: "a truncated chunk", head: "5\r\nhel"},
		{rule: "truncated trailers", head: "0\r\nA: b\r\nC"},
	}, refusedChunks...)
	for _, lim := range []Limits{{}, {Head: 12, Fields: 2}} {
		for _, c := range cases {
			in := []byte(c.head)
			if len(in) > 4<<10 {
				continue
			}
			for _, f := range []Framing{{Chunked, 0}, {Length, 9}, {UntilClose, 0}} {
				want := bodyVerdict(f, lim, in)
				if got := bodyVerdict(f, lim, in, everyByte(in)...); got != want {
					t.Errorf("%s (%v, %+v), byte by byte:\n got %s\nwant %s", c.rule, f.Kind, lim, got, want)
				}
				for cut := range in {
					if got := bodyVerdict(f, lim, in, cut); got != want {
						t.Errorf("%s (%v, %+v), cut at %d:\n got %s\nwant %s", c.rule, f.Kind, lim, cut, got, want)
					}
				}
			}
		}
	}
}

func TestContinueStartsANewHeadAfterOneThatEnded(t *testing.T) {
	var q RequestHead
	var p ResponseHead
	if n, err := ContinueRequestHead(&q, []byte("GET /0 HTTP/1.1\r\nA: "), Limits{Head: 20}); n != 0 || err == nil {
		t.Errorf("%d, %v, want a refusal by size", n, err)
	}
	if n, err := ContinueResponseHead(&p, []byte("HTTP/1.1 200 OK\r\nA: "), Limits{Head: 20}); n != 0 || err == nil {
		t.Errorf("%d, %v, want a refusal by size", n, err)
	}
	for i, head := range []string{"GET /1 HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n", "GET /2 HTTP/1.1\r\nHost : h\r\n\r\n", "GET /3 HTTP/1.1\r\nHost: i\r\n\r\n"} {
		n, err := ContinueRequestHead(&q, []byte(head), Limits{})
		if i == 1 {
			wantRefused(t, n, err, 400)
		} else if err != nil || n != len(head) || q.Target()[1] != head[5] {
			t.Errorf("%q: %d, %v, %s", head, n, err, q.Target())
		}
	}
	if fieldText(&q.Fields) != "Host=i" {
		t.Errorf("fields %s", fieldText(&q.Fields))
	}
	for _, head := range []string{"HTTP/1.1 103 \r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nC: d\r\n\r\n"} {
		if n, err := ContinueResponseHead(&p, []byte(head), Limits{}); err != nil || n != len(head) {
			t.Errorf("%q: %d, %v", head, n, err)
		}
	}
	if p.Status() != 200 || fieldText(&p.Fields) != "C=d" {
		t.Errorf("%d %s", p.Status(), fieldText(&p.Fields))
	}
}
