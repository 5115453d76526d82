//go:build cgo && linux

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/prompt"
	"handrail/agent/internal/x11/x11test"
	"handrail/signaling"
)

// TestMain lets the tests start the companion as a program of its own.
func TestMain(m *testing.M) {
	if os.Getenv("BE_COMPANION") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// stage is a desktop with a window manager, a daemon's desk and a companion.
type stage struct {
	t       *testing.T
	x       *x11test.Server
	desk    *prompt.Desk
	socket  string
	said    chan prompt.Command
	present chan bool
}

func newStage(t *testing.T, env ...string) *stage {
	t.Helper()
	s := &stage{t: t, said: make(chan prompt.Command, 16), present: make(chan bool, 16)}
	s.x = startX(t)
	s.start("openbox", "--sm-disable")
	// A window shown while the manager starts may get lost between the two.
	s.until("window manager", func() bool { _, err := s.xdotool("get_desktop"); return err == nil })
	s.socket = filepath.Join(t.TempDir(), "s")
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	desk, err := prompt.New(prompt.Config{
		Socket: s.socket, OnCommand: func(c prompt.Command) { s.said <- c }, OnPresence: func(p bool) { s.present <- p },
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	s.desk = desk
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- desk.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.start(self, append([]string{"--socket", s.socket}, env...)...)
	s.want(true)
	return s
}

// startX starts an X server of its own.
func startX(t *testing.T) *x11test.Server {
	t.Helper()
	for _, tool := range []string{"openbox", "xdotool"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: install the Debian packages openbox and xdotool", tool)
		}
	}
	return x11test.StartSize(t, "1280x800")
}

func (s *stage) env() []string {
	return append(os.Environ(), "DISPLAY="+s.x.Display, "BE_COMPANION=1", "HOME="+s.t.TempDir(), "FYNE_SCALE=1", "LANG=en_US.UTF-8")
}

func (s *stage) start(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	c := exec.Command(name, args...)
	c.Env = s.env()
	c.Stdout, c.Stderr = s.t.Output(), s.t.Output()
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c
}

func (s *stage) want(present bool) {
	s.t.Helper()
	select {
	case p := <-s.present:
		if p != present {
			s.t.Fatalf("companion present: %v, want %v", p, present)
		}
	case <-time.After(time.Minute):
		s.t.Fatal("the companion did not come or go")
	}
}

// xdotool runs one command of that name and returns what it prints.
func (s *stage) xdotool(args ...string) (string, error) {
	c := exec.Command("xdotool", args...)
	c.Env = s.env()
	b, err := c.Output()
	return strings.TrimSpace(string(b)), err
}

// box is a window: its id, where it says it is, and its size in pixels.
type box struct {
	id         string
	x, y, w, h int
}

// look finds a visible window of a title, if there is one.
func (s *stage) look(title string) (box, error) {
	id, err := s.xdotool("search", "--onlyvisible", "--name", title)
	if err != nil || id == "" {
		return box{}, fmt.Errorf("no window %q: %w", title, err)
	}
	id = strings.Fields(id)[0]
	out, err := s.xdotool("getwindowgeometry", "--shell", id)
	if err != nil {
		return box{}, err
	}
	b := box{id: id}
	for _, l := range strings.Split(out, "\n") {
		k, v, _ := strings.Cut(l, "=")
		n, _ := strconv.Atoi(v)
		switch k {
		case "X":
			b.x = n
		case "Y":
			b.y = n
		case "WIDTH":
			b.w = n
		case "HEIGHT":
			b.h = n
		}
	}
	return b, nil
}

// find waits for a visible window of a title and for its place to come to rest. On a busy machine
// it may still change later: who clicks again looks again.
func (s *stage) find(title string) box {
	s.t.Helper()
	var last box
	same := 0
	s.until("window "+title, func() bool {
		b, err := s.look(title)
		if same++; err != nil || b != last {
			same = 0
		}
		last = b
		return same >= 3 && b.h > 20
	})
	return last
}

func (s *stage) gone(title string) {
	s.t.Helper()
	s.until("end of window "+title, func() bool {
		id, err := s.xdotool("search", "--onlyvisible", "--name", title)
		return err != nil || id == ""
	})
}

// until asks ten times a second, for a minute.
func (s *stage) until(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			s.shot("failed")
			s.t.Fatalf("no %s within a minute", what)
		}
	}
}

