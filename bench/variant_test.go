package main

import (
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/h2gw/h2gw/bench/load"
	"github.com/h2gw/h2gw/bench/peers"
)

func TestAVariantIsANameAndWhatIsToldOtherwise(t *testing.T) {
	v, err := parseVariant("fast:access-log=on,gomaxprocs=4,limits.streams=7")
	want := variant{name: "fast", log: "on", workers: 4, set: []string{"limits.streams=7"}}
	if err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("got %+v, %v", v, err)
	}
	s := peers.Setting{Workers: 2, Extra: []string{"a.b=c"}}
	v.apply(&s, "/x")
	if s.Workers != 4 || s.Log != "/x" || strings.Join(s.Extra, " ") != "a.b=c limits.streams=7" {
		t.Errorf("applied: %+v", s)
	}
	for _, bad := range []string{"", "log", "log:", ":access-log=on", "a b:access-log=on", "x:access-log=maybe", "x:gomaxprocs=0", "x:limits.streams"} {
		if _, err := parseVariant(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestScaleAsksEachGatewayForWhatItCanDo(t *testing.T) {
	o, err := parseFlags([]string{"-scale", "-also", "log:access-log=on"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.workloads) != len(load.Scale()) || len(o.idle) < 3 {
		t.Errorf("%d workloads, idle %v", len(o.workloads), o.idle)
	}
	f := &field{gateways: []*gateway{{Peer: peers.Peer{Name: "nginx"}}, {Peer: peers.Peer{Name: "h2gw"}, ours: true}}}
	for _, v := range o.variants {
		f.gateways = append(f.gateways, &gateway{Peer: peers.Peer{Name: "h2gw+" + v.name}, ours: true, variant: v})
	}
	for _, c := range []struct {
		w    load.Workload
		want string
	}{
		{load.Workload{Name: "small"}, "nginx h2gw h2gw+log h2gw+p1 h2gw+p4"},
		{load.Workload{Name: "streams 10"}, "nginx h2gw h2gw+log"},
		{load.Workload{Name: "idle-clear", Plain: true}, "h2gw h2gw+log"},
	} {
		var got []string
		for _, g := range f.running(c.w) {
			got = append(got, g.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v take part, want %s", c.w.Name, got, c.want)
		}
	}
	if one, err := parseFlags([]string{"-scale", "-workloads", "streams,small"}, io.Discard); err != nil || len(one.workloads) != 6 {
		t.Errorf("%d workloads, %v; want small and the five of streams", len(one.workloads), err)
	}
}
