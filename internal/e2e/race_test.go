package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
)

// Under `go test -race` the gateway itself is built with the race detector and
// put under every kind of load; it exits with 66 when it saw a race.
func TestTheGatewayHasNoDataRaceUnderLoad(t *testing.T) {
	if !raceEnabled {
		t.Log("nothing to do without -race")
		return
	}
	plain := binary
	defer func() { binary = plain }()
	binary = filepath.Join(t.TempDir(), "h2gw-race")
	build := exec.Command("go", "build", "-race", "-o", binary, "./cmd/h2gw")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building with -race: %v\n%s", err, out)
	}
	addr, _ := startNginx(t, map[string][]byte{"small": []byte("small\n"), "1m": bytes.Repeat([]byte("m"), 1<<20)})
	g := startGateway(t, []string{addr})
	for _, args := range [][]string{
		{g.url("/small")}, {g.url("/1m")}, {"http://" + g.plain + "/small"}, {"--h1", g.url("/small")}, {"--h1", "http://" + g.plain + "/1m"},
	} {
		h2load(t, loadArgs(8, 20, 300, args...)...).wantAllOK(t)
	}
	g.settle()
	g.quit()
}
