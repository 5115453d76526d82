package inject

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/x11"
	"handrail/agent/internal/x11/x11test"
	"handrail/signaling"
	"handrail/signaling/input"
)

// recorder is a program of its own with a window over the whole screen that writes down
// the events it gets.
type recorder struct {
	c *x11.Conn
}

func newRecorder(tb testing.TB, display string) *recorder {
	tb.Helper()
	c, err := x11.Dial(display)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	id := c.NewID()
	const keysButtonsMotion = 1 | 2 | 4 | 8 | 64
	create := x11.NewRequest(1, 0).U32(id, c.Root).U16(0, 0, c.Width, c.Height, 0, 1).U32(0, 1<<9|1<<11, 1, keysButtonsMotion)
	for _, r := range []*x11.Request{create, x11.NewRequest(8, 0).U32(id), x11.NewRequest(42, 0).U32(id, 0)} {
		if err := c.Check(r.Bytes()); err != nil {
			tb.Fatal(err)
		}
	}
	return &recorder{c: c}
}

// next returns the next event: "key+38 shift", "button-1 10,20", "move 10,20".
func (r *recorder) next(tb testing.TB) string {
	tb.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case ev, ok := <-r.c.Events():
			if !ok {
				tb.Fatalf("recorder: %v", r.c.Err())
			}
			if s := describe(ev); s != "" {
				return s
			}
		case <-timeout:
			tb.Fatal("waited a minute for an event")
		}
	}
}

func describe(ev []byte) string {
	x, y, state := int16(x11.Get16(ev, 24)), int16(x11.Get16(ev, 26)), x11.Get16(ev, 28)
	mods := ""
	for i, name := range []string{" shift", " lock", " control", " mod1", " mod2", " mod3", " mod4", " mod5"} {
		if state&(1<<i) != 0 {
			mods += name
		}
	}
	switch ev[0] & 0x7f {
	case 2:
		return fmt.Sprintf("key+%d%s", ev[1], mods)
	case 3:
		return fmt.Sprintf("key-%d%s", ev[1], mods)
	case 4:
		return fmt.Sprintf("button+%d %d,%d%s", ev[1], x, y, mods)
	case 5:
		return fmt.Sprintf("button-%d %d,%d%s", ev[1], x, y, mods)
	case 6:
		return fmt.Sprintf("move %d,%d", x, y)
	}
	return ""
}

func (r *recorder) wants(tb testing.TB, want ...string) {
	tb.Helper()
	for i, w := range want {
		if got := r.next(tb); got != w {
			tb.Fatalf("event %d is %q, want %q", i, got, w)
		}
	}
}

// keysDown returns the keycodes the server holds pressed.
func (r *recorder) keysDown(tb testing.TB) (down []int) {
	tb.Helper()
	b, err := r.c.Call(x11.NewRequest(44, 0).Bytes()) // QueryKeymap
	if err != nil {
		tb.Fatal(err)
	}
	for kc := range 256 {
		if b[8+kc/8]&(1<<(kc%8)) != 0 {
			down = append(down, kc)
		}
	}
	return down
}

// session applies frames with rising numbers.
type session struct {
	in  *Injector
	seq uint32
}

func (s *session) apply(tb testing.TB, f input.Frame) {
	tb.Helper()
	s.seq++
	f.Seq = s.seq
	if err := s.in.Apply(me, f); err != nil {
		tb.Fatalf("Apply(%v) = %v", f.Type, err)
	}
}

func (s *session) key(tb testing.TB, down bool, code input.Code, mods input.Mods, text string) {
	tb.Helper()
	f := input.Frame{Type: input.KeyUp, Code: code, Mods: mods}
	if down {
		f.Type, f.Text = input.KeyDown, []byte(text)
	}
	s.apply(tb, f)
}

