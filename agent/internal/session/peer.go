package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"handrail/signaling"
)

// Keyframes on demand: the first at once, later ones no closer than this, because a
// receiver repeats its wish until one arrives.
const keyframeGap = 400 * time.Millisecond

// reportGap spaces what the picture is told of the network.
const reportGap = 100 * time.Millisecond

var errNoConnection = errors.New("no connection came about")

// peer is one WebRTC connection of one viewer. Its worker goroutine does everything that
// may block; it never touches a support or a viewer but by posting.
type peer struct {
	host     *Host
	session  signaling.SessionID
	id       signaling.PeerID
	operator string // the viewer's name
	servers  []signaling.ICEServer
	log      *slog.Logger
	gate     *gate
	track    *track
	tracked  error // why there is no track

	ctx    context.Context //nolint:containedctx // of the connection
	cancel context.CancelFunc
	jobs   chan func()
	post   func(func(*support, *viewer)) // run by Host while this is still the viewer's connection

	control, pointer, clipboard atomic.Pointer[channel]
	tools                       toolbox
	said                        refusals
	seq                         atomic.Uint32 // of frames to the viewer

	// Run's own.
	shown  signaling.Picture // last sent
	shapes map[uint64]bool   // cursors the viewer has

	// The worker's own.
	pc         *webrtc.PeerConnection
	estimate   estimate
	ready      bool // a remote description is set
	early      []webrtc.ICECandidateInit
	candidates int
}

// newPeer starts the worker of a viewer's connection. Run only.
func (s *support) newPeer(v *viewer) *peer {
	h := s.host
	p := &peer{
		host: h, session: s.req.Session, id: v.info.Peer, operator: shorten(v.name(), 256), servers: v.info.ICEServers,
		log:  h.log.With("session", s.req.Session, "peer", v.info.Peer),
		gate: newGate(v.info.Peer, h.cfg.Input, &h.local, h.spawn),
		jobs: make(chan func(), maxJobs), shapes: map[uint64]bool{},
	}
	p.ctx, p.cancel = context.WithCancel(h.ctx)
	p.post = func(f func(*support, *viewer)) {
		h.post(func() {
			if w := s.viewers[v.info.Peer]; w == v && v.peer == p {
				f(s, v)
			}
		})
	}
	p.track, p.tracked = newTrack(h.cfg.Watch, p.log)
	if p.tracked == nil {
		p.track.warmth = s.warmth
		p.wireTrack()
	}
	h.spawn(p.work)
	return p
}

func (p *peer) wireTrack() {
	t := p.track
	t.sent = p.sendTiming
	t.first = func() { p.post(func(s *support, _ *viewer) { s.goLive() }) }
	t.shape = func(w, h int) {
		p.post(func(s *support, v *viewer) {
			v.width, v.height = w, h
			v.peer.sendPicture(s.host.pictureFor(s, v))
		})
	}
	t.fault = func(err error) {
		p.post(func(s *support, v *viewer) {
			v.peer.sendPicture(signaling.Picture{State: signaling.PictureFailed, Message: shorten(err.Error(), 512)})
		})
	}
	p.host.spawn(func() { t.feed(p.ctx) })
	p.host.spawn(func() { t.send(p.ctx) })
}

// stop ends the connection; its worker closes it. It does not wait.
func (p *peer) stop() { p.cancel() }

// do queues work for the worker. A viewer that makes more of it than can be done is
// closed.
func (p *peer) do(f func()) {
	select {
	case p.jobs <- f:
	default:
		p.fail(signaling.CodeRateLimited, "Too many messages at once.", errors.New("job queue is full"))
	}
}

func (p *peer) work() {
	for p.ctx.Err() == nil {
		select {
		case f := <-p.jobs:
			f()
		case <-p.ctx.Done():
		}
	}
	if p.pc != nil {
		if err := p.pc.GracefulClose(); err != nil {
			p.log.Debug("connection closed", "error", err)
		}
	}
}

// fail tells the viewer why its connection is of no use and closes it.
func (p *peer) fail(code signaling.Code, text string, err error) {
	p.log.Info("viewer's connection refused", "code", code, "error", err)
	p.cancel()
	p.host.closePeer(p.session, p.id, code, text)
	// The caller may be Run, which must not wait for itself.
	p.host.spawn(func() { p.post(func(s *support, v *viewer) { s.gone(v, text) }) })
}

