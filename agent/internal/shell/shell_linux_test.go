package shell_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"handrail/agent/internal/shell"
	"handrail/signaling"
)

func TestTypeAndSee(t *testing.T) {
	p := visit(t, newShell(t))
	p.say(signaling.TypeTerminalList, signaling.TerminalList{})
	l := told[signaling.TerminalListed](p, "list")
	if len(l.Terminals) != 0 || l.KeepMS != (30*time.Minute).Milliseconds() || (os.Geteuid() == 0) != (l.RootProblem == "") {
		t.Errorf("list %+v", l)
	}
	p.opens()
	p.types("echo a$((40+2))b; stty size; tty\r")
	p.shows("a42b")
	p.shows("24 80")
	p.shows("/dev/pts/")
	p.say(signaling.TypeTerminalResize, signaling.TerminalResize{Cols: 101, Rows: 31})
	p.types("stty size\r")
	p.shows("31 101")
	p.types("exit 3\r")
	if e := told[signaling.TerminalExited](p, "exit"); e.Code != 3 || !strings.Contains(e.Message, "status 3") {
		t.Errorf("exited %+v", e)
	}
	if err := p.ends(); err != nil {
		t.Errorf("the channel of a shell that exited ends with %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := strings.Join(p.notes, "; "); !strings.Contains(n, "opened a terminal as ") || !strings.Contains(n, "status 3") {
		t.Errorf("timeline: %s", n)
	}
}

// TestEnvironment: a login shell of the account, with nothing of the agent's.
func TestEnvironment(t *testing.T) {
	t.Setenv("HANDRAIL_SECRET", "hidden")
	p := visit(t, newShell(t, func(c *shell.Config) { c.Env = func() []string { return []string{"DISPLAY=:77"} } }))
	p.say(signaling.TypeTerminalOpen, signaling.TerminalOpen{Root: os.Geteuid() == 0, Cols: 300, Rows: 24})
	p.prompted()
	p.types("echo \"<$HOME|$USER|$TERM|$0|$HANDRAIL_SECRET>\"; echo done$((1+1))\r")
	p.shows("done2")
	name, err := exec.CommandContext(t.Context(), "id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	_ = home
	p.shows("|" + strings.TrimSpace(string(name)) + "|xterm-256color|-")
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.Contains(p.text, "hidden") {
		t.Errorf("the agent's own environment shows: %q", p.text)
	}
}

// TestComesBack: a network that was gone changes nothing: the program ran on, and its screen is shown again.
func TestComesBack(t *testing.T) {
	s := newShell(t)
	p := visit(t, s)
	id := p.opens()
	p.types("x=kept; printf 'before\\n'; (read go; echo got-$go)\r")
	p.shows("before\r\n")
	p.leave()
	back := visit(t, s)
	back.say(signaling.TypeTerminalList, signaling.TerminalList{})
	if l := told[signaling.TerminalListed](back, "list").Terminals; len(l) != 1 || l[0].ID != id || l[0].Opener != "Ada" || l[0].Viewers != 0 {
		t.Fatalf("terminals %+v", l)
	}
	back.attaches(id)
	back.shows("before\r\n")
	back.types("on\r")
	back.shows("got-on")
	back.types("echo $x-$x\r")
	back.shows("kept-kept")

	elsewhere := visit(t, s, func(p *page) { p.session = "ses_2" })
	elsewhere.say(signaling.TypeTerminalAttach, signaling.TerminalAttach{ID: id, Cols: 80, Rows: 24})
	if err := elsewhere.ends(); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("a terminal of another session: %v", err)
	}
}

// TestShared: two viewers see and type in the same terminal, and each is told its size.
func TestShared(t *testing.T) {
	s := newShell(t)
	a := visit(t, s)
	id := a.opens()
	b := visit(t, s, func(p *page) { p.who = "Bea" })
	b.say(signaling.TypeTerminalAttach, signaling.TerminalAttach{ID: id, Cols: 132, Rows: 43})
	b.shows("ready> ")
	a.until("size of the other's page", func() bool {
		for _, m := range a.told {
			if m == (signaling.TerminalSize{Cols: 132, Rows: 43}) {
				return true
			}
		}
		return false
	})
	b.types("echo from-b\r")
	a.shows("from-b")
	b.until("note", func() bool { return strings.Contains(strings.Join(b.notes, "; "), "that Ada opened") })
	b.say(signaling.TypeTerminalClose, signaling.TerminalClose{})
	if e := told[signaling.TerminalExited](a, "exit"); e.Message != "It was closed." {
		t.Errorf("exited %+v", e)
	}
}

// gone waits until a process is no more, or only waits to be collected.
func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil || strings.Contains(string(b[strings.LastIndexByte(string(b), ')'):]), ") Z") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d goes on: %s", pid, b)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// pid reads a process's number that a program in the terminal printed.
func (p *page) pid(name string) int {
	p.t.Helper()
	var n int
	p.until("number of "+name, func() bool {
		i := strings.LastIndex(p.text, name+"=<")
		if i < 0 {
			return false
		}
		text, _, _ := strings.Cut(p.text[i+len(name)+2:], ">")
		n, _ = strconv.Atoi(text) // 0 for the command itself
		return n > 0
	})
	return n
}

// TestEndsWithItsSession: also what runs in the background, in a group of its own, and what would
// not hear of it.
func TestEndsWithItsSession(t *testing.T) {
	s := newShell(t)
	p := visit(t, s)
	p.opens()
	p.types("set -m; nohup sleep 1001 >/dev/null 2>&1 & printf 'a=<%s>\\n' $!\r")
	a := p.pid("a")
	p.types("sleep 1002 & printf 'b=<%s>\\n' $!\r")
	b := p.pid("b")
	other := visit(t, s, func(p *page) { p.session = "ses_2" })
	other.opens()
	s.Over("ses_1")
	if e := told[signaling.TerminalExited](p, "exit"); e.Message != "The session is over." {
		t.Errorf("exited %+v", e)
	}
	gone(t, a)
	gone(t, b)
	other.types("echo still-$((1+1))\r")
	other.shows("still-2")
}

// TestEndsWithoutViewers: a terminal nobody comes back to does not run for ever.
func TestEndsWithoutViewers(t *testing.T) {
	s := newShell(t, func(c *shell.Config) { c.Keep = 50 * time.Millisecond })
	p := visit(t, s)
	id := p.opens()
	p.types("printf 'me=<%s>\\n' $$\r")
	me := p.pid("me")
	p.leave()
	gone(t, me)
	back := visit(t, s)
	back.say(signaling.TypeTerminalAttach, signaling.TerminalAttach{ID: id, Cols: 80, Rows: 24})
	// It may still be on its way out: then that is what the page is told.
	if err := back.ends(); err != nil && !strings.Contains(err.Error(), "has ended") {
		t.Error(err)
	}
}

// TestAgentStops: nothing that was started in a terminal outlives the agent.
func TestAgentStops(t *testing.T) {
	var me int
	t.Run("until it stops", func(t *testing.T) {
		p := visit(t, newShell(t))
		p.opens()
		p.types("trap '' HUP; printf 'me=<%s>\\n' $$\r")
		me = p.pid("me")
	})
	if err := syscall.Kill(me, 0); err == nil {
		gone(t, me)
	}
}

// TestRights: root's terminal takes the right to it; a terminal of nobody is refused in words.
func TestRights(t *testing.T) {
	s := newShell(t, func(c *shell.Config) { c.Desktop = func() (int, bool) { return 0, true } })
	plain := func(p *page) { p.may = signaling.SetOf(signaling.Terminal) }
	p := visit(t, s, plain)
	p.say(signaling.TypeTerminalOpen, signaling.TerminalOpen{Root: true, Cols: 80, Rows: 24})
	_ = p.ends()
	p = visit(t, s, plain)
	p.say(signaling.TypeTerminalList, signaling.TerminalList{})
	if l := told[signaling.TerminalListed](p, "list"); l.User != "" || !strings.Contains(l.UserProblem, "Nobody is signed in") {
		t.Errorf("list where root has the desktop: %+v", l)
	}
	p.say(signaling.TypeTerminalOpen, signaling.TerminalOpen{Cols: 80, Rows: 24})
	if err := p.ends(); err == nil || !strings.Contains(err.Error(), "Nobody is signed in") {
		t.Errorf("a terminal as nobody: %v", err)
	}
	for _, p := range []*page{p} {
		p.mu.Lock()
		if len(p.notes) > 0 {
			t.Errorf("notes %q", p.notes)
		}
		p.mu.Unlock()
	}
	if os.Geteuid() != 0 {
		return
	}
	p = visit(t, s)
	id := p.opens()
	p = visit(t, s, plain)
	p.say(signaling.TypeTerminalAttach, signaling.TerminalAttach{ID: id, Cols: 80, Rows: 24})
	_ = p.ends()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text != "" {
		t.Errorf("somebody who may not be root sees root's terminal: %q", p.text)
	}
}

// TestAsAnotherUser: an agent that runs as root starts the shell as the account whose desktop it is.
func TestAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		s := newShell(t, func(c *shell.Config) { c.Desktop = func() (int, bool) { return os.Geteuid() + 1, true } })
		p := visit(t, s)
		p.say(signaling.TypeTerminalOpen, signaling.TerminalOpen{Cols: 80, Rows: 24})
		if err := p.ends(); err == nil {
			t.Error("a terminal as somebody else can be opened by an agent that is not root")
		}
		return
	}
	uid := someone(t)
	p := visit(t, newShell(t, func(c *shell.Config) { c.Desktop = func() (int, bool) { return uid, true } }))
	p.may = signaling.SetOf(signaling.Terminal)
	p.say(signaling.TypeTerminalOpen, signaling.TerminalOpen{Cols: 80, Rows: 24})
	p.prompted()
	p.types("echo uid-$(id -u)-; ls /root; echo owner-$(stat -c %u:%a $(tty))-\r")
	p.shows(fmt.Sprintf("uid-%d-", uid))
	p.shows("Permission denied")
	p.shows(fmt.Sprintf("owner-%d:620-", uid))
}

// someone is an account of this machine that may sign in and is not root.
func someone(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if uid, err := strconv.Atoi(f[2]); err == nil && uid != 0 && strings.HasSuffix(f[6], "sh") {
			return uid
		}
	}
	name := "handrail-test"
	if out, err := exec.CommandContext(t.Context(), "useradd", "--system", "--shell", "/bin/sh", name).CombinedOutput(); err != nil {
		t.Fatalf("useradd: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("userdel", name).Run() }) //nolint:noctx // the test's context is over by then
	out, err := exec.CommandContext(t.Context(), "id", "-u", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return uid
}
