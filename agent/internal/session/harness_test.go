package session_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"handrail/agent/internal/session"
	"handrail/signaling"
	"handrail/signaling/input"
)

// patience is how long a test waits for what should come at once; a loaded machine needs
// some.
const patience = time.Minute

// gateway is the other end of the link: it records what the device says and forwards to
// the viewers.
type gateway struct {
	t       *testing.T
	mu      sync.Mutex
	cond    *sync.Cond
	got     []signaling.Envelope
	viewers map[signaling.PeerID]*viewer
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{t: t, viewers: map[signaling.PeerID]*viewer{}}
	g.cond = sync.NewCond(&g.mu)
	return g
}

func (g *gateway) send(e signaling.Envelope) error {
	b, err := signaling.Encode(e)
	if err != nil {
		g.t.Errorf("device sends what cannot be sent: %v", err)
		return err
	}
	e, err = signaling.Decode(b, signaling.FromAgent)
	if err != nil {
		g.t.Errorf("device sends what is refused: %v", err)
		return err
	}
	g.mu.Lock()
	g.got = append(g.got, e)
	v := g.viewers[peerOf(e)]
	g.cond.Broadcast()
	g.mu.Unlock()
	if v != nil {
		v.hear(e)
	}
	return nil
}

func peerOf(e signaling.Envelope) signaling.PeerID {
	switch m := e.Body.(type) {
	case signaling.PeerAnswer:
		return m.Peer
	case signaling.PeerCandidate:
		return m.Peer
	case signaling.PeerClose:
		return m.Peer
	}
	return ""
}

// wait returns the first message that match accepts, past or to come.
func wait[T any](g *gateway, what string, match func(T) bool) T {
	g.t.Helper()
	return waitFor(g, what, 1, match)
}

// waitFor returns the nth message that match accepts, past or to come.
func waitFor[T any](g *gateway, what string, n int, match func(T) bool) T {
	g.t.Helper()
	stop := time.AfterFunc(patience, g.cond.Broadcast)
	defer stop.Stop()
	deadline := time.Now().Add(patience)
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		left := n
		for _, e := range g.got {
			if m, ok := e.Body.(T); ok && match(m) {
				if left--; left == 0 {
					return m
				}
			}
		}
		if !time.Now().Before(deadline) {
			g.t.Fatalf("no %s; the device said %v", what, g.got)
		}
		g.cond.Wait()
	}
}

// count returns how many messages match accepts so far.
func count[T any](g *gateway, match func(T) bool) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, e := range g.got {
		if m, ok := e.Body.(T); ok && match(m) {
			n++
		}
	}
	return n
}

func (g *gateway) event(kind signaling.EventKind) signaling.SessionEvent {
	g.t.Helper()
	return wait(g, "event "+string(kind), func(e signaling.SessionEvent) bool { return e.Kind == kind })
}

// picture is a screen that changes every interval, one stream a watcher.
type picture struct {
	interval time.Duration
	size     int // bytes of a picture
	mu       sync.Mutex
	open     int
	watched  []session.Watch
	network  session.Network
	keys     atomic.Int64 // key pictures asked for
	sunk     atomic.Int64
}

type watcher struct {
	p      *picture
	cancel context.CancelFunc
	done   chan struct{}
	key    chan struct{}
}

func (p *picture) watch(w session.Watch) (session.Watcher, error) {
	ctx, cancel := context.WithCancel(context.Background())
	x := &watcher{p: p, cancel: cancel, done: make(chan struct{}), key: make(chan struct{}, 1)}
	p.mu.Lock()
	p.open++
	p.watched = append(p.watched, w)
	p.mu.Unlock()
	go x.run(ctx, w)
	return x, nil
}

