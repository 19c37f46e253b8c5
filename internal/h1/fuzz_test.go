package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"
)

func addRequestSeeds(f *testing.F) {
	for _, c := range splitRequests() {
		if len(c.head) < 4<<10 {
			f.Add([]byte(c.head))
		}
	}
	for _, s := range []string{
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n5;x\r\nhello\r\n0\r\nA: b\r\n\r\nGET",
		"POST / HTTP/1.0\r\nContent-Length: 1\r\nConnection: keep-alive\r\nPragma: no-cache\r\n\r\nx",
		"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
}

// FuzzRequestHead: no verdict depends on the split, and what we accept net/http
// accepts and reads as the same message.
func FuzzRequestHead(f *testing.F) {
	addRequestSeeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		lim := Limits{Head: 4 << 10, Fields: 20, Target: 1 << 10}
		if len(in) < 1<<10 {
			whole := requestInPieces(in, lim, ParseRequestHead)
			if got := requestInPieces(in, lim, ContinueRequestHead, everyByte(in)...); got != whole {
				t.Fatalf("byte by byte %s, at once %s", got, whole)
			}
		}
		var h RequestHead
		n, err := ParseRequestHead(&h, in, lim)
		wantProtocolError(t, err)
		if n == 0 {
			return
		}
		framing, err := RequestFraming(&h)
		wantProtocolError(t, err)
		if err == nil {
			compareRequest(t, &h, framing, in, n)
		}
	})
}

func wantProtocolError(t *testing.T, err error) {
	t.Helper()
	var pe *ProtocolError
	if err != nil && (!errors.As(err, &pe) || pe.Status < 400 || pe.Reason == "") {
		t.Fatalf("not a usable ProtocolError: %#v", err)
	}
}

// compareRequest holds what we made of the message in, whose head has n bytes,
// against net/http.
func compareRequest(t *testing.T, h *RequestHead, framing Framing, in []byte, n int) {
	// net/http knows no empty line in front.
	// It bounds a trailer section by its buffer, we by Limits.Head.
	br := bufio.NewReaderSize(bytes.NewReader(bytes.TrimPrefix(in, []byte("\r\n"))), 1<<20)
	req, err := http.ReadRequest(br)
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		return // how a path is percent-encoded does not matter to us
	}
	if err != nil {
		t.Fatalf("accepted, but net/http says %v", err)
	}
	if req.Method != h.Method() || req.RequestURI != string(h.Target()) || req.ProtoMinor != h.Minor() {
		t.Fatalf("%s %s 1.%d, net/http %s %s", h.Method(), h.Target(), h.Minor(), req.Method, req.RequestURI)
	}
	if !strings.EqualFold(req.Host, string(h.Authority())) {
		t.Fatalf("authority %q, net/http %q", h.Authority(), req.Host)
	}
	compareFields(t, &h.Fields, req.Header, "Host", "Transfer-Encoding", "Trailer")
	if chunked := slices.Equal(req.TransferEncoding, []string{"chunked"}); chunked != (framing.Kind == Chunked) {
		t.Fatalf("%v, net/http %v", framing.Kind, req.TransferEncoding)
	}
	if framing.Kind != Chunked && req.ContentLength != framing.Length {
		t.Fatalf("length %d, net/http %d", framing.Length, req.ContentLength)
	}
	compareBody(t, framing, in[n:], req.Body, br, func() http.Header { return req.Trailer })
}

// compareBody wants the same bytes and the same rest behind the body. We may refuse
// more, never less.
func compareBody(t *testing.T, f Framing, in []byte, theirs io.Reader, rest *bufio.Reader, trailer func() http.Header) {
	body, left, r, err := readAll(f, Limits{}, string(in), 1<<20)
	wantProtocolError(t, err)
	if err != nil {
		return
	}
	got, err := io.ReadAll(theirs)
	if err != nil || string(got) != body {
		t.Fatalf("body %q, net/http %q, error %v", body, got, err)
	}
	if rest, _ := io.ReadAll(rest); string(rest) != left {
		t.Fatalf("behind the body %q, net/http %q", left, rest)
	}
	for name, values := range trailer() {
		if own := valuesOf(r.Trailers(), name); !ForbiddenTrailer([]byte(name)) && !slices.Equal(own, values) {
			t.Fatalf("trailer %s is %q, net/http %q", name, own, values)
		}
	}
}

