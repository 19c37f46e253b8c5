package h2session

import (
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/h2gw/h2gw/internal/testkit"
)

// What a walk does: steps that the RFC allows, and trespasses.

func (w *walk) step() {
	switch w.rng.IntN(12) {
	case 0, 1, 2:
		w.openStream()
	case 3, 4, 5:
		w.upload()
	case 6, 7:
		w.credit()
	case 8:
		if w.rng.IntN(3) == 0 {
			w.resetSome()
		}
	case 9:
		if w.settings++; w.settings < 20 {
			w.resize()
		}
	case 10:
		w.fr.WritePing(false, [8]byte{1})
	case 11:
		w.fr.WritePriority(w.anyID(), http2.PriorityParam{StreamDep: 0, Weight: byte(w.rng.IntN(256))})
	}
}

// room reports whether the client knows that it may open one more stream.
func (w *walk) room() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, st := range w.streams {
		if !st.reset && !(st.end && st.ours) {
			n++
		}
	}
	return n < w.limit
}

func (w *walk) openStream() {
	if w.legal && !w.room() {
		return
	}
	path := walkedPaths[w.rng.IntN(len(walkedPaths))]
	end := w.rng.IntN(2) == 0
	method := "GET"
	if !end {
		method = "POST"
	}
	id := w.nextID
	w.nextID += 2
	w.mu.Lock()
	w.streams[id] = &walked{path: path, send: w.first, recv: w.window, ours: end}
	w.mu.Unlock()
	if !end {
		w.uploads = append(w.uploads, id)
	}
	w.headers(id, end, ":method", method, ":scheme", "https", ":authority", "a", ":path", path, "n", fmt.Sprint(w.rng.IntN(100)))
}

func (w *walk) headers(id uint32, end bool, fields ...string) {
	w.hbuf.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		w.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	block := slices.Clone(w.hbuf.Bytes())
	cut := len(block)
	if w.rng.IntN(4) == 0 {
		cut = w.rng.IntN(len(block))
	}
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:cut], EndStream: end, EndHeaders: cut == len(block)})
	if cut < len(block) {
		w.fr.WriteContinuation(id, true, block[cut:])
	}
}

// upload sends a piece of some request's body, as the windows allow, or its end.
func (w *walk) upload() {
	if len(w.uploads) == 0 {
		return
	}
	i := w.rng.IntN(len(w.uploads))
	id := w.uploads[i]
	w.mu.Lock()
	st := w.streams[id]
	n := min(w.rng.IntN(16_000), max(0, w.send), max(0, st.send))
	end := w.rng.IntN(4) == 0
	if st.reset {
		w.uploads = slices.Delete(w.uploads, i, i+1)
		w.mu.Unlock()
		return
	}
	pad := 0
	if p := w.rng.IntN(200); w.rng.IntN(4) == 0 && n+p+1 <= min(w.send, st.send) {
		pad = p + 1
	}
	w.send -= n + pad
	st.send -= n + pad
	data := make([]byte, n)
	for j := range data {
		data[j] = byte('a' + w.rng.IntN(26))
	}
	st.sent.Write(data)
	trailers := end && w.rng.IntN(3) == 0
	st.ours = end
	w.mu.Unlock()
	if end {
		w.uploads = slices.Delete(w.uploads, i, i+1)
	}
	if pad > 0 {
		w.fr.WriteDataPadded(id, end && !trailers, data, make([]byte, pad-1))
	} else {
		w.fr.WriteData(id, end && !trailers, data)
	}
	if trailers {
		w.headers(id, true, "x-trailer", "t")
	}
}

// credit opens a window for responses.
func (w *walk) credit() {
	n := 1 + w.rng.IntN(100_000)
	w.mu.Lock()
	w.recv += n
	w.mu.Unlock()
	w.fr.WriteWindowUpdate(0, uint32(n))
	for id, st := range w.open() {
		if w.rng.IntN(2) == 0 {
			w.mu.Lock()
			st.recv += n
			w.mu.Unlock()
			w.fr.WriteWindowUpdate(id, uint32(n))
		}
	}
}

// open are the streams that the client takes to be open.
func (w *walk) open() map[uint32]*walked {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := map[uint32]*walked{}
	for id, st := range w.streams {
		if !st.end && !st.reset {
			m[id] = st
		}
	}
	return m
}

func (w *walk) resetSome() {
	for id, st := range w.open() {
		w.mu.Lock()
		st.reset, st.code = true, codeCancel
		w.mu.Unlock()
		w.fr.WriteRSTStream(id, codeCancel)
		return
	}
}

// resize changes INITIAL_WINDOW_SIZE, by which windows may become negative. In
// legal walks the client waits for the acknowledgement, so that both sides know
// what they count from.
func (w *walk) resize() {
	size := w.rng.IntN(100_000)
	w.mu.Lock()
	w.initial = append(w.initial, size)
	w.mu.Unlock()
	w.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(size)},
		http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(w.rng.IntN(8192))})
	synctest.Wait()
}

