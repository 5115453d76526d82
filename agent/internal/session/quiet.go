package session

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
)

// A browser that has had no picture for 3 s takes that for a loss and asks for a key picture,
// as long as a packet came in the last 5 s (WebRTC's VideoReceiveStream2). On a screen that
// rests there is nothing to repair: answered, such a wish would be the packet that makes the
// next one, for ever.
const (
	quietAfter = 2 * time.Second // without a packet: later wishes may be of that kind
	quietAgain = 2 * time.Second // a second wish this soon after one left unanswered is meant
)

// quiet tells a wish that a resting picture provokes from one for a lost picture. A wish is
// left unanswered only when the viewer has reported that nothing is missing. It is safe
// for concurrent use.
type quiet struct {
	mu        sync.Mutex
	sentAt    time.Time // of the newest packet
	sent      uint16    // its sequence number
	heard     uint16    // the newest the viewer reported
	lost      uint32    // in all, as reported
	lostAtKey uint32    // when the last key picture was asked for
	passed    time.Time // when a wish was last left unanswered
}

// wrote notes the last packet of a picture.
func (q *quiet) wrote(seq uint16, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent, q.sentAt = seq, at
}

// report notes what the viewer says it received.
func (q *quiet) report(r rtcp.ReceptionReport) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.heard, q.lost = uint16(r.LastSequenceNumber), r.TotalLost //nolint:gosec // the low half is the number, the high half its cycles
}

// provoked reports whether a wish for a key picture at now comes of the rest alone.
func (q *quiet) provoked(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sentAt.IsZero() || now.Sub(q.sentAt) < quietAfter || q.heard != q.sent || q.lost != q.lostAtKey || now.Sub(q.passed) < quietAgain {
		q.lostAtKey = q.lost
		return false
	}
	q.passed = now
	return true
}
