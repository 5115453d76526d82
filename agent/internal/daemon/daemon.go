package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"handrail/agent/internal/command"
	"handrail/agent/internal/diag"
	"handrail/agent/internal/enforce"
	"handrail/agent/internal/files"
	"handrail/agent/internal/helper"
	"handrail/agent/internal/link"
	"handrail/agent/internal/prompt"
	"handrail/agent/internal/seat"
	"handrail/agent/internal/session"
	"handrail/agent/internal/shell"
	"handrail/agent/internal/state"
	"handrail/agent/internal/vitals"
	"handrail/signaling"
	"handrail/signaling/client"
)

// SocketFile is the local socket's name in the state directory.
const SocketFile = "agent.sock"

// Config says what runs where. State and Version are needed.
type Config struct {
	State     *state.Dir
	Version   string
	Socket    string // local socket; "" means SocketFile in the state directory
	Display   string // X display; "" means $DISPLAY, and none where that is empty too
	Companion string // program that shows windows; "" starts none and waits for one to come
	// DesktopUID is the account besides root and the daemon's own whose companion may
	// speak for the person at the device; negative means none.
	DesktopUID int
	// Helper is the command line of the desktop helper, this program in its other role; empty: its
	// work is done in this process.
	Helper []string
	// FollowSeat serves whoever is signed in at the device's screen, as logind tells; where a Display is
	// given it is that one.
	FollowSeat  bool
	Fingerprint string        // "" takes the machine's; tests run several devices on one machine
	Interval    time.Duration // between looks at the inventory; 0 means diag.DefaultInterval
	// Root is the tree settings apply to: "/" for the running system; "" means a scratch tree
	// in the state directory, which changes nothing of this machine.
	Root string
	// Sample has this agent speak for the system whose files are in Root, and not for the
	// machine it runs on: its inventory is of that tree, and what would act on the machine, as a
	// restart, is refused in words.
	Sample        bool
	Kernel        bool          // settings of the running kernel are applied although Root is a scratch tree, as in a namespace
	ConfirmWithin time.Duration // what cuts the device off is undone after this; 0 means enforce.DefaultConfirm
	MaxBackoff    time.Duration // of the link; 0 means the link's own
	Allowed       signaling.CapabilitySet
	System        command.System // what restarts and shuts down; nil means the running machine
}

// Daemon is the running agent.
type Daemon struct {
	cfg      Config
	log      *slog.Logger
	desk     *prompt.Desk
	host     *session.Host
	reporter *diag.Reporter
	collect  *diag.Collector
	engine   *enforce.Engine
	worked   chan struct{} // something ran that needed memory
	executor *command.Executor
	shell    *shell.Shell
	screen   helper.Screen
	seat     *seat.Seat
	instance string       // of this process, to the gateway
	asking   atomic.Int32 // questions open for the person at the device

	mu     sync.Mutex
	link   *link.Link // the newest; nil before the first
	relink func()     // has keepLink make a new one
	status state.Status
}

// New checks the configuration and what is on disk; it starts nothing. It fails with
// state.ErrNotEnrolled on a device that has not been enrolled.
func New(cfg Config, log *slog.Logger) (*Daemon, error) {
	e, err := cfg.State.Enrollment()
	if err != nil {
		return nil, err
	}
	if cfg.Socket == "" {
		cfg.Socket = cfg.State.Path(SocketFile)
	}
	if cfg.Display == "" {
		cfg.Display = os.Getenv("DISPLAY")
	}
	d := &Daemon{worked: make(chan struct{}, 1), cfg: cfg, log: log, instance: signaling.NewID("run")}
	d.status = state.Status{Link: string(linkOff), SinceUS: time.Now().UnixMicro(), PID: os.Getpid(), Version: cfg.Version}
	d.seat = newSeat(cfg, log)
	if d.collect, err = newCollector(cfg); err != nil {
		return nil, err
	}
	if d.desk, err = prompt.New(d.deskConfig(), log.With("room", "prompt")); err != nil {
		return nil, err
	}
	if d.reporter, err = diag.NewReporter(diag.ReporterConfig{
		Collect: d.collect.Collect, Upload: d.upload, Ready: d.isOnline, Interval: cfg.Interval, Watch: d.watchSystem,
	}, log.With("room", "diag")); err != nil {
		return nil, err
	}
	if d.engine, err = d.newEngine(); err != nil {
		return nil, err
	}
	if d.executor, err = d.newExecutor(); err != nil {
		return nil, err
	}
	if err := d.newScreen(); err != nil {
		return nil, err
	}
	d.shell = d.newShell()
	if d.host, err = session.New(d.sessionConfig(e), log.With("room", "session")); err != nil {
		return nil, err
	}
	d.onPresence(false) // until a companion comes
	return d, nil
}

