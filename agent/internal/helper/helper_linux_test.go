package helper_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"handrail/agent/internal/desktop"
	"handrail/agent/internal/helper"
	"handrail/agent/internal/picture"
	"handrail/agent/internal/seat"
	"handrail/agent/internal/x11/x11test"
	"handrail/signaling"
	"handrail/signaling/input"
)

// stage is a Remote at work, and what it told.
type stage struct {
	*helper.Remote
	t    *testing.T
	pids chan int // of each helper started

	mu       sync.Mutex
	states   []picture.State
	monitors []signaling.Monitor
	pointer  [2]int
	words    string
}

// pidOf gets at a helper's process.
type pidOf interface{ PID() int }

func begin(t *testing.T, s *seat.Seat, env ...string) *stage {
	t.Helper()
	st := &stage{t: t, pids: make(chan int, 16)}
	self := program(t)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	start := helper.Starter([]string{self}, log)
	st.Remote = helper.NewRemote(helper.RemoteConfig{Seat: s, Start: func(ctx context.Context, d seat.Desktop) (io.ReadWriteCloser, error) {
		d.Env = append(append(slices.Clone(d.Env), asHelper+"=1"), env...)
		c, err := start(ctx, d)
		if err == nil {
			st.pids <- c.(pidOf).PID()
		}
		return c, err
	}}, helper.Told{
		Picture:    st.set(func(p picture.State) { st.states = append(st.states, p) }),
		Desktop:    func(words string) { st.locked(func() { st.words = words }) },
		Monitors:   func(m []signaling.Monitor) { st.locked(func() { st.monitors = m }) },
		Cursor:     func(desktop.Cursor) {},
		Pointer:    func(x, y int) { st.locked(func() { st.pointer = [2]int{x, y} }) },
		Clipboard:  func(string) {},
		LocalInput: func() {},
	}, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- st.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return st
}

// program is this test where any account may run it.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "helper") //nolint:usetesting // whose parent is the tester's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	b, err := os.ReadFile(self) //nolint:gosec // this program
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "helper"), b, 0o755) //nolint:gosec // as above
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "helper")
}

func (s *stage) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *stage) set(f func(picture.State)) func(picture.State) {
	return func(p picture.State) { s.locked(func() { f(p) }) }
}

// viewer counts pictures and is ready when it is told to be.
type viewer struct {
	all, keys atomic.Int64
	width     atomic.Int64
	busy      atomic.Bool
}

func (v *viewer) config() picture.WatchConfig {
	return picture.WatchConfig{Ready: func() bool { return !v.busy.Load() }, Sink: func(e picture.Encoded) {
		if len(e.Data) == 0 || e.Captured.IsZero() {
			panic("an empty picture")
		}
		v.width.Store(int64(e.Width))
		if e.Key {
			v.keys.Add(1)
		}
		v.all.Add(1)
	}}
}

