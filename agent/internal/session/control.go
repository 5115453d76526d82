package session

import (
	"slices"

	"handrail/signaling"
)

// askControl gives control to a viewer if nobody holds it, else asks the holder.
func (s *support) askControl(v *viewer) {
	id := v.info.Peer
	if s.control == id {
		s.tell(v)
		return
	}
	holder := s.viewers[s.control]
	if holder == nil || holder.state != viewerConnected {
		if holder != nil {
			s.freeControl("viewer lost its connection")
		}
		s.takeControl(v)
		return
	}
	if !slices.Contains(s.wants, id) {
		s.wants = append(s.wants, id)
	}
	if holder.peer != nil {
		holder.peer.sendText(signaling.TypeControlAsked, signaling.ControlAsked{Peer: id, Name: shorten(v.name(), 256)})
	}
}

// giveControl hands control from its holder to another viewer.
func (s *support) giveControl(v *viewer, to signaling.PeerID) {
	if s.control != v.info.Peer {
		v.say(signaling.CodeNotInControl, "Only who holds control can give it.", string(signaling.TypeControlGive))
		return
	}
	next := s.viewers[to]
	if next == nil || next.state != viewerConnected || !s.may(next).Has(signaling.Control) {
		v.say(signaling.CodeNotFound, "That viewer is not here, or may not control this device.", string(signaling.TypeControlGive))
		return
	}
	s.freeControl("given to " + next.name())
	s.takeControl(next)
}

// dropControl gives control up, or withdraws the wish for it. The oldest who asked gets it.
func (s *support) dropControl(v *viewer) {
	s.wants = slices.DeleteFunc(s.wants, func(p signaling.PeerID) bool { return p == v.info.Peer })
	if s.control != v.info.Peer {
		return
	}
	s.freeControl("given up")
	for len(s.wants) > 0 {
		next := s.viewers[s.wants[0]]
		if next != nil && next.state == viewerConnected && s.may(next).Has(signaling.Control) {
			s.takeControl(next)
			return
		}
		s.wants = s.wants[1:]
	}
	s.changed()
}

func (s *support) takeControl(v *viewer) {
	s.control = v.info.Peer
	s.wants = slices.DeleteFunc(s.wants, func(p signaling.PeerID) bool { return p == v.info.Peer })
	s.event(signaling.EventControlTaken, v.info.Peer, v.name())
	s.changed()
}

// freeControl takes control from its holder and releases every key and button it held. The
// caller tells the viewers.
func (s *support) freeControl(why string) {
	id := s.control
	s.control = ""
	if v := s.viewers[id]; v != nil {
		if v.free != nil {
			v.free.Stop()
		}
		s.applyRights(v)
	}
	s.event(signaling.EventControlFreed, id, why)
}
