package load

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func byName(t *testing.T, name string) Workload {
	t.Helper()
	for _, w := range Workloads() {
		if w.Name == name {
			return w
		}
	}
	t.Fatalf("no workload %q", name)
	return Workload{}
}

func TestArgumentsOfH2loadSayWhatTheWorkloadIs(t *testing.T) {
	timing := Timing{WarmUp: 300 * time.Millisecond, Window: 500 * time.Millisecond}
	for _, c := range []struct{ workload, want string }{
		// 300 + 16 clients × 3 + 500 + 100 ms.
		{"small", "-t1 -m32 --log-file=L -c16 -D948ms https://A/small"},
		{"single", "-t1 -m100 --log-file=L -c1 -D903ms https://A/small"},
		{"conns", "-t1 -m1 --log-file=L -c500 -D2400ms https://A/small"},
		{"1m", "-t1 -m4 --log-file=L -c4 -D912ms -w20 -W24 https://A/1m"},
		{"upload", "-t1 -m8 --log-file=L -c4 -D912ms -d F https://A/upload"},
		{"newconn", "-t1 -m1 --log-file=L -n200 -c200 -r40 --rate-period=100ms https://A/small"},
		{"latency", "-t1 -m32 --log-file=L -c16 --rps=250 -r1 --rate-period=1ms -n3792 https://A/small"},
	} {
		got := strings.Join(byName(t, c.workload).args(timing, "A", "L", "F"), " ")
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.workload, got, c.want)
		}
	}
}

func TestEveryWorkloadHasANameOfItsOwnAndSaysWhatItIs(t *testing.T) {
	var seen []string
	for _, w := range Workloads() {
		if slices.Contains(seen, w.Name) || w.About == "" || w.Path == "" {
			t.Errorf("%+v", w)
		}
		seen = append(seen, w.Name)
	}
}

func TestTheSoakIsAllSteadyWorkloadsAtARate(t *testing.T) {
	clients, rate := map[string]int{}, map[string]int{}
	for _, w := range Soak() {
		if w.Kind != Latency || w.Clients > 100 || w.Rate%w.Clients != 0 {
			t.Errorf("%s: kind %d, %d clients at %d/s in all: h2load takes whole numbers for each", w.Name, w.Kind, w.Clients, w.Rate)
		}
		clients[w.Name] += w.Clients
		rate[w.Name] += w.Rate
	}
	for _, w := range Workloads() {
		if w.Kind == Steady && (clients[w.Name] != w.Clients || rate[w.Name] == 0) {
			t.Errorf("%s: %d clients at %d/s, want %d", w.Name, clients[w.Name], rate[w.Name], w.Clients)
		}
	}
	if rate["conns"] != 1000 {
		t.Errorf("conns at %d/s", rate["conns"])
	}
}
