package gateway

import (
	"github.com/h2gw/h2gw/h2session"
	"github.com/h2gw/h2gw/httpsm"
	"github.com/h2gw/h2gw/internal/accesslog"
	"github.com/h2gw/h2gw/metrics"
	"github.com/h2gw/h2gw/pitag"
)

// sinks take what has ended: a transaction, a refused stream, a connection.
// Whatever goes to one goes to the other, so that the log and the metrics
// count the same.
type sinks struct {
	metrics *metrics.Metrics
	log     *accesslog.Log // nil: off
}

func (s *sinks) record(r *httpsm.Record) {
	s.metrics.Record(r)
	s.log.Record(r)
}

func (s *sinks) refused(r *h2session.Refusal) {
	s.metrics.Refused(r)
	s.log.Refused(r)
}

func (s *sinks) opened(sess *pitag.Session) { s.metrics.SessionOpened(sess) }

func (s *sinks) closed(r *pitag.SessionRecord) {
	s.metrics.SessionClosed(r)
	s.log.Session(r)
}
