package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"handrail/mdm"
	"handrail/mdm/command"
)

// ErrNotNow says that there is no link: no use in trying before Online is called.
var ErrNotNow = errors.New("not connected")

// Config hands over what commands are carried out with. Dir and the functions of the gateway
// are needed; a kind whose function is nil is unsupported.
type Config struct {
	Dir     string // of the journal; made when missing
	Scratch string // scripts run in directories made here; "" means the system's for temporary files

	LogRoot string // logs are collected from here; "" means /var/log
	Cgroups string // control group below which each script gets one of its own; "" is the agent's own
	// MaxProcesses is how many a script may have at a time; 0 means 512.
	MaxProcesses int
	OnlyAs       string // the one account scripts may run as; "" means whichever they name

	Claim  func(ctx context.Context, c command.Claim) (command.ClaimAnswer, error)
	Report func(ctx context.Context, r command.Results) (command.ResultsAnswer, error)
	Upload func(ctx context.Context, id command.ID, path string) error

	System System // nil means the running one
	// Refresh has the whole inventory reported anew.
	Refresh func(ctx context.Context) error
	// Notify shows a notice. It waits until somebody is there to see it or ctx ends, calls
	// begin before it is shown, and returns who saw it come up.
	Notify func(ctx context.Context, n command.Notice, begin func() error) (who string, err error)
	// Rotate makes a new device key count. It may be called again after it was broken off.
	Rotate func(ctx context.Context) error

	RetryMin, RetryMax time.Duration // between tries to reach the gateway; 0 means 1 s and 1 min
}

// Executor is the room. Its methods are safe for concurrent use.
type Executor struct {
	cfg     Config
	log     *slog.Logger
	journal *journal
	kick    chan struct{}

	mu      sync.Mutex
	ask     bool // something may wait at the gateway
	online  bool // a try makes sense
	ordered []command.ID
	wakeUp  chan struct{} // the lane has work
	aside   chan command.ID
	stops   map[command.ID]context.CancelCauseFunc
	stopped map[command.ID]bool // cancelled before it had its turn
	results map[command.ID]command.Result
}

// errCancelled is the cause of a context that an operator's cancellation ended.
var errCancelled = errors.New("cancelled")

// New reads the journal; it starts nothing.
func New(cfg Config, log *slog.Logger) (*Executor, error) {
	if cfg.Dir == "" || cfg.Claim == nil || cfg.Report == nil {
		return nil, errors.New("command: directory and gateway must be given")
	}
	if cfg.System == nil {
		cfg.System = NewSystem()
	}
	if cfg.MaxProcesses <= 0 {
		cfg.MaxProcesses = maxProcesses
	}
	if cfg.LogRoot == "" {
		cfg.LogRoot = logRoot
	}
	if cfg.RetryMin <= 0 {
		cfg.RetryMin = time.Second
	}
	if cfg.RetryMax <= 0 {
		cfg.RetryMax = time.Minute
	}
	j, err := openJournal(filepath.Clean(cfg.Dir), log)
	if err != nil {
		return nil, err
	}
	return &Executor{
		cfg: cfg, log: log, journal: j, kick: make(chan struct{}, 1), wakeUp: make(chan struct{}, 1), aside: make(chan command.ID, 4*command.MaxOpen),
		stops: map[command.ID]context.CancelCauseFunc{}, stopped: map[command.ID]bool{}, results: map[command.ID]command.Result{},
	}, nil
}

// Nudge says that something waits at the gateway.
func (e *Executor) Nudge() {
	e.mu.Lock()
	e.ask = true
	e.mu.Unlock()
	poke(e.kick)
}

// Online says that the gateway can be reached. Results that wait are sent; what waits at the
// gateway it will nudge for.
func (e *Executor) Online() {
	e.mu.Lock()
	e.online = true
	e.mu.Unlock()
	poke(e.kick)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run carries out commands until ctx ends. What runs then is ended and reported later.
func (e *Executor) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for _, r := range e.journal.in(known, begun) {
		e.enqueue(r.ID, r.Kind)
	}
	all.Go(func() { e.runOrdered(ctx) })
	all.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case id := <-e.aside:
				all.Go(func() { e.carryOut(ctx, id) })
			}
		}
	})
	e.talk(ctx)
	return nil
}

