package session

import (
	"slices"
	"strings"
	"time"

	"handrail/signaling"
)

// tierAuto is the quality a viewer starts with; see signaling.PictureTier.
const tierAuto = "auto"

type viewerState uint8

// A viewer waits for its first connection, is connected, or lost its network and may
// come back.
const (
	viewerWaiting viewerState = iota
	viewerConnected
	viewerLost
)

// viewer is one viewer of a session. It outlives its connections.
type viewer struct {
	info      signaling.SessionViewer
	announced bool // the gateway knows it; true until it told us that it left
	state     viewerState
	joined    bool // has been connected before
	peer      *peer
	trying    bool                      // peer has not connected yet
	pending   []signaling.PeerCandidate // came before the offer
	refused   map[string]bool           // kinds of frames refused before
	monitor   uint8
	tier      string
	width     int // of its picture, pixels
	height    int
	clipboard string      // the text it last sent or was sent
	transfer  uint32      // number of the last clipboard text sent to it
	free      *time.Timer // lets go of control when it stays lost
	patience  *time.Timer // forgets it when it never connects
}

func (s *support) newViewer(m signaling.SessionViewer) *viewer {
	return &viewer{info: m, announced: true, refused: map[string]bool{}, tier: tierAuto}
}

func (v *viewer) name() string {
	if v.info.Operator.Name != "" {
		return v.info.Operator.Name
	}
	return v.info.Operator.Email
}

func (v *viewer) stopTimers() {
	for _, t := range []*time.Timer{v.free, v.patience} {
		if t != nil {
			t.Stop()
		}
	}
}

// announce takes a viewer that is about to send its offer, or new rights of one known.
func (s *support) announce(m signaling.SessionViewer) {
	if v := s.viewers[m.Peer]; v != nil {
		v.info = m
		s.host.dirty = true
		s.changed()
		return
	}
	if len(s.viewers) >= maxViewers {
		s.host.closePeer(s.req.Session, m.Peer, signaling.CodeBusy, "Too many people are looking at this device.")
		return
	}
	v := s.newViewer(m)
	s.viewers[m.Peer] = v
	s.host.dirty = true
	s.expectOffer(v)
	if s.connected() == 0 {
		s.warmAgain()
	}
}

// warmAgain readies the picture for a viewer that joins a session nobody is looking at.
func (s *support) warmAgain() {
	if s.consented && !s.isPaused() && time.Since(s.since) > warmFor {
		s.warm()
	}
}

func (s *support) expectOffer(v *viewer) {
	if v.patience != nil {
		v.patience.Stop()
	}
	v.patience = s.host.after(s.host.cfg.OfferWithin, func() {
		// While consent is being asked for the viewer waits, and so do we.
		if s.viewers[v.info.Peer] == v && v.state == viewerWaiting && !v.joined {
			if !s.consented && s.isOpen() {
				s.expectOffer(v)
				return
			}
			s.remove(v, signaling.CodeNotFound, "No connection came about.")
		}
	})
}

// remove forgets a viewer and tells it.
func (s *support) remove(v *viewer, code signaling.Code, text string) {
	s.host.closePeer(s.req.Session, v.info.Peer, code, text)
	s.forget(v)
}

func (s *support) forget(v *viewer) {
	v.stopTimers()
	s.disconnect(v)
	s.wants = slices.DeleteFunc(s.wants, func(p signaling.PeerID) bool { return p == v.info.Peer })
	if s.control == v.info.Peer {
		s.freeControl("viewer left")
	}
	delete(s.viewers, v.info.Peer)
	s.host.dirty = true
	s.armExpiry()
	s.changed()
}

// offer answers a viewer, unless there is a reason not to.
func (s *support) offer(o signaling.PeerOffer) {
	refuse := func(code signaling.Code, text string) { s.host.closePeer(o.Session, o.Peer, code, text) }
	if !s.consented {
		refuse(signaling.CodeNotConsented, "The person at the device has not agreed yet.")
		return
	}
	v := s.viewers[o.Peer]
	if v == nil {
		refuse(signaling.CodeNotFound, "The gateway has not announced this viewer.")
		return
	}
	if s.isExpired() {
		s.expire()
		return
	}
	if o.ICERestart {
		if v.peer == nil {
			refuse(signaling.CodeNotFound, "That connection is gone; make a new one.")
			return
		}
		v.peer.answer(o.SDP, v.info.ICEServers)
		return
	}
	s.lost(v, "connecting anew")
	s.disconnect(v)
	v.peer, v.trying = s.newPeer(v), true
	s.applyRights(v)
	p := v.peer
	s.host.after(s.host.cfg.OfferWithin, func() {
		if v.peer == p && v.trying {
			p.fail(signaling.CodeOffline, "No connection came about.", errNoConnection)
		}
	})
	p.answer(o.SDP, v.info.ICEServers)
	for _, c := range v.pending {
		p.candidate(c)
	}
	v.pending = nil
}

func (s *support) candidate(c signaling.PeerCandidate) {
	v := s.viewers[c.Peer]
	switch {
	case v == nil:
	case v.peer != nil:
		v.peer.candidate(c)
	case len(v.pending) < maxPending:
		v.pending = append(v.pending, c)
	}
}

