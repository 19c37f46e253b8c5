package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/h2gw/h2gw/internal/testkit"
)

// startNginx runs a real nginx with the configuration that docker-compose.yml
// gives the origins, on loopback, with these files as its document root.
// It returns the origin's address.
func startNginx(t *testing.T, files map[string][]byte) (addr string, p *process) {
	t.Helper()
	exe := tool(t, "nginx")
	conf, err := os.ReadFile(filepath.Join(root, "testdata/origin/nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	www := filepath.Join(dir, "www")
	if err := os.Mkdir(www, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(www, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Workers started by root run as nobody: they must reach the files.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	socket := testkit.NewHandover(t)
	addr = socket.Addr
	conf = replaceOnce(t, conf, "listen 8000 ", "listen "+addr+" ")
	conf = replaceOnce(t, conf, "root /srv/www;", "root "+www+";")
	conf = bytes.ReplaceAll(conf, []byte("/tmp/nginx"), []byte(dir+"/nginx"))
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, conf, 0o644); err != nil {
		t.Fatal(err)
	}
	return addr, startBy(socket.Start, t, dir, exe, "-p", dir, "-c", file, "-g", "daemon off;")
}

func replaceOnce(t *testing.T, text []byte, old, new string) []byte {
	t.Helper()
	re := regexp.MustCompile(regexp.QuoteMeta(old))
	if n := len(re.FindAll(text, -1)); n != 1 {
		t.Fatalf("the origin's nginx.conf holds %q %d times, want once", old, n)
	}
	return re.ReplaceAllLiteral(text, []byte(new))
}
