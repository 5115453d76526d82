// Package signaling states the wire once: the envelope, the message types, their
// limits, error codes and ids. Both ends of every socket and of every data channel
// speak this vocabulary; it knows nothing of devices, databases or WebRTC and
// imports only the standard library.
//
// There are three conversations.
//
//	agent socket     GET /agent/socket, JSON envelopes in text frames
//	  agent  -> hello           who I am, a nonce, what I still run
//	  gateway-> challenge       its key, its signature over the agent's nonce, a nonce
//	  agent  -> proof           the device key's signature over the whole transcript
//	  gateway-> welcome         heartbeat, access token for HTTPS, gateway clock
//	                            (or refused, and the socket closes)
//	  then, either way, in any order: session.*, peer.*, nudge, drain, revoked
//
//	browser socket   GET /api/socket, session cookie + Origin + one-time ticket
//	  browser-> ticket          first message, within 10 s
//	  gateway-> ready
//	  browser-> subscribe, session.join, peer.offer, peer.candidate, peer.close
//	  gateway-> changed, session.joined, session.state, peer.answer, peer.candidate,
//	            drain, error
//
//	peer             one WebRTC connection per viewer, between browser and agent
//	  data channel "control"    reliable, ordered: text = the channel messages of
//	                            channel.go, binary = frames of signaling/input
//	  data channel "pointer"    unordered, no retransmits: pointer moves to the agent,
//	                            cursor positions and picture timings to the viewer
//	  data channel "clipboard"  reliable, ordered: frames of signaling/clip
//
// Every decoder here takes hostile input: it checks length before it looks, refuses
// unknown types with an error code, ignores unknown fields, and never panics.
package signaling
