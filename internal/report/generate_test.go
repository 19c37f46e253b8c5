package report

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// A generator writes a log as a gateway would: connections come and go, their
// streams are interleaved, and each closed one has its session line. It counts
// what it writes, so that tests have something to compare with.
type generator struct {
	rnd   *rand.Rand
	now   time.Time
	last  uint64
	conns []*genConn
	buf   bytes.Buffer
	want  genCounts
}

type genConn struct {
	tag     string
	id      uint64
	client  string
	streams int
	left    int
	in, out int
	start   time.Time
	resets  int
}

type genCounts struct {
	access, sessions int
	closed           map[string]int
	streams          map[string]int // in session lines
	latencies        map[string][]float64
}

func newGenerator(seed uint64, conns int) *generator {
	g := &generator{
		rnd:  rand.New(rand.NewPCG(seed, 7)),
		now:  time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC),
		want: genCounts{closed: map[string]int{}, streams: map[string]int{}, latencies: map[string][]float64{}},
	}
	for range conns {
		g.conns = append(g.conns, g.connect())
	}
	return g
}

func (g *generator) connect() *genConn {
	g.last++
	c := &genConn{id: g.last, start: g.now, tag: "h2", client: fmt.Sprintf("203.0.%d.%d:%d", g.rnd.IntN(114), g.rnd.IntN(256), 1024+g.rnd.IntN(60000))}
	switch n := g.rnd.IntN(100); {
	case n < 70:
		c.left = 1 + int(g.rnd.ExpFloat64()*30)
	case n < 94:
		c.tag, c.left = "http/1.1", 1+int(g.rnd.ExpFloat64()*3)
	case n < 98:
		c.tag, c.left = "h2c", 1+int(g.rnd.ExpFloat64()*100)
	default:
		c.tag, c.left = "", 0 // the handshake failed
	}
	return c
}

// step writes one line.
func (g *generator) step() {
	g.now = g.now.Add(time.Duration(g.rnd.IntN(900)) * time.Microsecond)
	i := g.rnd.IntN(len(g.conns))
	c := g.conns[i]
	if c.left == 0 {
		g.session(c)
		g.conns[i] = g.connect()
		return
	}
	c.left--
	c.streams++
	g.access(c)
}

// finish closes all connections.
func (g *generator) finish() {
	for _, c := range g.conns {
		g.session(c)
	}
	g.conns = nil
}

var genPaths = []string{"/", "/articles/42?page=2", "/static/app.9f3c1d.js", "/api/v2/users/8817/orders?limit=50&sort=-created", "/images/head\\u00e9r.webp", "/search?q=%22go%22"}

const genAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

func (g *generator) access(c *genConn) {
	b := &g.buf
	ms := math.Exp(g.rnd.NormFloat64()*1.1 + 1.8)
	ms = math.Round(ms*1000) / 1000
	status, outcome, origin := 200, "completed", fmt.Sprintf("10.0.0.%d:8080", 7+g.rnd.IntN(2))
	h2err := ""
	switch n := g.rnd.IntN(1000); {
	case n < 40:
		status = 304
	case n < 60:
		status = 404
	case n < 66:
		status, outcome, origin = 400, "http_request_error", ""
	case n < 72:
		status, outcome, ms = 504, "http_response_timeout", ms+60000
	case n < 80 && c.tag != "http/1.1":
		status, outcome, h2err = 499, "client_abort", "CANCEL"
		c.resets++
	case n < 82:
		status, outcome = 502, "connection_refused"
	}
	out := g.rnd.IntN(40000)
	c.out += out + 200
	c.in += 150
	fmt.Fprintf(b, `{"event":"access","ts":"%s","pitag":"%s","piid":%d,"stream":%d,"txn":%d,"listener":"public","client":"%s","method":"GET","host":"www.example.org","path":"%s","status":%d,"outcome":"%s","bytes_in":0,"bytes_out":%d,"duration_ms":%s,"ttfb_ms":%s,"route":"default"`,
		g.now.Format("2006-01-02T15:04:05.000000Z"), c.tag, c.id, 2*c.streams-1, c.streams, c.client, genPaths[g.rnd.IntN(len(genPaths))], status, outcome, out,
		strconv.FormatFloat(ms, 'f', 3, 64), strconv.FormatFloat(ms*0.7, 'f', 3, 64))
	if origin != "" {
		fmt.Fprintf(b, `,"origin":"%s"`, origin)
		if status != 502 {
			fmt.Fprintf(b, `,"origin_conn":%d,"origin_reused":%t`, 1+g.rnd.IntN(64), g.rnd.IntN(50) > 0)
		}
	}
	fmt.Fprintf(b, `,"retries":0,"user_agent":"%s"`, genAgent)
	if h2err != "" {
		fmt.Fprintf(b, `,"h2_error":"%s"`, h2err)
	}
	b.WriteString("}\n")
	g.want.access++
	g.want.latencies[c.tag] = append(g.want.latencies[c.tag], ms)
}

func (g *generator) session(c *genConn) {
	b := &g.buf
	tag, tls, goaway, cause := "", "", "", "client_closed"
	if c.tag != "" {
		tag = fmt.Sprintf(`"pitag":"%s",`, c.tag)
	} else {
		cause = "handshake_failed"
	}
	if c.tag == "h2" {
		tls = `"tls_version":"TLS 1.3","tls_cipher":"TLS_AES_128_GCM_SHA256","tls_resumed":false,"alpn":"h2","sni":"www.example.org",`
		if g.rnd.IntN(4) == 0 {
			goaway, cause = `"goaway":"NO_ERROR",`, "idle_timeout"
		}
	}
	fmt.Fprintf(b, `{"event":"session","ts":"%s",%s"piid":%d,"client":"%s","listener":"public",%s"duration_ms":%.3f,"streams":%d,"streams_peak":%d,"streams_refused":0,"resets_in":%d,"resets_out":0,"bytes_in":%d,"bytes_out":%d,%s"cause":"%s"}`+"\n",
		g.now.Format("2006-01-02T15:04:05.000000Z"), tag, c.id, c.client, tls, float64(g.now.Sub(c.start).Microseconds())/1000, c.streams, min(c.streams, 12), c.resets, c.in, c.out, goaway, cause)
	g.want.sessions++
	g.want.closed[c.tag]++
	g.want.streams[c.tag] += c.streams
}

// generate returns a log of at least size bytes with all connections closed.
func generate(seed uint64, conns, size int) (*generator, []byte) {
	g := newGenerator(seed, conns)
	g.buf.Grow(size + size/8)
	for g.buf.Len() < size {
		g.step()
	}
	g.finish()
	return g, g.buf.Bytes()
}