// enqueue gives a command its turn: those that change the device one after the other, in
// the order they were given; the others beside them.
func (e *Executor) enqueue(id command.ID, kind command.Kind) {
	switch kind {
	case command.Message, command.RefreshInventory, command.CollectLogs:
		select {
		case e.aside <- id:
			return
		default: // more than a gateway ever sends; it waits in line with the others
		}
	}
	e.mu.Lock()
	e.ordered = append(e.ordered, id)
	e.mu.Unlock()
	poke(e.wakeUp)
}

func (e *Executor) runOrdered(ctx context.Context) {
	for {
		e.mu.Lock()
		var id command.ID
		if len(e.ordered) > 0 {
			id, e.ordered = e.ordered[0], e.ordered[1:]
		}
		e.mu.Unlock()
		if id != "" {
			e.carryOut(ctx, id)
			if ctx.Err() == nil {
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-e.wakeUp:
		}
	}
}

// talk keeps the conversation with the gateway: it rests until there is something to say or
// to ask, and tries again while the gateway can be reached and does not answer.
func (e *Executor) talk(ctx context.Context) {
	pause := e.cfg.RetryMin
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.kick:
		case <-retry:
		}
		retry = nil
		err := e.exchange(ctx)
		switch {
		case err == nil:
			pause = e.cfg.RetryMin
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrNotNow): // Online is called when it comes back
		default:
			e.log.Warn("commands could not be exchanged with the gateway", "err", err, "retry_in", pause)
			retry = time.After(pause)
			pause = min(2*pause, e.cfg.RetryMax)
		}
	}
}

// exchange reports what is over and fetches what waits, until there is neither.
func (e *Executor) exchange(ctx context.Context) error {
	if err := e.report(ctx); err != nil {
		return err
	}
	for {
		e.mu.Lock()
		ask := e.ask
		e.ask = false
		e.mu.Unlock()
		if !ask {
			return nil
		}
		answer, err := e.cfg.Claim(ctx, command.Claim{Have: e.have()})
		if err == nil {
			err = e.take(answer)
		}
		if err != nil || answer.More {
			e.mu.Lock()
			e.ask = true
			e.mu.Unlock()
		}
		if err != nil {
			return err
		}
	}
}

func (e *Executor) have() []command.ID {
	var ids []command.ID
	for _, r := range e.journal.in(known, begun, over) {
		ids = append(ids, r.ID)
	}
	return ids[max(0, len(ids)-command.MaxOpen):]
}

// take writes down what came and gives it its turn. What cannot be written down is not done:
// the gateway sends it again.
func (e *Executor) take(a command.ClaimAnswer) error {
	for _, id := range a.Cancel {
		e.cancel(id)
	}
	for _, d := range a.Commands {
		if r, ok := e.journal.get(d.ID); ok {
			e.log.Info("a command came again", "command", d.ID, "step", string(r.Step))
			if r.Step == thanks {
				// The gateway says it does not have the result: it may have lost its database.
				r.Step = over
				r.Result = &command.Result{ID: r.ID, State: command.Failed, Reason: command.ReasonInterrupted, Message: "done before; what came of it was reported and is not kept here"}
				if err := e.journal.put(r); err != nil {
					return err
				}
				poke(e.kick)
			}
			continue
		}
		now := time.Now()
		within := min(max(time.Duration(d.WithinMS)*time.Millisecond, 0), command.MaxTTL)
		err := e.journal.put(record{
			ID: d.ID, Kind: d.Kind, Params: d.Params, Step: known, KnownUS: now.UnixMicro(), UntilUS: now.Add(within).UnixMicro(),
		})
		if err != nil {
			return fmt.Errorf("command %s cannot be written down: %w", d.ID, err)
		}
		e.log.Info("command taken on", "command", d.ID, "kind", string(d.Kind))
		e.enqueue(d.ID, d.Kind)
	}
	return nil
}

