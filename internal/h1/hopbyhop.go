package h1

import "bytes"

// nextMember takes the first member off a comma separated list (RFC 9110 section
// 5.6.1), skipping empty ones. ok is false when there is none.
func nextMember(list []byte) (member, rest []byte, ok bool) {
	for len(list) > 0 {
		i := bytes.IndexByte(list, ',')
		if i < 0 {
			member, list = list, nil
		} else {
			member, list = list[:i], list[i+1:]
		}
		if member = trimOWS(member); len(member) > 0 {
			return member, list, true
		}
	}
	return nil, nil, false
}

var (
	hopByHop    = withRule(hop)
	endToEndSet = withRule(endToEnd)
	setTE       = SetOf(NameTE)
	teTrailers  = MustLine("TE", "trailers")
)

// RemoveHopByHop removes the fields that are for this connection only (RFC 9110
// section 7.6.1): Connection and what it names, Keep-Alive, Proxy-Connection, TE,
// Transfer-Encoding, Upgrade. With keepTE a TE that has the member trailers becomes
// "TE: trailers"; the caller then owes it a Connection: TE on HTTP/1.1.
//
// It returns a *ProtocolError (400) and removes nothing when Connection is not a list
// of tokens, has more than 32 members, or names a field that is meant for all
// recipients, such as Content-Length or Host.
func RemoveHopByHop(f *Fields, keepTE bool) error {
	if f.present&hopByHop == 0 {
		return nil
	}
	drop := hopByHop
	if f.HasName(NameConnection) {
		named, others, err := f.options()
		if err != nil {
			return err
		}
		if others > 0 { // before Connection goes
			f.delNamed(others)
		}
		drop |= named
	}
	keepTE = keepTE && f.present&setTE != 0 && wantsTrailers(f)
	f.DelNames(drop)
	if keepTE {
		f.AddLine(teTrailers)
	}
	return nil
}

// options returns the tracked names that Connection lists, and how many other
// options it has.
func (f *Fields) options() (named NameSet, others int, err error) {
	if v, once := f.Once(NameConnection); once { // most name one option
		if id := NameOf(v); id == nameClose || id == NameKeepAlive {
			return id.set(), 0, nil
		}
	}
	n := 0
	for i := f.next(NameConnection, 0); i >= 0; i = f.next(NameConnection, i+1) {
		for m, rest, more := nextMember(f.valueOf(&f.lines[i])); more; m, rest, more = nextMember(rest) {
			id := NameOf(m)
			if err := checkOption(id, m, n); err != nil {
				return 0, 0, err
			}
			if id.tracked() {
				named |= id.set()
			} else {
				others++
			}
			n++
		}
	}
	return named, others, nil
}

// delNamed removes the fields that Connection names by one of its n options that are
// not tracked names. options has found them good.
func (f *Fields) delNamed(n int) {
	var list [maxConnectionOptions][]byte
	named := list[:0]
	for i := f.next(NameConnection, 0); i >= 0; i = f.next(NameConnection, i+1) {
		for m, rest, more := nextMember(f.valueOf(&f.lines[i])); more; m, rest, more = nextMember(rest) {
			if !NameOf(m).tracked() {
				named = append(named, m)
			}
		}
	}
	f.DelFunc(func(name, _ []byte) bool { return anyFold(named[:n], name) })
}

func checkOption(id Name, option []byte, before int) error {
	if before == maxConnectionOptions {
		return refuse(400, "Connection names more than 32 options")
	}
	if id == NameOther && !ValidName(option) {
		return refuse(400, "Connection is not a list of tokens")
	}
	if id.set()&endToEndSet != 0 {
		return refuse(400, "Connection names a field that is meant for all recipients")
	}
	return nil
}

func anyFold(list [][]byte, name []byte) bool {
	for _, m := range list {
		if sameFold(m, name) {
			return true
		}
	}
	return false
}

func wantsTrailers(f *Fields) bool {
	for i := f.next(NameTE, 0); i >= 0; i = f.next(NameTE, i+1) {
		for m, rest, more := nextMember(f.valueOf(&f.lines[i])); more; m, rest, more = nextMember(rest) {
			if EqualFold(m, "trailers") {
				return true
			}
		}
	}
	return false
}

// ForbiddenTrailer reports whether a field with that name must not be in a trailer
// section (RFC 9110 section 6.5.1).
func ForbiddenTrailer(name []byte) bool { return NameOf(name).ForbiddenInTrailers() }
