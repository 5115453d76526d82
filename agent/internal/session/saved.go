package session

import (
	"slices"
	"strings"
	"time"

	"handrail/signaling"
)

// saved returns what a restarted agent needs, sessions in order of their ids.
func (h *Host) saved() []Saved {
	out := []Saved{}
	for _, s := range h.sessions {
		if !s.isOpen() || !s.consented {
			continue
		}
		v := Saved{
			Request: s.req, Granted: s.granted, By: s.by, SinceUS: s.since.UnixMicro(), SeenUS: s.seen.UnixMicro(),
			Paused: s.paused, Live: s.live, Seq: s.log.seq, Unsent: []SavedEvent{}, ViewerIDs: []SavedViewer{},
		}
		for _, e := range s.log.events {
			v.Unsent = append(v.Unsent, SavedEvent{Event: e.event, AtUS: e.at.UnixMicro()})
		}
		for _, w := range s.viewers {
			v.ViewerIDs = append(v.ViewerIDs, SavedViewer{Viewer: w.info})
		}
		slices.SortFunc(v.ViewerIDs, func(a, b SavedViewer) int {
			return strings.Compare(string(a.Viewer.Peer), string(b.Viewer.Peer))
		})
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Saved) int {
		return strings.Compare(string(a.Request.Session), string(b.Request.Session))
	})
	return out
}

// restore takes up a session of an earlier process, before Run.
func (h *Host) restore(v Saved) {
	s := h.newSupport(v.Request)
	s.consented, s.live, s.paused = true, v.Live, v.Paused
	s.granted = v.Granted.And(h.cfg.Allowed)
	s.by, s.since, s.seen = v.By, time.UnixMicro(v.SinceUS), time.UnixMicro(v.SeenUS)
	s.log.seq = v.Seq
	for _, e := range v.Unsent {
		s.log.events = append(s.log.events, entry{event: e.Event, at: time.UnixMicro(e.AtUS)})
	}
	for _, w := range v.ViewerIDs {
		if len(s.viewers) < maxViewers {
			s.viewers[w.Viewer.Peer] = s.newViewer(w.Viewer)
		}
	}
	if h.sessions[v.Request.Session] == nil && h.open() < maxSessions && signaling.CheckID("ses", string(v.Request.Session)) == nil {
		h.sessions[v.Request.Session] = s
	}
}

// resume starts the clocks of a restored session once Run runs.
func (s *support) resume() {
	s.armExpiry()
	s.changed()
}
