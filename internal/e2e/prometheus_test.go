package e2e

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// startPrometheus runs a real Prometheus server with the configuration of
// contrib/prometheus, scraping target every second. It returns its base URL.
func startPrometheus(t *testing.T, target string) string {
	t.Helper()
	exe := tool(t, "prometheus")
	dir := t.TempDir()
	for _, name := range []string{"prometheus.yml", "recording.yml", "alerts.yml"} {
		text, err := os.ReadFile(filepath.Join(root, "contrib/prometheus", name))
		if err != nil {
			t.Fatal(err)
		}
		s := strings.ReplaceAll(string(text), "h2gw:9180", target)
		s = strings.ReplaceAll(s, "_interval: 5s", "_interval: 1s")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, tool(t, "promtool"), "check", "config", filepath.Join(dir, "prometheus.yml"))
	p := start(t, dir, exe, "--config.file=prometheus.yml", "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0", "--log.level=info")
	var base string
	eventually(t, "Prometheus says where it listens", func() bool {
		m := listeningOn.FindStringSubmatch(p.out.String())
		if m != nil {
			base = "http://" + m[1]
		}
		return m != nil
	})
	eventually(t, "Prometheus is ready", func() bool {
		code, _, err := httpGet(base + "/-/ready")
		return err == nil && code == 200
	})
	return base
}

// listeningOn is in the line that Prometheus logs when it listens.
var listeningOn = regexp.MustCompile(`"Listening on" address=(127\.0\.0\.1:\d+)`)

// query asks Prometheus for an instant vector, by the value of one label.
func query(t *testing.T, base, expr, label string) map[string]float64 {
	t.Helper()
	code, text, err := httpGet(base + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil || code != 200 {
		t.Fatalf("query %s: %d, %v: %s", expr, code, err, text)
	}
	var res struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &res); err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, r := range res.Data.Result {
		v, err := strconv.ParseFloat(r.Value[1].(string), 64)
		if err != nil {
			t.Fatal(err)
		}
		out[r.Metric[label]] = v
	}
	return out
}

func TestPrometheusKnowsTheConnectionsOfEachProtocol(t *testing.T) {
	addr, _ := startNginx(t, map[string][]byte{"page": []byte("page\n")})
	g := startGateway(t, []string{addr})
	prom := startPrometheus(t, g.admin)
	h2load(t, loadArgs(5, 10, 500, g.url("/page"))...).wantAllOK(t)
	h2load(t, loadArgs(3, 10, 300, "http://"+g.plain+"/page")...).wantAllOK(t)
	h2load(t, loadArgs(2, 1, 200, "--h1", g.url("/page"))...).wantAllOK(t)
	g.settle()
	wantConns := map[string]float64{"h2": 5, "h2c": 3, "http/1.1": 2}
	wantStreams := map[string]float64{"h2": 500, "h2c": 300, "http/1.1": 200}
	// One scrape may have seen the last connections begin, and only the next their end.
	for expr, want := range map[string]map[string]float64{
		"h2gw_connections_total":      wantConns,
		"h2gw_connection_streams_sum": wantStreams,
		"h2gw_connections_active":     {"h2": 0, "h2c": 0, "http/1.1": 0},
	} {
		var got map[string]float64
		eventually(t, "Prometheus has scraped "+expr, func() bool {
			got = query(t, prom, "sum by (proto) ("+expr+")", "proto")
			return sameMap(got, want)
		})
		t.Logf("%s by protocol: %v", expr, got)
	}
	g.quit()
}

func sameMap(got, want map[string]float64) bool {
	for k, v := range want {
		if g, ok := got[k]; !ok || g != v {
			return false
		}
	}
	return true
}
