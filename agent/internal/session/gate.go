package session

import (
	"sync"
	"sync/atomic"
	"time"

	"handrail/signaling"
	"handrail/signaling/input"
)

// controlEcho is how long frames already on their way are dropped in silence after a
// viewer lost control or was paused, before they count as refused.
const controlEcho = time.Second

// rights is what one viewer may do at one moment.
type rights struct {
	may     signaling.CapabilitySet // now
	granted signaling.CapabilitySet // when not paused
	control bool                    // holds control
	paused  bool
}

// gate is where every frame of one connection is checked against its viewer's rights. A
// frame is checked and applied under one lock, and what was held is released behind it, so
// that nothing a viewer pressed outlives its right to press it.
type gate struct {
	owner signaling.PeerID
	input Input         // may be nil
	local *atomic.Int64 // until then the person at the device has the pointer; Unix nanoseconds
	spawn func(func())

	now    atomic.Pointer[rights]
	closed atomic.Bool

	mu     sync.Mutex
	newest uint32 // sequence number of the newest Move, Button or Wheel applied
	moved  bool   // newest is set

	lostMu      sync.Mutex
	lostAt      time.Time
	lost        signaling.CapabilitySet // taken away at lostAt
	lostControl bool

	ringMu   sync.Mutex
	injected ring
}

func newGate(owner signaling.PeerID, in Input, local *atomic.Int64, spawn func(func())) *gate {
	g := &gate{owner: owner, input: in, local: local, spawn: spawn}
	g.now.Store(&rights{})
	return g
}

// set changes the rights. Frames checked from now on keep to them; held keys are released
// when the right to hold them is gone. It reports whether anything changed.
func (g *gate) set(r rights) bool {
	if g.closed.Load() {
		return false
	}
	old := g.now.Swap(&r)
	if *old == r {
		return false
	}
	g.noteLoss(old, &r)
	if old.mayInject() && !r.mayInject() {
		g.release()
	}
	return true
}

// shut refuses everything from now on, releases what is held, and forgets the viewer.
func (g *gate) shut() {
	if g.closed.Swap(true) {
		return
	}
	g.now.Store(&rights{})
	g.settle(func(in Input) {
		in.ReleaseAll(g.owner)
		in.Leave(g.owner)
	})
}

func (r *rights) mayInject() bool { return r.control && r.may.Has(signaling.Control) }

// release lets go of what the viewer holds.
func (g *gate) release() {
	g.settle(func(in Input) { in.ReleaseAll(g.owner) })
}

// settle runs f behind a frame that is being applied. Its caller does not wait for that: a
// long text is typed for as long as it takes.
func (g *gate) settle(f func(Input)) {
	if g.input == nil {
		return
	}
	if g.mu.TryLock() {
		defer g.mu.Unlock()
		f(g.input)
		return
	}
	g.spawn(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		f(g.input)
	})
}

// check returns the code a frame that needs c is refused with; "" lets it pass.
func (g *gate) check(c signaling.Capability) signaling.Code {
	r := g.now.Load()
	switch {
	case g.closed.Load():
		return signaling.CodeEnded
	case r.may.Has(c):
		return ""
	case r.paused && r.granted.Has(c):
		return signaling.CodePaused
	}
	return signaling.CodeNotGranted
}

// checkTalk is check for messages that show and change nothing on the device (a ping, a
// choice of monitor): a pause does not stop them.
func (g *gate) checkTalk(c signaling.Capability) signaling.Code {
	if r := g.now.Load(); !g.closed.Load() && r.granted.Has(c) {
		return ""
	}
	return g.check(c)
}

// noteLoss remembers for controlEcho what was taken away.
func (g *gate) noteLoss(old, now *rights) {
	lost, control := old.may&^now.may, old.control && !now.control
	if lost == 0 && !control {
		return
	}
	g.lostMu.Lock()
	defer g.lostMu.Unlock()
	if time.Since(g.lostAt) > controlEcho {
		g.lost, g.lostControl = 0, false
	}
	g.lost, g.lostControl, g.lostAt = g.lost|lost, g.lostControl || control, time.Now()
}

// isEcho reports whether a refusal concerns a right taken away so lately that its viewer
// cannot have known.
func (g *gate) isEcho(code signaling.Code, need signaling.Capability) bool {
	g.lostMu.Lock()
	defer g.lostMu.Unlock()
	if time.Since(g.lostAt) > controlEcho {
		return false
	}
	switch code {
	case signaling.CodeNotInControl:
		return g.lostControl
	case signaling.CodeNotGranted, signaling.CodePaused:
		return g.lost.Has(need)
	default:
		return false
	}
}

// apply injects one frame if its viewer may, and returns the code it is refused with.
func (g *gate) apply(f *input.Frame) (signaling.Code, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if code := g.check(signaling.Control); code != "" {
		return code, nil
	}
	if !g.now.Load().control {
		// To let go of everything is never wrong, and a page that is hidden says it whoever
		// it is.
		if f.Type == input.ReleaseAll {
			return "", nil
		}
		return signaling.CodeNotInControl, nil
	}
	if g.input == nil {
		return signaling.CodeNoDisplay, nil
	}
	if f.Type == input.Move {
		if g.moved && int32(f.Seq-g.newest) <= 0 { //nolint:gosec // distance of counters that wrap
			return "", nil
		}
		if time.Now().UnixNano() < g.local.Load() {
			return "", nil
		}
	}
	if err := g.input.Apply(g.owner, *f); err != nil {
		return "", err
	}
	if f.Type == input.Move || f.Type.IsEdge() {
		g.newest, g.moved = f.Seq, true
	}
	g.ringMu.Lock()
	g.injected.add(f.Seq, time.Now())
	g.ringMu.Unlock()
	return "", nil
}

// idleSince reports whether this viewer has injected nothing for d.
func (g *gate) idleSince(d time.Duration) bool {
	g.ringMu.Lock()
	defer g.ringMu.Unlock()
	return g.injected.n == 0 || time.Since(g.injected.at[(g.injected.n-1)%len(g.injected.at)]) > d
}

// before returns the sequence number of the newest frame injected before t, 0 for none.
func (g *gate) before(t time.Time) uint32 {
	g.ringMu.Lock()
	defer g.ringMu.Unlock()
	return g.injected.before(t)
}

// ring remembers the last frames injected; a picture is encoded within a few of them.
type ring struct {
	at  [64]time.Time
	seq [64]uint32
	n   int
}

func (r *ring) add(seq uint32, at time.Time) {
	i := r.n % len(r.seq)
	r.seq[i], r.at[i] = seq, at
	r.n++
}

func (r *ring) before(t time.Time) uint32 {
	for k := r.n - 1; k >= 0 && k >= r.n-len(r.seq); k-- {
		if i := k % len(r.seq); !r.at[i].After(t) {
			return r.seq[i]
		}
	}
	return 0
}
