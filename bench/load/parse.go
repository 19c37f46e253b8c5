package load

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A Summary is what h2load says at its end.
type Summary struct {
	// Done is the number of requests answered, OK that of status 2xx.
	Done, Succeeded, OK int
	// Failed requests got a bad answer, Errored ones none, and TimedOut ones none in time.
	Failed, Errored, TimedOut int
	// TLS and Protocol are what the first connection agreed on.
	TLS, Protocol string
}

// Bad is the number of requests that did not end with a 2xx response.
func (s Summary) Bad() int {
	return s.Failed + s.Errored + s.TimedOut + max(0, s.Succeeded-s.OK)
}

// ParseSummary reads h2load's standard output (1.43 and later). It is an error
// if the lines about requests and status codes are not there.
func ParseSummary(out string) (Summary, error) {
	var s Summary
	var seen int
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		name, rest, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		var err error
		switch name {
		case "TLS Protocol":
			s.TLS = rest
		case "Application protocol":
			s.Protocol = rest
		case "requests":
			seen++
			err = counts(rest, map[string]*int{"done": &s.Done, "succeeded": &s.Succeeded,
				"failed": &s.Failed, "errored": &s.Errored, "timeout": &s.TimedOut})
		case "status codes":
			seen++
			err = counts(rest, map[string]*int{"2xx": &s.OK})
		}
		if err != nil {
			return Summary{}, fmt.Errorf("h2load: %q: %w", line, err)
		}
	}
	if seen != 2 {
		return Summary{}, fmt.Errorf("h2load printed no summary: %q", lastLine(out))
	}
	return s, nil
}

// counts reads "3 total, 2 done" into the ints named; each must be there.
func counts(text string, into map[string]*int) error {
	found := 0
	for part := range strings.SplitSeq(text, ", ") {
		number, name, ok := strings.Cut(part, " ")
		p := into[name]
		if !ok || p == nil {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil {
			return err
		}
		*p = n
		found++
	}
	if found != len(into) {
		return fmt.Errorf("%d of %d counts found", found, len(into))
	}
	return nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// A Row is one line of h2load's --log-file.
type Row struct {
	Start  time.Time
	Status int // -1 if there was no response
	Took   time.Duration
}

// ReadLog calls f for each row of a log file.
func ReadLog(r io.Reader, f func(Row)) error {
	sc := bufio.NewScanner(r)
	for n := 1; sc.Scan(); n++ {
		row, err := parseRow(sc.Text())
		if err != nil {
			return fmt.Errorf("h2load's log, line %d: %w", n, err)
		}
		f(row)
	}
	return sc.Err()
}

func parseRow(line string) (Row, error) {
	f := strings.Split(line, "\t")
	if len(f) < 3 {
		return Row{}, fmt.Errorf("%d columns in %q, want 3", len(f), line)
	}
	start, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return Row{}, err
	}
	status, err := strconv.Atoi(f[1])
	if err != nil {
		return Row{}, err
	}
	took, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return Row{}, err
	}
	return Row{time.UnixMicro(start), status, time.Duration(took) * time.Microsecond}, nil
}

// A Window is a span of wall-clock time within a run.
type Window struct{ From, To time.Time }

// Ended reports whether the row's response ended inside the window.
func (w Window) Ended(r Row) bool {
	end := r.Start.Add(r.Took)
	return !end.Before(w.From) && end.Before(w.To)
}

// Started reports whether the row's request started inside the window.
func (w Window) Started(r Row) bool { return !r.Start.Before(w.From) && r.Start.Before(w.To) }