func TestPointerOnX(t *testing.T) {
	x := x11test.Start(t)
	s := &session{in: start(t, x.Display)}
	r := newRecorder(t, x.Display)
	s.in.SetMonitors([]signaling.Monitor{{ID: 2, X: 640, Y: 1, Width: 639, Height: 717}})
	s.apply(t, input.Frame{Type: input.Move, X: 65535, Y: 65535})
	s.apply(t, input.Frame{Type: input.Move})
	s.apply(t, input.Frame{Type: input.Move, Monitor: 2})
	s.apply(t, input.Frame{Type: input.Move, Monitor: 2, X: 65535, Y: 65535})
	r.wants(t, "move 1279,719", "move 0,0", "move 640,1", "move 1278,717")
	// Every edge comes through with its own position, however fast they are.
	for b, want := range map[uint8]int{0: 1, 1: 3, 2: 2, 3: 8, 4: 9} {
		s.apply(t, input.Frame{Type: input.Button, Button: b, Down: true, Buttons: 1 << b})
		s.apply(t, input.Frame{Type: input.Button, Button: b, X: 65535})
		r.wants(t, "move 0,0", fmt.Sprintf("button+%d 0,0", want), "move 1279,0", fmt.Sprintf("button-%d 1279,0", want))
	}
	for range 200 {
		s.apply(t, input.Frame{Type: input.Button, Button: 0, Down: true, Buttons: 1, X: 65535})
		s.apply(t, input.Frame{Type: input.Button, Button: 0, X: 65535})
	}
	for range 200 {
		for _, want := range []string{"button+1 1279,0", "button-1 1279,0"} {
			got := r.next(t)
			for strings.HasPrefix(got, "move") {
				got = r.next(t)
			}
			if got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	}
	s.apply(t, input.Frame{Type: input.Wheel, X: 65535, DY: 240})
	s.apply(t, input.Frame{Type: input.Wheel, X: 65535, DX: -120, DY: -120})
	s.apply(t, input.Frame{Type: input.Wheel, X: 65535, DX: 120})
	for _, want := range []int{5, 5, 4, 6, 7} {
		for _, sign := range []string{"+", "-"} {
			got := r.next(t)
			for strings.HasPrefix(got, "move") {
				got = r.next(t)
			}
			if w := fmt.Sprintf("button%s%d 1279,0", sign, want); got != w {
				t.Fatalf("%q, want %q", got, w)
			}
		}
	}
}

func TestShortcutsGoByPhysicalKey(t *testing.T) {
	x := x11test.Start(t)
	x.Run(t, "setxkbmap", "-layout", "de")
	s := &session{in: start(t, x.Display)}
	r := newRecorder(t, x.Display)
	s.key(t, true, input.CodeCtrlLeft, input.Ctrl, "")
	s.key(t, true, 0x1d, input.Ctrl, "z") // KeyZ, which types y on the device
	s.key(t, false, 0x1d, input.Ctrl, "")
	s.key(t, false, input.CodeCtrlLeft, 0, "")
	r.wants(t, "key+37", "key+52 control", "key-52 control", "key-37 control")
	s.key(t, true, 0x1d, 0, "z") // typed by its text: the device's z is elsewhere
	s.key(t, false, 0x1d, 0, "")
	r.wants(t, "key+29", "key-29")
	// Alt+Tab, Super, Ctrl+Alt+Delete
	s.key(t, true, input.CodeAltLeft, input.Alt, "")
	s.key(t, true, input.CodeTab, input.Alt, "")
	s.key(t, false, input.CodeTab, input.Alt, "")
	s.key(t, false, input.CodeAltLeft, 0, "")
	s.key(t, true, input.CodeMetaLeft, input.Meta, "")
	s.key(t, false, input.CodeMetaLeft, 0, "")
	s.key(t, true, input.CodeDelete, input.Ctrl|input.Alt, "")
	s.key(t, false, input.CodeDelete, input.Ctrl|input.Alt, "")
	r.wants(t, "key+64", "key+23 mod1", "key-23 mod1", "key-64 mod1", "key+133", "key-133 mod4",
		"key+37", "key+64 control", "key+119 control mod1", "key-119 control mod1", "key-64 control mod1", "key-37 control")
}

func TestModifiersOfTypedText(t *testing.T) {
	x := x11test.Start(t)
	x.Run(t, "setxkbmap", "-layout", "us")
	s := &session{in: start(t, x.Display)}
	r := newRecorder(t, x.Display)
	// A German operator types a slash with Shift+7; here it needs no Shift. The Shift he
	// holds comes back with the release.
	s.key(t, true, input.CodeShiftLeft, input.Shift, "")
	s.key(t, true, 0x24, input.Shift, "/")
	s.key(t, false, 0x24, input.Shift, "")
	s.key(t, true, 0x04, input.Shift, "A")
	s.key(t, false, 0x04, input.Shift, "")
	s.key(t, false, input.CodeShiftLeft, 0, "")
	r.wants(t, "key+50", "key-50 shift", "key+61", "key-61", "key+50", "key+38 shift", "key-38 shift", "key-50 shift")
	// One who needs no Shift for what needs it here.
	s.key(t, true, 0x31, 0, "#")
	s.key(t, false, 0x31, 0, "")
	r.wants(t, "key+50", "key+12 shift", "key-12 shift", "key-50 shift")
	// Shift let go while the key it was lifted for is still held.
	s.key(t, true, input.CodeShiftLeft, input.Shift, "")
	s.key(t, true, 0x24, input.Shift, "/")
	s.key(t, false, input.CodeShiftLeft, 0, "")
	s.key(t, false, 0x24, 0, "")
	r.wants(t, "key+50", "key-50 shift", "key+61", "key-61")
	// A click with a key down that lifted Shift is a Shift+click all the same.
	s.key(t, true, input.CodeShiftLeft, input.Shift, "")
	s.key(t, true, 0x24, input.Shift, "/")
	s.apply(t, input.Frame{Type: input.Button, Down: true, Buttons: 1})
	s.apply(t, input.Frame{Type: input.Button})
	s.apply(t, input.Frame{Type: input.ReleaseAll})
	r.wants(t, "key+50", "key-50 shift", "key+61", "move 0,0", "key+50", "button+1 0,0 shift", "move 0,0",
		"button-1 0,0 shift", "key-61 shift", "key-50 shift")
	if down := r.keysDown(t); len(down) != 0 {
		t.Errorf("keys %v are still down", down)
	}
}

func TestAltGrTypes(t *testing.T) {
	x := x11test.Start(t)
	x.Run(t, "setxkbmap", "-layout", "de")
	in := start(t, x.Display)
	tm := newTerminal(t, x, in)
	tm.apply(t, input.Frame{Type: input.KeyDown, Code: input.CodeAltRight, Mods: input.AltGr})
	tm.tap(t, 0x08, input.AltGr, "€")
	tm.tap(t, 0x14, input.AltGr, "@")
	tm.tap(t, 0x04, input.AltGr|input.Shift, "Æ")
	tm.apply(t, input.Frame{Type: input.KeyUp, Code: input.CodeAltRight})
	tm.tap(t, 0x2e, 0, "é") // composed by the operator's dead key
	tm.tap(t, 0x04, 0, "a")
	tm.wants(t, "€@Æéa")
}

// TestLocks checks that the lock lights are set as stated and that text comes out as
// typed whatever they are.
func TestLocks(t *testing.T) {
	x := x11test.Start(t)
	in := start(t, x.Display)
	tm := newTerminal(t, x, in)
	lit := func(light string, set bool) {
		t.Helper()
		state := map[bool]string{true: "on", false: "off"}[set]
		x11test.Eventually(t, light+" goes "+state, func() bool {
			return strings.Contains(strings.Join(strings.Fields(x.Run(t, "xset", "q")), " "), light+": "+state)
		})
	}
	for _, l := range []input.Locks{input.LockCaps, input.LockCaps | input.LockNum, input.LockNum, 0, input.LockCaps} {
		tm.apply(t, input.Frame{Type: input.SetLocks, Locks: l})
		lit("Caps Lock", l&input.LockCaps != 0)
		lit("Num Lock", l&input.LockNum != 0)
		for _, r := range "aAñÑжЖaǎǍß世" {
			tm.tap(t, 0x04, 0, string(r))
		}
		tm.tap(t, 0x5d, 0, "5") // Numpad5
		tm.apply(t, input.Frame{Type: input.Text, Text: []byte("1жaЖ")})
		tm.wants(t, "aAñÑжЖaǎǍß世51жaЖ")
		lit("Caps Lock", l&input.LockCaps != 0)
		lit("Num Lock", l&input.LockNum != 0)
	}
}

// TestCapsLockByKey checks that a Caps Lock pressed as a key is minded as well.
func TestCapsLockByKey(t *testing.T) {
	x := x11test.Start(t)
	in := start(t, x.Display)
	tm := newTerminal(t, x, in)
	for range 4 {
		tm.tap(t, input.CodeCapsLock, 0, "")
		tm.tap(t, 0x04, 0, "a")
		tm.tap(t, 0x04, 0, "B")
	}
	tm.wants(t, "aBaBaBaB")
}

func TestNothingStaysPressed(t *testing.T) {
	x := x11test.Start(t)
	in := startWith(t, Config{Display: x.Display})
	s := &session{in: in}
	r := newRecorder(t, x.Display)
	press := func() {
		for _, c := range []input.Code{input.CodeCtrlLeft, input.CodeShiftRight, input.CodeMetaLeft, 0x3a, 0x4f} {
			s.key(t, true, c, input.Ctrl|input.Shift|input.Meta, "")
		}
		s.apply(t, input.Frame{Type: input.Button, Down: true, Buttons: 1})
	}
	isFree := func() bool {
		_, _, state, err := r.c.Pointer()
		return err == nil && state == 0 && len(r.keysDown(t)) == 0
	}
	for name, release := range map[string]func(){
		"ReleaseAll":  func() { in.ReleaseAll(me) },
		"Leave":       func() { in.Leave(me) },
		"a frame":     func() { s.apply(t, input.Frame{Type: input.ReleaseAll}) },
		"2 s silence": func() {},
	} {
		// Silence releases what nothing else did: on a machine that was busy for two seconds it is not
		// known which of them it was, and it is tried again.
		silent := strings.HasPrefix(name, "2 s")
		for tries := 1; ; tries++ {
			began := time.Now()
			press()
			x11test.Eventually(t, "5 keys down before "+name, func() bool { return len(r.keysDown(t)) == 5 })
			if !silent {
				began = time.Now()
			}
			release()
			x11test.Eventually(t, "release by "+name, isFree)
			d := time.Since(began)
			if silent == (d > 1900*time.Millisecond) {
				break
			}
			if silent || tries == 5 {
				t.Errorf("%s took %v", name, d)
				break
			}
		}
	}
}

// TestRunGivesBack checks that the end of Run releases keys and takes characters back from
// spare keycodes.
func TestRunGivesBack(t *testing.T) {
	x := x11test.Start(t)
	before := x.Run(t, "xmodmap", "-pke")
	r := newRecorder(t, x.Display)
	t.Run("run", func(t *testing.T) {
		s := &session{in: start(t, x.Display)}
		s.key(t, true, 0x04, 0, "世")
		s.key(t, true, 0x05, 0, "ж")
		x11test.Eventually(t, "two keys down", func() bool { return len(r.keysDown(t)) == 2 })
		if x.Run(t, "xmodmap", "-pke") == before {
			t.Error("the keyboard map is unchanged")
		}
	})
	if down := r.keysDown(t); len(down) != 0 {
		t.Errorf("keys %v are still down", down)
	}
	if after := x.Run(t, "xmodmap", "-pke"); after != before {
		t.Errorf("the keyboard map was not given back:\n%s", after)
	}
}

// TestLayoutChange checks that a new layout is noticed, also while spares are lent.
func TestLayoutChange(t *testing.T) {
	x := x11test.Start(t)
	in := start(t, x.Display)
	tm := newTerminal(t, x, in)
	want := ""
	for _, layout := range []string{"us", "de", "ru", "us(dvorak)", "jp"} {
		x.Run(t, "setxkbmap", "-layout", layout)
		x11test.Eventually(t, "word of the new layout", in.dev.(*xBackend).stale.Load) //nolint:forcetypeassert // New made it
		for _, r := range "zy世ж#ß" {
			tm.tap(t, 0x04, 0, string(r))
			want += string(r)
		}
		tm.wants(t, want)
		want = ""
	}
}

// TestOthersBorrowToo checks that a spare whose character another program has replaced is
// noticed, and that our own lending is no news to us.
func TestOthersBorrowToo(t *testing.T) {
	x := x11test.Start(t)
	in := start(t, x.Display)
	back := in.dev.(*xBackend) //nolint:forcetypeassert // New made it
	tm := newTerminal(t, x, in)
	tm.tap(t, 0x04, 0, "世")
	tm.wants(t, "世")
	if back.stale.Load() {
		t.Error("our own lending made us read the keyboard anew")
	}
	<-time.After(echo)
	in.mu.Lock()
	lent := back.spares[0].keycode
	in.mu.Unlock()
	x.Run(t, "xmodmap", "-e", fmt.Sprintf("keycode %d = b", lent))
	x11test.Eventually(t, "word of the change", back.stale.Load)
	tm.tap(t, 0x04, 0, "世")
	tm.wants(t, "世")
}

// TestManyCharacters types more different characters than there are spare keycodes, so
// that each is lent again and again.
func TestManyCharacters(t *testing.T) {
	x := x11test.Start(t)
	in := start(t, x.Display)
	tm := newTerminal(t, x, in)
	var b strings.Builder
	for r := rune(0x4e00); r < 0x4e00+60; r++ {
		b.WriteRune(r)
	}
	text := b.String() + "\n\tfin\n"
	began := time.Now()
	tm.apply(t, input.Frame{Type: input.Text, Text: []byte(text)})
	tm.tap(t, 0x04, 0, "a")
	tm.wants(t, text+"a")
	t.Logf("%d characters with %d spare keycodes in %v", 60, len(in.dev.(*xBackend).spares), time.Since(began)) //nolint:forcetypeassert // New made it
}

func TestServerRestart(t *testing.T) {
	x := x11test.Start(t, x11test.OwnDisplay())
	in := start(t, x.Display)
	s := &session{in: in}
	s.key(t, true, 0x04, 0, "a")
	x.Kill()
	x11test.Eventually(t, "word of the loss", func() bool { return in.Apply(me, input.Frame{Type: input.Move, Seq: 1 << 20}) != nil })
	s.seq = 1 << 21
	x.StartAgain(t)
	x11test.Eventually(t, "the connection", func() bool {
		in.mu.Lock()
		defer in.mu.Unlock()
		return in.down == nil
	})
	r := newRecorder(t, x.Display)
	s.key(t, true, 0x04, 0, "a")
	r.wants(t, "key+38")
}

// TestMovesDoNotAllocate asserts what Apply promises.
func TestMovesDoNotAllocate(t *testing.T) {
	x := x11test.Start(t)
	s := &session{in: start(t, x.Display)}
	s.apply(t, input.Frame{Type: input.Move})
	n := testing.AllocsPerRun(500, func() {
		s.seq++
		if err := s.in.Apply(me, input.Frame{Type: input.Move, Seq: s.seq, X: uint16(s.seq)}); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a move, want 0", n)
	}
}

func BenchmarkMove(b *testing.B) {
	x := x11test.Start(b)
	s := &session{in: start(b, x.Display)}
	b.ReportAllocs()
	for b.Loop() {
		s.seq++
		if err := s.in.Apply(me, input.Frame{Type: input.Move, Seq: s.seq, X: uint16(s.seq)}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMoveSeen measures until another program has seen the move.
func BenchmarkMoveSeen(b *testing.B) {
	x := x11test.Start(b)
	s := &session{in: start(b, x.Display)}
	r := newRecorder(b, x.Display)
	for b.Loop() {
		s.seq++
		if err := s.in.Apply(me, input.Frame{Type: input.Move, Seq: s.seq, X: uint16(s.seq%2) * 65535}); err != nil {
			b.Fatal(err)
		}
		r.next(b)
	}
}

func BenchmarkKey(b *testing.B) {
	x := x11test.Start(b)
	s := &session{in: start(b, x.Display)}
	down := input.Frame{Type: input.KeyDown, Code: 0x04, Text: []byte("a")}
	up := input.Frame{Type: input.KeyUp, Code: 0x04}
	b.ReportAllocs()
	for b.Loop() {
		s.apply(b, down)
		s.apply(b, up)
	}
}
