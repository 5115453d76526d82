package shell

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"handrail/agent/internal/account"
	"handrail/signaling"
	"handrail/signaling/shell"
	"handrail/signaling/tool"
)

// stallAfter is how long a program waits for viewers that show nothing more: a page in the
// background, or one whose network is gone. Then it goes on, and they see the end of it later.
const stallAfter = 5 * time.Second

// drainFor is how long what a shell wrote last is waited for once it has ended.
const drainFor = 500 * time.Millisecond

// program is a shell in a terminal of the operating system.
type program interface {
	// Read returns what the program shows; it fails once nobody can write any more, or the
	// terminal is closed. Write types; it blocks while the program does not read.
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	// Resize tells the program a size.
	Resize(s size) error
	// Wait returns once the shell has ended.
	Wait()
	// End ends the shell and everything that it started in its terminal: first politely, then
	// for certain. It blocks, for some seconds at most, and may be called more than once, by
	// several goroutines, until Close.
	End()
	// Close gives the terminal up once Wait has returned, and says how the shell ended. Read and
	// Write fail then.
	Close() (code int, words string)
}

// terminal is one terminal. The reader goroutine feeds screen, each viewer has a goroutine that
// sends of it.
type terminal struct {
	id      string
	as      account.Account
	opener  string
	started time.Time
	session signaling.SessionID
	prog    program
	log     *slog.Logger
	note    func(string) // on the session's timeline
	stall   time.Duration
	record  Recorder // nil: what it shows is not kept
	typing  chan []byte

	over chan struct{} // closed when the terminal is over and everything it showed is in screen
	end  sync.Once     // of the program

	mu      sync.Mutex
	moved   *sync.Cond // viewers came, went, or have shown more
	screen  *screen
	viewers map[*viewer]struct{}
	idle    *time.Timer // ends the terminal when nobody comes; nil while somebody is there
	ending  bool        // the shell has ended
	exited  signaling.TerminalExited
	ended   string // why it was ended from this side
}

// viewer is one channel that has the terminal open. Everything in it is guarded by the terminal.
type viewer struct {
	phase    phase
	sent     uint64        // which byte of the screen comes next; before the tail: too far behind
	until    uint64        // while replaying: the first byte that is live
	prefix   []byte        // comes before that byte
	size     size          // what its page was told
	out      uint64        // bytes of Output sent on this channel
	shown    uint64        // of those
	progress time.Time     // when shown grew
	wake     chan struct{} // has a value when there may be something to do
}

// phase is how far a viewer is with what the terminal has shown so far.
type phase int

const (
	fresh     phase = iota // has nothing yet
	replaying              // is told what was
	live                   // is told what is
)

func (v *viewer) nudge() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// brief describes it.
func (t *terminal) brief() signaling.TerminalBrief {
	t.mu.Lock()
	defer t.mu.Unlock()
	return signaling.TerminalBrief{
		ID: t.id, User: t.as.Name, Root: t.as.UID == 0, Opener: t.opener, StartedMS: t.started.UnixMilli(),
		Viewers: len(t.viewers), Recorded: t.record != nil,
	}
}

// run feeds the screen until the program is over; then it calls gone.
func (t *terminal) run(gone func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.read()
	}()
	go t.typeIn()
	t.prog.Wait()
	t.mu.Lock()
	t.ending = true
	t.moved.Broadcast()
	t.mu.Unlock()
	select {
	case <-done:
	case <-time.After(drainFor): // what it left behind may hold the terminal open for ever
	}
	t.prog.End()
	code, words := t.prog.Close()
	<-done
	gone()
	t.mu.Lock()
	if t.idle != nil {
		t.idle.Stop()
	}
	if t.ended != "" {
		words = t.ended
	}
	t.exited = signaling.TerminalExited{Code: code, Message: words}
	close(t.over)
	t.wakeAll()
	t.mu.Unlock()
	if t.record != nil {
		t.record.Close()
	}
	t.log.Info("terminal ended", "terminal", t.id, "how", words)
	t.note(fmt.Sprintf("the terminal as %s ended: %s", t.as.Name, words))
}

// hangUp ends the program from this side, and says why. It does not wait.
func (t *terminal) hangUp(why string) {
	t.mu.Lock()
	if t.ended == "" {
		t.ended = why
	}
	t.mu.Unlock()
	t.end.Do(func() { go t.prog.End() })
}

// read takes what the program shows, no faster than somebody sees it.
func (t *terminal) read() {
	b := make([]byte, 2*shell.MaxBytes)
	for {
		t.awaitViewers()
		n, err := t.prog.Read(b)
		if n > 0 {
			t.mu.Lock()
			t.screen.append(b[:n])
			t.wakeAll()
			t.mu.Unlock()
			if t.record != nil {
				t.record.Output(b[:n])
			}
		}
		if err != nil {
			return
		}
	}
}

// awaitViewers waits while every viewer has much to show yet, unless none of them gets on.
func (t *terminal) awaitViewers() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		wait := t.lag()
		if wait <= 0 {
			return
		}
		again := time.AfterFunc(wait, t.moved.Broadcast)
		t.moved.Wait()
		again.Stop()
	}
}

// lag is how long the program may have to wait for its viewers; the quickest of them counts.
func (t *terminal) lag() time.Duration {
	wait := time.Duration(0)
	for v := range t.viewers {
		if t.ending || t.screen.head()-v.sent+v.out-v.shown < shell.Window {
			return 0
		}
		wait = max(wait, t.stall-time.Since(v.progress))
	}
	return wait
}

