package report

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
)

func gzipped(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, p := range parts { // a member each, as after appending to a file
		z := gzip.NewWriter(&b)
		if _, err := z.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestInputsAreAlike reads the same log as one file, as many, compressed, from
// standard input, and in every mixture.
func TestInputsAreAlike(t *testing.T) {
	_, log := generate(31, 40, 1<<20)
	half := bytes.LastIndexByte(log[:len(log)/2], '\n') + 1
	dir := t.TempDir()
	a, b := write(t, dir, "a.log", log[:half]), write(t, dir, "b.log", log[half:])
	az, bz := write(t, dir, "a.log.gz", gzipped(t, log[:half/2], log[half/2:half])), write(t, dir, "b", gzipped(t, log[half:]))
	bare := func(s *Summary) string {
		c := *s
		c.Inputs = nil
		return asJSON(t, &c)
	}
	want := bare(summarize(t, Options{}, string(log)))
	for name, o := range map[string]Options{
		"one file":              {Files: []string{write(t, dir, "all.log", log)}},
		"two files":             {Files: []string{a, b}},
		"two files, reversed":   {Files: []string{b, a}},
		"gzip":                  {Files: []string{az, bz}},
		"a mixture":             {Files: []string{az, "-"}, Stdin: bytes.NewReader(log[half:])},
		"gzip on stdin":         {Stdin: bytes.NewReader(gzipped(t, log))},
		"one byte at a time":    {Stdin: iotest.OneByteReader(bytes.NewReader(log))},
		"data with end of file": {Stdin: iotest.DataErrReader(bytes.NewReader(log))},
		"byte order mark":       {Stdin: strings.NewReader("\ufeff" + string(log))},
		"CRLF":                  {Stdin: bytes.NewReader(bytes.ReplaceAll(log, []byte("\n"), []byte("\r\n")))},
		"no newline at the end": {Stdin: bytes.NewReader(log[:len(log)-1])},
	} {
		s, err := Summarize(context.Background(), o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if bare(s) != want {
			t.Errorf("%s: another summary", name)
		}
	}
}

func TestUnreadableInputsAreSaidAndTheOthersRead(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "good.log", []byte(access("1")))
	cut := gzipped(t, []byte(strings.Repeat(access("2"), 1000)))
	short := write(t, dir, "short.gz", cut[:len(cut)-20])
	noGzip := write(t, dir, "no.gz", []byte("\x1f\x8bnot gzip at all"))
	missing := filepath.Join(dir, "missing.log")
	var out bytes.Buffer
	err := Run(context.Background(), Options{Files: []string{missing, good, dir, short, noGzip}, Out: &out})
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
	var in *InputError
	if !errors.As(err, &in) || in.Name != missing {
		t.Errorf("first error %+v", in)
	}
	for _, want := range []string{
		"cannot read " + missing + ": no such file or directory\n", "cannot read " + dir + ": is a directory\n",
		"cannot read " + short + ": the gzip data ends too early", "cannot read " + noGzip + ": read gzip: ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
		if !strings.Contains(err.Error(), strings.TrimSuffix(want, "\n")) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if !strings.Contains(out.String(), "h2 (open)") {
		t.Errorf("the good file is not in\n%s", out.String())
	}
}

func TestReadErrorKeepsWhatWasRead(t *testing.T) {
	broken := errors.New("disk on fire")
	s, err := Summarize(context.Background(), Options{Stdin: io.MultiReader(strings.NewReader(access("1")+access("1")), iotest.ErrReader(broken))})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "standard input") || s.Lines.Access != 2 {
		t.Errorf("%v, %+v", err, s.Lines)
	}
	if _, err := Summarize(context.Background(), Options{}); err == nil {
		t.Error("no standard input is no error")
	}
}

func TestPrintingFails(t *testing.T) {
	full := errors.New("no space left")
	for _, asJSON := range []bool{false, true} {
		err := Run(context.Background(), Options{Stdin: strings.NewReader(access("1")), Out: failingWriter{full}, JSON: asJSON})
		if !errors.Is(err, full) {
			t.Errorf("json %v: %v", asJSON, err)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestLinesOfEveryLength(t *testing.T) {
	fill := func(n int) string { // an access line of n bytes without its newline
		const begin, end = `{"event":"access","pitag":"h2","piid":1,"path":"`, `"}`
		return begin + strings.Repeat("x", n-len(begin)-len(end)) + end
	}
	for _, n := range []int{100, chunkSize - 1, chunkSize, chunkSize + 1, maxLine - 1, maxLine, maxLine + 1, maxLine + 2, 2*maxLine + 7, 5 * maxLine} {
		for _, newline := range []string{"\n", "\r\n"} {
			log := access("1") + fill(n) + newline + access("1") + "broken" + newline + access("1")
			want := LineCounts{Total: 5, Access: 4, Broken: 1}
			named := []BrokenLine{{"-", 4, errNotObject.Error()}}
			if n > maxLine {
				want.Access, want.Broken = 3, 2
				named = append([]BrokenLine{{"-", 2, errTooLong.Error()}}, named...)
			}
			for _, size := range []int{0, 64, 1000} {
				s := summarize(t, Options{chunk: size}, log)
				if s.Lines != want || len(s.Broken) != len(named) || s.Broken[0] != named[0] || s.Broken[len(named)-1] != named[len(named)-1] {
					t.Errorf("a line of %d bytes, chunks of %d: %+v %+v", n, size, s.Lines, s.Broken)
				}
				if s.Inputs[0].Bytes != uint64(len(log)) {
					t.Errorf("%d bytes, want %d", s.Inputs[0].Bytes, len(log))
				}
			}
		}
	}
}

func TestOnlyTenBrokenLinesAreNamed(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "a", []byte(strings.Repeat("x\n", 7)))
	b := write(t, dir, "b", []byte("\n\n"+strings.Repeat("\x00\xff\x01\n", 1000)))
	s, err := Summarize(context.Background(), Options{Files: []string{a, b}, chunk: 16, Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	if s.Lines.Broken != 1007 || s.Lines.Blank != 2 || len(s.Broken) != 10 || s.Inputs[0].Broken != 7 {
		t.Errorf("%+v, %d named", s.Lines, len(s.Broken))
	}
	if s.Broken[6] != (BrokenLine{a, 7, errNotObject.Error()}) || s.Broken[7] != (BrokenLine{b, 3, errNotObject.Error()}) {
		t.Errorf("%+v", s.Broken)
	}
	if out := render(t, s, Style{}); !strings.Contains(out, "and 997 more") || !strings.Contains(out, "No line could be used") {
		t.Error(out)
	}
}

func TestProgressBarIsDrawnAndRemoved(t *testing.T) {
	var b bytes.Buffer
	p := progress{bar: newBar(&b, 100<<20)}
	for range 100 {
		p.add(1 << 20)
	}
	p.end()
	if out := b.String(); !strings.Contains(out, "reading") || !strings.Contains(out, "MiB") {
		t.Errorf("%q", out)
	}
	dir := t.TempDir()
	small := write(t, dir, "small", []byte("x"))
	if n := totalSize([]string{small, small}); n != 2 {
		t.Errorf("size %d", n)
	}
	if n := totalSize([]string{small, "-"}); n != 0 {
		t.Errorf("size with standard input %d", n)
	}
	if o := (Options{Files: []string{small}, ErrOut: &b, Progress: true}); newProgress(&o).bar != nil {
		t.Error("a bar without a terminal")
	}
}
