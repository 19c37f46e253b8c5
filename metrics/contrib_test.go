package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const contrib = "../contrib/"

// ruleFile is what matters here of Prometheus' rule files.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Record, Alert, Expr string
			Labels, Annotations map[string]string
		}
	}
}

func readRules(t *testing.T, name string) ruleFile {
	t.Helper()
	b, err := os.ReadFile(contrib + name)
	if err != nil {
		t.Fatal(err)
	}
	var f ruleFile
	if err := yaml.Unmarshal(b, &f); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(f.Groups) == 0 {
		t.Fatalf("%s has no group", name)
	}
	return f
}

var (
	ours     = regexp.MustCompile(`(?:\w+:)?h2gw_\w+(?::\w+)*`)
	matchers = regexp.MustCompile(`(h2gw_\w+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
)

// checkExpr wants every metric of ours in expr to exist, and the labels it is
// selected and grouped by to be known.
func checkExpr(t *testing.T, where, expr string, recorded []string) {
	t.Helper()
	known := []string{"job", "instance", "le"}
	for _, name := range ours.FindAllString(expr, -1) {
		if strings.Contains(name, ":") {
			if !slices.Contains(recorded, name) {
				t.Errorf("%s: %s is not recorded", where, name)
			}
			continue
		}
		labels, ok := promisedLabels(name)
		if !ok {
			t.Errorf("%s: there is no metric %s", where, name)
		}
		known = append(known, labels...)
	}
	for _, m := range matchers.FindAllStringSubmatch(expr, -1) {
		labels, _ := promisedLabels(m[1])
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(append(labels, "job", "instance"), l[1]) {
				t.Errorf("%s: %s has no label %s", where, m[1], l[1])
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			if l = strings.TrimSpace(l); !slices.Contains(known, l) {
				t.Errorf("%s: no metric in %q has label %s", where, expr, l)
			}
		}
	}
}

// promisedLabels returns the labels of a metric, or of the histogram that a
// series with a suffix belongs to.
func promisedLabels(name string) ([]string, bool) {
	labels, ok := promised[name]
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, cut := strings.CutSuffix(name, suffix); !ok && cut {
			labels, ok = promised[base]
		}
	}
	return strings.Split(labels, ","), ok
}

func TestRulesNameMetricsThatExist(t *testing.T) {
	var recorded []string
	for _, g := range readRules(t, "prometheus/recording.yml").Groups {
		for _, r := range g.Rules {
			if r.Record == "" || r.Expr == "" {
				t.Errorf("a rule without name or expression: %+v", r)
			}
			checkExpr(t, r.Record, r.Expr, recorded)
			recorded = append(recorded, r.Record)
		}
	}
	for _, g := range readRules(t, "prometheus/alerts.yml").Groups {
		for _, r := range g.Rules {
			checkExpr(t, r.Alert, r.Expr, recorded)
			if !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s lacks severity, summary or description", r.Alert)
			}
			// h2gw_… in the text is advice that must lead somewhere.
			checkExpr(t, r.Alert, r.Annotations["description"], recorded)
		}
	}
}

func TestPromtoolPassesTheRules(t *testing.T) {
	promtool := tool(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "recording.yml", "alerts.yml"},
		{"check", "config", "prometheus.yml"},
		{"test", "rules", "rules_test.yml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = contrib + "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// dashboard is what matters here of Grafana's model.
type dashboard struct {
	UID, Title string
	Templating struct {
		List []struct {
			Name  string
			Query any
		}
	}
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ RefID, Expr string }
	}
}

func TestTheDashboardNamesMetricsThatExist(t *testing.T) {
	b, err := os.ReadFile(contrib + "grafana/h2gw.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q: id used twice, no title, or wider than the page", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			checkExpr(t, p.Title, target.Expr, nil)
			if !strings.Contains(target.Expr, `job=~"$job",instance=~"$instance"`) {
				t.Errorf("panel %q does not follow the choice of job and instance: %s", p.Title, target.Expr)
			}
		}
	}
	if d.UID == "" || len(d.Panels) < 10 || len(d.Templating.List) != 3 {
		t.Errorf("dashboard %q has %d panels and %d variables", d.UID, len(d.Panels), len(d.Templating.List))
	}
}

// Every promised metric is shown somewhere, or left out for a reason.
func TestNoMetricIsForgotten(t *testing.T) {
	var all strings.Builder
	for _, name := range []string{"prometheus/recording.yml", "prometheus/alerts.yml", "grafana/h2gw.json"} {
		b, err := os.ReadFile(contrib + name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	for name := range promised {
		if !strings.Contains(all.String(), name) {
			t.Errorf("%s is in no rule and no panel", name)
		}
	}
}
