package inject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"handrail/signaling"
	"handrail/signaling/input"

	"github.com/google/go-cmp/cmp"
)

const me = signaling.PeerID("peer_me")

// fakeBackend writes down what it is told. Characters above U+FFFF need a mapping first,
// as on X, and typeSome types ten characters at a time.
type fakeBackend struct {
	mu     sync.Mutex // did, refuse and opened
	did    []string
	gone   chan struct{}
	refuse error
	opened int
	mapped map[rune]time.Time
}

func (b *fakeBackend) note(format string, args ...any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, fmt.Sprintf(format, args...))
	return nil
}

func (b *fakeBackend) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened++
	if b.refuse != nil {
		return b.refuse
	}
	b.gone, b.mapped = make(chan struct{}), map[rune]time.Time{}
	return nil
}

func (b *fakeBackend) close() error {
	select {
	case <-b.gone:
		return errors.New("the server went away")
	default:
		return b.note("close")
	}
}

func (b *fakeBackend) lost() <-chan struct{}   { return b.gone }
func (b *fakeBackend) desktop() rect           { return rect{0, 0, 1000, 500} }
func (b *fakeBackend) move(x, y int) error     { return b.note("move %d,%d", x, y) }
func (b *fakeBackend) scroll(dx, dy int) error { return b.note("scroll %d,%d", dx, dy) }
func (b *fakeBackend) button(n uint8, down bool) error {
	return b.note("button %d %s", n, map[bool]string{true: "down", false: "up"}[down])
}

func (b *fakeBackend) press(code input.Code) (grip, error) {
	return grip(code), b.note("press %x", int(code))
}

func (b *fakeBackend) pressText(code input.Code, r rune) (grip, time.Duration, error) {
	if r > 0xffff {
		since, ok := b.mapped[r]
		if !ok {
			b.mapped[r] = time.Now()
			return noGrip, 10 * time.Millisecond, b.note("map %c", r)
		}
		if wait := 10*time.Millisecond - time.Since(since); wait > 0 {
			return noGrip, wait, nil
		}
	}
	return grip(code) + 256, 0, b.note("press %c", r)
}

func (b *fakeBackend) release(g grip) error {
	if g >= 256 {
		return b.note("release text %x", int(g-256))
	}
	return b.note("release %x", int(g))
}

func (b *fakeBackend) typeSome(text []byte) (int, time.Duration, error) {
	n := 0
	for range 10 {
		_, size := utf8.DecodeRune(text[n:])
		n += size
	}
	err := b.note("type %s", text[:n])
	if n < len(text) {
		return n, 100 * time.Millisecond, err
	}
	return n, 0, err
}

func (b *fakeBackend) setLocks(l input.Locks) error { return b.note("locks %d", l) }

func (b *fakeBackend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.did)
}

// setRefuse makes open fail, and returns how often it was called.
func (b *fakeBackend) setRefuse(err error) (opened int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = err
	return b.opened
}

// take returns what was done since the last time.
func (b *fakeBackend) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.did
	b.did = nil
	return d
}

// rig is an Injector on a fakeBackend, running inside a synctest bubble.
type rig struct {
	t   *testing.T
	b   *fakeBackend
	in  *Injector
	seq uint32
}

func newRig(t *testing.T) *rig {
	t.Helper()
	b := &fakeBackend{}
	r := &rig{t: t, b: b, in: newInjector(defaultSilence, b, slog.New(slog.DiscardHandler))}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.in.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	synctest.Wait()
	return r
}

func (r *rig) apply(f input.Frame) {
	r.t.Helper()
	if err := r.as(me, f); err != nil {
		r.t.Fatalf("Apply(%v) = %v", f.Type, err)
	}
}

func (r *rig) as(peer signaling.PeerID, f input.Frame) error {
	r.seq++
	if f.Seq == 0 {
		f.Seq = r.seq
	}
	return r.in.Apply(peer, f)
}

