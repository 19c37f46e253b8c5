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
	g := &gateway{tls: freePort(t), plain: freePort(t), admin: freePort(t), log: filepath.Join(t.TempDir(), "access.log")}
	onLoopback := strings.NewReplacer("0.0.0.0:8443", g.tls, "0.0.0.0:8080", g.plain, "0.0.0.0:9180", g.admin,
		"origin-a:8000", a, "origin-b:8000", b, "h2gw:8443", g.tls)
	args := []string{"--access-log=" + g.log}
	for _, arg := range p.Services["h2gw"].Command {
		args = append(args, onLoopback.Replace(arg))
	}
	args[0], args[1] = args[1], args[0] // the command's name comes first
	g.process = start(t, t.TempDir(), binary, args...)
	eventually(t, "the gateway is ready", func() bool {
		code, _, err := httpGet("http://" + g.admin + "/readyz")
		return err == nil && code == 200
	})
	prom := startPrometheus(t, g.admin)
	var load []string
	for _, arg := range p.Services["h2load"].Command {
		load = append(load, onLoopback.Replace(arg))
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
