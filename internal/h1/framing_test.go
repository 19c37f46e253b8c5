package h1

import (
	"errors"
	"testing"
)

func TestRequestFraming(t *testing.T) {
	const v11, v10 = "POST / HTTP/1.1\r\nHost: h\r\n", "POST / HTTP/1.0\r\nHost: h\r\n"
	cases := []struct {
		rule, head string
		want       Framing
		status     int // 0: accepted
	}{
		// RFC 9112 section 6.3.
		{"neither field: no body", v11, Framing{}, 0},
		{"a length", v11 + "Content-Length: 42\r\n", Framing{Length, 42}, 0},
		{"a length of nothing", v11 + "Content-Length: 0\r\n", Framing{Length, 0}, 0},
		{"a length with zeros in front", v11 + "Content-Length: 007\r\n", Framing{Length, 7}, 0},
		{"the largest length", v11 + "Content-Length: 999999999999999999\r\n", Framing{Length, 999999999999999999}, 0},
		{"a length on HTTP/1.0", v10 + "Content-Length: 5\r\n", Framing{Length, 5}, 0},
		{"chunked", v11 + "Transfer-Encoding: chunked\r\n", Framing{Chunked, 0}, 0},
		{"chunked in any case", v11 + "tRANSFER-eNCODING: \tChUnKeD \r\n", Framing{Chunked, 0}, 0},
		{"chunked with announced trailers", v11 + "Transfer-Encoding: chunked\r\nTrailer: A, B\r\n", Framing{Chunked, 0}, 0},
		// Section 6.1: who reads which one?
		{"both lengths", v11 + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", Framing{}, 400},
		{"both lengths the other way round", v11 + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", Framing{}, 400},
		{"both lengths and an unknown coding", v11 + "Transfer-Encoding: gzip\r\nContent-Length: 3\r\n", Framing{}, 400},
		{"chunked on HTTP/1.0", v10 + "Transfer-Encoding: chunked\r\n", Framing{}, 400},
		// RFC 9110 section 8.6.
		{"two different lengths", v11 + "Content-Length: 3\r\nContent-Length: 4\r\n", Framing{}, 400},
		{"the same length twice", v11 + "Content-Length: 3\r\nContent-Length: 3\r\n", Framing{}, 400},
		{"a list of lengths", v11 + "Content-Length: 3, 3\r\n", Framing{}, 400},
		{"an empty length", v11 + "Content-Length:\r\n", Framing{}, 400},
		{"a length with a plus", v11 + "Content-Length: +3\r\n", Framing{}, 400},
		{"a negative length", v11 + "Content-Length: -3\r\n", Framing{}, 400},
		{"a hexadecimal length", v11 + "Content-Length: 0x3\r\n", Framing{}, 400},
		{"a length with an underscore", v11 + "Content-Length: 1_0\r\n", Framing{}, 400},
		{"a length with a fraction", v11 + "Content-Length: 3.0\r\n", Framing{}, 400},
		{"a length with space inside", v11 + "Content-Length: 1 0\r\n", Framing{}, 400},
		{"a length beyond 64 bits", v11 + "Content-Length: 18446744073709551619\r\n", Framing{}, 400},
		{"a length of 19 digits", v11 + "Content-Length: 9223372036854775807\r\n", Framing{}, 400},
		// RFC 9112 section 6.1 and 7.
		{"an unknown coding", v11 + "Transfer-Encoding: gzip\r\n", Framing{}, 501},
		{"a coding before chunked", v11 + "Transfer-Encoding: gzip, chunked\r\n", Framing{}, 501},
		{"identity", v11 + "Transfer-Encoding: identity\r\n", Framing{}, 501},
		{"a word that only starts like chunked", v11 + "Transfer-Encoding: chunkedx\r\n", Framing{}, 501},
		{"chunked that is not last", v11 + "Transfer-Encoding: chunked, gzip\r\n", Framing{}, 400},
		{"chunked and identity", v11 + "Transfer-Encoding: chunked, identity\r\n", Framing{}, 400},
		{"chunked twice", v11 + "Transfer-Encoding: chunked, chunked\r\n", Framing{}, 400},
		{"chunked twice on two lines", v11 + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Framing{}, 400},
		{"chunked hidden on a second line", v11 + "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", Framing{}, 400},
		{"chunked with a parameter", v11 + "Transfer-Encoding: chunked;q=1\r\n", Framing{}, 400},
		{"chunked with a vertical tab is refused in the head", v11 + "Transfer-Encoding: \x0bchunked\r\n", Framing{}, 400},
		{"chunked with obs-text", v11 + "Transfer-Encoding: \xffchunked\r\n", Framing{}, 400},
		{"quoted chunked", v11 + "Transfer-Encoding: \"chunked\"\r\n", Framing{}, 400},
		{"an empty coding", v11 + "Transfer-Encoding:\r\n", Framing{}, 400},
		{"an empty member before chunked", v11 + "Transfer-Encoding: , chunked\r\n", Framing{}, 400},
		{"an empty member behind chunked", v11 + "Transfer-Encoding: chunked,\r\n", Framing{}, 400},
		{"a Trailer that announces framing", v11 + "Transfer-Encoding: chunked\r\nTrailer: A, content-length\r\n", Framing{}, 400},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			var h RequestHead
			_, err := ParseRequestHead(&h, []byte(c.head+"\r\n"), Limits{})
			var got Framing
			if err == nil {
				got, err = RequestFraming(&h)
			}
			checkFraming(t, got, err, c.want, c.status)
		})
	}
}

func checkFraming(t *testing.T, got Framing, err error, want Framing, status int) {
	t.Helper()
	if status != 0 {
		wantRefused(t, 0, err, status)
	} else if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("%v %d, want %v %d", got.Kind, got.Length, want.Kind, want.Length)
	}
}