func (r *rig) down(code input.Code, mods input.Mods, text string) {
	r.t.Helper()
	r.apply(input.Frame{Type: input.KeyDown, Code: code, Mods: mods, Text: []byte(text)})
}

func (r *rig) up(code input.Code, mods input.Mods) {
	r.t.Helper()
	r.apply(input.Frame{Type: input.KeyUp, Code: code, Mods: mods})
}

func (r *rig) held(buttons input.Buttons, codes ...input.Code) {
	r.t.Helper()
	f := input.Frame{Type: input.Held, Buttons: buttons}
	f.SetHeld(codes)
	r.apply(f)
}

func (r *rig) want(want ...string) {
	r.t.Helper()
	synctest.Wait()
	if d := cmp.Diff(want, r.b.take()); d != "" {
		r.t.Errorf("did (-want +got):\n%s", d)
	}
}

const (
	keyA = input.Code(0x04)
	keyC = input.Code(0x06)
)

// pass lets time go by inside the bubble.
func pass(d time.Duration) { <-time.After(d) }

func bubble(t *testing.T, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newRig(t)) })
}

func TestSilenceReleases(t *testing.T) {
	bubble(t, func(r *rig) {
		r.down(input.CodeCtrlLeft, input.Ctrl, "")
		r.down(keyC, input.Ctrl, "")
		r.apply(input.Frame{Type: input.Button, Button: input.ButtonLeft, Down: true, Buttons: 1})
		r.want("press e0", "press 6", "move 0,0", "button 0 down")
		for range 50 {
			pass(100 * time.Millisecond)
			r.held(1, input.CodeCtrlLeft, keyC)
		}
		r.want()
		pass(1999 * time.Millisecond)
		r.want()
		// Moves do not count as word of keys: they come on another channel.
		r.apply(input.Frame{Type: input.Move})
		pass(time.Millisecond)
		r.want("move 0,0", "release 6", "release e0", "button 0 up")
		if r.in.Holds(me) {
			t.Error("still holds")
		}
	})
}

func TestHeldReleasesWhatItDoesNotList(t *testing.T) {
	bubble(t, func(r *rig) {
		r.down(keyA, 0, "a")
		r.down(keyC, 0, "c")
		r.apply(input.Frame{Type: input.Button, Button: input.ButtonRight, Down: true, Buttons: 2})
		r.b.take()
		r.held(0, keyC)
		r.want("release text 4", "button 1 up")
		r.held(0)
		r.want("release text 6")
	})
}

func TestReleaseAll(t *testing.T) {
	bubble(t, func(r *rig) {
		r.down(keyA, 0, "a")
		r.apply(input.Frame{Type: input.Button, Button: input.ButtonLeft, Down: true, Buttons: 1})
		r.apply(input.Frame{Type: input.Text, Text: []byte(strings.Repeat("x", 30))})
		r.b.take()
		r.in.ReleaseAll(me)
		r.want("release text 4", "button 0 up")
		pass(time.Second)
		r.want() // the rest of the text is not typed
		r.down(keyA, 0, "a")
		r.want("press a")
		r.apply(input.Frame{Type: input.ReleaseAll})
		r.want("release text 4")
	})
}