func (x *watcher) run(ctx context.Context, w session.Watch) {
	defer close(x.done)
	tick := time.NewTicker(x.p.interval)
	defer tick.Stop()
	buf := make([]byte, max(x.p.size, 64))
	for n := uint32(0); ; n++ {
		key := n == 0
		select {
		case <-x.key:
			key = true
		default:
		}
		if key || w.Ready() {
			vp8(buf, key, n)
			w.Sink(session.Encoded{Data: buf, Key: key, Captured: time.Now(), Width: 64, Height: 48, Encode: time.Millisecond})
			x.p.sunk.Add(1)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// vp8 writes a VP8 frame's header (RFC 6386 9.1) and a number behind it.
func vp8(b []byte, key bool, n uint32) {
	tag := uint32(1 << 4) // show_frame
	if !key {
		tag |= 1
	}
	b[0], b[1], b[2] = byte(tag), byte(tag>>8), byte(tag>>16)
	copy(b[3:], []byte{0x9d, 0x01, 0x2a, 64, 0, 48, 0})
	binary.BigEndian.PutUint32(b[16:], n)
}

func (x *watcher) SelectMonitor(uint8) { x.RequestKeyframe() }
func (x *watcher) SetTier(string)      { x.RequestKeyframe() }
func (x *watcher) SetNetwork(n session.Network) {
	x.p.mu.Lock()
	defer x.p.mu.Unlock()
	x.p.network = n
}

func (x *watcher) RequestKeyframe() {
	x.p.keys.Add(1)
	select {
	case x.key <- struct{}{}:
	default:
	}
}

func (x *watcher) Wake() {}

func (x *watcher) Close() {
	x.cancel()
	<-x.done
	x.p.mu.Lock()
	defer x.p.mu.Unlock()
	x.p.open--
}

func (p *picture) watchers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// keyboard records what is injected.
type keyboard struct {
	mu   sync.Mutex
	cond *sync.Cond
	log  []string
}

func newKeyboard() *keyboard {
	k := &keyboard{}
	k.cond = sync.NewCond(&k.mu)
	return k
}

func (k *keyboard) note(s string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, s)
	k.cond.Broadcast()
}

func (k *keyboard) Apply(p signaling.PeerID, f input.Frame) error {
	k.note(fmt.Sprintf("%s %s %d", p, f.Type, f.Seq))
	return nil
}
func (k *keyboard) ReleaseAll(p signaling.PeerID) { k.note(string(p) + " released") }
func (k *keyboard) Leave(p signaling.PeerID)      { k.note(string(p) + " left") }

func (k *keyboard) entries() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.log)
}

// device is a host with its fakes.
type device struct {
	t    *testing.T
	host *session.Host
	gw   *gateway
	pic  *picture
	keys *keyboard
	stop func()
}

func newDevice(t *testing.T, change func(*session.Config)) *device {
	t.Helper()
	d := &device{t: t, gw: newGateway(t), pic: &picture{interval: 10 * time.Millisecond, size: 3000}, keys: newKeyboard()}
	cfg := session.Config{Send: d.gw.send, Watch: d.pic.watch, Input: d.keys, Loopback: true}
	if change != nil {
		change(&cfg)
	}
	h, err := session.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.host = h
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	var once sync.Once
	d.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("Run = %v", err)
				}
			case <-time.After(patience):
				t.Error("Run does not end")
			}
			if n := d.pic.watchers(); n != 0 {
				t.Errorf("%d watchers left open", n)
			}
		})
	}
	t.Cleanup(d.stop)
	h.Link(true)
	return d
}

func (d *device) handle(body any) {
	types := map[string]signaling.Type{
		"signaling.SessionRequest": signaling.TypeSessionRequest, "signaling.SessionViewer": signaling.TypeSessionViewer,
		"signaling.SessionAsk": signaling.TypeSessionAsk, "signaling.SessionEnd": signaling.TypeSessionEnd,
		"signaling.PeerOffer": signaling.TypePeerOffer, "signaling.PeerCandidate": signaling.TypePeerCandidate,
		"signaling.PeerClose": signaling.TypePeerClose,
	}
	b, err := signaling.Encode(signaling.Envelope{Type: types[fmt.Sprintf("%T", body)], Body: body})
	if err != nil {
		d.t.Error(err)
		return
	}
	e, err := signaling.Decode(b, signaling.FromGateway)
	if err != nil {
		d.t.Error(err)
		return
	}
	d.host.Handle(e)
}

// briefs waits until what the host would tell a gateway of its sessions satisfies match: it
// is renewed behind the events that change it.
func (d *device) briefs(what string, match func([]signaling.SessionBrief) bool) {
	d.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !match(d.host.Briefs()); <-tick.C {
		if time.Since(began) > patience {
			d.t.Fatalf("briefs = %+v, want %s", d.host.Briefs(), what)
		}
	}
}

func isNone(b []signaling.SessionBrief) bool { return len(b) == 0 }

var all = signaling.SetOf(signaling.Capabilities()...)

// begin requests an unattended session with the given capabilities.
func (d *device) begin(caps signaling.CapabilitySet) signaling.SessionID {
	d.t.Helper()
	id := signaling.NewSessionID()
	d.handle(signaling.SessionRequest{
		Session: id, Operator: signaling.Operator{Name: "Ada"}, Capabilities: caps, Consent: signaling.ConsentUnattended,
	})
	return id
}

// viewer is a browser: one pion peer, its channels, and what came over them.
type viewer struct {
	d    *device
	ses  signaling.SessionID
	id   signaling.PeerID
	pc   *webrtc.PeerConnection
	mu   sync.Mutex
	cond *sync.Cond

	answered bool
	early    []webrtc.ICECandidateInit
	control  *webrtc.DataChannel
	pointer  *webrtc.DataChannel
	clip     *webrtc.DataChannel
	text     []signaling.Envelope
	frames   []input.AgentFrame
	clips    [][]byte
	packets  int
	pictures int
	delays   int // packets with the playout delay extension
	stamps   []uint32
	closed   []signaling.PeerClose
	state    webrtc.PeerConnectionState
	seq      uint32
}