// leave takes a viewer's goodbye.
func (s *support) leave(m signaling.PeerClose) {
	v := s.viewers[m.Peer]
	if v == nil {
		return
	}
	v.announced = false
	if v.joined {
		s.event(signaling.EventViewerLeft, m.Peer, v.name())
	}
	s.forget(v)
}

// disconnect closes a viewer's connection, if it has one, and lets go of what it held.
func (s *support) disconnect(v *viewer) {
	if v.peer == nil {
		return
	}
	if v.state == viewerConnected {
		s.seen = time.Now().Round(0)
	}
	v.peer.gate.shut()
	v.peer.stop()
	v.peer, v.trying = nil, false
}

// up is called when a viewer's connection stands, or stands again.
func (s *support) up(v *viewer, path string) {
	v.stopTimers()
	was := v.state
	v.state, v.trying = viewerConnected, false
	s.armExpiry()
	switch {
	case !v.joined:
		v.joined = true
		s.event(signaling.EventViewerJoined, v.info.Peer, v.name()+", "+path)
		if !s.granted.Has(signaling.View) {
			s.goLive() // no picture will come: with the tools the session is what it is to be
		}
	case was != viewerConnected:
		s.event(signaling.EventViewerReturned, v.info.Peer, v.name()+", "+path)
	}
	s.changed()
}

// lost is called when a viewer's network went away. It never ends the session.
func (s *support) lost(v *viewer, why string) {
	if v.state != viewerConnected {
		return
	}
	v.state = viewerLost
	s.seen = time.Now().Round(0)
	s.host.dirty = true
	s.event(signaling.EventViewerLost, v.info.Peer, v.name()+": "+why)
	s.armExpiry()
	s.armForget(v)
	if s.control == v.info.Peer {
		v.free = s.host.after(s.host.cfg.ControlGrace, func() {
			if s.control == v.info.Peer && v.state != viewerConnected {
				s.freeControl("viewer lost its connection")
				s.changed()
			}
		})
	}
	s.changed()
}

// armForget gives a lost viewer's place up with the consent window.
func (s *support) armForget(v *viewer) {
	if v.patience != nil {
		v.patience.Stop()
	}
	v.patience = s.host.after(s.window(), func() {
		if s.viewers[v.info.Peer] == v && v.state == viewerLost {
			s.remove(v, signaling.CodeNotFound, "You were away for too long.")
		}
	})
}

// gone is called when a connection ended by itself: a page reloaded or shut, or an offer
// that could not be used. The viewer's place is kept, its control is not.
func (s *support) gone(v *viewer, why string) {
	s.lost(v, why)
	s.disconnect(v)
	if s.control == v.info.Peer {
		s.freeControl("viewer closed its connection")
	}
	if !v.joined {
		s.expectOffer(v)
	}
	s.changed()
}

// may returns what a viewer may do now.
func (s *support) may(v *viewer) signaling.CapabilitySet {
	if s.isPaused() {
		return 0
	}
	return s.entitled(v)
}

// entitled returns what a viewer may do while the session is not paused.
func (s *support) entitled(v *viewer) signaling.CapabilitySet {
	if v == nil || !s.consented || s.over {
		return 0
	}
	return s.granted.And(v.info.Capabilities)
}

// applyRights makes a viewer's connection keep to what it may do now.
func (s *support) applyRights(v *viewer) {
	if v.peer == nil {
		return
	}
	may := s.may(v)
	if v.peer.gate.set(rights{
		may:     may,
		granted: s.granted.And(v.info.Capabilities),
		control: s.control == v.info.Peer,
		paused:  s.isPaused(),
	}) {
		v.peer.said.reset()
		v.peer.tools.heed(v.peer.gate)
	}
	v.peer.track.want(wanted{
		on:      may.Has(signaling.View) && (v.trying || v.state == viewerConnected),
		through: v.state == viewerConnected,
		monitor: v.monitor,
		tier:    v.tier,
	})
}

// listed returns the viewers connected, by name.
func (s *support) listed() []signaling.Viewer {
	out := []signaling.Viewer{}
	for _, v := range s.viewers {
		if v.state == viewerConnected {
			out = append(out, signaling.Viewer{Peer: v.info.Peer, Name: shorten(v.name(), 256)})
		}
	}
	slices.SortFunc(out, func(a, b signaling.Viewer) int {
		return strings.Compare(a.Name+string(a.Peer), b.Name+string(b.Peer))
	})
	return out
}

// tell sends a viewer its rights, if there is a channel for it.
func (s *support) tell(v *viewer) {
	if v.peer == nil {
		return
	}
	v.peer.sendText(signaling.TypeStatus, signaling.Status{
		You: v.info.Peer, Granted: s.granted, May: s.may(v), Paused: s.isPaused(), Control: s.control, Viewers: s.listed(),
	})
	v.peer.sendPicture(s.host.pictureFor(s, v))
}

// say sends a viewer a sentence.
func (v *viewer) say(code signaling.Code, text, what string) {
	if v.peer != nil {
		v.peer.sendText(signaling.TypeSay, signaling.Say{Code: code, Message: text, What: what})
	}
}