// answer queues the viewer's offer, first or later. The servers are those to gather from;
// credentials for a relay do not live as long as a session.
func (p *peer) answer(sdp string, servers []signaling.ICEServer) {
	p.do(func() {
		if p.pc != nil {
			cfg := p.pc.GetConfiguration()
			cfg.ICEServers = iceServers(servers)
			if err := p.pc.SetConfiguration(cfg); err != nil {
				p.log.Debug("relay servers not renewed", "error", err)
			}
		}
		if err := p.answerNow(sdp); err != nil && p.ctx.Err() == nil {
			p.fail(signaling.CodeMalformed, "The offer could not be used.", err)
		}
	})
}

func (p *peer) answerNow(sdp string) error {
	offer := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}
	if err := checkOffer(offer); err != nil {
		return err
	}
	if p.tracked != nil {
		return p.tracked
	}
	if p.pc == nil {
		if err := p.open(); err != nil {
			return err
		}
	}
	if err := p.pc.SetRemoteDescription(offer); err != nil {
		return fmt.Errorf("take offer: %w", err)
	}
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("make answer: %w", err)
	}
	// What is gathered is queued behind this job, so the answer always goes first.
	if err := p.pc.SetLocalDescription(answer); err != nil {
		return fmt.Errorf("take answer: %w", err)
	}
	p.host.send(signaling.TypePeerAnswer, signaling.PeerAnswer{Session: p.session, Peer: p.id, SDP: p.pc.LocalDescription().SDP})
	p.ready = true
	for _, c := range p.early {
		p.add(c)
	}
	p.early = nil
	return nil
}

// checkOffer refuses an offer that asks for anything but one picture and the channels,
// before the WebRTC stack makes anything of it.
func checkOffer(offer webrtc.SessionDescription) error {
	parsed, err := offer.Unmarshal()
	if err != nil {
		return fmt.Errorf("parse offer: %w", err)
	}
	video, application := 0, 0
	for _, m := range parsed.MediaDescriptions {
		switch m.MediaName.Media {
		case "video":
			video++
		case "application":
			application++
		default:
			return fmt.Errorf("offer has media %q", shorten(m.MediaName.Media, 32))
		}
	}
	if video != 1 || application > 1 {
		return fmt.Errorf("offer has %d video and %d application sections", video, application)
	}
	return nil
}

// open makes the connection with our picture in it.
func (p *peer) open() error {
	pc, est, err := p.host.engine.connect(p.servers)
	if err != nil {
		return err
	}
	p.pc, p.estimate = pc, est
	pc.OnICECandidate(func(c *webrtc.ICECandidate) { p.do(func() { p.sendCandidate(c) }) })
	pc.OnConnectionStateChange(p.state)
	pc.OnDataChannel(p.openChannel)
	sender, err := pc.AddTrack(p.track.rtp)
	if err != nil {
		return fmt.Errorf("add track: %w", err)
	}
	changed := make(chan struct{}, 1)
	if est != nil {
		est.OnTargetBitrateChange(func(int) { signal(changed) })
	}
	p.host.spawn(func() { p.report(changed) })
	p.host.spawn(func() { p.readReports(sender, changed) })
	return nil
}

func (p *peer) sendCandidate(c *webrtc.ICECandidate) {
	m := signaling.PeerCandidate{Session: p.session, Peer: p.id}
	if c != nil {
		init := c.ToJSON()
		m.Candidate = init.Candidate
		if init.SDPMid != nil {
			m.SDPMid = *init.SDPMid
		}
		if init.SDPMLineIndex != nil {
			m.SDPMLineIndex = *init.SDPMLineIndex
		}
	}
	p.host.send(signaling.TypePeerCandidate, m)
}

// candidate queues one of the viewer's candidates.
func (p *peer) candidate(c signaling.PeerCandidate) {
	init := webrtc.ICECandidateInit{Candidate: c.Candidate, SDPMid: &c.SDPMid, SDPMLineIndex: &c.SDPMLineIndex}
	if c.UsernameFrag != "" {
		init.UsernameFragment = &c.UsernameFrag
	}
	p.do(func() {
		switch {
		case p.candidates >= maxCandidates:
		case p.ready:
			p.add(init)
		case len(p.early) < maxPending:
			p.early = append(p.early, init)
		}
	})
}

