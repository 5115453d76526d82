package session

import (
	"testing"
	"time"

	"handrail/signaling"
)

var (
	asked = signaling.SetOf(signaling.View, signaling.Control)
	start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
)

func in(state signaling.State) Session {
	s := Session{
		ID: "ses_1", Device: "dev_1", Asked: asked, State: state, RequestedAt: start,
		Deadline: start.Add(time.Minute), Window: 15 * time.Minute,
	}
	if state != signaling.StateRequested {
		s.Granted, s.Deadline = asked, time.Time{}
	}
	return s
}

func TestDecide(t *testing.T) {
	view, none := signaling.SetOf(signaling.View), signaling.CapabilitySet(0)
	tests := []struct {
		name     string
		from     signaling.State
		decision signaling.Decision
		granted  signaling.CapabilitySet
		to       signaling.State
		holds    signaling.CapabilitySet
		kind     string
	}{
		{"yes", signaling.StateRequested, signaling.DecisionGranted, view, signaling.StateConsented, view, KindConsented},
		{"yes to more than asked", signaling.StateRequested, signaling.DecisionGranted, signaling.SetOf(signaling.Capabilities()...), signaling.StateConsented, asked, KindConsented},
		{"yes to nothing", signaling.StateRequested, signaling.DecisionGranted, none, signaling.StateDeclined, none, KindDeclined},
		{"yes to what was not asked", signaling.StateRequested, signaling.DecisionGranted, signaling.SetOf(signaling.Files), signaling.StateDeclined, none, KindDeclined},
		{"no", signaling.StateRequested, signaling.DecisionDeclined, asked, signaling.StateDeclined, none, KindDeclined},
		{"silence", signaling.StateRequested, signaling.DecisionTimeout, none, signaling.StateExpired, none, KindTimedOut},
		{"nobody to ask", signaling.StateRequested, signaling.DecisionUnavailable, none, signaling.StateDeclined, none, KindDeclined},
		{"yes again", signaling.StateLive, signaling.DecisionGranted, asked, signaling.StateLive, asked, ""},
		{"taken back", signaling.StateLive, signaling.DecisionGranted, view, signaling.StateLive, view, KindGranted},
		{"more refused", signaling.StateLive, signaling.DecisionDeclined, asked, signaling.StateLive, asked, KindNotGranted},
		{"all taken back", signaling.StateLive, signaling.DecisionDeclined, none, signaling.StateEnded, asked, KindEnded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := in(tt.from)
			entries := s.decide(signaling.SessionConsent{Session: s.ID, Decision: tt.decision, Granted: tt.granted, By: "mia"}, start.Add(time.Second))
			kind := ""
			if len(entries) > 0 {
				kind = entries[0].Kind
			}
			if s.State != tt.to || s.Granted != tt.holds || kind != tt.kind {
				t.Errorf("decide = %s, holds %v, %q; want %s, %v, %q", s.State, s.Granted.List(), kind, tt.to, tt.holds.List(), tt.kind)
			}
			if nobody := tt.kind == KindTimedOut || tt.decision == signaling.DecisionUnavailable; s.State.IsFinal() && nobody != (s.EndedBy == "") {
				t.Errorf("ended by %q", s.EndedBy)
			}
			if s.State.IsFinal() && (s.EndedAt.IsZero() || s.Message == "") {
				t.Errorf("ended at %v because %q", s.EndedAt, s.Message)
			}
		})
	}
}

func TestHappened(t *testing.T) {
	tests := []struct {
		kind     signaling.EventKind
		from, to signaling.State
	}{
		{signaling.EventLive, signaling.StateRequested, signaling.StateRequested}, // no consent, no picture
		{signaling.EventLive, signaling.StateConsented, signaling.StateLive},
		{signaling.EventLive, signaling.StateLive, signaling.StateLive},
		{signaling.EventPaused, signaling.StateLive, signaling.StateLive},
		{signaling.EventStopped, signaling.StateLive, signaling.StateEnded},
		{signaling.EventExpired, signaling.StateLive, signaling.StateExpired},
		{signaling.EventFailed, signaling.StateConsented, signaling.StateFailed},
		{"something new", signaling.StateLive, signaling.StateLive},
	}
	for _, tt := range tests {
		s := in(tt.from)
		entries := s.happened(signaling.SessionEvent{Session: s.ID, Seq: 3, Kind: tt.kind, AgoMS: 1000, Detail: "x"}, start.Add(time.Minute))
		if s.State != tt.to || len(entries) != 1 || entries[0].AgentSeq != 3 || !entries[0].At.Equal(start.Add(59*time.Second)) {
			t.Errorf("%s in %s: state %s, entries %+v; want %s", tt.kind, tt.from, s.State, entries, tt.to)
		}
	}
}

func TestStoppedNamesWhoDidIt(t *testing.T) {
	for account, by := range map[string]string{"mia": "mia", "": atDevice} {
		s := in(signaling.StateLive)
		s.happened(signaling.SessionEvent{Session: s.ID, Seq: 1, Kind: signaling.EventStopped, Detail: account}, start)
		if n := s.news(); n.EndedBy != by || n.Message != "stopped at the device" {
			t.Errorf("stopped by %q: by %q, %q; want by %q", account, n.EndedBy, n.Message, by)
		}
	}
}

func TestHappenedNeverBeforeTheRequest(t *testing.T) {
	s := in(signaling.StateLive)
	e := s.happened(signaling.SessionEvent{Session: s.ID, Seq: 1, Kind: signaling.EventPaused, AgoMS: 1 << 60}, start.Add(time.Second))
	if !e[0].At.Equal(start) {
		t.Errorf("an event of long ago is dated %v, want %v", e[0].At, start)
	}
}

func TestOverdue(t *testing.T) {
	lost := in(signaling.StateLive)
	lost.LostAt = start
	tests := []struct {
		name string
		s    Session
		at   time.Duration
		want signaling.State
	}{
		{"in time", in(signaling.StateRequested), time.Minute, signaling.StateRequested},
		{"within grace", in(signaling.StateRequested), 61 * time.Second, signaling.StateRequested},
		{"too late", in(signaling.StateRequested), 63 * time.Second, signaling.StateExpired},
		{"connected for hours", in(signaling.StateLive), 9 * time.Hour, signaling.StateLive},
		{"away, inside the window", lost, 14 * time.Minute, signaling.StateLive},
		{"away for longer", lost, 16 * time.Minute, signaling.StateExpired},
		{"over already", in(signaling.StateEnded), 9 * time.Hour, signaling.StateEnded},
	}
	for _, tt := range tests {
		s := tt.s
		entries := s.overdue(start.Add(tt.at), 2*time.Second)
		if s.State != tt.want || (len(entries) > 0) != (s.State != tt.s.State) {
			t.Errorf("%s: %s, %+v; want %s", tt.name, s.State, entries, tt.want)
		}
	}
}
