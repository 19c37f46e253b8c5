package origin

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
)

// A shortage is an error met because this process or this machine has run out of
// something: no endpoint is to blame, and no other would have been reached.
type shortage struct {
	error
	errno  syscall.Errno
	remedy string
}

// Error says what would be right, too.
func (s *shortage) Error() string { return s.error.Error() + ": " + s.remedy }

// Unwrap returns the error that was met, and its number, which a lookup's error
// does not have in it.
func (s *shortage) Unwrap() []error { return []error{s.error, s.errno} }

// shortages are what socket(2), and those who need more than one, fail with.
// EADDRNOTAVAIL is none of them: source ports run out for one endpoint at a time,
// and it is what an address says that cannot be reached from here.
var shortages = [...]struct {
	errno  syscall.Errno
	remedy string
}{
	{syscall.EMFILE, "raise this process's limit of open files (ulimit -n, LimitNOFILE= of systemd), or lower limits.sessions"},
	{syscall.ENFILE, "raise the machine's limit of open files (sysctl fs.file-max), or lower limits.sessions"},
	{syscall.ENOBUFS, "the machine has no memory left for sockets: give it more, or lower limits.sessions and limits.memory"},
	{syscall.ENOMEM, "the machine has no memory left for sockets: give it more, or lower limits.sessions and limits.memory"},
}

// ifShortage returns err as a shortage if it is one, else as it is.
func ifShortage(err error) error {
	found := err
	var dns *net.DNSError
	if errors.As(err, &dns) {
		found = inLookup(dns)
	}
	for _, s := range shortages {
		if errors.Is(found, s.errno) {
			return &shortage{err, s.errno, s.remedy}
		}
	}
	return err
}

// inLookup finds what a lookup failed of. Its error has what a socket met as text
// only; and libc says that there is no such name when it could not open a file to
// look into. Then we cannot either.
func inLookup(dns *net.DNSError) error {
	for _, s := range shortages {
		if strings.HasSuffix(dns.Err, s.errno.Error()) {
			return s.errno
		}
	}
	f, err := os.Open(os.DevNull)
	if err == nil {
		f.Close()
	}
	return err
}
