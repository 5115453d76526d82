// Package shell is the terminals of a session: shells of this device in terminals of the operating
// system, as the person who is signed in or as root, which viewers open, leave and find again. What
// a terminal showed last is kept and shown again to whoever comes; what runs in it does not notice
// that a network was gone. All of it ends with the session.
package shell

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"handrail/agent/internal/account"
	"handrail/signaling"
	"handrail/signaling/shell"
	"handrail/signaling/tool"
)

// DefaultKeep is how long a terminal runs on without a viewer.
const DefaultKeep = 30 * time.Minute

// mostTyped is how many frames of typing may wait for a program that does not read.
const mostTyped = 256

// termName is the terminal that programs are told of; the page's is one of these.
const termName = "xterm-256color"

// Config says how terminals run. Desktop is needed.
type Config struct {
	// Desktop is the account of the person who is signed in; false where nobody is. It is asked
	// whenever a terminal is opened.
	Desktop func() (uid int, ok bool)
	// Env adds to the environment of the desktop's account, as where its display is. May be nil.
	Env func() []string
	// Keep is how long a terminal runs on without a viewer; 0 means DefaultKeep.
	Keep time.Duration
	// Record keeps what a terminal shows, in sessions that are recorded. nil: none is recorded.
	Record func(Recorded) (Recorder, error)
}

// Recorded says of which terminal a recording is.
type Recorded struct {
	Session    signaling.SessionID
	Terminal   string
	User       string // account it runs as
	Opener     string // operator
	Started    time.Time
	Cols, Rows int
}

// Recorder keeps what one terminal shows. Its methods may be called by several goroutines, and must
// not block for long.
type Recorder interface {
	Output(b []byte)
	Resize(cols, rows int)
	Close()
}

// Shell is the tool. It is safe for concurrent use.
type Shell struct {
	cfg   Config
	log   *slog.Logger
	start func(as account.Account, env []string, s size) (program, error)

	mu     sync.Mutex
	open   map[signaling.SessionID][]*terminal // oldest first
	closed bool
	wg     sync.WaitGroup // a terminal each
}

// New returns the tool without any terminal.
func New(cfg Config, log *slog.Logger) *Shell {
	if cfg.Keep <= 0 {
		cfg.Keep = DefaultKeep
	}
	return &Shell{cfg: cfg, log: log, start: start, open: map[signaling.SessionID][]*terminal{}}
}

