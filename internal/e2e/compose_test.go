package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
)

// The arrangement of docker-compose.yml, with its very command lines, as
// processes on loopback: gateway, two origins, Prometheus, one h2load run.
func TestTheComposeArrangementServesAndIsScraped(t *testing.T) {
	opts, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithProfiles([]string{"load"}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := opts.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a, _ := startNginx(t, nil)
	b, _ := startNginx(t, nil)
	g := &gateway{log: filepath.Join(t.TempDir(), "access.log")}
	onLoopback := strings.NewReplacer("0.0.0.0:8443", "127.0.0.1:0", "0.0.0.0:8080", "127.0.0.1:0", "0.0.0.0:9180", "127.0.0.1:0",
		"origin-a:8000", a, "origin-b:8000", b)
	var args []string
	for _, arg := range p.Services["h2gw"].Command {
		args = append(args, onLoopback.Replace(arg))
	}
	g.launch(t, append(args, "--access-log="+g.log))
	prom := startPrometheus(t, g.admin)
	var load []string
	for _, arg := range p.Services["h2load"].Command {
		load = append(load, strings.ReplaceAll(arg, "h2gw:8443", g.tls))
	}
	h2load(t, load...).wantAllOK(t)
	eventually(t, "Prometheus has the 16 connections of h2load", func() bool {
		return query(t, prom, `sum by (proto) (h2gw_connections_total{proto="h2"})`, "proto")["h2"] == 16
	})
	g.wantSameCounts("h2", 16, 10000)
	access, _ := g.logLines()
	served := map[any]int{}
	for _, line := range access {
		served[line["origin"]]++
	}
	for _, origin := range []string{a, b} {
		if served[origin] < 1000 {
			t.Errorf("origin %s got %d of 10,000 requests: the two are not balanced", origin, served[origin])
		}
	}
}