// newSeat follows logind where this agent serves whoever is signed in; otherwise the desktop is
// the display it was given.
func newSeat(cfg Config, log *slog.Logger) *seat.Seat {
	if cfg.Display == "" && cfg.FollowSeat {
		return seat.Logind(nil, log.With("room", "seat"))
	}
	return seat.Fixed(cfg.Display, cfg.DesktopUID)
}

func (d *Daemon) deskConfig() prompt.Config {
	c := prompt.Config{Socket: d.cfg.Socket, OnCommand: d.onCommand, OnPresence: d.onPresence, Status: d.Status}
	if d.cfg.DesktopUID >= 0 || d.cfg.FollowSeat {
		own := os.Geteuid()
		c.Mode = 0o666 // who may speak is checked for each connection
		c.Allow = func(peer uint32) bool {
			uid, ok := d.person()
			return peer == 0 || int(peer) == own || ok && int(peer) == uid
		}
	}
	return c
}

func (d *Daemon) sessionConfig(e state.Enrollment) session.Config {
	c := session.Config{
		Send: d.send, Ask: d.ask, Show: d.show, Hide: d.desk.Hide,
		Save: d.saveSessions, Restore: d.savedSessions(), Allowed: d.cfg.Allowed, NeedBanner: true, Loopback: isLoopback(e.Gateway),
		Tools: map[string]session.Tool{
			// Of the machine itself, also where what is managed is a tree of its own.
			signaling.ToolVitals:   {Need: signaling.Diagnostics, Serve: vitals.New("/").Serve},
			signaling.ToolTerminal: d.terminal(),
			signaling.ToolFiles:    {Need: signaling.Files, Serve: files.New(files.Config{Desktop: d.person}).Serve},
		},
	}
	d.diagnose(c.Tools)
	d.serveScreen(&c)
	return c
}

// isLoopback reports whether the gateway is on this machine, whose addresses viewers on it
// can then reach.
func isLoopback(gateway string) bool {
	u, err := url.Parse(gateway)
	return err == nil && (u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "::1")
}

// Run runs the agent until ctx ends. It fails where another agent runs on the same state
// directory, or the local socket cannot be made.
func (d *Daemon) Run(ctx context.Context) error {
	release, err := d.cfg.State.Lock()
	if err != nil {
		return err
	}
	defer release()
	if err := d.prepare(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.desk.Run(ctx) })
	g.Go(func() error { return d.host.Run(ctx) })
	g.Go(func() error { return d.shell.Run(ctx) })
	g.Go(func() error { return d.reporter.Run(ctx) })
	g.Go(func() error { return d.engine.Run(ctx) })
	g.Go(func() error { return d.keepSmall(ctx) })
	g.Go(func() error { return d.executor.Run(ctx) })
	g.Go(func() error { return d.keepLink(ctx) })
	g.Go(func() error { return d.keepCompanion(ctx) })
	g.Go(func() error { return d.screen.Run(ctx) })
	g.Go(func() error { return d.seat.Run(ctx) })
	if err = g.Wait(); errors.Is(err, context.Canceled) {
		err = nil // that is how it is told to stop
	}
	d.setStatus(func(s *state.Status) { s.Link, s.Problem, s.Code = string(linkOff), "the agent was stopped", "" })
	return err
}

