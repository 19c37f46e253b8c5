package respond

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/h2gw/h2gw/httpsm"
)

// reserved fields are written by the gateway.
var reserved = []string{
	"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

// check says what is wrong with the rule.
func (r Rule) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, m := range r.Methods {
		if err := new(httpsm.RequestHead).SetMethod(m); err != nil {
			fault("method %q: want a method such as GET: %w", m, err)
		} else if m != strings.ToUpper(m) {
			fault("method %q: methods are compared exactly; write %s", m, strings.ToUpper(m))
		}
	}
	for _, h := range r.Hosts {
		if err := checkHost(h); err != nil {
			faults = append(faults, err)
		}
	}
	faults = append(faults, checkPath("path", r.Path), checkPath("path prefix", r.PathPrefix))
	if r.Path != "" && r.PathPrefix != "" {
		fault("path %q and path prefix %q: give one", r.Path, r.PathPrefix)
	}
	if r.Status != 0 && (r.Status < 200 || r.Status > 599) {
		fault("status %d: want 200 to 599", r.Status)
	}
	if len(r.Body) > 0 && (r.Status == 204 || r.Status == 304) {
		fault("status %d has no body (RFC 9110 section 6.4.1): remove it", r.Status)
	}
	var fields httpsm.Fields
	for _, f := range r.Fields {
		if err := fields.Add(f.Name, f.Value); err != nil {
			fault("field %q with value %q: %w", f.Name, f.Value, err)
		} else if slices.Contains(reserved, strings.ToLower(f.Name)) {
			fault("field %q frames the message or belongs to the connection: the gateway writes it", f.Name)
		}
	}
	return errors.Join(faults...)
}

func checkPath(what, path string) error {
	switch {
	case path == "":
		return nil
	case path[0] != '/':
		return fmt.Errorf("%s %q: want one that starts with /", what, path)
	case strings.ContainsAny(path, "?# \t\r\n"):
		return fmt.Errorf("%s %q: want a path as it is on the wire, without query, fragment or spaces", what, path)
	}
	return nil
}

func checkHost(h string) error {
	name := strings.TrimPrefix(h, "*.")
	switch _, port, err := net.SplitHostPort(h); {
	case h == "", name == "":
		return errors.New(`host "": want a name such as example.org`)
	case strings.ContainsAny(name, "/@ \t\r\n"):
		return fmt.Errorf("host %q: want a name such as example.org", h)
	case err == nil && port != "":
		return fmt.Errorf("host %q: hosts are compared without port; remove :%s", h, port)
	case strings.Contains(name, "*"):
		return fmt.Errorf("host %q: a * stands only at the front, as in *.example.org", h)
	}
	return nil
}
