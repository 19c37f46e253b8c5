package hostile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// An attack is one published denial of service.
type attack struct {
	name, cve string
	set       []string
	// run sends it, until the gateway listens no more or it is over.
	run func(w *wire)
	// bound is that which ends the session; "": the attack is harmless, and
	// why says by what.
	bound string
	why   string
	// cause is that of the session line where it is not that of bound.
	cause string
	code  http2.ErrCode // of GOAWAY; 0 = ENHANCE_YOUR_CALM with a bound
}

// id is the stream of the i-th request.
func id(i int) uint32 { return uint32(2*i + 1) }

var attacks = []attack{
	{
		name: "ping flood", cve: "CVE-2019-9512", bound: "ping",
		run: func(w *wire) {
			w.flood(200_000, func(int) { w.frame(http2.FramePing, 0, 0, []byte("12345678")) })
		},
	}, {
		name: "settings flood", cve: "CVE-2019-9515", bound: "settings",
		run: func(w *wire) { w.flood(200_000, func(int) { w.settings() }) },
	}, {
		name: "large settings", cve: "CVE-2020-11080", bound: "settings_entries",
		run: func(w *wire) {
			for i := range 200 { // each entry is to be applied to all of them
				w.request(id(i), true, "GET", "/work")
			}
			w.flood(90, func(int) {
				w.frame(http2.FrameSettings, 0, 0, bytes.Repeat([]byte{0, 4, 0, 0, 0xff, 0xff}, 2730))
			})
		},
	}, {
		name: "acknowledgements of nothing", cve: "CVE-2019-9515", bound: "acks",
		run: func(w *wire) {
			w.flood(100_000, func(i int) {
				w.frame(http2.FrameSettings, http2.FlagSettingsAck, 0, nil)
				w.frame(http2.FramePing, http2.FlagPingAck, 0, []byte("12345678"))
			})
		},
	}, {
		name: "reset flood", cve: "CVE-2019-9514", bound: "provoked_resets",
		run: func(w *wire) {
			w.flood(50_000, func(i int) { w.request(id(i), true, "GET", "no slash") })
		},
	}, {
		name: "empty frames flood", cve: "CVE-2019-9518", bound: "empty_data",
		run: func(w *wire) {
			w.request(1, false, "POST", "/hello")
			w.flood(200_000, func(int) { w.frame(http2.FrameData, 0, 1, nil) })
		},
	}, {
		name: "empty frames flood, padded", cve: "CVE-2019-9518", bound: "empty_data",
		run: func(w *wire) {
			w.request(1, false, "POST", "/hello")
			w.flood(200_000, func(int) { w.frame(http2.FrameData, http2.FlagDataPadded, 1, []byte{0}) })
		},
	}, {
		name: "bytes one by one", cve: "CVE-2019-9511", bound: "small_data",
		run: func(w *wire) {
			w.request(1, false, "POST", "/hello")
			w.flood(200_000, func(int) { w.frame(http2.FrameData, 0, 1, []byte("x")) })
		},
	}, {
		name: "data dribble", cve: "CVE-2019-9511", bound: "tiny_windows",
		run: func(w *wire) {
			const streams = 20 // or a slow machine answers too seldom
			w.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			for i := range streams {
				w.request(id(i), true, "GET", "/big")
			}
			for bytes, more := int64(0), true; more; more = w.send() && w.awaitFrames(http2.FrameData, bytes) {
				for i := range streams {
					w.window(id(i), 1)
				}
				bytes += streams
			}
		},
	}, {
		name: "window update flood", cve: "CVE-2019-9517", bound: "window_updates",
		run: func(w *wire) { w.flood(200_000, func(int) { w.window(0, 1) }) },
	}, {
		name: "0-length headers leak", cve: "CVE-2019-9516", bound: "empty_names",
		run: func(w *wire) {
			w.flood(10_000, func(i int) {
				b := append(w.block(":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"), bytes.Repeat([]byte{0, 0, 0}, 5)...)
				w.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, id(i), b)
			})
		},
	}, {
		name: "resource loop", cve: "CVE-2019-9513", bound: "priority",
		run: func(w *wire) {
			w.flood(200_000, func(i int) {
				w.frame(http2.FramePriority, 0, id(i%1000), append(u32(id((i+1)%1000)), byte(i)))
			})
		},
	}, {
		name: "priority update flood", cve: "CVE-2019-9513, RFC 9218 section 13", bound: "priority",
		run: func(w *wire) {
			w.flood(200_000, func(i int) { w.frame(0x10, 0, 0, append(u32(id(i%100)), fmt.Sprintf("u=%d", i%8)...)) })
		},
	}, {
		name: "rapid reset", cve: "CVE-2023-44487", bound: "resets",
		run: func(w *wire) {
			w.flood(50_000, func(i int) {
				w.request(id(i), true, "GET", "/work")
				w.reset(id(i))
			})
		},
	}, {
		name: "streams without end", cve: "CVE-2023-44487", bound: "refused",
		run: func(w *wire) {
			w.flood(50_000, func(i int) { w.request(id(i), true, "GET", "/work") })
		},
	}, {
		name: "CONTINUATION flood, empty", cve: "CVE-2024-27316, CVE-2024-30255", bound: "continuation",
		run: func(w *wire) {
			w.frame(http2.FrameHeaders, 0, 1, nil)
			w.flood(200_000, func(int) { w.frame(http2.FrameContinuation, 0, 1, nil) })
		},
	}, {
		name: "CONTINUATION flood, a field in each", cve: "CVE-2023-45288, CVE-2024-24549", bound: "continuation",
		run: func(w *wire) {
			w.frame(http2.FrameHeaders, 0, 1, w.block(":method", "GET"))
			w.flood(200_000, func(i int) {
				w.frame(http2.FrameContinuation, 0, 1, w.block(fmt.Sprint("x-", i), "v"))
			})
		},
	}, {
		name: "CONTINUATION flood, full frames", cve: "CVE-2024-31309, CVE-2024-28182", bound: "header_bytes",
		run: func(w *wire) {
			w.frame(http2.FrameHeaders, 0, 1, nil)
			field := append([]byte{0x00, 1, 'a', 0x7f, 0x81, 0x7e}, make([]byte, 16<<10-6)...) // 16,384-6 bytes of value
			w.flood(10_000, func(int) { w.frame(http2.FrameContinuation, 0, 1, field) })
		},
	}, {
		name: "a string that never ends", cve: "CVE-2023-45288", bound: "header_bytes",
		run: func(w *wire) {
			w.frame(http2.FrameHeaders, 0, 1, []byte{0x00, 1, 'a', 0x7f, 0x80, 0x80, 0x80, 0x80, 0x01})
			piece := make([]byte, 16<<10)
			w.flood(10_000, func(int) { w.frame(http2.FrameContinuation, 0, 1, piece) })
		},
	},
	madeYouReset("a window of 0", func(w *wire, id uint32) { w.window(id, 0) }),
	madeYouReset("a window too large", func(w *wire, id uint32) { w.window(id, 1<<31-1) }),
	madeYouReset("DATA after the end", func(w *wire, id uint32) { w.frame(http2.FrameData, 0, id, []byte("late")) }),
	madeYouReset("HEADERS after the end", func(w *wire, id uint32) {
		w.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, id, w.block("a", "b"))
	}),
	madeYouReset("a stream depends on itself", func(w *wire, id uint32) {
		w.frame(http2.FramePriority, 0, id, append(u32(id), 1))
	}),
	{
		name: "HPACK bomb, indexed repeats", cve: "CVE-2016-6581", bound: "",
		why: "what is past limits.request_head is decoded without being kept, and answered by 431",
		run: func(w *wire) {
			for i := range 20 {
				b := []byte{0x82, 0x84, 0x86, 0x01, 1, 'a'} // GET http://a/, nothing indexed
				if i == 0 {                                 // with indexing: 4,000 bytes that one byte stands for
					b = append(b, 0x40, 1, 'x', 0x7f, 0xa1, 0x1e)
					b = append(b, strings.Repeat("y", 4000)...)
				}
				b = append(b, bytes.Repeat([]byte{0xbe}, 10_000)...)
				w.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, id(i), b)
				w.send()
			}
			if !w.awaitEnds(20) {
				w.t.Error("not all were answered")
			}
		},
	}, {
		name: "HPACK table size, the client's", cve: "CVE-2016-1544", bound: "",
		why: "our encoder's table has 4,096 bytes, however large the client lets it be",
		run: func(w *wire) {
			w.settings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 1<<32 - 1})
			for i := range 200 {
				w.request(id(i), true, "GET", fmt.Sprint("/", i))
			}
			if w.send(); !w.awaitEnds(200) {
				w.t.Error("not all were answered")
			}
		},
	}, {
		name: "HPACK table size, ours", cve: "CVE-2016-1544",
		why: "a table larger than ours is refused by HPACK's own rule", cause: "client_error", code: http2.ErrCodeCompression,
		run: func(w *wire) {
			w.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, append([]byte{0x3f, 0xe1, 0xff, 0xff, 0x07}, w.block(":method", "GET")...))
			w.send()
			w.awaitEnd()
		},
	}, {
		name: "HPACK integer overflow", cve: "CVE-2023-36478",
		why: "integers are bounded by the decoder", cause: "client_error", code: http2.ErrCodeCompression,
		run: func(w *wire) {
			w.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, append([]byte{0x00, 0x7f}, bytes.Repeat([]byte{0xff}, 12)...))
			w.send()
			w.awaitEnd()
		},
	}, {
		name: "frames that mean nothing", cve: "RFC 9113 section 10.5", bound: "useless",
		run: func(w *wire) {
			w.flood(200_000, func(int) { w.frame(0xbb, 0, 0, []byte("grease")) })
		},
	}, {
		name: "GOAWAY flood", cve: "CVE-2023-35945", bound: "useless",
		run: func(w *wire) {
			w.request(1, true, "GET", "/hold") // or the session ends with it
			w.flood(100_000, func(int) { w.frame(http2.FrameGoAway, 0, 0, make([]byte, 8)) })
		},
	}, {
		name: "reset after GOAWAY", cve: "CVE-2023-35945", cause: "client_closed",
		why: "a session that is being left waits for its streams only",
		run: func(w *wire) {
			for i := range 100 {
				w.request(id(i), true, "GET", "/work")
			}
			w.frame(http2.FrameGoAway, 0, 0, make([]byte, 8))
			for i := range 100 {
				w.reset(id(i))
			}
			w.send()
			w.awaitEnd()
		},
	}, {
		name: "a head cut off", cve: "CVE-2024-27983", cause: "client_reset",
		why: "a connection that ends within a header block is only a connection that ends",
		run: func(w *wire) {
			w.awaitFrames(http2.FrameSettings, 2) // what we have not read would be a reset before
			w.frame(http2.FrameHeaders, 0, 1, w.block(":method", "GET", "x", strings.Repeat("y", 8000)))
			w.frame(http2.FrameContinuation, 0, 1, w.block("z", "z"))
			w.send()
			w.conn.Close()
		},
	}, {
		name: "SETTINGS never acknowledged", cve: "d4775d17fd of Apache Traffic Server",
		why: "we never send a second one, and our limits hold at once",
		run: func(w *wire) {
			for i := range 300 {
				w.request(id(i), true, "GET", "/hold")
			}
			w.send()
			w.awaitFrames(http2.FrameRSTStream, 50)
			w.rig.origin.letGo(250)
			w.awaitEnds(250)
		},
	}, {
		name: "window of 0 for ever", cve: "CVE-2023-43622", set: []string{"timeouts.write_stall=5s"},
		why: "streams whose window stays shut are cancelled by timeouts.write_stall",
		run: func(w *wire) {
			w.settings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			for i := range 50 {
				w.request(id(i), true, "GET", "/big")
			}
			w.send()
			w.awaitFrames(http2.FrameRSTStream, 50)
		},
	}, {
		name: "slow preface", cve: "RFC 9113 section 3.4", set: []string{"timeouts.preface=5s"},
		cause: "preface_timeout", why: "timeouts.preface is for all of it",
		run: func(w *wire) {
			drip(w, []byte(http2.ClientPreface[:20]))
		},
	}, {
		name: "no SETTINGS", cve: "RFC 9113 section 3.4", set: []string{"timeouts.preface=5s"},
		cause: "preface_timeout", why: "timeouts.preface is for the first SETTINGS, too",
		run: func(w *wire) { w.awaitEnd() },
	}, {
		name: "slow headers", cve: "CVE-2007-6750 (Slowloris)", set: []string{"timeouts.request_head=300ms"},
		cause: "head_timeout", why: "timeouts.request_head is for the whole block",
		run: func(w *wire) {
			w.frame(http2.FrameHeaders, 0, 1, w.block(":method", "GET"))
			for range 100 {
				w.frame(http2.FrameContinuation, 0, 1, w.block("a", "b"))
				if !w.send() {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			w.awaitEnd()
		},
	},
}

func drip(w *wire, p []byte) {
	for _, c := range p {
		if _, err := w.conn.Write([]byte{c}); err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.awaitEnd()
}

func madeYouReset(how string, f func(w *wire, id uint32)) attack {
	return attack{
		name: "MadeYouReset, " + how, cve: "CVE-2025-8671", bound: "provoked_resets",
		run: func(w *wire) {
			w.flood(20_000, func(i int) {
				w.request(id(i), true, "GET", "/work")
				f(w, id(i))
			})
		},
	}
}

func TestAttacks(t *testing.T) {
	for _, a := range attacks {
		t.Run(strings.ReplaceAll(a.name, " ", "_"), func(t *testing.T) { a.play(t) })
	}
}

// play has the attack go on until the witness has had its answers: a short one is
// over, on a slow machine, before it has asked. Then another connection begins it
// again, and has to end as the first did.
func (a *attack) play(t *testing.T) {
	r := newRig(t, a.set...)
	witness := r.watch()
	strikes := 0
	for end := time.Now().Add(patience); strikes == 0 || strikes < maxStrikes && witness.waits() && time.Now().Before(end); {
		strikes++
		a.strike(r, strikes)
	}
	witness.wellServed(t)
	if strikes > 1 {
		t.Logf("%d attacks until then", strikes)
	}
	r.settled()
	if n := r.metric("h2gw_h2_flood_total"); a.bound == "" && n != 0 {
		t.Errorf("%v floods counted", n)
	}
	// Work of cancelled streams is not multiplied: no more of it at a time than
	// streams may be open, and the slack for cancels; of each session, because
	// the origin learns of the end of one later than we.
	if peak := r.origin.peak.Load(); peak > int64(2*250*strikes) {
		t.Errorf("%d requests at a time at the origin, in %d attacks", peak, strikes)
	}
}

const maxStrikes = 100

// strike is the attack by one connection, the n-th.
func (a *attack) strike(r *rig, n int) {
	r.t.Helper()
	w := a.dial(r)
	a.run(w)
	cause := a.cause
	if a.bound != "" {
		a.wantFarewell(w)
		cause = "flood:" + a.bound
		if got := r.metric("h2gw_h2_flood_total", fmt.Sprintf("bound=%q", a.bound)); got != float64(n) {
			r.t.Errorf("counted %v floods, want %d", got, n)
		}
	} else if a.code != 0 {
		a.wantFarewell(w)
	}
	w.conn.Close()
	l := r.session(w.addr())
	if cause == "" {
		cause = "client_closed"
	}
	if l.Cause != cause {
		r.t.Errorf("cause %q, want %q (%s)", l.Cause, cause, a.why)
	}
}

func (a *attack) dial(r *rig) *wire {
	r.t.Helper()
	var w *wire
	switch a.name {
	case "slow preface":
		w = r.dialSilently()
	case "no SETTINGS":
		w = r.dialSilently()
		w.out.WriteString(http2.ClientPreface)
		w.send()
	case "SETTINGS never acknowledged":
		w = r.dialSilently()
		w.out.WriteString(http2.ClientPreface)
		w.settings()
	default:
		w = r.dial()
	}
	return w
}

func (a *attack) wantFarewell(w *wire) {
	w.t.Helper()
	code := a.code
	if code == 0 {
		code = http2.ErrCodeEnhanceYourCalm
	}
	bye := w.awaitEnd()
	if bye == nil {
		w.t.Errorf("no GOAWAY came, want %v", code)
		return
	}
	if bye.code != code || a.bound != "" && !strings.HasPrefix(bye.debug, "flood: "+a.bound+" ") {
		w.t.Errorf("GOAWAY %v %q, want %v of bound %q", bye.code, bye.debug, code, a.bound)
	}
}