func TestTwoOwnersShareAKey(t *testing.T) {
	const other = signaling.PeerID("peer_other")
	bubble(t, func(r *rig) {
		shift := input.Frame{Type: input.KeyDown, Code: input.CodeShiftLeft, Mods: input.Shift}
		button := input.Frame{Type: input.Button, Button: 0, Down: true, Buttons: 1}
		for _, p := range []signaling.PeerID{me, other} {
			for _, f := range []input.Frame{shift, button} {
				if err := r.as(p, f); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.b.take()
		r.in.Leave(me)
		r.want()
		r.in.Leave(other)
		r.want("release e1", "button 0 up")
	})
}

func TestModifiersFollowTheirBits(t *testing.T) {
	bubble(t, func(r *rig) {
		// The KeyUp of Ctrl was swallowed; the next key says so.
		r.down(input.CodeCtrlLeft, input.Ctrl, "")
		r.down(keyA, 0, "a")
		r.want("press e0", "release e0", "press a")
		r.up(keyA, 0)
		r.want("release text 4")
		// An on-screen keyboard sends no Ctrl of its own.
		r.down(keyC, input.Ctrl|input.Shift, "")
		r.want("press e0", "press e1", "press 6")
		r.up(keyC, input.Ctrl|input.Shift)
		r.want("release 6", "release e1", "release e0")
		// Locks are no modifiers to hold.
		r.down(keyA, input.CapsLock|input.NumLock, "A")
		r.up(keyA, input.CapsLock)
		r.want("press A", "release text 4")
	})
}

func TestAltGrIsPressedOnlyForShortcuts(t *testing.T) {
	bubble(t, func(r *rig) {
		r.down(input.CodeAltRight, input.AltGr, "")
		r.down(0x08, input.AltGr, "€")
		r.up(0x08, input.AltGr)
		r.want("press €", "release text 8")
		r.down(0x4f, input.AltGr, "") // AltGr+ArrowRight types nothing
		r.want("press e6", "press 4f")
		r.up(0x4f, input.AltGr)
		r.up(input.CodeAltRight, 0)
		r.want("release 4f", "release e6")
		// Where it is an ordinary Alt, it is pressed as such.
		r.down(input.CodeAltRight, input.Alt, "")
		r.up(input.CodeAltRight, 0)
		r.want("press e6", "release e6")
	})
}

func TestKeys(t *testing.T) {
	bubble(t, func(r *rig) {
		r.down(keyA, 0, "a")
		r.down(keyA, 0, "a") // a repeat
		r.up(keyA, 0)
		r.up(keyA, 0)
		r.want("press a", "release text 4")
		r.down(keyA, input.Ctrl|input.NumLock, "a") // text with Ctrl is a shortcut
		r.up(keyA, 0)
		r.want("press e0", "press 4", "release 4", "release e0")
		r.down(0, 0, "ü") // a key without a name
		r.want("type ü")
		r.down(keyA, 0, "éñ") // one key, two characters
		r.up(keyA, 0)
		r.want("type éñ")
		r.down(0, 0, "")
		r.want()
		r.apply(input.Frame{Type: input.SetLocks, Locks: input.LockNum})
		r.want("locks 2")
		for i := range input.Code(maxKeys) {
			r.down(0x100+i, 0, "")
		}
		if err := r.as(me, input.Frame{Type: input.KeyDown, Code: 0x200}); !errors.Is(err, ErrBusy) {
			t.Errorf("too many keys: %v", err)
		}
	})
}

func TestOrderBehindText(t *testing.T) {
	bubble(t, func(r *rig) {
		r.apply(input.Frame{Type: input.Text, Text: []byte("0123456789abcdefghijKLM")})
		text := []byte("z")
		r.apply(input.Frame{Type: input.KeyDown, Code: keyA, Text: text})
		text[0] = '!' // the caller's buffer is its own again
		r.apply(input.Frame{Type: input.Move, X: 65535})
		r.apply(input.Frame{Type: input.Move, Y: 65535})
		r.apply(input.Frame{Type: input.Button, Down: true, Buttons: 1})
		r.apply(input.Frame{Type: input.Button})
		r.apply(input.Frame{Type: input.Move})
		if got := r.in.LastSeq(me); got != 0 {
			t.Errorf("LastSeq = %d before anything was done", got)
		}
		r.up(keyA, 0)
		pass(time.Second)
		r.want("type 0123456789", "type abcdefghij", "type KLM", "press z", "move 0,499", "move 0,0", "button 0 down",
			"move 0,0", "button 0 up", "move 0,0", "release text 4")
		if got := r.in.LastSeq(me); got != r.seq {
			t.Errorf("LastSeq = %d, want %d", got, r.seq)
		}
		// A character that needs a mapping waits for it, and keys after it wait too.
		start := time.Now()
		r.down(keyA, 0, "🙂")
		r.up(keyA, 0)
		r.down(keyC, 0, "c")
		for r.b.count() < 4 {
			pass(time.Millisecond)
			synctest.Wait()
		}
		r.want("map 🙂", "press 🙂", "release text 4", "press c")
		if d := time.Since(start); d > 12*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	bubble(t, func(r *rig) {
		r.down(keyC, 0, "c")
		r.apply(input.Frame{Type: input.Text, Text: []byte(strings.Repeat("x", 30))})
		var err error
		n := 0
		for ; err == nil && n < 2*maxQueue; n++ {
			err = r.as(me, input.Frame{Type: input.Button, Down: n%2 == 0})
		}
		if !errors.Is(err, ErrBusy) || n > maxQueue+1 {
			t.Errorf("after %d frames: %v", n, err)
		}
		r.want("press c", "type xxxxxxxxxx", "release text 6")
	})
}

func TestStaleMoves(t *testing.T) {
	bubble(t, func(r *rig) {
		move := func(seq uint32, x uint16) { r.apply(input.Frame{Type: input.Move, Seq: seq, X: x}) }
		move(10, 65535)
		move(9, 0)
		r.want("move 999,0")
		r.apply(input.Frame{Type: input.Button, Seq: 20, Down: true, Buttons: 1, X: 65535})
		move(15, 0)
		move(20, 0)
		r.want("move 999,0", "button 0 down")
		move(21, 0)
		r.want("move 0,0")
		// A key that overtook a move does not void it.
		r.apply(input.Frame{Type: input.KeyDown, Seq: 30, Code: keyA, Text: []byte("a")})
		move(29, 65535)
		r.want("press a", "move 999,0")
		r.apply(input.Frame{Type: input.Wheel, Seq: 40, DY: 120})
		move(39, 65535)
		r.want("move 0,0", "scroll 0,1")
		if got := r.in.LastSeq(me); got != 40 {
			t.Errorf("LastSeq = %d", got)
		}
		r.in.Leave(me) // a new connection counts from 1
		r.b.take()
		move(1, 65535)
		r.want("move 999,0")
		// The count may go round.
		r.in.Leave(me)
		move(0xffffffff, 0)
		move(1, 65535)
		r.want("move 0,0", "move 999,0")
	})
}

func TestWheel(t *testing.T) {
	bubble(t, func(r *rig) {
		turn := func(dx, dy int16) { r.apply(input.Frame{Type: input.Wheel, DX: dx, DY: dy}) }
		turn(0, 60)
		turn(0, 59)
		r.want("move 0,0", "move 0,0")
		turn(0, 1)
		r.want("move 0,0", "scroll 0,1")
		turn(0, 90)
		turn(0, -60) // the other way: begins anew
		turn(0, -60)
		r.want("move 0,0", "move 0,0", "move 0,0", "scroll 0,-1")
		turn(-250, 360)
		r.want("move 0,0", "scroll -2,3")
		turn(-110, 0)
		r.want("move 0,0", "scroll -1,0")
	})
}

func TestButtons(t *testing.T) {
	bubble(t, func(r *rig) {
		press := func(b uint8, down bool, after input.Buttons) {
			r.apply(input.Frame{Type: input.Button, Button: b, Down: down, Buttons: after, X: 32768})
		}
		press(0, true, 1)
		press(0, true, 1)
		press(4, true, 17)
		press(0, false, 16)
		r.want("move 500,0", "button 0 down", "move 500,0", "move 500,0", "button 4 down", "move 500,0", "button 0 up")
		press(1, true, 2) // the mask no longer holds 4
		r.want("move 500,0", "button 1 down", "button 4 up")
		// A monitor that was unplugged in mid drag must not leave the button down.
		err := r.as(me, input.Frame{Type: input.Button, Button: 1, Monitor: 9})
		if !errors.Is(err, ErrMonitor) {
			t.Errorf("Apply = %v", err)
		}
		r.want("button 1 up")
		if err := r.as(me, input.Frame{Type: input.Button, Button: 1, Down: true, Monitor: 9}); !errors.Is(err, ErrMonitor) {
			t.Errorf("Apply = %v", err)
		}
		r.want()
	})
}

func TestPlaces(t *testing.T) {
	bubble(t, func(r *rig) {
		r.in.SetMonitors([]signaling.Monitor{
			{ID: 1, X: 0, Y: 0, Width: 1367, Height: 769},
			{ID: 7, X: -1920, Y: -57, Width: 1920, Height: 1081},
			{ID: 8, X: 5, Y: 6, Width: 1, Height: 1},
		})
		for _, tc := range []struct {
			monitor uint8
			x, y    uint16
			want    string
		}{
			{0, 0, 0, "move 0,0"},
			{0, 65535, 65535, "move 999,499"},
			{1, 0, 0, "move 0,0"},
			{1, 65535, 65535, "move 1366,768"},
			{1, 32768, 32768, "move 683,384"},
			{7, 0, 0, "move -1920,-57"},
			{7, 65535, 65535, "move -1,1023"},
			{8, 40000, 40000, "move 5,6"},
		} {
			r.apply(input.Frame{Type: input.Move, Monitor: tc.monitor, X: tc.x, Y: tc.y})
			r.want(tc.want)
		}
		if err := r.as(me, input.Frame{Type: input.Move, Monitor: 2}); !errors.Is(err, ErrMonitor) {
			t.Errorf("unknown monitor: %v", err)
		}
	})
}

// TestEveryPixel checks that every pixel of odd sizes can be reached, and that the
// viewer's own rounding (pixel v of n is v*65535/(n-1)) comes back to the same pixel.
func TestEveryPixel(t *testing.T) {
	for _, n := range []int{1, 2, 3, 767, 1080, 1366, 3840, 7681} {
		for v := range n {
			wire := 0
			if n > 1 {
				wire = (v*65535 + (n-1)/2) / (n - 1)
			}
			if got := spread(uint16(wire), n); got != v {
				t.Fatalf("size %d: pixel %d comes back as %d", n, v, got)
			}
		}
	}
}

func TestDisplayLostAndBack(t *testing.T) {
	bubble(t, func(r *rig) {
		r.down(keyA, 0, "a")
		r.apply(input.Frame{Type: input.Text, Text: []byte(strings.Repeat("x", 30))})
		r.b.take()
		r.b.setRefuse(errors.New("nobody answers"))
		close(r.b.gone)
		synctest.Wait()
		err := r.as(me, input.Frame{Type: input.Move})
		if !errors.Is(err, ErrNoDisplay) || !strings.Contains(err.Error(), "the server went away") {
			t.Errorf("Apply = %v", err)
		}
		pass(10 * time.Second)
		if r.in.Holds(me) {
			t.Error("holds keys of a display that is gone")
		}
		if n := r.b.setRefuse(nil); n > 12 {
			t.Errorf("tried %d times in 10 s", n)
		}
		pass(3 * time.Second)
		r.b.take()
		r.down(keyA, 0, "a")
		r.want("press a")
	})
}

func TestConfig(t *testing.T) {
	t.Setenv("DISPLAY", "")
	log := slog.New(slog.DiscardHandler)
	if _, err := New(Config{Display: ":1", Silence: 100 * time.Millisecond}, log); err == nil || !strings.Contains(err.Error(), "at least 500ms") {
		t.Errorf("short silence: %v", err)
	}
}
