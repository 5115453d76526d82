package session

import (
	"context"
	"fmt"
	"time"

	"handrail/signaling"
)

// support is one session on the device. All of it belongs to Host.Run.
type support struct {
	host *Host
	req  signaling.SessionRequest

	consented bool
	refusal   signaling.SessionConsent // the answer, where it was a refusal
	over      bool                     // ended; kept for a while to answer for itself
	live      bool                     // a picture has reached a viewer
	granted   signaling.CapabilitySet
	by        string    // who consented
	since     time.Time // of the consent
	seen      time.Time // wall clock: when a viewer was last connected, or the consent given
	paused    bool      // by the person
	asking    context.CancelFunc
	warmth    *warmth // the picture begun for the first viewer; nil when there is none

	viewers map[signaling.PeerID]*viewer
	control signaling.PeerID   // who holds it, "" nobody
	wants   []signaling.PeerID // who asked for it, oldest first

	log    timeline
	expiry *time.Timer
}

func (h *Host) newSupport(r signaling.SessionRequest) *support {
	return &support{host: h, req: r, viewers: map[signaling.PeerID]*viewer{}}
}

// isOpen reports whether the session lives or may come to live.
func (s *support) isOpen() bool { return !s.over && s.refusal.Decision == "" }

// isPaused reports whether nothing may be seen or done for the moment.
func (s *support) isPaused() bool {
	return s.paused || s.host.cfg.NeedBanner && !s.host.present && s.req.Consent != signaling.ConsentUnattended
}

func (s *support) window() time.Duration {
	if s.req.ConsentWindowMS > 0 {
		return time.Duration(s.req.ConsentWindowMS) * time.Millisecond
	}
	return s.host.cfg.ConsentWindow
}

// request opens a session, or answers for one that is known.
func (h *Host) request(r signaling.SessionRequest) {
	if s := h.sessions[r.Session]; s != nil {
		s.report()
		return
	}
	if n := h.open(); n >= maxSessions || len(h.sessions) >= maxKept {
		h.log.Warn("session refused", "session", r.Session, "open", n, "kept", len(h.sessions))
		// No person decided this, so it is a failure and no answer.
		h.send(signaling.TypeSessionEvent, signaling.SessionEvent{
			Session: r.Session, Seq: 1, Kind: signaling.EventFailed, Detail: fullWords(n),
		})
		return
	}
	s := h.newSupport(r)
	h.sessions[r.Session] = s
	h.log.Info("session requested", "session", r.Session, "operator", r.Operator.Email, "consent", r.Consent, "capabilities", r.Capabilities.List())
	if r.Consent == signaling.ConsentUnattended {
		s.decide(Answer{Decision: signaling.DecisionGranted, Granted: r.Capabilities, By: "policy"})
		return
	}
	s.ask(r.Operator, r.Capabilities, s.decide)
}

// open counts the sessions that take up a place: what is over is only remembered.
func (h *Host) open() int {
	n := 0
	for _, s := range h.sessions {
		if s.isOpen() {
			n++
		}
	}
	return n
}

func fullWords(open int) string {
	if open < maxSessions {
		return "The device was asked for too many sessions within minutes. Wait ten minutes, then connect again."
	}
	return fmt.Sprintf("The device is in %d sessions, the most it takes at once. End one that nobody needs on the device's page, then connect again.", open)
}

// report tells the gateway again how the session stands.
func (s *support) report() {
	switch {
	case s.refusal.Decision != "":
		s.host.send(signaling.TypeSessionConsent, s.refusal)
	case s.consented:
		if !s.over {
			s.consent("")
		}
		s.resend()
	}
}

func (s *support) consent(message string) {
	s.host.send(signaling.TypeSessionConsent, signaling.SessionConsent{
		Session: s.req.Session, Decision: signaling.DecisionGranted, Granted: s.granted, By: s.by, Message: shorten(message, 1024),
	})
}

