package session

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
	"golang.org/x/time/rate"

	"handrail/signaling"
	"handrail/signaling/clip"
	"handrail/signaling/input"
)

// What one viewer may send a second over a channel. A person with a fast mouse and a held
// key makes under 1,200 frames and 20 kB a second; a clipboard text comes all at once.
const (
	controlFrames, controlBytes     = 4000, 512 << 10
	pointerFrames, pointerBytes     = 2500, 64 << 10
	clipboardFrames, clipboardBytes = 500, 1 << 20
	clipboardBurst                  = 3 << 20
)

// Bytes of ours waiting on a channel. Past the first, what the next one replaces is left out;
// past the second, the viewer does not read and its connection is closed.
const (
	sendSkip = 32 << 10
	sendMost = 4 << 20
)

// channel is one open data channel.
type channel struct {
	dc     *webrtc.DataChannel
	frames *rate.Limiter
	bytes  *rate.Limiter
}

func newChannel(dc *webrtc.DataChannel, frames, bytes, burst int) *channel {
	return &channel{
		dc:     dc,
		frames: rate.NewLimiter(rate.Limit(frames), frames),
		bytes:  rate.NewLimiter(rate.Limit(bytes), max(burst, 2*bytes)),
	}
}

func (c *channel) allows(n int) bool {
	now := time.Now()
	return c.frames.AllowN(now, 1) && c.bytes.AllowN(now, n)
}

// refusals remembers what a viewer was told it may not, so that it is told once.
type refusals struct {
	mu   sync.Mutex
	kind map[string]bool
}

func (r *refusals) first(kind string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kind[kind] {
		return false
	}
	if r.kind == nil {
		r.kind = map[string]bool{}
	}
	r.kind[kind] = true
	return true
}

func (r *refusals) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.kind)
}

// openChannel takes a channel the viewer opens; called by pion before its first message.
func (p *peer) openChannel(dc *webrtc.DataChannel) {
	var c *channel
	var taken bool
	switch dc.Label() {
	case signaling.ChannelControl:
		c = newChannel(dc, controlFrames, controlBytes, 0)
		taken = !dc.Ordered() || !p.control.CompareAndSwap(nil, c)
		dc.OnMessage(func(m webrtc.DataChannelMessage) { p.onControl(c, m) })
		dc.OnOpen(func() { p.post(func(s *support, v *viewer) { s.greet(v) }) })
		dc.OnClose(func() { p.post(func(s *support, v *viewer) { s.channelClosed(v) }) })
	case signaling.ChannelPointer:
		c = newChannel(dc, pointerFrames, pointerBytes, 0)
		taken = !p.pointer.CompareAndSwap(nil, c)
		dc.OnMessage(func(m webrtc.DataChannelMessage) { p.onPointer(c, m) })
		dc.OnOpen(func() { p.post(func(s *support, v *viewer) { s.greetPointer(v) }) })
	case signaling.ChannelClipboard:
		c = newChannel(dc, clipboardFrames, clipboardBytes, clipboardBurst)
		taken = !p.clipboard.CompareAndSwap(nil, c)
		in := &clip.Receiver{}
		dc.OnMessage(func(m webrtc.DataChannelMessage) { p.onClipboard(c, in, m) })
	default:
		if name, ok := strings.CutPrefix(dc.Label(), signaling.ChannelTool); ok {
			p.openTool(dc, name)
			return
		}
		taken = true
	}
	if taken {
		p.log.Info("viewer opened a channel it should not", "label", shorten(dc.Label(), 64))
		dc.OnMessage(func(webrtc.DataChannelMessage) {})
		dc.OnOpen(func() { p.do(func() { _ = dc.Close() }) })
	}
}

