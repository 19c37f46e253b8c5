package testkit

import (
	"bytes"
	"strings"
	"testing/synctest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What a Client sends.

func (c *Client) sent(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatalf("sending: %v", err)
	}
}

// Write sends bytes as they are.
func (c *Client) Write(b []byte) {
	c.tb.Helper()
	_, err := c.Conn.Write(b)
	c.sent(err)
}

// Handshake sends the preface and SETTINGS, and waits until both sides have
// acknowledged. It returns the server's settings.
func (c *Client) Handshake(settings ...http2.Setting) map[http2.SettingID]uint32 {
	c.tb.Helper()
	c.Write([]byte(http2.ClientPreface))
	c.Settings(settings...)
	got := c.WantSettings()
	c.SettingsAck()
	c.WantSettingsAck()
	return got
}

// Settings sends SETTINGS.
func (c *Client) Settings(s ...http2.Setting) { c.tb.Helper(); c.sent(c.fr.WriteSettings(s...)) }

// SettingsAck acknowledges the server's SETTINGS.
func (c *Client) SettingsAck() { c.tb.Helper(); c.sent(c.fr.WriteSettingsAck()) }

// Request returns the fields of a request: pseudo-fields first, then extra, name
// and value in turn. An extra pseudo-field replaces the usual one.
func Request(method, path string, extra ...string) []string {
	fields := []string{":method", method, ":scheme", "https", ":authority", "example.com", ":path", path}
next:
	for i := 0; i+1 < len(extra); i += 2 {
		for j := 0; strings.HasPrefix(extra[i], ":") && j < len(fields); j += 2 {
			if fields[j] == extra[i] {
				fields[j+1] = extra[i+1]
				continue next
			}
		}
		fields = append(fields, extra[i], extra[i+1])
	}
	return fields
}

// Block encodes fields, name and value in turn.
func (c *Client) Block(fields ...string) []byte {
	c.hbuf.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(c.hbuf.Bytes())
}

// Headers sends HEADERS, and CONTINUATION for what is longer than a frame.
func (c *Client) Headers(id uint32, end bool, fields ...string) {
	c.tb.Helper()
	block := c.Block(fields...)
	n := min(len(block), 16<<10)
	c.sent(c.fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: block[:n], EndStream: end, EndHeaders: n == len(block),
	}))
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), 16<<10)
		c.sent(c.fr.WriteContinuation(id, n == len(block), block[:n]))
	}
}

// Get sends a GET request.
func (c *Client) Get(id uint32, path string, extra ...string) {
	c.tb.Helper()
	c.Headers(id, true, Request("GET", path, extra...)...)
}

// Post sends the head of a POST request, whose body is to follow.
func (c *Client) Post(id uint32, path string, extra ...string) {
	c.tb.Helper()
	c.Headers(id, false, Request("POST", path, extra...)...)
}

// Data sends DATA.
func (c *Client) Data(id uint32, end bool, data string) {
	c.tb.Helper()
	c.sent(c.fr.WriteData(id, end, []byte(data)))
}

// PaddedData sends DATA with pad bytes of padding.
func (c *Client) PaddedData(id uint32, end bool, data string, pad int) {
	c.tb.Helper()
	c.sent(c.fr.WriteDataPadded(id, end, []byte(data), make([]byte, pad)))
}

// Reset sends RST_STREAM.
func (c *Client) Reset(id uint32, code http2.ErrCode) {
	c.tb.Helper()
	c.sent(c.fr.WriteRSTStream(id, code))
}

// Window sends WINDOW_UPDATE.
func (c *Client) Window(id, n uint32) { c.tb.Helper(); c.sent(c.fr.WriteWindowUpdate(id, n)) }

// Ping sends PING.
func (c *Client) Ping(data string) {
	c.tb.Helper()
	var d [8]byte
	copy(d[:], data)
	c.sent(c.fr.WritePing(false, d))
}

// PingAck answers a PING.
func (c *Client) PingAck(data []byte) { c.tb.Helper(); c.sent(c.fr.WritePing(true, [8]byte(data))) }

// GoAway sends GOAWAY.
func (c *Client) GoAway(code http2.ErrCode) { c.tb.Helper(); c.sent(c.fr.WriteGoAway(0, code, nil)) }

// Raw sends a frame that may be anything.
func (c *Client) Raw(t http2.FrameType, flags http2.Flags, id uint32, payload []byte) {
	c.tb.Helper()
	c.sent(c.fr.WriteRawFrame(t, flags, id, payload))
}

// What must come.

