package accesslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/pitag"
)

// A Format is how lines are written.
type Format int

// The formats. The zero Format is JSON.
const (
	JSON     Format = iota // one JSON object a line, transactions and sessions
	Combined               // Apache combined with "pitag piid stream" appended, transactions only
)

// ParseFormat returns the format that the command line calls name: "json" or
// "combined".
func ParseFormat(name string) (Format, error) {
	switch name {
	case "json", "":
		return JSON, nil
	case "combined":
		return Combined, nil
	}
	return 0, fmt.Errorf("access log format %q is not known: want json or combined", name)
}

// Defaults of Config.
const (
	DefaultMaxBytes      = 8 << 20
	DefaultFlushInterval = 200 * time.Millisecond
)

// A Config says where and how lines are written. The zero Config writes JSON to
// standard output.
type Config struct {
	// Path is the file lines are appended to, created with mode 0640 if it does
	// not exist; "" or "-" is standard output.
	Path string
	// Output takes the lines instead of Path when it is not nil. It is used by
	// one goroutine only and is not closed.
	Output io.Writer
	// Format is how lines are written.
	Format Format
	// MaxBytes bounds the memory of lines not yet written; 0 is
	// DefaultMaxBytes. Lines that find no room are dropped and counted.
	MaxBytes int
	// FlushInterval is how long a line waits for others at most; 0 is
	// DefaultFlushInterval.
	FlushInterval time.Duration
	// OnError is told of the first failed write after one that worked: a full
	// disk gives one call, not one per line. It is called by the writing
	// goroutine and must not call the Log. It may be nil.
	OnError func(error)
}

// A Log writes access and session lines. Make one with Open. All methods are
// safe for concurrent use; on a nil *Log they do nothing, so that "off" needs
// no second code path.
type Log struct {
	format Format
	path   string
	w      *writer
	text   sync.Pool // *[]byte: lines being made
}

// Open opens the output and starts the writing goroutine, which Close ends. An
// error says which file could not be opened.
func Open(cfg Config) (*Log, error) {
	out, own, err := openOutput(cfg)
	if err != nil {
		return nil, err
	}
	l := &Log{format: cfg.Format, path: cfg.Path, w: newWriter(cfg, out, own)}
	l.text.New = func() any { b := make([]byte, 0, 1024); return &b }
	return l, nil
}

// Record writes the line of a transaction. It does not block and does not keep
// r.
func (l *Log) Record(r *httpsm.Record) {
	if l == nil {
		return
	}
	buf := l.text.Get().(*[]byte)
	if l.format == Combined {
		*buf = appendCombined((*buf)[:0], r)
	} else {
		*buf = appendAccess((*buf)[:0], r)
	}
	l.put(r.Session, buf)
}

// Refused writes the line of a stream that was refused before a transaction
// existed. It does not block and does not keep r.
func (l *Log) Refused(r *h2session.Refusal) {
	if l == nil {
		return
	}
	rec := httpsm.Record{
		Session: r.Session, Stream: r.Stream, Txn: r.Txn,
		Method: r.Method, Host: r.Host, Path: r.Path, UserAgent: r.UserAgent, Proto: "HTTP/2.0",
		Status: r.Status, Outcome: httpsm.Outcome(r.Outcome), H2Error: r.H2Error, BytesOut: r.BytesOut,
		Start: r.Time, End: r.Time,
	}
	l.Record(&rec)
}

// Session writes the line of a client connection that has closed. It comes
// after the lines of the connection's transactions, if those were written
// before. The combined format has no such line. It does not block and does not
// keep r.
func (l *Log) Session(r *pitag.SessionRecord) {
	if l == nil || l.format == Combined {
		return
	}
	buf := l.text.Get().(*[]byte)
	*buf = appendSession((*buf)[:0], r)
	l.put(r.Session, buf)
}

// put gives a line to the shard of its client connection: lines of one connection
// keep their order. It takes buf back.
func (l *Log) put(s *pitag.Session, buf *[]byte) {
	var id uint64
	if s != nil {
		id = s.Identity.ID
	}
	l.w.shard(id).write(*buf)
	if cap(*buf) <= maxKept {
		l.text.Put(buf)
	}
}

// maxKept is the longest line whose buffer is kept: one of a client that sends much.
const maxKept = 16 << 10

// Flush returns when every line given before it has been handed to the output,
// with the error that kept them from it, or when ctx ends.
func (l *Log) Flush(ctx context.Context) error {
	if l == nil {
		return nil
	}
	return l.w.do(ctx, nil)
}

// Reopen opens path, or the path the Log has when it is "", and goes on
// writing there: what log rotation needs after it has moved the file away. Lines
// given before go to the old file, unless it refuses them. When the new file
// cannot be opened the old one stays in use. It does nothing on standard output.
func (l *Log) Reopen(ctx context.Context, path string) error {
	if l == nil {
		return nil
	}
	if path == "" {
		path = l.path
	}
	if path == "" || path == "-" {
		return nil
	}
	f, err := openFile(path)
	if err != nil {
		return err
	}
	err = l.w.do(ctx, f)
	if errors.Is(err, errNotDone) { // nobody has taken f over
		_ = f.Close()
	}
	return err
}

// Close writes every line given before it, closes the file and ends the writing
// goroutine. Lines given later are dropped and counted, as are those that the
// output refuses. If ctx ends first, Close returns its error and the rest
// happens when the output lets go. Later calls return nil.
func (l *Log) Close(ctx context.Context) error {
	if l == nil {
		return nil
	}
	return l.w.close(ctx)
}

// Stats are counts since Open.
type Stats struct {
	Lines   uint64 // written whole
	Dropped uint64 // lost: no room, refused by the output until Close, or given after it
	Bytes   uint64 // written
	Writes  uint64 // write calls
	Errors  uint64 // failed write calls
}

// Stats returns the counts. After Close, Lines + Dropped is the number of lines
// ever given.
func (l *Log) Stats() Stats {
	if l == nil {
		return Stats{}
	}
	return l.w.stats()
}

func openOutput(cfg Config) (out io.Writer, own io.Closer, err error) {
	switch {
	case cfg.Output != nil:
		return cfg.Output, nil, nil
	case cfg.Path == "" || cfg.Path == "-":
		return os.Stdout, nil, nil
	}
	f, err := openFile(cfg.Path)
	if err != nil {
		return nil, nil, err
	}
	return f, f, nil
}

func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("access log: %w: want a file that can be appended to, or - for standard output", err)
	}
	return f, nil
}
