// Package session is the device's half of support sessions: it asks for consent, answers
// viewers' offers, sends each its picture, and lets through only what was granted. The
// arbiter of every right is here: neither a viewer nor the gateway is trusted to keep to
// one. It captures nothing and injects nothing itself; it is given functions for that.
// The daemon runs one Host.
//
//	gateway -> session.request   Ask (or the policy) -> session.consent
//	        -> session.viewer    who is about to connect, with which rights
//	        -> peer.offer        -> peer.answer, candidates both ways
//	viewer  =  one WebRTC connection: a VP8 track out, data channels control, pointer and
//	           clipboard in and out
//	agent   -> session.event     the timeline, numbered, kept until sent
//
// A session outlives its connections: a viewer that lost its network keeps its place for
// the consent window, a gateway that went away changes nothing between the peers, and
// what Saved holds lets a restarted agent go on without asking again.
//
// # Goroutines and locks
//
// All state of sessions and viewers belongs to the goroutine of Host.Run; everything else
// reaches it by Host.post. Each viewer's connection has goroutines of its own: a worker for
// what may block, two for its picture (track), one that reads RTCP. Lock order: gate.mu, held
// while one input frame is checked and injected, before gate.ringMu; warmth.mu before
// track.mu; gate.lostMu and refusals.mu stand alone. None is held while posting.
package session
