package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"handrail/signaling"
	"handrail/signaling/tool"
)

// endWithin is how long a process has to end when asked to.
const endWithin = 5 * time.Second

// start acts beside everything else, as ending a process may take a while.
func (s *serving) start(ctx context.Context, acts *sync.WaitGroup, re string, a signaling.ProcessAct) error {
	select {
	case s.slots <- struct{}{}:
	default:
		done := signaling.ProcessDone{PID: a.PID, Birth: a.Birth, What: a.What, Message: "Too much is being done at once. Wait for it and try again."}
		return tool.Tell(ctx, s.c, signaling.TypeProcessDone, re, done)
	}
	acts.Go(func() {
		defer func() { <-s.slots }()
		// An error is the channel's, which ends the tool anyway.
		_ = tool.Tell(ctx, s.c, signaling.TypeProcessDone, re, s.act(ctx, a))
	})
	return nil
}

// target is one process held by a handle, so that its number cannot become another's.
type target struct {
	pid  int64
	fd   int // of the process; -1 where the kernel has none such (before 5.3)
	name string
	user string
	kind signaling.ProcessKind
	st   stat
}

var errGone = errors.New("it has ended")

// hold takes hold of the process that began at birth.
func (t *Tool) hold(pid, birth int64) (*target, error) {
	p := &target{pid: pid, fd: -1}
	fd, err := unix.PidfdOpen(int(pid), 0)
	switch {
	case err == nil:
		p.fd = fd
	case errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL): // EINVAL: a thread's number
		return nil, errGone
	}
	// Looked at after it is held: what is read now is of the process that the handle is of.
	if err := p.look(t.who, birth); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

func (p *target) release() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
	}
}

func (p *target) look(who *owner, birth int64) error {
	dir := "/proc/" + strconv.FormatInt(p.pid, 10)
	b, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return errGone
	}
	st, ok := parseStat(b)
	if !ok || st.birth != birth || st.state == "Z" || st.state == "X" { // ended, if not yet collected
		return errGone
	}
	p.st, p.name = st, nameOf(st.name)
	if st.parent == kernelPID || p.pid == kernelPID && st.parent == 0 {
		p.kind = signaling.ProcessKernel
		return nil
	}
	b, err = os.ReadFile(dir + "/status")
	if err != nil {
		return errGone
	}
	u, ok := parseIDs(b)
	if !ok {
		return errors.New("whose it is cannot be read")
	}
	p.kind = who.kind(p.pid, p.name, u, who.uid())
	if p.user = usersOf("/etc/passwd")[u.real]; p.user == "" {
		p.user = strconv.FormatUint(uint64(u.real), 10)
	}
	return nil
}

func (p *target) words() string { return fmt.Sprintf("%s (%d) of %s", p.name, p.pid, p.user) }

// act does what is asked, and writes it on the timeline, however it went.
func (s *serving) act(ctx context.Context, a signaling.ProcessAct) signaling.ProcessDone {
	done := signaling.ProcessDone{PID: a.PID, Birth: a.Birth, What: a.What}
	p, err := s.hold(a.PID, a.Birth)
	if errors.Is(err, errGone) {
		done.Gone = true
		done.OK = a.What == signaling.ProcessEnd || a.What == signaling.ProcessKill // as was wished
		done.Message = fmt.Sprintf("Process %d had ended before.", a.PID)
		s.c.Note(fmt.Sprintf("%s process %d: it had ended before", a.What, a.PID))
		return done
	}
	if err != nil {
		done.Message = "The process cannot be looked at: " + err.Error() + "."
		return done
	}
	defer p.release()
	if why := s.refuses(p, a); why != "" {
		done.Message = why
		s.c.Note(fmt.Sprintf("tried to %s %s: refused", a.What, p.words()))
		return done
	}
	before := p.condition()
	switch a.What {
	case signaling.ProcessEnd:
		err = p.end(ctx, &done)
	case signaling.ProcessKill:
		if err = p.signal(unix.SIGKILL); err == nil {
			if done.Gone = p.ended(ctx, endWithin); !done.Gone {
				err = errors.New("it waits for a disk or a network that does not answer, and ends when that does; if it does not, restart the device")
			}
		}
	case signaling.ProcessStop:
		err = p.hold(ctx, s.who, unix.SIGSTOP, true)
	case signaling.ProcessContinue:
		err = p.hold(ctx, s.who, unix.SIGCONT, false)
	case signaling.ProcessNice:
		err = p.renice(int(a.Nice))
	}
	if errors.Is(err, unix.ESRCH) || errors.Is(err, errGone) {
		err, done.Gone = nil, true
	}
	if err != nil {
		done.Message = fmt.Sprintf("%s: %s.", p.words(), err)
		s.c.Note(fmt.Sprintf("%s %s: %s; it is still %s", a.What, p.words(), err, before))
		return done
	}
	done.OK = true
	after := "ended"
	if !done.Gone {
		after = p.now(s.who, a.Birth)
	}
	done.Message = fmt.Sprintf("%s: %s before, %s now.", p.words(), before, after)
	s.c.Note(fmt.Sprintf("%s %s: %s before, %s now", a.What, p.words(), before, after))
	return done
}