// WantSettings waits for the server's SETTINGS.
func (c *Client) WantSettings() map[http2.SettingID]uint32 {
	c.tb.Helper()
	f := c.next("SETTINGS")
	if f.Type != http2.FrameSettings || f.Flags.Has(http2.FlagSettingsAck) {
		c.tb.Fatalf("want SETTINGS, got %v", &f)
	}
	got := make(map[http2.SettingID]uint32)
	for p := f.Payload; len(p) >= 6; p = p[6:] {
		got[http2.SettingID(uint16(p[0])<<8|uint16(p[1]))] = uint32(p[2])<<24 | uint32(p[3])<<16 | uint32(p[4])<<8 | uint32(p[5])
	}
	return got
}

// WantSettingsAck waits for the acknowledgement of ours.
func (c *Client) WantSettingsAck() {
	c.tb.Helper()
	if f := c.next("SETTINGS ACK"); f.Type != http2.FrameSettings || !f.Flags.Has(http2.FlagSettingsAck) {
		c.tb.Fatalf("want SETTINGS ACK, got %v", &f)
	}
}

// WantHeaders waits for HEADERS of stream id, with or without END_STREAM.
func (c *Client) WantHeaders(id uint32, end bool) Frame {
	c.tb.Helper()
	f := c.next("HEADERS")
	if f.Type != http2.FrameHeaders || f.Stream != id || f.End() != end {
		c.tb.Fatalf("want HEADERS stream=%d end=%v, got %v", id, end, &f)
	}
	return f
}

// WantStatus waits for HEADERS of stream id with a status, whether it is the end
// or not.
func (c *Client) WantStatus(id uint32, status string) Frame {
	c.tb.Helper()
	f := c.next("HEADERS")
	if f.Type != http2.FrameHeaders || f.Stream != id || f.Get(":status") != status {
		c.tb.Fatalf("want HEADERS stream=%d :status=%s, got %v", id, status, &f)
	}
	return f
}

// WantData waits for one DATA frame of stream id and returns its data.
func (c *Client) WantData(id uint32, end bool) []byte {
	c.tb.Helper()
	f := c.next("DATA")
	if f.Type != http2.FrameData || f.Stream != id || f.End() != end {
		c.tb.Fatalf("want DATA stream=%d end=%v, got %v", id, end, &f)
	}
	return f.Payload
}

// WantBody waits for DATA of stream id until END_STREAM, which may come with
// trailers.
func (c *Client) WantBody(id uint32) (body []byte, trailers Frame) {
	c.tb.Helper()
	for {
		f := c.next("DATA")
		switch {
		case f.Stream != id || f.Type != http2.FrameData && f.Type != http2.FrameHeaders:
			c.tb.Fatalf("want the body of stream %d, got %v", id, &f)
		case f.Type == http2.FrameData:
			body = append(body, f.Payload...)
		}
		if f.End() {
			return body, f
		}
	}
}

// WantReset waits for RST_STREAM of stream id.
func (c *Client) WantReset(id uint32, code http2.ErrCode) {
	c.tb.Helper()
	f := c.next("RST_STREAM")
	if f.Type != http2.FrameRSTStream || f.Stream != id || f.Code() != code {
		c.tb.Fatalf("want RST_STREAM stream=%d %v, got %v", id, code, &f)
	}
}

// WantPing waits for a PING and returns its data.
func (c *Client) WantPing(ack bool) []byte {
	c.tb.Helper()
	f := c.next("PING")
	if f.Type != http2.FramePing || f.Flags.Has(http2.FlagPingAck) != ack {
		c.tb.Fatalf("want PING ack=%v, got %v", ack, &f)
	}
	return f.Payload
}

// WantGoAway waits for GOAWAY and returns it.
func (c *Client) WantGoAway(code http2.ErrCode) Frame {
	c.tb.Helper()
	f := c.next("GOAWAY")
	if f.Type != http2.FrameGoAway || f.Code() != code {
		c.tb.Fatalf("want GOAWAY %v, got %v", code, &f)
	}
	return f
}

// WantClosed waits for the end of the connection, with nothing before it.
func (c *Client) WantClosed() {
	c.tb.Helper()
	if f, err := c.Next(); !closedErr(err) {
		c.tb.Fatalf("want the connection closed, got %v, %v", &f, err)
	}
}

// WantIdle waits until nothing moves any more in the test's synctest bubble, and
// fails when a frame came.
func (c *Client) WantIdle() {
	c.tb.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.frames) > 0 || c.err != nil {
		c.tb.Fatalf("want nothing, got %v, %v", c.frames, c.err)
	}
}
