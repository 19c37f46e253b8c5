package httpsm

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2gw/h2gw/vconn"
)

// letters is n bytes of which none can be left out or repeated unnoticed.
func letters(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + (i*7+i/251+i/6007)%26)
	}
	return string(b)
}

// chunksOf takes a chunked body without trailers apart: its chunks, and whether
// it is whole and nothing follows.
func chunksOf(s string) (chunks []string, whole bool) {
	for {
		size, rest, _ := strings.Cut(s, "\r\n")
		n, err := strconv.ParseInt(size, 16, 0)
		switch {
		case err != nil || len(rest) < int(n)+2 || rest[n:n+2] != "\r\n":
			return chunks, false
		case n == 0:
			return chunks, rest == "\r\n"
		}
		chunks, s = append(chunks, rest[:n]), rest[n+2:]
	}
}

// cut cuts body into pieces of these lengths.
func cut(body string, lengths []int) (all []string) {
	for _, n := range lengths {
		all, body = append(all, body[:n]), body[n:]
	}
	return all
}

// A piece of a body that is worth it is written from where it is: with what was
// collected in front of it and nothing in between, as one chunk where the client
// gets chunks, however little room it leaves.
func TestLongPiecesOfABodyToAClientWithLittleRoom(t *testing.T) {
	const long = outBound/2 + 1 // what does not fit behind something else, and is long
	type framing struct {
		name, head string // of the origin's response
		piece      func(string) string
		end        string // of its body; "": that of the connection
		chunked    bool   // the client's
	}
	as := func(s string) string { return s }
	framings := []framing{
		{"with a length", "Content-Length: %d\r\n", as, "", false},
		{"until the end", "", as, "", true},
		{"in chunks", "Transfer-Encoding: chunked\r\n", func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }, "0\r\n\r\n", true},
	}
	for _, lengths := range [][]int{
		{outBound}, {outBound + 1}, {3*outBound + 17}, {outBound, outBound}, {long, outBound, 1, long},
		{1, 2 * outBound}, {2 * outBound, 1}, {outBound - 100, long, long, outBound - 100},
	} {
		total := 0
		for _, n := range lengths {
			total += n
		}
		body := letters(total)
		for _, room := range []int{7, 61, outBound / 2, outBound + 10, 1 << 20} {
			for _, f := range framings {
				bubble(t, fmt.Sprintf("%d %s into %d", lengths, f.name, room), func(t *testing.T) {
					r := newInlineRig(t, nil)
					c := r.request(get, func(o *vconn.Options) { o.PassiveToActive = room })
					head := f.head
					if strings.Contains(head, "%d") {
						head = fmt.Sprintf(head, total)
					}
					head = "HTTP/1.1 200 OK\r\n" + head + "\r\n"
					got := make(chan string)
					go func() { got <- r.readAll(c) }()
					for _, p := range cut(body, lengths) {
						r.a.answer(head+f.piece(p), nil)
						synctest.Wait()
						head = ""
					}
					if f.end != "" {
						r.a.answer(f.end, nil)
					} else if f.chunked {
						r.a.answer("", io.EOF)
					}
					gotHead, gotBody, _ := strings.Cut(<-got, "\r\n\r\n")
					c.Close()
					if !strings.HasPrefix(gotHead, "HTTP/1.1 200 OK\r\n") || strings.Contains(strings.ToLower(gotHead), "chunked") != f.chunked {
						t.Fatalf("head %.200q", gotHead)
					}
					if f.chunked {
						chunks, whole := chunksOf(gotBody)
						if len(chunks) != len(lengths) || !whole {
							t.Fatalf("%d chunks and whole %t, want %d", len(chunks), whole, len(lengths))
						}
						gotBody = strings.Join(chunks, "")
					}
					if gotBody != body {
						t.Errorf("a body of %d bytes that differs, want %d", len(gotBody), total)
					}
					if rec := r.wantRecord(Completed, 200); rec.BytesOut != int64(total) {
						t.Errorf("bytes_out %d, want %d", rec.BytesOut, total)
					}
				})
			}
		}
	}
}

// The beginning of a body goes out behind the head from where it is. What finds
// no room follows when there is some: nothing is lost or comes twice, whatever
// byte the room ends at.
func TestTheBeginningOfABodyToAClientWithLittleRoom(t *testing.T) {
	const total = leastPart + 5000
	body := letters(total)
	response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", total)
	head := len(headOf(t, response+body))
	for _, begin := range []int{leastPart - 1, leastPart, leastPart + 1, total - 1} {
		for _, room := range []int{1, head - 1, head, head + 1, begin, head + begin - 1, head + begin, head + begin + 1, head + total} {
			bubble(t, fmt.Sprintf("%d of %d into %d", begin, total, room), func(t *testing.T) {
				r := newInlineRig(t, nil)
				c := r.request(get, func(o *vconn.Options) { o.PassiveToActive = room })
				start := time.Now()
				r.a.answer(response+body[:begin], nil)                                               // no goroutine but this one has run when that returns
				if n, want := c.Buffered(), min(room, head+begin); n != want && begin >= leastPart { // others are left to the crew
					t.Errorf("%d bytes are there at once, want %d", n, want)
				}
				time.Sleep(time.Second)
				got := make(chan string)
				go func() { got <- r.readAll(c) }()
				synctest.Wait()
				r.a.answer(body[begin:], nil)
				if _, got, _ := strings.Cut(<-got, "\r\n\r\n"); got != body {
					t.Errorf("a body of %d bytes that differs, want %d", len(got), total)
				}
				c.Close()
				if rec := r.wantRecord(Completed, 200); rec.BytesOut != total || !rec.FirstByte.Equal(start) {
					t.Errorf("bytes_out %d, want %d; first byte at %v, want %v", rec.BytesOut, total, rec.FirstByte, start)
				}
				r.wantCrew(1)
			})
		}
	}
}

// A client that leaves in the midst of it has got what it has read.
func TestAClientThatLeavesAtTheBeginningOfABody(t *testing.T) {
	const total, begin = 1 << 20, leastPart + 100
	body := letters(total)
	response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", total)
	head := len(headOf(t, response+body))
	for _, room := range []int{head - 1, head + 1, head + begin - 1, head + begin, 1 << 20} {
		for _, read := range []int{0, 1, head - 1, head, head + 1, head + begin - 1} {
			if read > room {
				continue
			}
			bubble(t, fmt.Sprintf("reads %d of %d", read, room), func(t *testing.T) {
				r := newInlineRig(t, nil)
				c := r.request(get, func(o *vconn.Options) { o.PassiveToActive = room })
				r.a.answer(response+body[:begin], nil)
				synctest.Wait()
				if n, err := io.ReadFull(c, make([]byte, read)); err != nil {
					t.Fatalf("read %d: %v", n, err)
				}
				synctest.Wait()
				c.Reset(codeCancel)
				status := 200
				if read < head {
					status = 499
				}
				if rec := r.wantRecord(ClientAbort, status); rec.BytesOut != int64(max(0, read-head)) {
					t.Errorf("bytes_out %d, want %d", rec.BytesOut, max(0, read-head))
				}
				r.wantReleased(false)
			})
		}
	}
}

// headOf is the head that a client gets of a response that is passed on whole.
func headOf(t *testing.T, response string) (head []byte) {
	t.Helper()
	bubble(t, "the head", func(t *testing.T) {
		r := newInlineRig(t, nil)
		c := r.request(get)
		r.a.answer(response, nil)
		all := []byte(r.readAll(c))
		head = all[:bytes.Index(all, []byte("\r\n\r\n"))+4]
		c.Close()
	})
	return head
}