func TestResponseFraming(t *testing.T) {
	const ok, ok10 = "HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n"
	const length, chunked = "Content-Length: 42\r\n", "Transfer-Encoding: chunked\r\n"
	cases := []struct {
		rule, method, head string
		want               Framing
		status             int
	}{
		{"a length", "GET", ok + length, Framing{Length, 42}, 0},
		{"chunked", "GET", ok + chunked, Framing{Chunked, 0}, 0},
		{"neither: until close", "GET", ok, Framing{UntilClose, 0}, 0},
		{"neither on HTTP/1.0: until close", "GET", ok10, Framing{UntilClose, 0}, 0},
		{"a length on HTTP/1.0", "GET", ok10 + length, Framing{Length, 42}, 0},
		{"HEAD has no body whatever is announced", "HEAD", ok + length, Framing{}, 0},
		{"HEAD has no body when chunked is announced", "HEAD", ok + chunked, Framing{}, 0},
		{"HEAD has no body when nothing is announced", "HEAD", ok, Framing{}, 0},
		{"a 404 has a body", "GET", "HTTP/1.1 404 Not Found\r\n" + length, Framing{Length, 42}, 0},
		{"304 has no body whatever is announced", "GET", "HTTP/1.1 304 Not Modified\r\n" + length, Framing{}, 0},
		{"204 has no body", "GET", "HTTP/1.1 204 No Content\r\n", Framing{}, 0},
		{"204 may say so", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n", Framing{}, 0},
		{"100 has no body", "POST", "HTTP/1.1 100 Continue\r\n", Framing{}, 0},
		{"103 has no body", "GET", "HTTP/1.1 103 Early Hints\r\n", Framing{}, 0},
		{"101 has no body", "GET", "HTTP/1.1 101 Switching Protocols\r\n", Framing{}, 0},
		{"a 2xx to CONNECT has no body whatever is announced", "CONNECT", ok + length + chunked, Framing{}, 0},
		{"a 4xx to CONNECT has one", "CONNECT", "HTTP/1.1 403 Forbidden\r\n" + length, Framing{Length, 42}, 0},
		{"205 is as any other", "GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n", Framing{Length, 0}, 0},

		{"both lengths", "GET", ok + length + chunked, Framing{}, 502},
		{"both lengths to HEAD", "HEAD", ok + length + chunked, Framing{}, 502},
		{"both lengths with 304", "GET", "HTTP/1.1 304 Not Modified\r\n" + length + chunked, Framing{}, 502},
		{"different lengths", "GET", ok + length + "Content-Length: 43\r\n", Framing{}, 502},
		{"the same length twice", "GET", ok + length + length, Framing{}, 502},
		{"a list of lengths", "GET", ok + "Content-Length: 42, 42\r\n", Framing{}, 502},
		{"a bad length", "GET", ok + "Content-Length: 42x\r\n", Framing{}, 502},
		{"a bad length to HEAD", "HEAD", ok + "Content-Length: -1\r\n", Framing{}, 502},
		{"an unknown coding", "GET", ok + "Transfer-Encoding: gzip\r\n", Framing{}, 502},
		{"an unknown coding before chunked", "GET", ok + "Transfer-Encoding: gzip, chunked\r\n", Framing{}, 502},
		{"chunked twice", "GET", ok + chunked + chunked, Framing{}, 502},
		{"chunked on HTTP/1.0", "GET", ok10 + chunked, Framing{}, 502},
		{"204 that announces a body", "GET", "HTTP/1.1 204 No Content\r\n" + length, Framing{}, 502},
		{"204 that announces chunks", "GET", "HTTP/1.1 204 No Content\r\n" + chunked, Framing{}, 502},
		{"100 that announces a body", "POST", "HTTP/1.1 100 Continue\r\n" + length, Framing{}, 502},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			var h ResponseHead
			if _, err := ParseResponseHead(&h, []byte(c.head+"\r\n"), Limits{}); err != nil {
				t.Fatal(err)
			}
			got, err := ResponseFraming(&h, c.method)
			checkFraming(t, got, err, c.want, c.status)
		})
	}
}

func TestKeepAlive(t *testing.T) {
	// RFC 9112 section 9.3.
	cases := []struct {
		rule, version, fields string
		want                  bool
	}{
		{"HTTP/1.1 stays open", "1.1", "", true},
		{"HTTP/1.1 closes when told", "1.1", "Connection: close\r\n", false},
		{"close is found in any case and place", "1.1", "Connection: a, , \tCLOSE ,b\r\n", false},
		{"close is found on the second line", "1.1", "Connection: a\r\nconnection: close\r\n", false},
		{"a word that contains close is another one", "1.1", "Connection: closed\r\n", true},
		{"HTTP/1.0 closes", "1.0", "", false},
		{"HTTP/1.0 stays open when told", "1.0", "Connection: Keep-Alive\r\n", true},
		{"close wins over keep-alive", "1.0", "Connection: keep-alive, close\r\n", false},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			var q RequestHead
			var p ResponseHead
			_, err1 := ParseRequestHead(&q, []byte("GET / HTTP/"+c.version+"\r\nHost: h\r\n"+c.fields+"\r\n"), Limits{})
			_, err2 := ParseResponseHead(&p, []byte("HTTP/"+c.version+" 200 OK\r\n"+c.fields+"\r\n"), Limits{})
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			if RequestKeepAlive(&q) != c.want || ResponseKeepAlive(&p) != c.want {
				t.Errorf("request %v, response %v", RequestKeepAlive(&q), ResponseKeepAlive(&p))
			}
		})
	}
}