func valuesOf(f *Fields, name string) (values []string) {
	for n, v := range f.All() {
		if strings.EqualFold(string(n), name) {
			values = append(values, string(v))
		}
	}
	return values
}

// compareFields wants the same names and values; net/http takes those in except out
// of the header.
func compareFields(t *testing.T, f *Fields, theirs http.Header, except ...string) {
	t.Helper()
	ours := http.Header{}
	for name, value := range f.All() {
		ours[http.CanonicalHeaderKey(string(name))] = append(ours[http.CanonicalHeaderKey(string(name))], string(value))
	}
	if _, ok := ours["Cache-Control"]; !ok && slices.Equal(ours["Pragma"][:min(1, len(ours["Pragma"]))], []string{"no-cache"}) {
		except = append(except, "Cache-Control") // net/http adds it
	}
	for _, name := range except {
		delete(ours, name)
		delete(theirs, name)
	}
	keys := func(h http.Header) (k []string) {
		for name := range h {
			k = append(k, name)
		}
		sort.Strings(k)
		return k
	}
	if !slices.Equal(keys(ours), keys(theirs)) {
		t.Fatalf("fields %q, net/http %q", ours, theirs)
	}
	for name := range ours {
		if !slices.Equal(ours[name], theirs[name]) {
			t.Fatalf("%s is %q, net/http %q", name, ours[name], theirs[name])
		}
	}
}

// FuzzResponseHead does for responses what FuzzRequestHead does for requests.
func FuzzResponseHead(f *testing.F) {
	for _, c := range refusedResponses {
		if len(c.head) < 4<<10 {
			f.Add([]byte(c.head), false)
		}
	}
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhellonext", "HTTP/1.0 200 OK\r\n\r\nhello", "HTTP/1.1 304 \r\nETag: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nnext", "HTTP/1.1 204\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, head bool) {
		lim := Limits{Head: 4 << 10, Fields: 20}
		if len(in) < 1<<10 {
			whole := responseInPieces(in, lim, ParseResponseHead)
			if got := responseInPieces(in, lim, ContinueResponseHead, everyByte(in)...); got != whole {
				t.Fatalf("byte by byte %s, at once %s", got, whole)
			}
		}
		var h ResponseHead
		n, err := ParseResponseHead(&h, in, lim)
		wantProtocolError(t, err)
		if n == 0 {
			return
		}
		method := "GET"
		if head {
			method = "HEAD"
		}
		framing, err := ResponseFraming(&h, method)
		wantProtocolError(t, err)
		if err == nil {
			compareResponse(t, &h, method, framing, in, n)
		}
	})
}

func compareResponse(t *testing.T, h *ResponseHead, method string, framing Framing, in []byte, n int) {
	br := bufio.NewReaderSize(bytes.NewReader(in), 1<<20)
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("accepted, but net/http says %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != h.Status() || resp.ProtoMinor != h.Minor() {
		t.Fatalf("1.%d %d, net/http %s %d", h.Minor(), h.Status(), resp.Proto, resp.StatusCode)
	}
	compareFields(t, &h.Fields, resp.Header, "Transfer-Encoding", "Trailer")
	if framing.Kind == UntilClose && resp.ContentLength != -1 || framing.Kind == Length && resp.ContentLength != framing.Length {
		t.Fatalf("%v %d, net/http %d", framing.Kind, framing.Length, resp.ContentLength)
	}
	compareBody(t, framing, in[n:], resp.Body, br, func() http.Header { return resp.Trailer })
}

