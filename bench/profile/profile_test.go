package profile

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
)

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func unzipped(t *testing.T, b []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// own is a profile of this test's heap, with the paths of this machine in it.
func own(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.WriteHeapProfile(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAnonymousTakesFoldersOutOfTheStringsAndNothingElse(t *testing.T) {
	in := "\x32\x00" + "\x32\x0d/home/me/h2gw" + "\x32\x0fruntime/proc.go" + "\x48\x96\x01" + "\x6a\x03/me" + "\x12\x04\x0a\x02ab"
	want := "\x32\x00" + "\x32\x04h2gw" + "\x32\x0fruntime/proc.go" + "\x48\x96\x01" + "\x12\x04\x0a\x02ab"
	got, err := Anonymous(zipped([]byte(in)))
	if err != nil || unzipped(t, got) != want {
		t.Errorf("got %q, %v\nwant %q", unzipped(t, got), err, want)
	}
}

func TestWhatIsNoProfileIsAnError(t *testing.T) {
	for _, in := range [][]byte{nil, []byte("text"), zipped([]byte{0x80}), zipped([]byte{0x32}), zipped([]byte{0x32, 9, 'x'}), zipped([]byte{0x31, 1})} {
		if _, err := Anonymous(in); err == nil {
			t.Errorf("no error for %q", in)
		}
	}
}

func TestAnAnonymousProfileIsStillReadByPprof(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs go tool pprof:", err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "p")
	if err := os.WriteFile(file, own(t), 0o600); err != nil {
		t.Fatal(err)
	}
	merged, err := Merge(t.Context(), []string{file, file})
	if err != nil {
		t.Fatal(err)
	}
	clean, err := Anonymous(merged)
	if err != nil {
		t.Fatal(err)
	}
	self, _ := os.Executable()
	if text := unzipped(t, clean); strings.Contains(text, filepath.Dir(self)) {
		t.Error("the folder of the test's binary is still in it")
	}
	if err := os.WriteFile(file, clean, 0o600); err != nil {
		t.Fatal(err)
	}
	var top strings.Builder
	if err := Top(t.Context(), &top, file, "cum", 5); err != nil || !strings.Contains(top.String(), "flat%") {
		t.Errorf("%v\n%s", err, top.String())
	}
}

func TestFetchSaysWhatTheAdminAddressAnswered(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/debug/pprof/mutex?seconds=3" {
			http.Error(w, "no such page", 404)
			return
		}
		_, _ = io.WriteString(w, "data")
	}))
	defer s.Close()
	addr := strings.TrimPrefix(s.URL, "http://")
	if got, err := Fetch(context.Background(), addr, Mutex, 3); err != nil || string(got) != "data" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Fetch(context.Background(), addr, CPU, 3); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
}