// onControl takes a message of the control channel: text is signaling's, binary is
// signaling/input's.
func (p *peer) onControl(c *channel, m webrtc.DataChannelMessage) {
	if !c.allows(len(m.Data)) {
		p.flooded(signaling.ChannelControl)
		return
	}
	if !m.IsString {
		p.onInput(m.Data, false)
		return
	}
	if len(m.Data) > signaling.MaxChannel {
		p.refuse("message", "", signaling.CodeTooLarge, "A message was over the size limit.")
		return
	}
	e, err := signaling.Decode(m.Data, signaling.FromViewer)
	if err != nil {
		p.log.Debug("viewer's message refused", "error", err)
		p.refuse("message", "", signaling.CodeOf(err), "The device could not use a message of this page.")
		return
	}
	// The round trip is measured whatever is granted: a session of tools alone has no View.
	switch b := e.Body.(type) {
	case signaling.Ping:
		p.sendText(signaling.TypePong, signaling.Pong(b))
		return
	case signaling.Pong:
		return
	}
	code := p.gate.checkTalk(signaling.NeedOf(e.Type))
	if needsNow(e.Type) {
		code = p.gate.check(signaling.NeedOf(e.Type))
	}
	if code != "" {
		p.refuse(string(e.Type), signaling.NeedOf(e.Type), code, refusalText(code, signaling.NeedOf(e.Type)))
		return
	}
	p.post(func(s *support, v *viewer) { s.heard(v, e) })
}

// needsNow reports whether a message is refused while the session is paused.
func needsNow(t signaling.Type) bool {
	return t == signaling.TypeControlAsk || t == signaling.TypeControlGive
}

func (p *peer) onPointer(c *channel, m webrtc.DataChannelMessage) {
	// Over the limit is dropped without a word: moves replace each other.
	if c.allows(len(m.Data)) {
		p.onInput(m.Data, true)
	}
}

func (p *peer) onInput(b []byte, pointer bool) {
	f, err := input.Decode(b)
	if err != nil || f.Type.IsPointer() != pointer {
		p.refuse("input", "", signaling.CodeMalformed, "The device could not use an input of this page.")
		return
	}
	code, err := p.gate.apply(&f)
	switch {
	case err != nil:
		p.log.Debug("input not injected", "frame", f.Type.String(), "error", err)
		p.refuse("input "+f.Type.String(), signaling.Control, signaling.CodeNoDisplay, "The device could not take input: "+shorten(err.Error(), 256))
	case code != "":
		p.refuse("input "+f.Type.String(), signaling.Control, code, refusalText(code, signaling.Control))
	}
}

func (p *peer) onClipboard(c *channel, in *clip.Receiver, m webrtc.DataChannelMessage) {
	if !c.allows(len(m.Data)) {
		p.flooded(signaling.ChannelClipboard)
		return
	}
	f, err := clip.Decode(m.Data)
	if err != nil {
		code := signaling.CodeMalformed
		if errors.Is(err, clip.ErrTooLarge) {
			code = signaling.CodeTooLarge
		}
		p.refuse("clipboard", signaling.Clipboard, code, "The device could not take that clipboard.")
		return
	}
	if f.Type == clip.TypeRefused {
		p.log.Debug("viewer refused a clipboard", "reason", f.Reason)
		return
	}
	if code := p.gate.check(signaling.Clipboard); code != "" {
		in.Drop()
		text := refusalText(code, signaling.Clipboard)
		if f.Type == clip.TypeOffer {
			p.refuseClip(c, f.Transfer, text)
		}
		p.refuse("clipboard", signaling.Clipboard, code, text)
		return
	}
	text, done, err := in.Receive(f)
	if err != nil {
		p.refuseClip(c, f.Transfer, "not a text this device takes")
		return
	}
	if !done {
		return
	}
	if p.host.cfg.SetClipboard == nil {
		p.refuseClip(c, f.Transfer, "this device has no clipboard")
		return
	}
	// Noted first, so that the device's own report of the change does not come back here.
	p.post(func(_ *support, v *viewer) { v.clipboard = text })
	if err := p.host.cfg.SetClipboard(text); err != nil {
		p.log.Info("clipboard not set", "error", err)
		p.refuseClip(c, f.Transfer, "the device's clipboard could not be set")
		return
	}
	p.post(func(s *support, v *viewer) { s.event(signaling.EventClipboardSent, v.info.Peer, sizeText(len(text))) })
}

func (p *peer) refuseClip(c *channel, transfer uint32, reason string) {
	b, err := clip.Frame{Type: clip.TypeRefused, Transfer: transfer, Reason: shorten(reason, clip.MaxReason)}.Append(nil)
	if err == nil {
		p.sendOn(c, b)
	}
}