func (d *device) announce(ses signaling.SessionID, name string, caps signaling.CapabilitySet) *viewer {
	d.t.Helper()
	v := &viewer{d: d, ses: ses, id: signaling.NewPeerID()}
	v.cond = sync.NewCond(&v.mu)
	d.gw.mu.Lock()
	d.gw.viewers[v.id] = v
	d.gw.mu.Unlock()
	d.handle(signaling.SessionViewer{Session: ses, Peer: v.id, Operator: signaling.Operator{Name: name}, Capabilities: caps})
	d.t.Cleanup(func() { v.hangUp() })
	return v
}

func (v *viewer) hangUp() {
	v.mu.Lock()
	pc := v.pc
	v.mu.Unlock()
	if pc != nil {
		_ = pc.GracefulClose()
	}
}

// dial makes a fresh connection.
func (v *viewer) dial(set func(*webrtc.SettingEngine)) {
	t := v.d.t
	t.Helper()
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{
		"http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
		"http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
	} {
		if err := media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, webrtc.RTPCodecTypeVideo); err != nil {
			t.Fatal(err)
		}
	}
	engine := webrtc.SettingEngine{}
	engine.SetIncludeLoopbackCandidate(true)
	engine.SetICETimeouts(2*time.Second, time.Minute, 200*time.Millisecond)
	engine.SetPrflxAcceptanceMinWait(0)
	if set != nil {
		set(&engine)
	}
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(engine), webrtc.WithInterceptorRegistry(feedback(t, media))).
		NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	v.mu.Lock()
	v.pc, v.answered, v.early, v.seq = pc, false, nil, 0
	v.mu.Unlock()
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		v.note(func() { v.state = s })
	})
	pc.OnTrack(func(track *webrtc.TrackRemote, r *webrtc.RTPReceiver) { v.read(track, r) })
	v.control = v.channel(pc, signaling.ChannelControl, nil)
	unordered, never := false, uint16(0)
	v.pointer = v.channel(pc, signaling.ChannelPointer, &webrtc.DataChannelInit{Ordered: &unordered, MaxRetransmits: &never})
	v.clip = v.channel(pc, signaling.ChannelClipboard, nil)
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		m := signaling.PeerCandidate{Session: v.ses, Peer: v.id}
		if c != nil {
			i := c.ToJSON()
			m.Candidate, m.SDPMid, m.SDPMLineIndex = i.Candidate, *i.SDPMid, *i.SDPMLineIndex
		}
		v.d.handle(m)
	})
	v.offer(pc, nil)
}

func (v *viewer) offer(pc *webrtc.PeerConnection, o *webrtc.OfferOptions) {
	t := v.d.t
	t.Helper()
	sdp, err := pc.CreateOffer(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetLocalDescription(sdp); err != nil {
		t.Fatal(err)
	}
	v.d.handle(signaling.PeerOffer{Session: v.ses, Peer: v.id, SDP: sdp.SDP, ICERestart: o != nil && o.ICERestart})
}

func (v *viewer) note(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
	v.cond.Broadcast()
}

func (v *viewer) channel(pc *webrtc.PeerConnection, label string, o *webrtc.DataChannelInit) *webrtc.DataChannel {
	dc, err := pc.CreateDataChannel(label, o)
	if err != nil {
		v.d.t.Fatal(err)
	}
	dc.OnOpen(func() { v.note(func() {}) })
	dc.OnClose(func() { v.note(func() {}) })
	dc.OnMessage(func(m webrtc.DataChannelMessage) {
		switch {
		case m.IsString:
			e, err := signaling.Decode(m.Data, signaling.FromHelper)
			if err != nil {
				v.d.t.Errorf("device's message: %v", err)
			}
			v.note(func() { v.text = append(v.text, e) })
		case label == signaling.ChannelClipboard:
			v.note(func() { v.clips = append(v.clips, slices.Clone(m.Data)) })
		default:
			f, err := input.DecodeAgent(m.Data)
			if err != nil || f.Type.IsPointer() != (label == signaling.ChannelPointer) {
				v.d.t.Errorf("device's frame %x on %s: %v", m.Data, label, err)
			}
			f.PNG = slices.Clone(f.PNG)
			v.note(func() { v.frames = append(v.frames, f) })
		}
	})
	return dc
}

func (v *viewer) read(track *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	var id uint8
	for _, x := range r.GetParameters().HeaderExtensions {
		if x.URI == "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay" {
			id = uint8(x.ID) //nolint:gosec // negotiated, below 256
		}
	}
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		delay := id != 0 && string(p.GetExtension(id)) == "\x00\x00\x00"
		v.note(func() {
			v.packets++
			if delay {
				v.delays++
			}
			if p.Marker {
				v.pictures++
				v.stamps = append(v.stamps, p.Timestamp)
			}
		})
	}
}

