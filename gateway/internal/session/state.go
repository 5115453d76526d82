package session

import (
	"strings"
	"time"

	"handrail/mdm"
	"handrail/signaling"
)

// atDevice is the actor of what a person at the device did without an account being named.
const atDevice = "person at the device"

// decide applies an answer to a request for consent, or a later change of what is granted.
// It returns no entries when nothing changed. The session is open.
func (s *Session) decide(c signaling.SessionConsent, now time.Time) []Entry {
	by := mdm.Clean(c.By, 128)
	if by == "" {
		by = atDevice
	}
	granted := c.Granted.And(s.Asked) // nobody gets what was not asked for
	said := mdm.Clean(c.Message, 512)
	if s.State == signaling.StateRequested {
		return s.answer(c.Decision, granted, by, said, now)
	}
	if granted == 0 {
		s.end(signaling.StateEnded, by, orElse(said, refusalWords(c.Decision)), now)
		return []Entry{{At: now, Kind: KindEnded, Actor: by, Detail: s.Message}}
	}
	changed := granted != s.Granted
	s.Granted = granted
	switch {
	case changed:
		return []Entry{{At: now, Kind: KindGranted, Actor: by, Detail: names(granted)}}
	case c.Decision != signaling.DecisionGranted:
		return []Entry{{At: now, Kind: KindNotGranted, Actor: by, Detail: orElse(said, refusalWords(c.Decision))}}
	}
	return nil
}

func (s *Session) answer(d signaling.Decision, granted signaling.CapabilitySet, by, said string, now time.Time) []Entry {
	switch {
	case d == signaling.DecisionGranted && granted != 0:
		s.State, s.Granted, s.ConsentedAt, s.Deadline = signaling.StateConsented, granted, now, time.Time{}
		return []Entry{{At: now, Kind: KindConsented, Actor: by, Detail: names(granted)}}
	case d == signaling.DecisionTimeout:
		s.end(signaling.StateExpired, "", orElse(said, refusalWords(d)), now)
		return []Entry{{At: now, Kind: KindTimedOut, Detail: s.Message}}
	case d == signaling.DecisionUnavailable:
		by = "" // nobody was there
	}
	s.end(signaling.StateDeclined, by, orElse(said, refusalWords(d)), now)
	return []Entry{{At: now, Kind: KindDeclined, Actor: by, Detail: s.Message}}
}

func refusalWords(d signaling.Decision) string {
	switch d {
	case signaling.DecisionTimeout:
		return "Nobody at the device answered."
	case signaling.DecisionUnavailable:
		return "Nobody at the device could be asked."
	default:
		return "The person at the device did not agree."
	}
}

// happened applies an event the agent reports. The session is open.
func (s *Session) happened(e signaling.SessionEvent, now time.Time) []Entry {
	at := now.Add(-time.Duration(min(e.AgoMS, int64(30*24*time.Hour/time.Millisecond))) * time.Millisecond)
	if at.Before(s.RequestedAt) {
		at = s.RequestedAt
	}
	detail := mdm.Clean(e.Detail, 512)
	entry := Entry{AgentSeq: e.Seq, At: at, Kind: mdm.Clean(string(e.Kind), 32), Peer: e.Peer, Detail: detail}
	switch e.Kind {
	case signaling.EventLive:
		s.live(at)
	case signaling.EventStopped:
		entry.Actor = atDevice
		s.end(signaling.StateEnded, orElse(detail, atDevice), "stopped at the device", now) // the detail is an account's name
	case signaling.EventPaused, signaling.EventResumed:
		entry.Actor = atDevice
	case signaling.EventExpired:
		s.end(signaling.StateExpired, "", orElse(detail, "nobody was connected for too long"), now)
	case signaling.EventFailed:
		s.end(signaling.StateFailed, "", orElse(detail, "the device could not show its screen"), now)
	}
	return []Entry{entry}
}

func (s *Session) live(at time.Time) {
	if s.State == signaling.StateConsented {
		s.State, s.LiveAt = signaling.StateLive, at
	}
}

// end makes the session final.
func (s *Session) end(to signaling.State, by, message string, now time.Time) {
	s.State, s.EndedAt, s.EndedBy, s.Message = to, now, by, message
	s.Deadline = time.Time{}
}

// overdue ends a session whose time is over, and returns nil when it is not. A request's
// answer may be on its way when its time ends, so it gets grace.
func (s *Session) overdue(now time.Time, grace time.Duration) []Entry {
	switch {
	case s.State == signaling.StateRequested && now.After(s.Deadline.Add(grace)):
		message := refusalWords(signaling.DecisionTimeout)
		if !s.LostAt.IsZero() {
			message = "the device went away before anybody there answered"
		}
		s.end(signaling.StateExpired, "", message, now)
		return []Entry{{At: now, Kind: KindTimedOut, Detail: message}}
	case s.State != signaling.StateRequested && s.IsOpen() && !s.LostAt.IsZero() && now.After(s.LostAt.Add(s.Window)):
		s.end(signaling.StateExpired, "", "the device stayed away for longer than its consent holds", now)
		return []Entry{{At: now, Kind: KindWindowClosed, Detail: s.Message}}
	}
	return nil
}

// due returns when overdue may next have something to do; zero for never.
func (s *Session) due(grace time.Duration) time.Time {
	switch {
	case s.State == signaling.StateRequested:
		return s.Deadline.Add(grace)
	case s.IsOpen() && !s.LostAt.IsZero():
		return s.LostAt.Add(s.Window)
	}
	return time.Time{}
}

// news is what browsers are told of the session.
func (s Session) news() signaling.SessionState {
	out := signaling.SessionState{
		Session: s.ID, State: s.State, Granted: s.Granted, Online: s.LostAt.IsZero(), Message: s.Message, EndedBy: s.EndedBy,
	}
	if s.State == signaling.StateRequested {
		out.Deadline = s.Deadline.UnixMicro()
	}
	return out
}

// request is what the agent is told of the session; the same every time but for what is
// left of the time to answer.
func (s Session) request(organisation string, now time.Time) signaling.SessionRequest {
	within := s.Deadline.Sub(now)
	if s.State != signaling.StateRequested {
		within = answerAgain
	}
	return signaling.SessionRequest{
		Session: s.ID, Operator: s.Shown, Organisation: organisation, Reason: s.Reason,
		Capabilities: s.Asked, Consent: s.Consent,
		AnswerWithinMS: max(within, time.Second).Milliseconds(), ConsentWindowMS: s.Window.Milliseconds(),
	}
}

// answerAgain is how long a person has to agree once more, when an agent comes back
// that does not remember an agreement.
const answerAgain = time.Minute

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// names lists capabilities in words.
func names(c signaling.CapabilitySet) string {
	var out []string
	for _, one := range c.List() {
		out = append(out, string(one))
	}
	return strings.Join(out, ", ")
}