// FuzzChunked: a chunked body reads the same however it is split, and as net/http
// reads it when we accept it.
func FuzzChunked(f *testing.F) {
	for _, c := range refusedChunks {
		if len(c.head) < 4<<10 {
			f.Add([]byte(c.head), uint(3))
		}
	}
	f.Add([]byte("5;x=y\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: b\r\nHost: c\r\n\r\nnext"), uint(7))
	f.Fuzz(func(t *testing.T, in []byte, cut uint) {
		chunked := Framing{Kind: Chunked}
		whole := bodyVerdict(chunked, Limits{}, in)
		if at := int(cut % uint(len(in)+1)); bodyVerdict(chunked, Limits{}, in, at) != whole {
			t.Fatalf("cut at %d %s, at once %s", at, bodyVerdict(chunked, Limits{}, in, at), whole)
		}
		if len(in) < 1<<9 && bodyVerdict(chunked, Limits{}, in, everyByte(in)...) != whole {
			t.Fatalf("byte by byte %s, at once %s", bodyVerdict(chunked, Limits{}, in, everyByte(in)...), whole)
		}
		const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		br := bufio.NewReaderSize(io.MultiReader(strings.NewReader(head), bytes.NewReader(in)), 1<<20)
		req, err := http.ReadRequest(br)
		if err != nil {
			t.Fatal(err)
		}
		compareBody(t, chunked, in, req.Body, br, func() http.Header { return req.Trailer })
		body, _, r, err := readAll(chunked, Limits{}, string(in), 1<<20)
		if err != nil {
			return
		}
		again := AppendLastChunk(AppendChunk(nil, []byte(body)), r.Trailers())
		body2, rest, r2, err := readAll(chunked, Limits{}, string(again), 1<<20)
		if err != nil || body2 != body || rest != "" || fieldText(r2.Trailers()) != fieldText(r.Trailers()) || r2.Dropped() != 0 {
			t.Fatalf("written again as %q it reads %q, %v", again, body2, err)
		}
	})
}

// FuzzHeadRoundTrip: a head that was accepted reads the same after it was written,
// and writing that gives the same bytes; the same for a head built from parts.
func FuzzHeadRoundTrip(f *testing.F) {
	addRequestSeeds(f)
	f.Add([]byte("HTTP/1.1 200 OK\r\nA: b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var h, again, built RequestHead
		if n, _ := ParseRequestHead(&h, in, Limits{}); n > 0 {
			out := AppendRequestHead(nil, &h)
			n, err := ParseRequestHead(&again, out, Limits{Head: 1 << 20})
			if h.Minor() == 0 && err != nil {
				return // without Host it cannot be written as HTTP/1.1
			}
			if err != nil || n != len(out) || string(out) != string(AppendRequestHead(nil, &again)) ||
				fieldText(&h.Fields) != fieldText(&again.Fields) || string(h.Authority()) != string(again.Authority()) ||
				string(h.Path()) != string(again.Path()) {
				t.Fatalf("%q became %q, %v", in, out, err)
			}
			err = errors.Join(built.SetMethod(h.Method()), built.SetTarget(h.Target()))
			for name, value := range h.Fields.All() {
				err = errors.Join(err, built.Fields.AddBytes(name, value))
			}
			if err != nil || string(AppendRequestHead(nil, &built)) != string(out) {
				t.Fatalf("built from parts %q, want %q, %v", AppendRequestHead(nil, &built), out, err)
			}
		}
		var p, pAgain ResponseHead
		if n, _ := ParseResponseHead(&p, in, Limits{}); n > 0 {
			out := AppendResponseHead(nil, &p)
			n, err := ParseResponseHead(&pAgain, out, Limits{Head: 1 << 20})
			if err != nil || n != len(out) || string(out) != string(AppendResponseHead(nil, &pAgain)) {
				t.Fatalf("%q became %q, %v", in, out, err)
			}
		}
	})
}