// TestAnotherProcess looks at a desktop and works on it through a helper, which is then killed: pictures,
// input and the monitors come back by themselves, with the same watcher.
func TestAnotherProcess(t *testing.T) {
	x := x11test.StartSize(t, "800x600")
	s := begin(t, seat.Fixed(x.Display, -1))
	s.Watching(true)
	var v viewer
	w, err := s.Watch(v.config())
	if err != nil {
		t.Fatal(err)
	}
	x11test.Eventually(t, "the first picture", func() bool { return v.keys.Load() == 1 && v.width.Load() == 800 })
	who := signaling.NewPeerID()
	seq := uint32(0)
	point := func(at uint16, want int) {
		t.Helper()
		x11test.Eventually(t, "the pointer moved", func() bool {
			seq++
			if err := s.Apply(who, input.Frame{Type: input.Move, Seq: seq, Monitor: 0, X: at, Y: at}); err != nil {
				return false // no display yet
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.pointer[0] > want-9 && s.pointer[0] < want+9
		})
	}
	point(0x8000, 400)

	keys := v.keys.Load()
	if err := syscall.Kill(<-s.pids, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	x11test.Eventually(t, "a key picture of the next helper", func() bool { return v.keys.Load() > keys })
	point(0x4000, 200)
	s.mu.Lock()
	gone := slices.ContainsFunc(s.states, func(p picture.State) bool { return p.Picture == signaling.PictureNoDisplay && p.Message != "" })
	last, monitors := s.states[len(s.states)-1], len(s.monitors)
	s.mu.Unlock()
	if !gone || last.Picture != signaling.PictureOK || monitors != 1 {
		t.Errorf("told %v at last of %d monitors, and in between that there is no picture: %v", last, monitors, gone)
	}

	w.Close()
	after := v.all.Load()
	x.Run(t, "xsetroot", "-solid", "red")
	point(0xc000, 600)
	if n := v.all.Load(); n != after {
		t.Errorf("%d pictures after Close", n-after)
	}
}

// TestOthersDesktop shows the desktop of another account, with its rights. Only root can.
func TestOthersDesktop(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: there is no other account this process could become")
		return
	}
	const nobody = 65534
	x := x11test.StartSize(t, "640x480", "-ac")
	s := begin(t, seat.Fixed(x.Display, nobody))
	var v viewer
	w, err := s.Watch(v.config())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	x11test.Eventually(t, "a picture", func() bool { return v.keys.Load() == 1 })
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", <-s.pids))
	if err != nil || !strings.Contains(string(status), "\nUid:\t65534\t65534\t65534\t65534\n") || !strings.Contains(string(status), "\nCapEff:\t0000000000000000\n") {
		t.Errorf("the helper has other rights than its desktop's owner: %v\n%s", err, status)
	}
}

// TestOneAtATime holds pictures back while a viewer is not ready for the next.
func TestOneAtATime(t *testing.T) {
	x := x11test.StartSize(t, "640x480")
	s := begin(t, seat.Fixed(x.Display, -1))
	var v, free viewer
	v.busy.Store(true)
	w, err := s.Watch(v.config())
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Watch(free.config())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, colour := range []string{"red", "green", "blue"} {
		had := free.all.Load()
		x.Run(t, "xsetroot", "-solid", colour)
		x11test.Eventually(t, "a picture for who is ready", func() bool { return free.all.Load() > had })
	}
	if n := v.all.Load(); n != 0 {
		t.Errorf("%d pictures for who is not ready", n)
	}
	v.busy.Store(false)
	w.Wake()
	x11test.Eventually(t, "a picture once ready", func() bool { return v.keys.Load() == 1 })
	w.Close()
}

// TestDeafHelper ends a helper that does not read, and nobody who talks to it waits.
func TestDeafHelper(t *testing.T) {
	s := begin(t, seat.Fixed(":99999", -1), asHelper+"=deaf")
	text := strings.Repeat("x", desktop.MaxClipboard)
	first := <-s.pids
	x11test.Eventually(t, "the deaf helper is ended and another started", func() bool {
		_ = s.SetClipboard(text)
		select {
		case next := <-s.pids:
			return next != first
		default:
			return false
		}
	})
}

// TestNobody says so while there is no desktop.
func TestNobody(t *testing.T) {
	s := begin(t, seat.Fixed("", -1))
	x11test.Eventually(t, "words for nobody there", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.words != "" && len(s.states) == 1 && s.states[0].Picture == signaling.PictureNoDisplay
	})
	if err := s.Apply(signaling.NewPeerID(), input.Frame{Type: input.Move, Seq: 1}); err == nil {
		t.Error("input to nobody's desktop goes well")
	}
}

// FuzzHear has the daemon hear anything.
func FuzzHear(f *testing.F) {
	f.Add([]byte{64, 0, 0, 0, 1, 0, 0, 0, 22, 1, 0, 0, 0, 9, 3, 32, 2, 88, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7})
	f.Add([]byte{69, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 1, 0, 0, 0, 1, 0})
	f.Add([]byte{70, 0, 0, 0, 0, 0, 0, 0, 2, 'h', 'i'})
	f.Add(append([]byte{67, 0, 0, 0, 0, 0, 0, 0, 69}, `{"v":1,"type":"monitors","body":{"monitors":[{"id":1,"name":"a","x":0,`...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := helper.Hear(bytes.NewReader(b)); err == nil {
			t.Error("no end")
		}
	})
}