// refuse tells the viewer and the timeline that a frame was not acted upon, once per kind.
func (p *peer) refuse(kind string, need signaling.Capability, code signaling.Code, text string) {
	if p.gate.isEcho(code, need) || !p.said.first(kind+" "+string(code)) {
		return
	}
	p.post(func(s *support, v *viewer) {
		v.say(code, text, kind)
		if code == signaling.CodePaused || code == signaling.CodeNoDisplay || v.refused[kind] {
			return
		}
		v.refused[kind] = true
		s.event(signaling.EventRefusedFrame, v.info.Peer, kind+": "+string(code))
	})
}

func refusalText(code signaling.Code, need signaling.Capability) string {
	switch code {
	case signaling.CodePaused:
		return "The person at the device has paused the session."
	case signaling.CodeNotInControl:
		return "Another viewer may be in control; ask for control first."
	case signaling.CodeEnded:
		return "The session is over."
	case signaling.CodeNoDisplay:
		return "The device has no display to act on."
	case signaling.CodeRateLimited:
		return "Too much was sent at once."
	case signaling.CodeTooLarge:
		return "A message was over the size limit."
	default:
		return "This session was not granted: " + string(need) + "."
	}
}

// flooded closes a connection over which far more comes than a person can make.
func (p *peer) flooded(label string) {
	if p.said.first("flood " + label) {
		p.fail(signaling.CodeRateLimited, "Too much was sent at once.", errors.New("over the limit on channel "+label))
	}
}

// sendText sends a message of signaling on the control channel, if it is open.
func (p *peer) sendText(t signaling.Type, body any) {
	c := p.control.Load()
	if c == nil || c.dc.ReadyState() != webrtc.DataChannelStateOpen {
		return
	}
	b, err := signaling.Encode(signaling.Envelope{Type: t, Body: body})
	if err != nil {
		p.log.Warn("message not encoded", "type", t, "error", err)
		return
	}
	if p.mayWait(c) {
		_ = c.dc.SendText(string(b)) // fails only when the channel has closed
	}
}

// sendOn sends a binary frame.
func (p *peer) sendOn(c *channel, b []byte) bool {
	if c == nil || c.dc.ReadyState() != webrtc.DataChannelStateOpen || !p.mayWait(c) {
		return false
	}
	return c.dc.Send(b) == nil
}

// sendNewest sends a frame the next one replaces, unless the channel is behind already.
func (p *peer) sendNewest(c *channel, b []byte) {
	if c != nil && c.dc.ReadyState() == webrtc.DataChannelStateOpen && c.dc.BufferedAmount() < sendSkip {
		_ = c.dc.Send(b) // as above
	}
}

func (p *peer) mayWait(c *channel) bool {
	if c.dc.BufferedAmount() < sendMost {
		return true
	}
	if p.said.first("not reading") {
		p.fail(signaling.CodeBusy, "This page does not take what it is sent.", errors.New("send buffer is full"))
	}
	return false
}

// sendTiming tells the viewer where a picture's time went; called by the track.
func (p *peer) sendTiming(q queued, stamp uint32, took time.Duration) {
	f := input.AgentFrame{
		Type: input.Timing, Seq: p.seq.Add(1), RTP: stamp, InputSeq: p.gate.before(q.enc.Captured),
		CaptureUS: micros(q.enc.Capture), ConvertUS: micros(q.enc.Convert), EncodeUS: micros(q.enc.Encode), QueueUS: micros(took),
	}
	if q.enc.Key {
		f.Flags |= input.FlagKey
	}
	if q.enc.Sharpen {
		f.Flags |= input.FlagSharpen
	}
	p.sendAgent(p.pointer.Load(), &f)
}

func (p *peer) sendAgent(c *channel, f *input.AgentFrame) {
	b, err := f.Append(nil)
	if err != nil {
		p.log.Warn("frame not encoded", "frame", f.Type.String(), "error", err)
		return
	}
	if f.Type.IsPointer() {
		p.sendNewest(c, b)
		return
	}
	p.sendOn(c, b)
}

func micros(d time.Duration) uint32 {
	return uint32(min(max(d.Microseconds(), 0), 1<<32-1)) //nolint:gosec // bounded
}

func (c *channel) isOpen() bool { return c.dc.ReadyState() == webrtc.DataChannelStateOpen }
