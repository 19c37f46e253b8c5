package h2session

import (
	"time"
)

// A Bound names one thing of which a client may make us do only so much.
type Bound uint8

// The bounds. What each counts is in its line of the table below.
const (
	FloodContinuation Bound = iota
	FloodHeaderBytes
	FloodEmptyNames
	FloodSettings
	FloodSettingsEntries
	FloodAcks
	FloodPing
	FloodResets
	FloodProvokedResets
	FloodRefused
	FloodStreams
	FloodEmptyData
	FloodSmallData
	FloodTinyWindows
	FloodWindowUpdates
	FloodPriority
	FloodQueued
	FloodUseless
	NumBounds
)

const (
	// shortContinuation is the length below which a CONTINUATION that does not
	// end its block is no way to send one (Tomcat's overheadContinuationThreshold).
	shortContinuation = 1 << 10
	// smallData is the length below which a DATA frame is mostly frame: less
	// than the empty message of gRPC, which is 5 bytes.
	smallData = 5
	// tinyWindow is the length below which DATA that a window cut short is
	// counted. The rest of an honest window is that short now and then: a client
	// that reads slowly and opens its window as it reads leaves one in a hundred
	// frames, which DATA pays for, one for each dataPerRest bytes (the average
	// that ATS wants of a WINDOW_UPDATE). maxGiven bounds what is saved up.
	tinyWindow, dataPerRest, maxGiven = 256, 2560, 16 * 2560
	// A DATA frame of ours pays for this many WINDOW_UPDATEs (Envoy's
	// max_inbound_window_update_frames_per_data_frame_sent), and a stream for
	// its first ones.
	updatesPerData, updatesPerStream = 10, 2
	// maxPaid bounds what can be saved up that way, and maxPaidPings the PINGs
	// that frames of responses pay for.
	maxPaid, maxPaidPings = 1 << 12, 16
)

type boundInfo struct {
	name string
	def  Budget
	doc  string
}

func per(n int, d time.Duration) Budget { return Budget{Count: n, Per: d} }