// click presses the left button in a window, counted from its upper left corner.
func (s *stage) click(id string, x, y int) {
	s.t.Helper()
	if _, err := s.xdotool("mousemove", "--window", id, fmt.Sprint(x), fmt.Sprint(y), "sleep", "0.2", "mousedown", "1", "sleep", "0.1", "mouseup", "1"); err != nil {
		s.t.Fatal(err)
	}
}

// accepted clicks on Accept until that is answered: where the window came up slowly Accept is dead
// for longer than ask waited.
func (s *stage) accepted(answers chan prompt.Answer) prompt.Answer {
	s.t.Helper()
	return s.insist(answers, func() error { return s.clickAt(box.accept) })
}

// clickAt clicks into the window that asks, where it is now.
func (s *stage) clickAt(where func(box) (id string, x, y int)) error {
	b, err := s.look(consentTitle)
	if err != nil {
		return err
	}
	id, x, y := where(b)
	_, err = s.xdotool("mousemove", "--window", id, fmt.Sprint(x), fmt.Sprint(y), "sleep", "0.2", "mousedown", "1", "sleep", "0.1", "mouseup", "1")
	return err
}

// insist does the same again until there is an answer: a window that comes up slowly does not
// take it the first time.
func (s *stage) insist(answers chan prompt.Answer, do func() error) prompt.Answer {
	s.t.Helper()
	for range 20 {
		select {
		case a := <-answers:
			return a
		default:
		}
		if err := do(); err != nil {
			break // the window is gone: it was answered
		}
		select {
		case a := <-answers:
			return a
		case <-time.After(3 * time.Second):
		}
	}
	return s.answer(answers)
}

// key types a key for who insists.
func (s *stage) key(name string) func() error {
	return func() error {
		_, err := s.xdotool("key", name)
		return err
	}
}

// shot keeps a picture of the screen where HANDRAIL_SHOTS names a directory.
func (s *stage) shot(name string) {
	dir := os.Getenv("HANDRAIL_SHOTS")
	if dir == "" {
		return
	}
	file := filepath.Join(dir, strings.ReplaceAll(s.t.Name(), "/", "_")+"_"+name+".png")
	c := exec.Command("import", "-window", "root", file)
	c.Env = s.env()
	if out, err := c.CombinedOutput(); err != nil {
		s.t.Logf("no picture: %v %s", err, out)
	}
}

func request() prompt.Request {
	return prompt.Request{
		Session: signaling.NewSessionID(), Operator: signaling.Operator{Name: "Alex Kim", Email: "alex.kim@acme.example", Role: "Technician"},
		Organisation: "Acme IT", Reason: "Your ticket of this morning: the printer on the second floor prints blank pages",
		Capabilities: signaling.SetOf(signaling.View, signaling.Control, signaling.Clipboard), Within: time.Minute,
	}
}

const (
	consentTitle = "Handrail: request for help"
	stripTitle   = "Handrail: session"
)

// ask asks and returns the window once it takes answers, and where the answer will come.
func (s *stage) ask(r prompt.Request) (box, chan prompt.Answer) {
	s.t.Helper()
	answers := make(chan prompt.Answer, 1)
	go func() { answers <- s.desk.Ask(s.t.Context(), r) }()
	b := s.find(consentTitle)
	<-time.After(settle + 300*time.Millisecond) // Accept is dead until then, on purpose
	s.shot("asked")
	return b, answers
}

func (s *stage) answer(answers chan prompt.Answer) prompt.Answer {
	s.t.Helper()
	select {
	case a := <-answers:
		return a
	case <-time.After(time.Minute):
		s.shot("unanswered")
		s.t.Fatal("no answer arrived")
	}
	panic("unreachable")
}

// Where the buttons are, from the window's lower edge.
func (b box) accept() (id string, x, y int)  { return b.id, b.w * 3 / 4, b.h - 62 }
func (b box) decline() (id string, x, y int) { return b.id, b.w / 4, b.h - 62 }

