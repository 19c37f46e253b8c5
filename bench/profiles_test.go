package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestAProfileForTheCompilerNamesNoMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes and takes seconds")
	}
	for _, tool := range []string{"h2load", "nginx", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (Debian: apt-get install nghttp2-client nginx-light)", tool)
		}
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	file := filepath.Join(t.TempDir(), "default.pgo")
	var out, progress strings.Builder
	if err := run(t.Context(), []string{"-pgo", file, "-workloads", "small,newconn", "-window", "1s"}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 500<<10 {
		t.Errorf("%d KiB, more than is to be committed", len(data)>>10)
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("github.com/h2gw/h2gw/h2session.(*Session)")) {
		t.Error("h2gw's own functions are not in it")
	}
	home, _ := os.Getwd()
	host, _ := os.Hostname()
	for _, name := range []string{tmp, filepath.Dir(home), host} {
		if len(name) > 3 && bytes.Contains(text, []byte(name)) {
			t.Errorf("%q is in it", name)
		}
	}
}

// The compiler finds the profile by its name: without it, it builds a slower
// gateway and says nothing.
func TestTheCommittedProfileNamesNoMachine(t *testing.T) {
	data, err := os.ReadFile("../cmd/h2gw/default.pgo")
	if err != nil {
		t.Fatal(err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"/tmp/", "/home/", "/root/", "/usr/", "/work/"} {
		if bytes.Contains(text, []byte(bad)) {
			t.Errorf("%q is in it", bad)
		}
	}
}