// hear takes what the gateway forwards.
func (v *viewer) hear(e signaling.Envelope) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.cond.Broadcast()
	switch m := e.Body.(type) {
	case signaling.PeerAnswer:
		if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.SDP}); err != nil {
			v.d.t.Errorf("answer: %v", err)
		}
		v.answered = true
		for _, c := range v.early {
			_ = v.pc.AddICECandidate(c)
		}
		v.early = nil
	case signaling.PeerCandidate:
		c := webrtc.ICECandidateInit{Candidate: m.Candidate, SDPMid: &m.SDPMid, SDPMLineIndex: &m.SDPMLineIndex}
		if !v.answered {
			v.early = append(v.early, c)
			v.d.t.Error("a candidate came before the answer")
			return
		}
		_ = v.pc.AddICECandidate(c)
	case signaling.PeerClose:
		v.closed = append(v.closed, m)
	}
}

// until waits for cond, which runs with the viewer locked.
func (v *viewer) until(what string, cond func() bool) {
	v.d.t.Helper()
	stop := time.AfterFunc(patience, v.cond.Broadcast)
	defer stop.Stop()
	deadline := time.Now().Add(patience)
	v.mu.Lock()
	defer v.mu.Unlock()
	for !cond() {
		if !time.Now().Before(deadline) {
			v.d.t.Fatalf("no %s: state %s, %d pictures, heard %v, closed %v", what, v.state, v.pictures, v.text, v.closed)
		}
		v.cond.Wait()
	}
}

// connect dials and waits for channels and pictures.
func (v *viewer) connect() {
	v.d.t.Helper()
	v.dial(nil)
	v.open()
}

func (v *viewer) open() {
	v.d.t.Helper()
	v.until("open channels", v.isOpen)
}

func (v *viewer) isOpen() bool {
	for _, c := range []*webrtc.DataChannel{v.control, v.pointer, v.clip} {
		if c.ReadyState() != webrtc.DataChannelStateOpen {
			return false
		}
	}
	return true
}

func (v *viewer) hasClosed() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.closed) > 0
}

// still waits until no packet of the picture has come for a while, and returns how many
// came: what was on its way when the picture ended is read behind all else.
func (v *viewer) still() int {
	v.d.t.Helper()
	have, since, began := -1, time.Now(), time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; time.Since(since) < 300*time.Millisecond; <-tick.C {
		v.mu.Lock()
		if v.packets != have {
			have, since = v.packets, time.Now()
		}
		v.mu.Unlock()
		if time.Since(began) > patience {
			v.d.t.Fatalf("the picture goes on: %d packets", have)
		}
	}
	return have
}

func (v *viewer) say(typ signaling.Type, body any) {
	v.d.t.Helper()
	b, err := signaling.Encode(signaling.Envelope{Type: typ, Body: body})
	if err != nil {
		v.d.t.Fatal(err)
	}
	if err := v.control.SendText(string(b)); err != nil {
		v.d.t.Fatal(err)
	}
}

// press sends an input frame and returns its number.
func (v *viewer) press(f input.Frame) uint32 {
	v.d.t.Helper()
	v.seq++
	f.Seq = v.seq
	b, err := f.Append(nil)
	if err != nil {
		v.d.t.Fatal(err)
	}
	dc := v.control
	if f.Type.IsPointer() {
		dc = v.pointer
	}
	if err := dc.Send(b); err != nil {
		v.d.t.Fatal(err)
	}
	return f.Seq
}

// heard waits for a text message that match accepts.
func heard[T any](v *viewer, what string, match func(T) bool) T {
	v.d.t.Helper()
	var found T
	v.until(what, func() bool {
		for _, e := range v.text {
			if m, ok := e.Body.(T); ok && match(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// status waits for the newest status to satisfy match.
func (v *viewer) status(what string, match func(signaling.Status) bool) {
	v.d.t.Helper()
	v.until(what, func() bool {
		for i := len(v.text) - 1; i >= 0; i-- {
			if m, ok := v.text[i].Body.(signaling.Status); ok {
				return match(m)
			}
		}
		return false
	})
}

// moving waits for n more pictures.
func (v *viewer) moving(n int) {
	v.d.t.Helper()
	v.mu.Lock()
	have := v.pictures
	v.mu.Unlock()
	v.until("picture that moves", func() bool { return v.pictures >= have+n })
}