func TestAcceptByMouse(t *testing.T) {
	s := newStage(t, "--theme", "light")
	r := request()
	_, answers := s.ask(r)
	a := s.accepted(answers)
	if a.Decision != signaling.DecisionGranted || a.Granted != r.Capabilities || a.By == "" {
		t.Errorf("answer = %+v, want everything granted, by somebody", a)
	}
	s.gone(consentTitle)
}

func TestDeclineByMouse(t *testing.T) {
	s := newStage(t, "--theme", "dark")
	_, answers := s.ask(request())
	if a := s.insist(answers, func() error { return s.clickAt(box.decline) }); a.Decision != signaling.DecisionDeclined {
		t.Errorf("answer = %+v, want declined", a)
	}
	s.gone(consentTitle)
}

func TestKeyboard(t *testing.T) {
	s := newStage(t)
	_, answers := s.ask(request())
	for _, key := range []string{"Return", "space", "KP_Enter"} {
		if _, err := s.xdotool("key", key); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case a := <-answers:
		t.Fatalf("keys of somebody who was typing gave %+v", a)
	case <-time.After(500 * time.Millisecond):
	}
	if a := s.insist(answers, s.key("Escape")); a.Decision != signaling.DecisionDeclined {
		t.Errorf("after Escape: %+v, want declined", a)
	}
	// Tab goes over the switches to the buttons; Space flips and presses.
	s.granted(signaling.SetOf(signaling.View, signaling.Clipboard), func(_ box, answers chan prompt.Answer) prompt.Answer {
		for _, key := range []string{"Tab", "Tab", "space", "Tab", "Tab", "Tab"} { // control is switched off
			if _, err := s.xdotool("key", key); err != nil {
				t.Fatal(err)
			}
		}
		s.shot("tabbed")
		return s.insist(answers, s.key("space"))
	})
}

// granted asks until the answer to what do does grants want: on a busy machine a window may
// miss a key or a click that comes before it has the focus or has drawn itself.
func (s *stage) granted(want signaling.CapabilitySet, do func(box, chan prompt.Answer) prompt.Answer) {
	s.t.Helper()
	var got signaling.CapabilitySet
	for range 5 {
		b, answers := s.ask(request())
		if got = do(b, answers).Granted; got == want {
			return
		}
		s.gone(consentTitle)
	}
	s.t.Errorf("granted %v, want %v", got.List(), want.List())
}

func TestSwitchByMouse(t *testing.T) {
	s := newStage(t)
	s.granted(signaling.SetOf(signaling.View, signaling.Control), func(b box, answers chan prompt.Answer) prompt.Answer {
		s.click(b.id, b.w-64, b.h-176) // the last switch: clipboard
		s.shot("switched")
		return s.accepted(answers)
	})
}

func TestSilenceAndWithdrawal(t *testing.T) {
	s := newStage(t)
	r := request()
	r.Within = 8 * time.Second
	_, answers := s.ask(r)
	if a := s.answer(answers); a.Decision != signaling.DecisionTimeout {
		t.Errorf("answer = %+v, want timeout", a)
	}
	s.gone(consentTitle)
}

func TestMoreIsAskedFor(t *testing.T) {
	s := newStage(t)
	r := request()
	r.Already = signaling.SetOf(signaling.View)
	r.Capabilities = signaling.SetOf(signaling.Capabilities()...)
	r.Reason = ""
	_, answers := s.ask(r)
	if a := s.accepted(answers); a.Granted != r.Capabilities {
		t.Errorf("granted %v, want all", a.Granted.List())
	}
}