// cancel stops what runs, or what has not had its turn.
func (e *Executor) cancel(id command.ID) {
	r, _ := e.journal.get(id)
	e.mu.Lock()
	defer e.mu.Unlock()
	if stop := e.stops[id]; stop != nil {
		stop(errCancelled)
	} else if r.Step == known {
		e.stopped[id] = true
	}
}

// reportBytes is about how much output goes in one request.
const reportBytes = 2 << 20

// report sends results until none is left.
func (e *Executor) report(ctx context.Context) error {
	for {
		rs := command.Results{}
		size := 0
		for _, r := range e.journal.in(over) {
			if r.Result == nil || len(rs.Results) == command.MaxResults || size > 0 && size+len(r.Result.Output) > reportBytes {
				continue
			}
			size += len(r.Result.Output)
			rs.Results = append(rs.Results, *r.Result)
		}
		e.mu.Lock()
		for id, r := range e.results { // could not be written down
			if len(rs.Results) < command.MaxResults && (size == 0 || size+len(r.Output) <= reportBytes) &&
				!slices.ContainsFunc(rs.Results, func(o command.Result) bool { return o.ID == id }) {
				size += len(r.Output)
				rs.Results = append(rs.Results, r)
			}
		}
		e.mu.Unlock()
		if len(rs.Results) == 0 {
			return nil
		}
		answer, err := e.cfg.Report(ctx, rs)
		if err != nil {
			return err
		}
		taken := 0
		for _, r := range rs.Results {
			if !slices.Contains(answer.Taken, r.ID) {
				continue
			}
			taken++
			e.mu.Lock()
			delete(e.results, r.ID)
			e.mu.Unlock()
			if err := e.journal.thank(r.ID); err != nil {
				return fmt.Errorf("journal of commands: %w", err)
			}
		}
		if taken == 0 {
			return errors.New("the gateway took none of the results")
		}
	}
}

// carryOut does one command, or takes up one that was broken off.
func (e *Executor) carryOut(ctx context.Context, id command.ID) {
	r, ok := e.journal.get(id)
	if !ok || r.Step != known && r.Step != begun {
		return
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	e.mu.Lock()
	e.stops[id] = stop
	if e.stopped[id] {
		stop(errCancelled)
	}
	delete(e.stopped, id)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.stops, id)
		e.mu.Unlock()
	}()
	job := &job{e: e, record: r}
	var out outcome
	switch {
	case r.Step == begun:
		out = job.takeUp(ctx)
	case errors.Is(context.Cause(ctx), errCancelled):
		out = outcome{state: command.Cancelled, message: "cancelled before it was begun"}
	case time.Now().UnixMicro() > r.UntilUS:
		out = outcome{state: command.Expired, message: "its time was over before the device could begin"}
	default:
		out = job.do(ctx)
	}
	if out.unfinished {
		return
	}
	e.finish(job, out)
}

// finish writes the result down and has it sent.
func (e *Executor) finish(job *job, out outcome) {
	r := job.record
	res := command.Result{
		ID: r.ID, State: out.state, Reason: out.reason, Message: mdm.Clean(out.message, command.MaxText), ExitCode: out.exit,
		StartedUS: r.BegunUS, EndedUS: time.Now().UnixMicro(), Output: out.output, OutputBytes: out.total,
	}
	if res.StartedUS == 0 {
		res.EndedUS = 0 // nothing was done
	}
	r.Step, r.Params, r.Result = over, nil, &res
	if err := e.journal.put(r); err != nil {
		e.log.Error("a command's result could not be written down", "command", r.ID, "err", err)
		e.mu.Lock()
		e.results[r.ID] = res
		e.mu.Unlock()
	}
	e.log.Info("command is over", "command", r.ID, "kind", string(r.Kind), "state", string(res.State), "reason", string(res.Reason))
	poke(e.kick)
}
