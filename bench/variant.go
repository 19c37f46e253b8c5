package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/h2gw/h2gw/bench/peers"
)

// A variant is h2gw once more in the same turns, told something else: to see
// what a setting, the access log or the number of processors costs or gives.
type variant struct {
	// name is what follows "h2gw+" in the tables.
	name    string
	set     []string
	workers int    // 0: as for all
	log     string // "on", "off", or "" as for all
	// only these workloads; empty is all.
	only []string
}

// parseVariant reads "NAME:ITEM,ITEM", such as "log:access-log=on" or
// "p1:gomaxprocs=1,origin.pipeline=8".
func parseVariant(text string) (variant, error) {
	name, items, ok := strings.Cut(text, ":")
	v := variant{name: name}
	if !ok || name == "" || items == "" || strings.ContainsAny(name, " ,/") {
		return v, fmt.Errorf("%q: want NAME:ITEM,ITEM, such as log:access-log=on", text)
	}
	for _, item := range split(items) {
		key, value, _ := strings.Cut(item, "=")
		switch key {
		case "access-log":
			if value != "on" && value != "off" {
				return v, fmt.Errorf("%q: access-log is on or off", item)
			}
			v.log = value
		case "gomaxprocs":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > 256 {
				return v, fmt.Errorf("%q: want gomaxprocs=1 to 256", item)
			}
			v.workers = n
		default:
			if value == "" {
				return v, fmt.Errorf("%q: want access-log=on, gomaxprocs=N or a setting, name=value", item)
			}
			v.set = append(v.set, item)
		}
	}
	return v, nil
}

// apply changes what the gateway is told. log is the file of its access log.
func (v variant) apply(s *peers.Setting, log string) {
	s.Extra = append(append([]string(nil), s.Extra...), v.set...)
	if v.workers > 0 {
		s.Workers = v.workers
	}
	switch v.log {
	case "on":
		s.Log = log
	case "off":
		s.Log = ""
	}
}