func TestBanner(t *testing.T) {
	s := newStage(t)
	banner := prompt.Banner{
		Session: "ses_a", Operator: request().Operator, Organisation: "Acme IT", SinceUS: time.Now().Add(-75 * time.Second).UnixMicro(),
		Granted: request().Capabilities, Viewers: []string{"Alex Kim"},
	}
	s.desk.Show(banner)
	var b box
	s.until("banner at the top middle of 1280 pixels", func() bool {
		b = s.find(stripTitle)
		mid := b.x + b.w/2
		return b.y == 0 && mid >= 638 && mid <= 642
	})
	s.shot("seen")
	banner.Controlled, banner.Viewers = true, []string{"Alex Kim", "Robin Doe"}
	s.desk.Show(banner)
	b = s.find(stripTitle)
	s.shot("used")
	pauses := func(b box) (x, y int) { return b.w - 140, b.h / 2 }

	if c := s.press(prompt.Pause, pauses); c.Session != "ses_a" || c.By == "" {
		t.Errorf("command = %+v, want it to say of what and by whom", c)
	}
	banner.Paused = true
	s.desk.Show(banner)
	b = s.find(stripTitle)
	s.shot("paused")
	s.press(prompt.Resume, pauses)
	var open box
	s.until("unfolded banner", func() bool {
		s.click(b.id, b.w-24, b.h/2)
		for range 10 {
			if open = s.find(stripTitle); open.h > b.h+40 {
				return true
			}
		}
		return false
	})
	s.shot("unfolded")
	if c := s.press(prompt.Drop, func(b box) (x, y int) { return b.w - 36, b.h - 20 }); c.Capability != signaling.Clipboard { // the last
		t.Errorf("command = %+v, want clipboard dropped", c)
	}
	s.press(prompt.Stop, func(o box) (x, y int) { return o.w - 75, b.h / 2 })
	s.desk.Hide("ses_a")
	s.until("farewell", func() bool { return s.find(stripTitle).h < open.h-40 })
	s.shot("over")
	s.gone(stripTitle)
}

// press clicks on the banner until the command comes that this is to give: a window that is
// slow to draw what is new does not take the first click. What an earlier click gave twice is
// passed over.
func (s *stage) press(want prompt.Kind, where func(box) (x, y int)) prompt.Command {
	s.t.Helper()
	for range 20 {
		b := s.find(stripTitle)
		x, y := where(b)
		s.click(b.id, x, y)
		for more := time.After(3 * time.Second); more != nil; {
			select {
			case c := <-s.said:
				if c.Kind == want {
					return c
				}
			case <-more:
				more = nil
			}
		}
	}
	s.shot("unsaid")
	s.t.Fatalf("no %s arrived", want)
	panic("unreachable")
}

// TestNothingCoversTheBanner puts a full-screen window over everything.
func TestNothingCoversTheBanner(t *testing.T) {
	s := newStage(t)
	s.desk.Show(prompt.Banner{Session: "ses_a", Operator: request().Operator, Granted: request().Capabilities, Viewers: []string{"Alex Kim"}})
	b := s.find(stripTitle)
	s.start("xterm", "-title", "cover", "-fullscreen", "-e", "cat")
	s.find("cover")
	s.until("banner above the window", func() bool {
		// xdotool tells which window is under the pointer.
		if _, err := s.xdotool("mousemove", "640", "12"); err != nil {
			return false
		}
		out, err := s.xdotool("getmouselocation", "--shell")
		return err == nil && strings.Contains(out, "WINDOW="+b.id)
	})
	s.shot("covered")
}

// TestBannerLeavesTheKeyboard types while the banner comes, goes and comes back.
func TestBannerLeavesTheKeyboard(t *testing.T) {
	s := newStage(t)
	typed := filepath.Join(t.TempDir(), "typed")
	s.start("xterm", "-title", "page", "-e", "sh", "-c", "cat > "+typed)
	page := s.find("page")
	if _, err := s.xdotool("windowfocus", "--sync", page.id); err != nil {
		t.Fatal(err)
	}
	banner := prompt.Banner{Session: "ses_a", Operator: request().Operator, Granted: request().Capabilities, Viewers: []string{"Alex Kim"}}
	text := strings.Repeat("the quick brown fox jumps over the lazy dog ", 8)
	done := make(chan error, 1)
	go func() {
		_, err := s.xdotool("type", "--delay", "15", text+"\n")
		done <- err
	}()
	s.desk.Show(banner)
	s.find(stripTitle)
	s.desk.Hide("ses_a")
	s.gone(stripTitle)
	s.desk.Show(banner)
	s.find(stripTitle)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.until("every letter on the page", func() bool {
		b, err := os.ReadFile(typed)
		return err == nil && string(b) == text+"\n"
	})
}

// TestGoneDisplayEndsIt: without its display the companion ends, so that the daemon knows
// that nobody can be asked.
func TestGoneDisplayEndsIt(t *testing.T) {
	s := newStage(t)
	s.ask(request())
	s.x.Kill()
	s.want(false)
}
