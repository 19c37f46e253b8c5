package scenario

import (
	"slices"
	"strconv"
	"strings"
)

// A wanted is a line of "client sees" that is about a response.
type wanted struct {
	it         item
	status     int
	stream     uint32
	fields     []field
	trailers   []field
	body       string
	unfinished bool   // more was announced and has not come
	rest       bool   // what is left of one that was unfinished
	head       bool   // no body, whatever the fields say
	outcome    string // the gateway's own answer, with this outcome
}

// A response is what came.
type response struct {
	status   int
	fields   []field // names in lower case
	body     string
	trailers []field
	own      bool // over HTTP/1.1: connection fields are expected
}

func wantResponse(it item, f *frameLine) (*wanted, error) {
	w := &wanted{it: it, stream: max(f.id, 1), body: f.text, unfinished: f.is("unfinished"), head: f.is("head")}
	status := f.kind
	if status == "end" || status == "data" { // of a response that was unfinished
		status, w.rest, w.unfinished = "1000", true, status == "data"
	}
	if f.kind == "error" {
		if len(f.args) != 1 || !f.hasID {
			return nil, it.errorf("write: error STATUS outcome [stream=N]")
		}
		status, w.outcome, w.stream = strconv.Itoa(int(f.id)), f.args[0], 1
	}
	n, err := f.number("stream", uint64(w.stream))
	if err != nil {
		return nil, it.errorf("%v", err)
	}
	w.stream = uint32(n)
	if w.status, err = strconv.Atoi(status); err != nil || w.status < 100 {
		return nil, it.errorf("a client cannot see %q", it.text)
	}
	for _, l := range it.sub {
		list := &w.fields
		if rest, ok := strings.CutPrefix(l, "trailer "); ok {
			list, l = &w.trailers, rest
		}
		fs, err := parseFields([]string{l})
		if err != nil {
			return nil, it.errorf("%v", err)
		}
		*list = append(*list, fs...)
	}
	return w, nil
}

// check holds a response against what was wanted.
func (w *wanted) check(r *response) error {
	if w.rest {
		if r.body != w.body || !slices.Equal(r.trailers, w.trailers) {
			return w.it.errorf("the client saw the rest %.300q and the trailers %q, want %.300q and %q", r.body, r.trailers, w.body, w.trailers)
		}
		return nil
	}
	if r.status != w.status {
		return w.it.errorf("the client saw status %d, want %d (fields %q, body %.200q)", r.status, w.status, r.fields, r.body)
	}
	if w.outcome != "" {
		return w.checkOwn(r)
	}
	got, err := w.withoutOwn(r)
	if err != nil {
		return err
	}
	if !slices.Equal(got, w.fields) {
		return w.it.errorf("the client saw the fields\n    %q\nwant\n    %q", got, w.fields)
	}
	if r.body != w.body {
		return w.it.errorf("the client saw the body %.300q (%d bytes), want %.300q (%d)", r.body, len(r.body), w.body, len(w.body))
	}
	if !slices.Equal(r.trailers, w.trailers) {
		return w.it.errorf("the client saw the trailers %q, want %q", r.trailers, w.trailers)
	}
	return nil
}

// checkOwn: the gateway's own answers say why (RFC 9209).
func (w *wanted) checkOwn(r *response) error {
	want := "h2gw; error=" + w.outcome
	if got := r.get("proxy-status"); got != want {
		return w.it.errorf("the client saw %d with Proxy-Status %q, want %q", r.status, got, want)
	}
	if n := r.get("content-length"); !w.head && n != strconv.Itoa(len(r.body)) || n == "0" {
		return w.it.errorf("the client saw %d with content-length %s and the body %q", r.status, n, r.body)
	}
	for _, f := range w.fields {
		if !slices.Contains(r.fields, f) {
			return w.it.errorf("the client saw %d with the fields %q, want %q among them", r.status, r.fields, f)
		}
	}
	if r.get("date") == "" || !strings.HasPrefix(r.get("content-type"), "text/plain") {
		return w.it.errorf("the client saw %d without a Date or a Content-Type: %q", r.status, r.fields)
	}
	return nil
}

// withoutOwn takes away the fields that the gateway adds to each response, and
// those that are about framing; they must be right.
func (w *wanted) withoutOwn(r *response) ([]field, error) {
	var got []field
	via, date := 0, 0
	for _, f := range r.fields {
		listed := slices.ContainsFunc(w.fields, func(x field) bool { return x.name == f.name })
		switch {
		case f.name == "via" && (f.value == "1.1 h2gw" || f.value == "1.0 h2gw"):
			via++
			continue
		case f.name == "date" && !listed:
			date++
			continue
		case r.own && !listed && (f.name == "connection" || f.name == "transfer-encoding"):
			continue
		case f.name == "content-length" && !listed:
			if f.value != strconv.Itoa(len(r.body)) && !w.head {
				return nil, w.it.errorf("content-length %s of a body of %d bytes", f.value, len(r.body))
			}
			continue
		}
		got = append(got, f)
	}
	if via != 1 {
		return nil, w.it.errorf("%d fields Via of the gateway in %q", via, r.fields)
	}
	if hasDate := date == 1 || r.get("date") != ""; w.status >= 200 && !hasDate {
		return nil, w.it.errorf("no Date in %q", r.fields)
	}
	return got, nil
}

func (r *response) get(name string) string {
	var vs []string
	for _, f := range r.fields {
		if f.name == name {
			vs = append(vs, f.value)
		}
	}
	return strings.Join(vs, ", ")
}

// String makes failures readable.
func (f field) String() string { return f.name + ": " + f.value }
