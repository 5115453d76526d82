package session

import (
	"strings"
	"time"
	"unicode"

	"handrail/signaling"
)

// Timeline limits. An event is sent again after a reconnect when it went out shortly
// before the link was seen to be dead: the socket does not say what arrived, and the
// gateway stores a number once.
const (
	maxEvents    = 512
	resendWithin = time.Minute
	keepFor      = 10 * time.Minute // after a session ended
)

// timeline is one session's events that may not have arrived.
type timeline struct {
	seq    int64 // of the newest event
	sent   int64 // of the newest event handed to a link
	events []entry
}

type entry struct {
	event  signaling.SessionEvent
	at     time.Time
	sentAt time.Time // zero: never
}

// event notes what happened and sends it if there is a link.
func (s *support) event(kind signaling.EventKind, peer signaling.PeerID, detail string) {
	l := &s.log
	l.seq++
	e := entry{
		event: signaling.SessionEvent{Session: s.req.Session, Seq: l.seq, Kind: kind, Peer: peer, Detail: shorten(detail, 512)},
		at:    time.Now(),
	}
	if len(l.events) >= maxEvents {
		l.events = l.events[1:]
	}
	l.events = append(l.events, e)
	s.host.dirty = true
	s.host.log.Info("session event", "session", s.req.Session, "kind", kind, "peer", peer, "detail", e.event.Detail)
	s.flush()
}

// flush sends what was never sent, in order.
func (s *support) flush() {
	now := time.Now()
	for i := range s.log.events {
		e := &s.log.events[i]
		if !s.host.linked || !e.sentAt.IsZero() {
			continue
		}
		if !s.sendEvent(e, now) {
			return
		}
	}
}

func (s *support) sendEvent(e *entry, now time.Time) bool {
	out := e.event
	// Wall clock, because the agent may have slept, or be another process by now.
	out.AgoMS = max(0, now.Round(0).Sub(e.at.Round(0)).Milliseconds())
	if err := s.host.cfg.Send(signaling.Envelope{Type: signaling.TypeSessionEvent, Body: out}); err != nil {
		return false
	}
	e.sentAt = now
	s.log.sent = max(s.log.sent, out.Seq)
	return true
}

// linkDown marks as unsent what may have been lost with the link, and forgets the rest.
func (l *timeline) linkDown() {
	now := time.Now()
	keep := l.events[:0]
	for _, e := range l.events {
		if !e.sentAt.IsZero() && now.Sub(e.sentAt) > resendWithin {
			continue
		}
		e.sentAt = time.Time{}
		keep = append(keep, e)
	}
	l.events = keep
}

// shorten makes text fit for the wire: at most n bytes, UTF-8, without control characters.
func shorten(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= n {
		return text
	}
	for n > 0 && text[n]&0xc0 == 0x80 {
		n--
	}
	return text[:n]
}