func (w *walk) anyID() uint32 { return uint32(w.rng.IntN(int(w.nextID)+4) + 1) }

// trespass does something that the RFC forbids, or that is only odd.
func (w *walk) trespass() {
	id := w.anyID()
	switch w.rng.IntN(16) {
	case 0:
		w.fr.WriteData(id, w.rng.IntN(2) == 0, make([]byte, w.rng.IntN(16<<10)))
	case 1:
		w.fr.WriteWindowUpdate(id, 0)
	case 2:
		w.fr.WriteWindowUpdate(id, 1<<31-1)
	case 3:
		w.headers(id, true, "a", "b")
	case 4:
		w.headers(w.nextID, false, ":method", "GET", ":path", "no slash", ":scheme", "https")
		w.nextID += 2
	case 5:
		w.fr.WriteRSTStream(id, http2.ErrCode(w.rng.IntN(20)))
	case 6:
		w.fr.WriteRawFrame(http2.FrameType(w.rng.IntN(20)), http2.Flags(w.rng.IntN(256)), id, make([]byte, w.rng.IntN(20)))
	case 7:
		w.fr.WriteSettings(http2.Setting{ID: http2.SettingID(w.rng.IntN(12)), Val: w.rng.Uint32N(1 << 17)})
	case 8:
		w.headers(w.nextID, true, "x", "y", ":method", "GET")
		w.nextID += 2
	case 9:
		w.headers(w.nextID, false, ":method", "POST", ":scheme", "https", ":authority", "a", ":path", "/echo", "content-length", "3")
		w.fr.WriteData(w.nextID, true, make([]byte, w.rng.IntN(6)))
		w.nextID += 2
	case 10:
		w.fr.WriteSettingsAck()
	case 11:
		w.fr.WritePriority(id, http2.PriorityParam{StreamDep: id})
	case 12:
		if w.rng.IntN(10) == 0 {
			w.fr.WriteGoAway(0, codeNo, nil)
		}
	case 13:
		time.Sleep(time.Duration(w.rng.IntN(60)) * time.Second)
	case 14:
		w.nextID += 2 * uint32(w.rng.IntN(5)) // ids may be left out
	case 15:
		for range w.rng.IntN(300) {
			w.fr.WritePing(false, [8]byte{})
		}
	}
}

// comeHome ends every upload and opens every window, until all is answered.
func (w *walk) comeHome() {
	for range 10_000 {
		synctest.Wait()
		if len(w.uploads) == 0 && len(w.open()) == 0 {
			return
		}
		w.upload()
		w.credit()
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Errorf("not all streams ended: %d uploads, %d open", len(w.uploads), len(w.open()))
}

// read keeps the client's side of the model.
func (w *walk) read() {
	for {
		f, err := w.fr.ReadFrame()
		w.mu.Lock()
		if err != nil {
			if !testkit.Closed(err) {
				w.failed = fmt.Sprintf("what came is no frame: %v (%v)", err, w.fr.ErrorDetail())
			}
			w.mu.Unlock()
			return
		}
		w.take(f)
		w.mu.Unlock()
	}
}

func (w *walk) take(f http2.Frame) {
	st := w.streams[f.Header().StreamID]
	switch f := f.(type) {
	case *http2.DataFrame:
		n := len(f.Data())
		w.recv -= n
		if w.recv < 0 && n > 0 {
			w.failed = fmt.Sprintf("DATA exceeds the session's window by %d", -w.recv)
		}
		if st == nil {
			return
		}
		st.recv -= n
		// A window that SETTINGS has made negative takes no DATA, either.
		if most := st.recv + max(0, slices.Max(append(w.initial, w.window))-w.window); n > 0 && most < 0 && w.legal {
			w.failed = fmt.Sprintf("DATA exceeds the window of stream %d by %d", f.StreamID, -most)
		}
		st.got.Write(f.Data())
		st.end = st.end || f.StreamEnded()
	case *http2.MetaHeadersFrame:
		if st == nil {
			return
		}
		if s := f.PseudoValue("status"); s != "" {
			st.status = s
		}
		st.end = st.end || f.StreamEnded()
	case *http2.RSTStreamFrame:
		if st != nil {
			if !st.reset {
				st.code = f.ErrCode
			}
			st.reset = true
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			w.send += int(f.Increment)
		} else if st != nil {
			st.send += int(f.Increment)
		}
	case *http2.SettingsFrame:
		if f.IsAck() {
			w.acknowledged()
		}
	case *http2.GoAwayFrame:
		w.goAway = f.ErrCode
	}
}

// acknowledged applies the oldest window size that was not yet.
func (w *walk) acknowledged() {
	if len(w.initial) == 0 {
		return // of a trespass
	}
	size := w.initial[0]
	w.initial = w.initial[1:]
	for _, st := range w.streams {
		st.recv += size - w.window
	}
	w.window = size
}