// ask puts a question to the person at the device; then runs with the answer, on Run.
// Silence is a refusal.
func (s *support) ask(who signaling.Operator, want signaling.CapabilitySet, then func(Answer)) {
	want = want.And(s.host.cfg.Allowed)
	if s.host.cfg.Ask == nil || want == 0 {
		then(Answer{Decision: signaling.DecisionUnavailable})
		return
	}
	within := time.Duration(s.req.AnswerWithinMS) * time.Millisecond
	if within <= 0 {
		within = s.host.cfg.AnswerWithin
	}
	ctx, cancel := context.WithTimeout(s.host.ctx, within)
	s.asking = cancel
	q := Request{
		Session: s.req.Session, Operator: who, Organisation: s.req.Organisation, Reason: s.req.Reason,
		Capabilities: want, Already: s.granted, Within: within,
	}
	h := s.host
	h.spawn(func() {
		defer cancel()
		answered := make(chan Answer, 1)
		h.spawn(func() { answered <- h.cfg.Ask(ctx, q) })
		var a Answer
		select {
		case a = <-answered:
		case <-ctx.Done():
			a = Answer{Decision: signaling.DecisionTimeout}
		}
		h.post(func() {
			s.asking = nil
			if s.isOpen() {
				then(a)
			}
		})
	})
}

// decide takes the answer to the session's request.
func (s *support) decide(a Answer) {
	granted := a.Granted.And(s.req.Capabilities).And(s.host.cfg.Allowed)
	if a.Decision == signaling.DecisionGranted && granted != 0 {
		s.consented, s.granted, s.by = true, granted, shorten(a.By, 256)
		s.since, s.seen = time.Now(), time.Now().Round(0)
		s.host.dirty = true
		s.consent(a.Message)
		s.armExpiry()
		s.warm()
		s.changed()
		return
	}
	if a.Decision == signaling.DecisionGranted || a.Decision == "" {
		a.Decision = signaling.DecisionDeclined
		if a.Message == "" {
			a.Message = "This device grants nothing of what was asked for."
		}
	}
	if a.Message == "" {
		a.Message = refusalWords(a.Decision)
	}
	s.refusal = signaling.SessionConsent{Session: s.req.Session, Decision: a.Decision, By: shorten(a.By, 256), Message: shorten(a.Message, 1024)}
	s.host.log.Info("session refused", "session", s.req.Session, "decision", a.Decision, "by", a.By)
	s.host.send(signaling.TypeSessionConsent, s.refusal)
	for id := range s.viewers {
		s.host.closePeer(s.req.Session, id, signaling.CodeNotConsented, "The person at the device did not agree.")
	}
	s.bury()
}

func refusalWords(d signaling.Decision) string {
	switch d {
	case signaling.DecisionTimeout:
		return "Nobody at the device answered."
	case signaling.DecisionUnavailable:
		return "There is nobody at the device who could be asked."
	default:
		return "The person at the device did not agree."
	}
}

// askMore asks for more capabilities in a session that lives.
func (s *support) askMore(m signaling.SessionAsk) {
	more := m.Capabilities.And(s.host.cfg.Allowed) &^ s.granted
	if !s.consented || s.asking != nil || more == 0 {
		if s.consented {
			s.consent("")
		}
		return
	}
	s.req.Capabilities |= m.Capabilities
	if s.req.Consent == signaling.ConsentUnattended {
		// The gateway has cut what it asks for down to the policy.
		s.setGranted(s.granted|more, "policy")
		return
	}
	s.ask(m.Operator, more, func(a Answer) {
		if a.Decision == signaling.DecisionGranted && a.Granted.And(more) != 0 {
			s.setGranted(s.granted|a.Granted.And(more), a.By)
			return
		}
		s.consent(fmt.Sprintf("Asked for more, and the answer was: %s.", a.Decision))
	})
}

func (s *support) setGranted(granted signaling.CapabilitySet, by string) {
	granted = granted.And(s.req.Capabilities).And(s.host.cfg.Allowed)
	if !s.consented || granted == s.granted {
		return
	}
	s.granted, s.by = granted, shorten(by, 256)
	s.host.dirty = true
	s.consent("")
	s.changed()
}

func (s *support) pause(on bool, by string) {
	if !s.consented || s.paused == on {
		return
	}
	s.paused = on
	s.host.dirty = true
	kind := signaling.EventResumed
	if on {
		kind = signaling.EventPaused
	}
	s.changed()
	s.event(kind, "", by)
}