// refuses says why it will not be done; "" where it will.
func (s *serving) refuses(p *target, a signaling.ProcessAct) string {
	switch {
	case p.kind == signaling.ProcessAgent:
		return "This is a part of Handrail itself, which is not ended from a session: the session would end with it."
	case p.kind == signaling.ProcessKernel:
		return "This is a part of the kernel, which cannot be ended."
	case p.pid == 1 && a.What != signaling.ProcessNice:
		return "This is the process that everything else runs under. Restart the device instead."
	case s.c.May(signaling.Root):
		return ""
	case p.kind != signaling.ProcessOwn:
		return fmt.Sprintf("%s is not of the person signed in. Ask for “as administrator” to act on it.", p.words())
	case a.What == signaling.ProcessNice && a.Nice < p.st.nice:
		return "To put a process before others takes an administrator. Ask for “as administrator”, or choose a higher number."
	}
	return ""
}

// condition is what a process does, in words.
func (p *target) condition() string {
	word := "running"
	switch p.st.state {
	case "T", "t":
		word = "held"
	case "D":
		word = "waiting for a disk"
	}
	return fmt.Sprintf("%s with priority %d", word, p.st.nice)
}

func (p *target) now(who *owner, birth int64) string {
	if err := p.look(who, birth); err != nil {
		return "ended"
	}
	return p.condition()
}

func (p *target) signal(sig unix.Signal) error {
	if p.fd < 0 {
		return unix.Kill(int(p.pid), sig)
	}
	return unix.PidfdSendSignal(p.fd, sig, nil, 0)
}

// end asks it to end and waits. One that is held hears nothing, so it is let go on.
func (p *target) end(ctx context.Context, done *signaling.ProcessDone) error {
	if err := p.signal(unix.SIGTERM); err != nil {
		return err
	}
	if p.st.state == "T" {
		_ = p.signal(unix.SIGCONT) // it may be gone by now
	}
	if done.Gone = p.ended(ctx, endWithin); !done.Gone {
		return fmt.Errorf("it was asked to end and still runs after %s: it may be saving its work, or it does not listen; killing it ends it at once", endWithin)
	}
	return nil
}

// hold holds the process or lets it go on, which takes the kernel a moment.
func (p *target) hold(ctx context.Context, who *owner, sig unix.Signal, held bool) error {
	if err := p.signal(sig); err != nil {
		return err
	}
	for range 100 {
		if err := p.look(who, p.st.birth); err != nil || (p.st.state == "T") == held || ctx.Err() != nil {
			return err
		}
		_, _ = unix.Poll(nil, 10)
	}
	return nil
}

// ended waits until the process has ended.
func (p *target) ended(ctx context.Context, within time.Duration) bool {
	for limit := time.Now().Add(within); ; {
		left := time.Until(limit)
		if p.fd < 0 {
			if err := unix.Kill(int(p.pid), 0); errors.Is(err, unix.ESRCH) {
				return true
			}
		}
		list := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}} //nolint:gosec // a descriptor; -1 only waits
		n, err := unix.Poll(list, int(min(max(left.Milliseconds(), 0), 100)))
		if err == nil && n > 0 {
			return true
		}
		if left <= 0 || ctx.Err() != nil {
			return false
		}
	}
}

// renice gives all threads of the process another priority: to the kernel each has its own.
func (p *target) renice(nice int) error {
	tasks, err := os.ReadDir("/proc/" + strconv.FormatInt(p.pid, 10) + "/task")
	if err != nil {
		return errGone
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("its priority cannot be set: %w", err)
		}
	}
	return nil
}
