package admin

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Bounds of the admin address's own server. They are not settings: nobody but
// operators and scrapers should reach it.
const (
	headTimeout  = 10 * time.Second
	writeTimeout = 60 * time.Second
	idleTimeout  = 120 * time.Second
	maxHead      = 16 << 10
)

// A Config says what the server serves.
type Config struct {
	// Addr is the TCP address to listen on, "host:port".
	Addr string
	// Metrics serves GET /metrics. nil: 404.
	Metrics http.Handler
	// Version is shown on the index page.
	Version string
	// Profiles says whether profiles are served below /debug/pprof/.
	Profiles bool
	// ErrorLog gets what net/http has to say; nil: package log's default.
	ErrorLog *log.Logger
}

// A Server is the admin address. Make one with Listen. Its methods are safe for
// concurrent use.
type Server struct {
	cfg      Config
	ln       net.Listener
	http     *http.Server
	draining atomic.Bool
	done     chan struct{} // closed when Serve's goroutine has ended
}

// Listen opens the address. Nothing is answered until Serve.
func Listen(cfg Config) (*Server, error) {
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q for the admin address: %w", cfg.Addr, err)
	}
	s := &Server{cfg: cfg, ln: ln}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          cfg.ErrorLog,
	}
	return s, nil
}

// Addr returns the address that was bound.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Serve starts answering and returns at once.
func (s *Server) Serve() {
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		// It returns when Close is called, and only then.
		_ = s.http.Serve(s.ln)
	}()
}

// SetDraining makes /readyz answer 503, so that load balancers look elsewhere
// while requests are still being finished.
func (s *Server) SetDraining() { s.draining.Store(true) }

// Close lets answers under way finish until ctx ends, then cuts them.
func (s *Server) Close(ctx context.Context) {
	if s.done == nil {
		s.ln.Close()
		return
	}
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	<-s.done
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	if s.cfg.Metrics != nil {
		mux.Handle("GET /metrics", s.cfg.Metrics)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /{$}", s.index)
	if s.cfg.Profiles {
		profiles(mux)
	}
	return mux
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.draining.Load() {
		text(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	text(w, http.StatusOK, "ready\n")
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	page := fmt.Sprintf("h2gw %s\n\n"+
		"/metrics  Prometheus metrics\n"+
		"/healthz  200 while the process runs\n"+
		"/readyz   200 while it takes new work, 503 while it drains\n", s.cfg.Version)
	if s.cfg.Profiles {
		page += profilePath + "  profiles, for `go tool pprof`\n"
	}
	text(w, http.StatusOK, page)
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, body)
}