func (t *terminal) wakeAll() {
	for v := range t.viewers {
		v.nudge()
	}
	t.moved.Broadcast()
}

// typeIn hands the program what was typed.
func (t *terminal) typeIn() {
	for {
		select {
		case b := <-t.typing:
			if _, err := t.prog.Write(b); err != nil {
				return
			}
		case <-t.over:
			return
		}
	}
}

// errNotReading is for a program that what is typed cannot be given to.
var errNotReading = errors.New("the program in the terminal does not read what is typed; nothing more can wait for it")

// put queues what was typed.
func (t *terminal) put(b []byte) error {
	select {
	case t.typing <- b:
		return nil
	default:
		return errNotReading
	}
}

// resize gives the terminal the size of a viewer's page.
func (t *terminal) resize(to size) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.screen.size() == to {
		return
	}
	if err := t.prog.Resize(to); err != nil {
		t.log.Debug("terminal not resized", "error", err)
		return
	}
	t.screen.resize(to)
	if t.record != nil {
		t.record.Resize(to.cols, to.rows)
	}
	t.wakeAll()
}

// join adds a viewer.
func (t *terminal) join() *viewer {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := &viewer{wake: make(chan struct{}, 1), progress: time.Now()}
	t.viewers[v] = struct{}{}
	if t.idle != nil {
		t.idle.Stop()
		t.idle = nil
	}
	v.nudge()
	return v
}

// leave takes a viewer out. Without any, the terminal ends after a while.
func (t *terminal) leave(v *viewer, keep time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.viewers, v)
	t.moved.Broadcast()
	if len(t.viewers) == 0 && !t.ending {
		t.idle = time.AfterFunc(keep, func() { t.hangUp("Nobody had it open for " + spoken(keep) + ".") })
	}
}

// heard takes a viewer's word of how much its page has shown.
func (t *terminal) heard(v *viewer, shown uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if shown > v.out || shown < v.shown {
		return fmt.Errorf("the page says it has shown %d bytes, of %d", shown, v.out)
	}
	v.shown, v.progress = shown, time.Now()
	v.nudge()
	t.moved.Broadcast()
	return nil
}

// message is what goes to a viewer: output, or else an envelope.
type message struct {
	output []byte
	kind   signaling.Type
	body   any
}

// next is what a viewer is to get now; false when there is nothing, or its page has enough to show.
func (t *terminal) next(v *viewer) (message, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.screen
	if v.phase == fresh || v.sent < s.tail {
		v.phase, v.sent, v.until, v.prefix, v.size = replaying, s.tail, s.head(), s.left.restore(), size{}
		return message{kind: signaling.TypeTerminalReplay, body: signaling.TerminalReplay{Cut: s.tail > 0}}, true
	}
	now := s.sizeAt(v.sent)
	room := min(shell.MaxBytes, shell.Window-int(v.out-v.shown)) //nolint:gosec // at most Window is on its way
	switch {
	case v.size != now:
		v.size = now
		return message{kind: signaling.TypeTerminalSize, body: signaling.TerminalSize{Cols: now.cols, Rows: now.rows}}, true
	case v.phase == replaying && v.sent >= v.until && len(v.prefix) == 0:
		v.phase = live
		return message{kind: signaling.TypeTerminalReady, body: signaling.TerminalReady{}}, true
	case room <= 0:
		return message{}, false
	case len(v.prefix) > 0:
		b := v.prefix[:min(room, len(v.prefix))]
		v.prefix = v.prefix[len(b):]
		v.out += uint64(len(b))
		return message{output: b}, true
	case v.sent < s.head():
		b := s.from(v.sent, room)
		v.sent += uint64(len(b))
		v.out += uint64(len(b))
		return message{output: b}, true
	case t.isOver():
		return message{kind: signaling.TypeTerminalExited, body: t.exited}, true
	}
	return message{}, false
}

func (t *terminal) isOver() bool {
	select {
	case <-t.over:
		return true
	default:
		return false
	}
}

// send sends a viewer the terminal until it is over, or the channel is.
func (t *terminal) send(ctx context.Context, c tool.Conn, v *viewer) error {
	for {
		m, ok := t.next(v)
		switch {
		case !ok:
			select {
			case <-v.wake:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		case m.output != nil:
			b, err := shell.Frame{Kind: shell.Output, Bytes: m.output}.Append(nil)
			if err != nil {
				return err
			}
			if err := c.Send(ctx, tool.Message{Data: b}); err != nil {
				return err
			}
		default:
			if err := tool.Tell(ctx, c, m.kind, "", m.body); err != nil {
				return err
			}
			if m.kind == signaling.TypeTerminalExited {
				return errExited
			}
		}
	}
}

// errExited ends the channel of a terminal that is over; its viewer knows.
var errExited = errors.New("the terminal is over")

// repaint has a program that paints the whole screen do so again, where what it painted before is
// not kept.
func (t *terminal) repaint() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.screen.size(); t.screen.left.alternate() && s.rows > 1 {
		_ = t.prog.Resize(size{s.cols, s.rows - 1}) // a program that is gone needs not paint
		_ = t.prog.Resize(s)
	}
}

// spoken is a time in words.
func spoken(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	}
	return fmt.Sprintf("%d minutes", int(d.Minutes()))
}
