package h1

import (
	"errors"
	"strings"
	"testing"
)

// readAll feeds in to a new BodyReader in pieces of at most step bytes, the way a
// connection's owner does: what is not consumed is offered again.
func readAll(f Framing, lim Limits, in string, step int) (body string, rest string, r *BodyReader, err error) {
	r = new(BodyReader)
	r.Reset(f, lim)
	var out strings.Builder
	from := 0
	for to := min(step, len(in)); !r.Done(); {
		data, n, err := r.Next([]byte(in[from:to]))
		if err != nil {
			return out.String(), in[from:], r, err
		}
		out.Write(data)
		from += n
		if n > 0 && from < to {
			continue
		}
		if to == len(in) {
			break
		}
		to = min(to+step, len(in))
	}
	return out.String(), in[from:], r, r.EOF()
}

func TestChunkedBodies(t *testing.T) {
	cases := []struct{ rule, in, body, trailers string }{
		{"no data", "0\r\n\r\n", "", ""},
		{"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", ""},
		{"chunks", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc", ""},
		{"hexadecimal sizes in either case", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
		{"zeros in front", "0005\r\nhello\r\n000\r\n\r\n", "hello", ""},
		{"data that looks like framing", "7\r\n0\r\n\r\n5\r\r\n0\r\n\r\n", "0\r\n\r\n5\r", ""},
		{"extensions", "5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", "hello", ""},
		{"bounds are per line", strings.Repeat("00001;"+strings.Repeat("e", 200)+"\r\nx\r\n", 40) + "0\r\n\r\n", strings.Repeat("x", 40), ""},
		{"trailers", "0\r\nA: b\r\nC:d \r\n\r\n", "", "A=b|C=d"},
		{"forbidden trailers are dropped", "0\r\nContent-Length: 5\r\nA: b\r\nHOST: x\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\n\r\n", "", "A=b"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			body, rest, r, err := readAll(Framing{Kind: Chunked}, Limits{}, c.in+"next", 1<<20)
			if err != nil || body != c.body || rest != "next" || fieldText(r.Trailers()) != c.trailers {
				t.Fatalf("body %q, rest %q, trailers %s, error %v", body, rest, fieldText(r.Trailers()), err)
			}
			if want := strings.Count(c.in, ":") - r.Trailers().Len(); r.Dropped() != want {
				t.Errorf("%d dropped, want %d", r.Dropped(), want)
			}
		})
	}
}

var refusedChunks = []refusal{
	// RFC 9112 section 7.1.
	{"no size", "\r\nhello\r\n0\r\n\r\n", 400},
	{"a size with a sign", "+5\r\nhello\r\n", 400},
	{"a negative size", "-5\r\nhello\r\n", 400},
	{"a size with 0x", "0x5\r\nhello\r\n", 400},
	{"a size that is not hexadecimal", "g\r\n", 400},
	{"a size with an underscore", "1_0\r\n", 400},
	{"white space before the size", " 5\r\nhello\r\n", 400},
	{"white space behind the size", "5 \r\nhello\r\n", 400},
	{"white space before the semicolon", "5 ;a\r\nhello\r\n", 400},
	{"a size beyond 64 bits", "10000000000000005\r\nhello\r\n", 400},
	{"a size beyond 63 bits", "8000000000000000\r\n", 400},
	{"a size with 17 digits", "00000000000000005\r\nhello\r\n", 400},
	{"a size line ending with a bare LF", "5\nhello\r\n0\r\n\r\n", 400},
	{"a bare CR in a size line", "5\rX\r\nhello\r\n0\r\n\r\n", 400},
	{"a comma behind the size", "5,\r\nhello\r\n", 400},
	{"data longer than its size", "4\r\nhello\r\n0\r\n\r\n", 400},
	{"data ending with a bare LF", "5\r\nhello\n0\r\n\r\n", 400},
	{"data ending with a bare CR", "5\r\nhello\r0\r\n\r\n", 400},
	// Section 7.1.1.
	{"an extension ending with a bare LF", "5;a\nhello\r\n0\r\n\r\n", 400},
	{"a bare CR in an extension", "5;a\rb\r\nhello\r\n", 400},
	{"a NUL in an extension", "5;a\x00\r\nhello\r\n", 400},
	{"an extension longer than 256 bytes", "5;" + strings.Repeat("a", 257) + "\r\nhello\r\n", 400},
	{"more than 16 KiB of extensions", strings.Repeat("1;"+strings.Repeat("a", 256)+"\r\nx\r\n", 65), 400},
	// Section 7.1.2: trailers are field lines.
	{"a trailer ending with a bare LF", "0\r\nA: b\n\r\n", 400},
	{"an empty line that is a bare LF", "0\r\nA: b\r\n\n", 400},
	{"a bare CR in a trailer", "0\r\nA: b\rc\r\n\r\n", 400},
	{"a bare CR as a trailer", "0\r\n\rA: b\r\n\r\n", 400},
	{"a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", 400},
	{"white space before the first trailer", "0\r\n A: b\r\n\r\n", 400},
	{"a space before a trailer's colon", "0\r\nA : b\r\n\r\n", 400},
	{"a trailer without a colon", "0\r\nGET / HTTP/1.1\r\n\r\n", 400},
	{"an empty trailer name", "0\r\n: b\r\n\r\n", 400},
	{"a NUL in a trailer", "0\r\nA: \x00\r\n\r\n", 400},
	{"too many trailers", "0\r\n" + strings.Repeat("A: b\r\n", 129) + "\r\n", 431},
	{"too many trailers, all dropped", "0\r\n" + strings.Repeat("Host: b\r\n", 129) + "\r\n", 431},
	{"too large a trailer section", "0\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1020)+"\r\n", 64) + "\r\n", 431},
	{"a trailer that fills the limit and is not complete", "0\r\nA: " + strings.Repeat("b", 64<<10-3), 431},
	{"too large a trailer that never ends", "0\r\nA: " + strings.Repeat("b", 64<<10), 431},
}

func TestRefusedChunkedBodies(t *testing.T) {
	for _, c := range refusedChunks {
		t.Run(c.rule, func(t *testing.T) {
			_, _, r, err := readAll(Framing{Kind: Chunked}, Limits{}, c.head, 1<<20)
			wantRefused(t, 0, err, c.status)
			if errors.Is(err, ErrTruncated) || r.Done() {
				t.Errorf("taken for a truncated or complete body: %v", err)
			}
			if _, n, again := r.Next([]byte("0\r\n\r\n")); again != err || n != 0 || r.EOF() != err {
				t.Errorf("the error is not final: then %v, at the end %v", again, r.EOF())
			}
		})
	}
}

func TestWhereAChunkedBodyEndsTooEarly(t *testing.T) {
	const whole = "5;e\r\nhello\r\n0\r\nA: b\r\n\r\n"
	for cut := range len(whole) {
		want := error(ErrShortChunk)
		switch {
		case cut == 0 || cut == strings.Index(whole, "0\r\nA"):
			want = ErrNoLastChunk
		case cut >= strings.Index(whole, "A: b"):
			want = ErrShortTrailers
		}
		_, rest, r, err := readAll(Framing{Kind: Chunked}, Limits{}, whole[:cut], 1<<20)
		if err != want || !errors.Is(err, ErrTruncated) || r.Done() || rest != "" {
			t.Errorf("cut behind %q: %v, want %v", whole[:cut], err, want)
		}
	}
}

func TestBodiesOfOtherKinds(t *testing.T) {
	cases := []struct {
		rule     string
		f        Framing
		in, body string
		end      error
		left     int64
	}{
		{"no body takes nothing", Framing{}, "next", "", nil, 0},
		{"a length of nothing takes nothing", Framing{Length, 0}, "next", "", nil, 0},
		{"a length takes exactly that", Framing{Length, 5}, "hellonext", "hello", nil, 0},
		{"a short body is an error", Framing{Length, 6}, "hello", "hello", ErrShortBody, 1},
		{"no byte at all is one too", Framing{Length, 6}, "", "", ErrShortBody, 6},
		{"until close takes all", Framing{UntilClose, 0}, "hello", "hello", nil, -1},
		{"until close may be empty", Framing{UntilClose, 0}, "", "", nil, -1},
		{"chunked cannot know what is left", Framing{Chunked, 0}, "5\r\nhello", "hello", ErrShortChunk, -1},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			body, rest, r, err := readAll(c.f, Limits{}, c.in, 1<<20)
			if body != c.body || err != c.end || r.Remaining() != c.left {
				t.Errorf("body %q, remaining %d, end %v", body, r.Remaining(), err)
			}
			if c.f.Kind <= Length && err == nil && body+rest != c.in {
				t.Errorf("rest is %q", rest)
			}
			if r.Done() != (c.end == nil && c.f.Kind != UntilClose) {
				t.Errorf("Done is %v", r.Done())
			}
		})
	}
}

