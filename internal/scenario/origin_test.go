package scenario

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/h2gw/h2gw/internal/testkit"
)

// An origin is the case's origin: it reads all the time and answers only when a
// step says so.
type origin struct {
	*monitor
	o     *testkit.Origin
	proto string // of the client, for the fields that the gateway adds
	conns []*originConn
	taken int         // conns that steps have talked to
	cur   *originConn // the one they talk to now
	left  []leftover
}

// An originConn is one connection of the gateway's. Its origin's lock guards it.
type originConn struct {
	c    *testkit.OriginConn
	got  []byte
	used int // bytes that steps have seen
	err  error
}

// A leftover is a request that may come in part, but never whole.
type leftover struct {
	it    item
	whole string
}

func newOrigin(p *probe, proto string) *origin {
	o := &origin{monitor: newMonitor(), proto: proto}
	o.o = testkit.ListenOrigin(p, o.serve)
	return o
}

func (o *origin) serve(c *testkit.OriginConn) {
	oc := &originConn{c: c}
	o.change(func() {
		// In the order of arrival, whichever script starts first.
		o.conns = append(o.conns, oc)
		slices.SortFunc(o.conns, func(a, b *originConn) int { return a.c.Number() - b.c.Number() })
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := c.NetConn().Read(buf)
		o.change(func() {
			oc.got = append(oc.got, buf[:n]...)
			if err != nil {
				oc.err = err
			}
		})
		if err != nil {
			return
		}
	}
}

// known replaces $pseudonym in what the client sends by the gateway's, which the
// origin has learned from Via.
func (o *origin) known(items []item) []item {
	o.mu.Lock()
	defer o.mu.Unlock()
	name := ""
	for _, c := range o.conns {
		if m := pseudonym.Find(c.got); m != nil {
			name = string(m)
		}
	}
	out := slices.Clone(items)
	for i := range out {
		out[i].text = strings.ReplaceAll(out[i].text, "$pseudonym", name)
		out[i].sub = slices.Clone(out[i].sub)
		for j := range out[i].sub {
			out[i].sub[j] = strings.ReplaceAll(out[i].sub[j], "$pseudonym", name)
		}
	}
	return out
}

// see waits for what an item of "origin sees" names.
func (o *origin) see(items []item) error {
	if len(items) == 0 {
		return errors.New("origin sees what?")
	}
	it := items[0]
	if isRaw(it) {
		text, err := rawText(items)
		if err != nil {
			return err
		}
		return o.seeBytes(it, o.fill(text))
	}
	for _, it := range items {
		if err := o.seeItem(it); err != nil {
			return err
		}
	}
	return nil
}

func (o *origin) seeItem(it item) error {
	word, rest, _ := strings.Cut(it.text, " ")
	switch word {
	case "nothing": // finish holds it against what came
		return nil
	case "closed":
		return o.seeClosed(it)
	case "connection":
		return o.turnTo(it, rest)
	case "incomplete":
		text, err := o.requestText(item{it.where, rest, it.sub})
		if err == nil {
			o.left = append(o.left, leftover{it, text})
		}
		return err
	}
	text, err := o.requestText(it)
	if err != nil {
		return err
	}
	return o.seeBytes(it, text)
}

// seeBytes waits for exactly want on the current connection, or on the next one
// when there is none.
func (o *origin) seeBytes(it item, want string) error {
	o.await(func() bool {
		if o.cur == nil && len(o.conns) > o.taken && o.conns[o.taken].c.Number() == o.taken+1 {
			o.cur = o.conns[o.taken]
			o.taken++
		}
		if o.cur == nil {
			return false
		}
		got := maskedFor(want, o.cur.got[o.cur.used:])
		return len(got) >= len(want) || o.cur.err != nil || !strings.HasPrefix(want, got)
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cur == nil {
		return it.errorf("the origin saw nothing (%d connections); want\n%s", len(o.conns), show(want))
	}
	got := maskedFor(want, o.cur.got[o.cur.used:])
	if !strings.HasPrefix(got, want) {
		return it.errorf("the origin saw (connection error: %v)\n%s\nwant\n%s", o.cur.err, show(got), show(want))
	}
	o.cur.used += len(want)
	return nil
}

// turnTo makes connection n, from 1, the one that the next steps are about.
func (o *origin) turnTo(it item, number string) error {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return it.errorf("origin sees connection N")
	}
	if !o.await(func() bool { return len(o.conns) >= n && o.conns[n-1].c.Number() == n }) {
		return it.errorf("there is no connection %d", n)
	}
	o.cur, o.taken = o.conns[n-1], max(o.taken, n)
	return nil
}

// seeClosed waits for the gateway to close the current connection, on which
// nothing more may have come; the next step is about the next connection.
func (o *origin) seeClosed(it item) error {
	if o.cur == nil {
		return it.errorf("no connection that could be closed")
	}
	if !o.await(func() bool { return o.cur.err != nil }) {
		return it.errorf("the gateway keeps the origin connection open")
	}
	o.cur = nil
	return nil
}

// send does what an item of "origin sends" says.
func (o *origin) send(items []item) error {
	if len(items) == 0 {
		return errors.New("origin sends what?")
	}
	it := items[0]
	if o.cur == nil {
		return it.errorf("the origin has no connection: it sends after it saw something")
	}
	if isRaw(it) {
		text, err := rawText(items)
		if err != nil {
			return err
		}
		return o.write(it, text)
	}
	for _, it := range items {
		if err := o.sendItem(it); err != nil {
			return err
		}
	}
	return nil
}

func (o *origin) sendItem(it item) error {
	switch it.text {
	case "close":
		o.cur.c.Close()
		o.cur = nil
		return nil
	case "half-close":
		o.cur.c.CloseWrite()
		return nil
	case "reset":
		o.cur.c.Reset()
		o.cur = nil
		return nil
	}
	if rest, ok := strings.CutPrefix(it.text, "> "); ok {
		text, err := expand(rest)
		if err != nil {
			return it.errorf("%v", err)
		}
		return o.write(it, text)
	}
	text, err := responseText(it)
	if err != nil {
		return err
	}
	return o.write(it, text)
}

func (o *origin) write(it item, text string) error {
	o.mu.Lock()
	text = strings.ReplaceAll(text, "$accept", accept(o.cur.got))
	o.mu.Unlock()
	if _, err := io.WriteString(o.cur.c.NetConn(), text); err != nil {
		return it.errorf("the origin cannot send: %v", err)
	}
	return nil
}

// finish holds all that the origin received against what steps have seen. It is
// called when the gateway has shut down.
func (o *origin) finish() error {
	if err := o.drained(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, c := range o.conns {
		rest := masked(c.got[c.used:])
		if rest == "" || o.mayBeLeft(rest) {
			continue
		}
		if len(o.left) > 0 {
			return fmt.Errorf("the origin saw this, on connection %d; want at most a part of %q:\n%s", i+1, o.left[0].whole, show(rest))
		}
		return fmt.Errorf("the origin saw more than it should, on connection %d:\n%s", i+1, show(rest))
	}
	return nil
}

func (o *origin) mayBeLeft(rest string) bool {
	for _, l := range o.left {
		if len(rest) < len(l.whole) && strings.HasPrefix(l.whole, rest) {
			return true
		}
	}
	return false
}

// drained waits until every connection that the gateway made was accepted and
// read to its end. A connection of our own is accepted after all of them.
func (o *origin) drained() error {
	mark, err := net.Dial("tcp", o.o.Addr())
	if err != nil {
		return err
	}
	defer mark.Close()
	if _, err := io.WriteString(mark, "mark"); err != nil {
		return err
	}
	mark.(*net.TCPConn).CloseWrite()
	last := 0
	if !o.await(func() bool {
		last = len(o.conns) - 1
		if last < 0 || string(o.conns[last].got) != "mark" || o.conns[last].c.Number() != last+1 {
			return false
		}
		for _, c := range o.conns {
			if c.err == nil {
				return false
			}
		}
		return true
	}) {
		return errors.New("an origin connection is still open after the shutdown of the gateway")
	}
	o.conns = o.conns[:last]
	return nil
}

// show makes bytes readable, line by line.
func show(s string) string {
	const most = 200
	var b strings.Builder
	for l := range strings.Lines(s) {
		if len(l) > most {
			l = fmt.Sprintf("%s… (%d bytes) …%s", l[:most/2], len(l), l[len(l)-most/2:])
		}
		fmt.Fprintf(&b, "    %q\n", l)
	}
	return b.String()
}