// bounds has one line for each Bound, with the precedent of its default. They
// are for one session, and far from what a browser, curl, nghttp, h2load, a gRPC
// client or a proxy in front of us comes near to. Where the precedents differ it
// is the generous side that has been in use without complaints.
var bounds = [NumBounds]boundInfo{
	// CVE-2024-27316 and its kind. Netty allows 16 short ones in a block,
	// nghttp2 8 of any length, ATS 120 of any length in a minute, which a
	// client with long cookies exceeds.
	FloodContinuation: {"continuation", per(128, 10*time.Second),
		"CONTINUATION frames below 1 KiB that do not end their block"},
	// ATS and nghttp2 end the session at twice and once the limit; here a
	// client that is a little over is told so by 431.
	FloodHeaderBytes: {"header_bytes", per(256<<10, 10*time.Second),
		"bytes of header blocks past `limits.request_head`, which are read for HPACK's sake only"},
	// CVE-2019-9516. Each makes its request malformed; no precedent has a
	// number, for no client sends one.
	FloodEmptyNames: {"empty_names", per(10, 10*time.Second),
		"fields with an empty name"},
	// CVE-2019-9515. ATS allows 14 in a minute, which cut off proxies that
	// send eleven at once; nghttp2 and Envoy 1,000 unanswered.
	FloodSettings: {"settings", per(100, 10*time.Second),
		"SETTINGS frames"},
	// nghttp2 and ATS take 32 in a frame; one of INITIAL_WINDOW_SIZE costs a
	// look at every stream.
	FloodSettingsEntries: {"settings_entries", per(512, 10*time.Second),
		"settings in SETTINGS frames"},
	// Of ours at most one SETTINGS and one PING wait for an answer, so what
	// is bounded is answers to nothing. As for PING.
	FloodAcks: {"acks", per(100, 10*time.Second),
		"acknowledgements of SETTINGS and PING that nothing asked for"},
	// CVE-2019-9512. ATS allows 60 in a minute, grpc-go two before the next
	// DATA or HEADERS of ours, nghttp2 and Envoy 1,000 unanswered. A client
	// that measures a download by PINGs (gRPC) sends one for every few frames
	// it gets, so those are free.
	FloodPing: {"ping", per(100, 10*time.Second),
		"PINGs with no frame of a response between them"},
	// CVE-2023-44487 and CVE-2019-9514. The bucket of nghttp2: a burst of
	// 1,000, and 33 in a second. Netty and ATS: 200 in 30 and 60 seconds.
	FloodResets: {"resets", per(1000, 30*time.Second),
		"RST_STREAM received"},
	// CVE-2025-8671 (MadeYouReset). Netty: 200 in 30 seconds; h2: 1,024 in
	// the life of a connection.
	FloodProvokedResets: {"provoked_resets", per(200, 30*time.Second),
		"RST_STREAM sent for a fault of the client"},
	// An honest client passes the limit once, before it has our SETTINGS, by
	// as much as it has to send. As for resets.
	FloodRefused: {"refused", per(1000, 30*time.Second),
		"streams refused because too many were open; those refused for memory or a drain are not counted"},
	// HAProxy (tune.h2.fe.max-total-streams) and nginx (keepalive_requests)
	// count a connection's life and drain; no default of theirs is a rate.
	FloodStreams: {"streams", Unlimited,
		"streams opened"},
	// CVE-2019-9518. Envoy allows one in a row, Netty two.
	FloodEmptyData: {"empty_data", per(100, 10*time.Second),
		"DATA frames without data that do not end their stream"},
	// nginx calls it a flood when frames are eight times what they carry, from
	// 1 MiB on, which is some 100,000 frames of one byte.
	FloodSmallData: {"small_data", per(10000, 10*time.Second),
		"DATA frames of 1 to 4 bytes that do not end their stream"},
	// CVE-2019-9511 (data dribble) and CVE-2019-9517. ATS wants WINDOW_UPDATEs
	// of 2,560 bytes on average; a window can be small for other reasons, so
	// here it is our frames that count.
	FloodTinyWindows: {"tiny_windows", per(1000, 10*time.Second),
		"DATA frames of ours below 256 bytes because the client's window had no room for more, beyond one for 2,560 bytes sent"},
	// Envoy: five, and ten for every DATA frame sent.
	FloodWindowUpdates: {"window_updates", per(2000, 10*time.Second),
		"WINDOW_UPDATEs beyond ten for a DATA frame of ours"},
	// CVE-2019-9513. The tree of RFC 7540 is not kept, so a frame costs its
	// bytes. Envoy allows 100 for every stream; ATS's 120 in a minute cut off
	// browsers although it ignored the frames.
	FloodPriority: {"priority", per(10000, 10*time.Second),
		"PRIORITY and PRIORITY_UPDATE frames"},
	// nghttp2 ends a session with 1,000 answers queued, Envoy one with 1,000
	// control frames; here 16 KiB of them, some 1,000, hold the client back,
	// and doing that over and over is what is counted.
	FloodQueued: {"queued", per(100, 10*time.Second),
		"times that the client was not read because 16 KiB of control frames waited for it to read"},
	// HAProxy counts them among its glitches, nghttp2 too: 1,000, and 33 in a
	// second. Browsers send frames of unknown types to keep servers tolerant.
	FloodUseless: {"useless", per(1000, 10*time.Second),
		"frames that mean nothing: of unknown type, HEADERS on a stream that was reset, a second GOAWAY"},
}

// String returns the bound's name, as in the setting floods.NAME.
func (b Bound) String() string { return bounds[b].name }

// Default returns the budget that a zero one stands for.
func (b Bound) Default() Budget { return bounds[b].def }

// Doc says in a few words what is counted.
func (b Bound) Doc() string { return bounds[b].doc }