func TestDataIsAPartOfTheInput(t *testing.T) {
	in := []byte("5\r\nhello\r\n0\r\n\r\n")
	var r BodyReader
	r.Reset(Framing{Kind: Chunked}, Limits{})
	data, n, err := r.Next(in)
	if err != nil || n != 8 || string(data) != "hello" {
		t.Fatalf("%q, %d, %v", data, n, err)
	}
	if &data[0] != &in[3] {
		t.Error("the data was copied")
	}
}

func TestChunksWritten(t *testing.T) {
	var f Fields
	for _, name := range []string{"A", "Content-Length", "B", "host"} {
		if err := f.Add(name, "1"); err != nil {
			t.Fatal(err)
		}
	}
	b := AppendChunk(nil, []byte("hello"))
	b = AppendChunk(b, nil) // would be the last chunk
	b = AppendChunkHeader(b, 0)
	b = append(AppendChunkHeader(b, 26), "abcdefghijklmnopqrstuvwxyz\r\n"...)
	b = AppendLastChunk(b, &f)
	const want = "5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: 1\r\nB: 1\r\n\r\n"
	if string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
	if s := string(AppendLastChunk(nil, nil)); s != "0\r\n\r\n" {
		t.Errorf("without trailers %q", s)
	}
}

func TestTruncationKeepsItsNameForOrigins(t *testing.T) {
	err := ErrShortBody.AsOrigin()
	if err.Status != 502 || ErrShortBody.Status != 400 || !errors.Is(err, ErrTruncated) || !errors.Is(err, ErrShortBody) || errors.Is(err, ErrNoLastChunk) {
		t.Errorf("%+v", err)
	}
	if errors.Is(refuse(400, "x"), ErrTruncated) {
		t.Error("any refusal is taken for a truncation")
	}
}

func TestABodyReaderIsUsedAgain(t *testing.T) {
	var r BodyReader
	r.Reset(Framing{Kind: Chunked}, Limits{})
	r.Next([]byte("0\r\nA: b\r\nHost: c\r\n\r\n"))
	r.Reset(Framing{Kind: Chunked, Length: 9}, Limits{})
	if r.Done() || r.Trailers().Len() != 0 || r.Dropped() != 0 {
		t.Error("something of the body before is left")
	}
	if data, n, err := r.Next([]byte("2\r\nhi")); string(data) != "hi" || n != 5 || err != nil {
		t.Errorf("%q, %d, %v", data, n, err)
	}
	r.Reset(Framing{Kind: Length, Length: -1}, Limits{})
	if data, n, err := r.Next([]byte("x")); len(data) != 0 || n != 0 || err != nil || !r.Done() {
		t.Error("a length below zero is not an empty body")
	}
}