// prepare reports what must be right before anything is started: the key can be read, the
// fingerprint taken.
func (d *Daemon) prepare() error {
	l, err := d.newLink()
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.link = l
	d.mu.Unlock()
	return nil
}

func (d *Daemon) send(e signaling.Envelope) error {
	d.mu.Lock()
	l := d.link
	d.mu.Unlock()
	if l == nil {
		return link.ErrOffline
	}
	return l.Send(e)
}

func (d *Daemon) ask(ctx context.Context, r session.Request) session.Answer {
	d.asking.Add(1)
	defer d.asking.Add(-1)
	a := d.desk.Ask(ctx, prompt.Request{
		Session: r.Session, Operator: r.Operator, Organisation: r.Organisation, Reason: r.Reason,
		Capabilities: r.Capabilities, Already: r.Already, Within: r.Within,
	})
	return session.Answer{Decision: a.Decision, Granted: a.Granted, By: a.By, Message: a.Message}
}

func (d *Daemon) show(b session.Banner) {
	d.desk.Show(prompt.Banner{
		Session: b.Session, Operator: b.Operator, Organisation: b.Organisation, SinceUS: b.Since.UnixMicro(),
		Granted: b.Granted, Paused: b.Paused, Controlled: b.Controlled, Viewers: b.Viewers,
	})
}

func (d *Daemon) onCommand(c prompt.Command) {
	switch c.Kind {
	case prompt.Pause:
		d.host.Pause(c.Session, c.By)
	case prompt.Resume:
		d.host.Resume(c.Session, c.By)
	case prompt.Stop:
		d.host.Stop(c.Session, c.By)
	case prompt.Drop:
		d.host.Drop(c.Session, c.Capability, c.By)
	}
}

func (d *Daemon) onPresence(present bool) {
	d.host.Presence(present)
	d.setStatus(func(s *state.Status) {
		s.Companion = ""
		if !present {
			s.Companion = "no companion window is connected: nobody at the device can be asked, and attended sessions are paused"
		}
	})
}

func (d *Daemon) saveSessions(list []session.Saved) {
	if err := d.cfg.State.WriteJSON(state.SessionsFile, list); err != nil {
		d.log.Error("sessions could not be kept for a restart", "err", err)
	}
}

func (d *Daemon) savedSessions() []session.Saved {
	var list []session.Saved
	if err := d.cfg.State.ReadJSON(state.SessionsFile, &list); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("sessions of the last run are lost", "err", err)
	}
	return list
}

func (d *Daemon) upload(ctx context.Context, u signaling.InventoryUpload) (signaling.InventoryAnswer, error) {
	d.mu.Lock()
	l := d.link
	d.mu.Unlock()
	if l == nil {
		return signaling.InventoryAnswer{}, diag.ErrNotNow
	}
	a, err := l.PutInventory(ctx, u)
	if errors.Is(err, link.ErrOffline) {
		err = fmt.Errorf("%w: %w", diag.ErrNotNow, err)
	} else if d := link.RetryAfter(err); d > 0 {
		err = &diag.Postponed{After: d, Err: err}
	}
	return a, err
}

func (d *Daemon) isOnline() bool {
	d.mu.Lock()
	l := d.link
	d.mu.Unlock()
	return l != nil && l.State().Phase == client.Online
}

// watchSystem looks at the inventory, and tries the link, when the system says that
// something changed.
func (d *Daemon) watchSystem(ctx context.Context, changed func()) error {
	var tried time.Time // under mu: several watches say so, each on its own
	watch := diag.WatchSystem
	if d.cfg.Sample {
		watch = func(ctx context.Context, changed func()) error { return diag.WatchTree(ctx, d.cfg.Root, changed) }
	}
	return watch(ctx, func() {
		changed()
		d.mu.Lock()
		l := d.link
		isDue := l != nil && time.Since(tried) > time.Second
		if isDue {
			tried = time.Now()
		}
		d.mu.Unlock()
		if isDue {
			l.Retry()
		}
	})
}