// Run waits until ctx ends, and then ends every terminal.
func (s *Shell) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.closed = true
	for _, list := range s.open {
		for _, t := range list {
			t.hangUp("The agent was stopped.")
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// Over ends the terminals of a session that is over. It does not wait for them.
func (s *Shell) Over(id signaling.SessionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.open[id] {
		t.hangUp("The session is over.")
	}
}

// Serve talks with one viewer; a tool.Serve. The channel is one terminal's once it opened one or
// took part in it.
func (s *Shell) Serve(ctx context.Context, c tool.Conn) error {
	for {
		m, err := c.Recv(ctx)
		if err != nil {
			return err
		}
		if !m.Text {
			return errors.New("nothing can be typed before a terminal is open")
		}
		e, err := signaling.Decode(m.Data, signaling.FromViewer)
		if err != nil {
			return err
		}
		switch b := e.Body.(type) {
		case signaling.TerminalList:
			err = tool.Tell(ctx, c, signaling.TypeTerminalListed, e.ID, s.list(c))
		case signaling.TerminalOpen:
			t, err := s.openFor(c, b)
			if err != nil {
				return err
			}
			return s.attend(ctx, c, t)
		case signaling.TerminalAttach:
			t, err := s.find(c, b)
			if err != nil {
				return err
			}
			t.resize(size{b.Cols, b.Rows})
			return s.attend(ctx, c, t)
		default:
			return tool.NotFor(e)
		}
		if err != nil {
			return err
		}
	}
}

// list is what a viewer may open.
func (s *Shell) list(c tool.Conn) signaling.TerminalListed {
	l := signaling.TerminalListed{KeepMS: s.cfg.Keep.Milliseconds(), Terminals: []signaling.TerminalBrief{}}
	if a, err := s.user(); err != nil {
		l.UserProblem = sentence(err)
	} else {
		l.User = a.Name
	}
	if _, err := root(); err != nil {
		l.RootProblem = sentence(err)
	}
	s.mu.Lock()
	open := slices.Clone(s.open[c.Session()])
	s.mu.Unlock()
	for _, t := range open {
		l.Terminals = append(l.Terminals, t.brief())
	}
	return l
}

// errNobody is for a device whose desktop belongs to nobody.
var errNobody = errors.New("nobody is signed in at this device, so there is nobody to open a terminal as; as administrator it can be opened")

// user is who a terminal is opened as, unless as root.
func (s *Shell) user() (account.Account, error) {
	uid, ok := s.cfg.Desktop()
	if !ok || uid == 0 { // root's own desktop takes the right to be root
		return account.Account{}, errNobody
	}
	a, err := account.ByUID(uid)
	if err != nil {
		return a, err
	}
	return a, a.Check()
}

func root() (account.Account, error) {
	a, err := account.ByUID(0)
	if err != nil {
		return a, err
	}
	return a, a.Check()
}

// openFor starts a shell for a viewer.
func (s *Shell) openFor(c tool.Conn, o signaling.TerminalOpen) (*terminal, error) {
	var env []string
	if s.cfg.Env != nil {
		env = s.cfg.Env()
	}
	who := s.user
	if o.Root {
		if err := c.Require(signaling.Root); err != nil {
			return nil, err
		}
		who, env = root, nil
	}
	as, err := who()
	if err != nil {
		return nil, errors.New(sentence(err))
	}
	// Under the lock, so that a session that ends meanwhile ends this one too, and the number holds.
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, tool.ErrClosed
	case len(s.open[c.Session()]) >= signaling.MaxTerminals:
		return nil, fmt.Errorf("This session has %d terminals open, the most there may be. Close one first.", signaling.MaxTerminals) //nolint:revive,staticcheck // a sentence for the operator
	}
	is := size{o.Cols, o.Rows}
	prog, err := s.start(as, env, is)
	if err != nil {
		c.Note(fmt.Sprintf("could not open a terminal as %s: %v", as.Name, err))
		return nil, fmt.Errorf("no terminal could be opened as %s: %w", as.Name, err)
	}
	t := &terminal{
		id: signaling.NewID("trm"), as: as, opener: c.Operator(), started: time.Now(), session: c.Session(), prog: prog,
		log: s.log.With("session", c.Session()), note: c.Note, stall: stallAfter, typing: make(chan []byte, mostTyped),
		over: make(chan struct{}), screen: newScreen(is), viewers: map[*viewer]struct{}{},
	}
	t.moved = sync.NewCond(&t.mu)
	if err := s.record(c, t, is); err != nil {
		prog.End()
		_, _ = prog.Close()
		return nil, err
	}
	s.open[t.session] = append(s.open[t.session], t)
	s.log.Info("terminal opened", "session", t.session, "terminal", t.id, "account", as.Name, "operator", t.opener)
	words := opened(as)
	if t.record != nil {
		words += "; it is recorded"
	}
	c.Note(words)
	s.wg.Go(func() { t.run(func() { s.remove(t) }) })
	return t, nil
}

func opened(as account.Account) string {
	if as.UID == 0 {
		return "opened a terminal as administrator (root)"
	}
	return "opened a terminal as " + as.Name
}

// record begins the recording of a terminal, where the session is recorded: then there is none
// without.
func (s *Shell) record(c tool.Conn, t *terminal, is size) error {
	if s.cfg.Record == nil || !c.May(signaling.Record) {
		return nil
	}
	r, err := s.cfg.Record(Recorded{
		Session: t.session, Terminal: t.id, User: t.as.Name, Opener: t.opener, Started: t.started, Cols: is.cols, Rows: is.rows,
	})
	if err != nil {
		c.Note(fmt.Sprintf("no terminal was opened, as it could not be recorded: %v", err))
		return fmt.Errorf("this session is recorded, and the terminal's recording cannot be written: %w", err)
	}
	t.record = r
	return nil
}

func (s *Shell) remove(t *terminal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[t.session] = slices.DeleteFunc(s.open[t.session], func(o *terminal) bool { return o == t })
	if len(s.open[t.session]) == 0 {
		delete(s.open, t.session)
	}
}

// find finds the terminal a viewer wants back.
func (s *Shell) find(c tool.Conn, a signaling.TerminalAttach) (*terminal, error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.open[c.Session()], func(t *terminal) bool { return t.id == a.ID })
	if i < 0 {
		s.mu.Unlock()
		return nil, errors.New("That terminal has ended.") //nolint:revive,staticcheck // a sentence for the operator
	}
	t := s.open[c.Session()][i]
	s.mu.Unlock()
	if t.as.UID == 0 {
		if err := c.Require(signaling.Root); err != nil {
			return nil, err
		}
	}
	if t.opener != c.Operator() {
		c.Note(fmt.Sprintf("joined the terminal as %s that %s opened", t.as.Name, t.opener))
	}
	return t, nil
}

// attend is a viewer's time in a terminal.
func (s *Shell) attend(ctx context.Context, c tool.Conn, t *terminal) error {
	v := t.join()
	defer t.leave(v, s.cfg.Keep)
	if err := tool.Tell(ctx, c, signaling.TypeTerminalOpened, "", signaling.TerminalOpened{Terminal: t.brief()}); err != nil {
		return err
	}
	t.repaint()
	ctx, cancel := context.WithCancelCause(ctx)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		cancel(t.send(ctx, c, v))
	}()
	err := s.listen(ctx, c, t, v)
	cancel(err)
	<-sent
	if errors.Is(context.Cause(ctx), errExited) {
		return nil
	}
	return err
}

// listen takes what a viewer sends.
func (s *Shell) listen(ctx context.Context, c tool.Conn, t *terminal, v *viewer) error {
	for {
		m, err := c.Recv(ctx)
		if err != nil {
			return err
		}
		if m.Text {
			err = hear(c, t, m.Data)
		} else {
			err = take(t, v, m.Data)
		}
		if err != nil {
			return err
		}
	}
}

func take(t *terminal, v *viewer, b []byte) error {
	f, err := shell.Decode(b)
	switch {
	case err != nil:
		return err
	case f.Kind == shell.Input:
		return t.put(f.Bytes)
	case f.Kind == shell.Shown:
		return t.heard(v, f.Shown)
	}
	return fmt.Errorf("%w: kind %d from a viewer", shell.ErrFrame, f.Kind)
}

func hear(c tool.Conn, t *terminal, text []byte) error {
	e, err := signaling.Decode(text, signaling.FromViewer)
	if err != nil {
		return err
	}
	switch b := e.Body.(type) {
	case signaling.TerminalResize:
		t.resize(size{b.Cols, b.Rows})
	case signaling.TerminalClose:
		c.Note("closed the terminal as " + t.as.Name)
		t.hangUp("It was closed.")
	default:
		return tool.NotFor(e)
	}
	return nil
}

// sentence makes an error one: what an operator reads begins large and ends with a stop.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