func (p *peer) add(c webrtc.ICECandidateInit) {
	p.candidates++
	if err := p.pc.AddICECandidate(c); err != nil {
		p.log.Debug("viewer's candidate is of no use", "error", err)
	}
}

// state follows the connection; called by pion.
func (p *peer) state(st webrtc.PeerConnectionState) {
	p.log.Debug("connection state", "state", st.String())
	switch st {
	case webrtc.PeerConnectionStateConnected:
		p.do(func() {
			path := p.path()
			p.candidates = 0
			p.post(func(s *support, v *viewer) { s.up(v, path) })
		})
	case webrtc.PeerConnectionStateDisconnected, webrtc.PeerConnectionStateFailed:
		p.post(func(s *support, v *viewer) {
			s.lost(v, "network "+st.String())
			if v.trying && st == webrtc.PeerConnectionStateFailed {
				p.fail(signaling.CodeOffline, "No connection came about.", errNoConnection)
			}
		})
	case webrtc.PeerConnectionStateClosed:
		p.post(func(s *support, v *viewer) { s.gone(v, "closed") })
	default: // on its way to one of those
	}
}

// path says how the viewer is connected, for the timeline.
func (p *peer) path() string {
	sctp := p.pc.SCTP()
	if sctp == nil || sctp.Transport() == nil || sctp.Transport().ICETransport() == nil {
		return "direct"
	}
	pair, err := sctp.Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return "direct"
	}
	if pair.Local.Typ == webrtc.ICECandidateTypeRelay || pair.Remote.Typ == webrtc.ICECandidateTypeRelay {
		return "relay"
	}
	return "direct"
}

// readReports reads the viewer's RTCP, which also feeds congestion control, until the
// connection closes.
func (p *peer) readReports(sender *webrtc.RTPSender, changed chan<- struct{}) {
	limit := keyLimit{ask: p.track.keyframe}
	defer limit.stop()
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, packet := range packets {
			switch r := packet.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				if !p.track.quiet.provoked(time.Now()) {
					limit.wish()
				}
			case *rtcp.ReceiverReport:
				p.received(r.Reports)
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		}
	}
}

func (p *peer) received(reports []rtcp.ReceptionReport) {
	for _, r := range reports {
		p.track.loss.Store(uint32(r.FractionLost))
		p.track.quiet.report(r)
		if r.LastSenderReport == 0 {
			continue
		}
		// RFC 3550 6.4.1: middle 32 bits of NTP time, in 1/65536 s.
		rtt := ntp32(time.Now()) - r.LastSenderReport - r.Delay
		if rtt < 10<<16 {
			p.track.rtt.Store(int64(rtt) * int64(time.Second) >> 16)
		}
	}
}

// ntp32 returns the middle 32 bits of an NTP timestamp.
func ntp32(t time.Time) uint32 {
	const toUnix = 2_208_988_800                                   // seconds from 1900 to 1970
	seconds := uint64(t.Unix()) + toUnix                           //nolint:gosec // after 1970
	fraction := uint64(t.Nanosecond()) << 32 / uint64(time.Second) //nolint:gosec // below 2^32
	return uint32(seconds<<16 | fraction>>16)                      //nolint:gosec // the middle, as said
}

// report tells the picture about the network, not too often.
func (p *peer) report(changed <-chan struct{}) {
	for {
		select {
		case <-changed:
		case <-p.ctx.Done():
			return
		}
		n := Network{RTT: time.Duration(p.track.rtt.Load()), Loss: float64(p.track.loss.Load()) / 256, EstimateBps: bitrateStart}
		if p.estimate != nil {
			n.EstimateBps = p.estimate.GetTargetBitrate()
		}
		p.track.measured(n)
		pause := time.NewTimer(reportGap)
		select {
		case <-pause.C:
		case <-p.ctx.Done():
			pause.Stop()
			return
		}
	}
}

// keyLimit lets the first wish for a key picture through at once and joins those that
// follow within keyframeGap into one at its end.
type keyLimit struct {
	ask   func()
	last  time.Time
	timer *time.Timer
}

func (l *keyLimit) wish() {
	now := time.Now()
	next := l.last.Add(keyframeGap)
	switch {
	case l.last.IsZero() || !now.Before(next):
		l.last = now
		l.ask()
	case now.Before(l.last): // one is due already
	default:
		l.last = next
		l.timer = time.AfterFunc(next.Sub(now), l.ask)
	}
}

func (l *keyLimit) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}