// stop ends the session by the person at the device.
func (s *support) stop(by string) {
	if !s.consented {
		s.decide(Answer{Decision: signaling.DecisionDeclined, By: by})
		return
	}
	s.finish("The person at the device ended the session.")
	s.event(signaling.EventStopped, "", by)
}

// end takes the gateway's word that the session is over.
func (s *support) end(m signaling.SessionEnd) {
	s.host.log.Info("session ended", "session", m.Session, "by", m.By, "reason", m.Reason)
	s.finish("The session was ended.")
}

// expire ends a session nobody has been connected to for the consent window.
func (s *support) expire() {
	s.finish("Nobody was connected for too long; it takes a new consent.")
	s.event(signaling.EventExpired, "", "")
}

// finish closes all connections; it comes before the event so that nothing is shown after it.
func (s *support) finish(text string) {
	if s.asking != nil {
		s.asking()
	}
	s.over = true
	s.stopWarm()
	for _, t := range s.host.cfg.Tools {
		if t.Over != nil {
			t.Over(s.req.Session)
		}
	}
	for _, v := range s.viewers {
		v.say(signaling.CodeEnded, text, "")
	}
	s.close()
	for id, v := range s.viewers {
		if v.announced {
			s.host.closePeer(s.req.Session, id, signaling.CodeEnded, text)
		}
		delete(s.viewers, id)
	}
	s.control, s.wants = "", nil
	s.host.dirty = true
	if s.consented && s.host.cfg.Hide != nil {
		s.host.cfg.Hide(s.req.Session)
	}
	s.bury()
}

// close ends all connections of a session, which itself may go on in another process.
func (s *support) close() {
	if s.expiry != nil {
		s.expiry.Stop()
	}
	for _, v := range s.viewers {
		v.stopTimers()
		s.disconnect(v)
	}
}

// bury keeps a session that is over long enough to answer a gateway that has not heard.
func (s *support) bury() {
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.expiry = s.host.after(keepFor, func() { delete(s.host.sessions, s.req.Session) })
}

// resend brings a gateway that is back up to date.
func (s *support) resend() { s.flush() }

// armExpiry starts or stops the consent window: it runs while nobody is connected.
func (s *support) armExpiry() {
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if !s.consented || s.over || s.connected() > 0 {
		return
	}
	s.expiry = s.host.after(max(0, time.Until(s.seen.Add(s.window()))), func() {
		if !s.over && s.connected() == 0 && s.isExpired() {
			s.expire()
		}
	})
}

// isExpired goes by the wall clock: a device that slept through its window must not wake
// up with a consent from yesterday.
func (s *support) isExpired() bool {
	return s.consented && s.connected() == 0 && time.Now().Round(0).Sub(s.seen) >= s.window()
}

// connected counts viewers whose connection stands.
func (s *support) connected() int {
	n := 0
	for _, v := range s.viewers {
		if v.state == viewerConnected {
			n++
		}
	}
	return n
}

// changed applies rights, tells every viewer, and the person at the device.
func (s *support) changed() {
	if !s.consented || s.over {
		return
	}
	// A pause takes the use of control away, not the place: nobody else could take it meanwhile.
	if s.control != "" && !s.entitled(s.viewers[s.control]).Has(signaling.Control) {
		s.freeControl("not granted any more")
	}
	if s.isPaused() || !s.granted.Has(signaling.View) {
		s.stopWarm()
	}
	for _, v := range s.viewers {
		s.applyRights(v)
	}
	s.tellAll()
}

// tellAll sends everybody the state of the session.
func (s *support) tellAll() {
	for _, v := range s.viewers {
		s.tell(v)
	}
	if s.host.cfg.Show == nil {
		return
	}
	b := Banner{
		Session: s.req.Session, Operator: s.req.Operator, Organisation: s.req.Organisation, Since: s.since,
		Granted: s.granted, Paused: s.isPaused(), Controlled: s.control != "", Viewers: []string{},
	}
	for _, v := range s.listed() {
		b.Viewers = append(b.Viewers, v.Name)
	}
	s.host.cfg.Show(b)
}
