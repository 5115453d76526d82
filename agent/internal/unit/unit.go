// Package unit is the tool that shows the services of the device and starts, stops, enables and
// disables them: systemd's where that runs, scripts of /etc/init.d where it does not. A device
// with neither, as most containers, is said to have no service manager.
package unit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/mdm"
	"handrail/signaling"
	"handrail/signaling/tool"
)

// Bounds and paces.
const (
	maxServices = 3000
	maxLog      = 20  // lines of a service's log
	maxLine     = 400 // bytes of one
	maxActs     = 4   // under way at a time
	actWithin   = 60 * time.Second
	rowBytes    = 120 // that a row takes besides its texts, at most
)

// own is the agent's service, with which the session would end.
const own = "handrail-agent"

// manager is what keeps services on a device.
type manager interface {
	kind() signaling.ServiceManager
	// list tells every service; where states take long to ask, quick leaves them "unknown".
	list(ctx context.Context, quick bool) ([]signaling.ServiceRow, error)
	row(ctx context.Context, name string) (signaling.ServiceRow, error)
	details(ctx context.Context, name string) signaling.ServiceDetails
	// act returns what the programs had to say, besides an error.
	act(ctx context.Context, name string, what signaling.ServiceVerb) (string, error)
	log(ctx context.Context, name string) []string
	// pace is the least time between two lists.
	pace() time.Duration
}

var errNoService = errors.New("this device has no such service")

// Tool is the tool. It is safe for concurrent use.
type Tool struct{ sys *enforce.System }

// New returns the tool for a system; its root is "/" but in tests.
func New(sys *enforce.System) *Tool { return &Tool{sys: sys} }

// manager finds what keeps the services; nil where nothing does.
func (t *Tool) manager() manager {
	if t.sys.Exists("/run/systemd/system") {
		if path, err := t.sys.Tool("systemctl", "systemd"); err == nil {
			return &systemd{sys: t.sys, path: path}
		}
	}
	if t.sys.Exists(initDir) {
		return &sysv{sys: t.sys}
	}
	return nil
}

// Failed lists the services that failed, as far as they can be asked for without changing
// anything; known is false where there is nothing to ask.
func (t *Tool) Failed(ctx context.Context) (rows []signaling.ServiceRow, known bool, err error) {
	m := t.manager()
	if m == nil {
		return nil, false, nil
	}
	all, err := m.list(ctx, false)
	for _, r := range all {
		if r.State == "failed" {
			rows = append(rows, r)
		}
	}
	return rows, err == nil, err
}

// Log returns the last lines of a service's log, oldest first.
func (t *Tool) Log(ctx context.Context, name string) []string {
	if m := t.manager(); m != nil {
		return m.log(ctx, name)
	}
	return nil
}

// Serve serves one viewer until the channel ends; a tool.Serve.
func (t *Tool) Serve(ctx context.Context, c tool.Conn) error {
	ctx, asked, stop := tool.Asked(ctx, c)
	s := &serving{c: c, m: t.manager(), told: map[string]signaling.ServiceRow{}, slots: make(chan struct{}, maxActs), acted: make(chan struct{}, 1)}
	defer s.acts.Wait()
	defer stop()
	due := time.NewTimer(time.Hour)
	due.Stop()
	defer due.Stop()
	var every time.Duration
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-asked:
			switch b := e.Body.(type) {
			case signaling.ServiceWatch:
				if err = s.whole(ctx); err == nil && s.m != nil {
					every = max(time.Duration(b.EveryMS)*time.Millisecond, s.m.pace())
					due.Reset(every)
				}
			case signaling.ServiceLook:
				err = s.beside(ctx, func() error {
					return tool.Tell(ctx, c, signaling.TypeServiceDetails, e.ID, s.details(ctx, b.Name))
				})
			case signaling.ServiceAct:
				err = s.beside(ctx, func() error {
					defer s.soon()
					return tool.Tell(ctx, c, signaling.TypeServiceDone, e.ID, s.act(ctx, b))
				})
			default:
				err = tool.NotFor(e)
			}
		case <-s.acted:
			if every > 0 {
				err = s.changes(ctx)
				due.Reset(every)
			}
		case <-due.C:
			err = s.changes(ctx)
			due.Reset(every)
		}
		if err != nil {
			return err
		}
	}
}

// serving is one viewer's view.
type serving struct {
	c     tool.Conn
	m     manager // nil where there is none
	told  map[string]signaling.ServiceRow
	slots chan struct{}
	acts  sync.WaitGroup
	acted chan struct{} // has a value when something was done
}

const noManager = "This device has no service manager: neither systemd nor /etc/init.d. Most containers are so; what runs is in the list of processes."

// beside does what may take long while the rest goes on; it waits where too much does already.
func (s *serving) beside(ctx context.Context, do func() error) error {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.acts.Go(func() {
		defer func() { <-s.slots }()
		_ = do() // an error is the channel's, which ends the tool anyway
	})
	return nil
}

// soon has the list looked at again.
func (s *serving) soon() {
	select {
	case s.acted <- struct{}{}:
	default:
	}
}

// whole tells the list from its beginning.
func (s *serving) whole(ctx context.Context) error {
	clear(s.told)
	m := signaling.ServiceRows{First: true, Manager: signaling.ManagerNone, Message: noManager}
	if s.m == nil {
		m.Last, m.Rows, m.Gone = true, []signaling.ServiceRow{}, []string{}
		return tool.Tell(ctx, s.c, signaling.TypeServiceRows, "", m)
	}
	rows, err := s.m.list(ctx, true)
	if err := s.tell(ctx, rows, nil, true, err); err != nil {
		return err
	}
	if slices.ContainsFunc(rows, func(r signaling.ServiceRow) bool { return r.State == unknown }) {
		return s.changes(ctx)
	}
	return nil
}

// changes tells what changed since the last time; nothing where nothing did.
func (s *serving) changes(ctx context.Context) error {
	rows, err := s.m.list(ctx, false)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return s.tell(ctx, nil, nil, false, err)
	}
	var gone []string
	there := make(map[string]bool, len(rows))
	for _, r := range rows {
		there[r.Name] = true
	}
	for name := range s.told {
		if !there[name] {
			gone = append(gone, name)
			delete(s.told, name)
		}
	}
	rows = slices.DeleteFunc(rows, func(r signaling.ServiceRow) bool { return s.told[r.Name] == r })
	if len(rows) == 0 && len(gone) == 0 {
		return nil
	}
	return s.tell(ctx, rows, gone, false, nil)
}

// tell tells rows in pieces that fit a message.
func (s *serving) tell(ctx context.Context, rows []signaling.ServiceRow, gone []string, first bool, failed error) error {
	m := signaling.ServiceRows{First: first, Manager: s.m.kind(), Rows: []signaling.ServiceRow{}, Gone: []string{}}
	if failed != nil {
		m.Message = mdm.Clean("The services cannot be listed: "+failed.Error(), 1000)
	}
	for _, name := range gone {
		if tool.Weight(m.Gone...) < tool.Room/4 {
			m.Gone = append(m.Gone, name)
		}
	}
	room := tool.Room / 2
	for _, r := range rows {
		s.told[r.Name] = r
		w := rowBytes + tool.Weight(r.Name, r.Description, r.State, r.Sub, r.Enabled)
		if w > room {
			if err := tool.Tell(ctx, s.c, signaling.TypeServiceRows, "", m); err != nil {
				return err
			}
			m.First, m.Message, m.Rows, m.Gone, room = false, "", []signaling.ServiceRow{}, []string{}, tool.Room
		}
		room -= w
		m.Rows = append(m.Rows, r)
	}
	m.Last = true
	return tool.Tell(ctx, s.c, signaling.TypeServiceRows, "", m)
}

func (s *serving) details(ctx context.Context, name string) signaling.ServiceDetails {
	if s.m == nil {
		return signaling.ServiceDetails{Row: signaling.ServiceRow{Name: name, State: unknown}, Memory: -1, Tasks: -1, Needs: []string{}, Log: []string{}, Message: noManager}
	}
	d := s.m.details(ctx, name)
	if d.Needs == nil {
		d.Needs = []string{}
	}
	d.Log = orEmpty(s.m.log(ctx, name))
	return d
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// act does what is asked, and writes it on the timeline, however it went.
func (s *serving) act(ctx context.Context, a signaling.ServiceAct) signaling.ServiceDone {
	done := signaling.ServiceDone{Name: a.Name, What: a.What, Log: []string{}}
	switch {
	case s.m == nil:
		done.Message = noManager
		return done
	case !s.c.May(signaling.Root):
		done.Message = "To act on a service takes an administrator. Ask for “as administrator”."
		s.c.Note(fmt.Sprintf("tried to %s %s: refused", a.What, a.Name))
		return done
	case strings.TrimSuffix(a.Name, ".service") == own && a.What != signaling.ServiceEnable:
		done.Message = "This is Handrail itself: the session would end with it."
		s.c.Note(fmt.Sprintf("tried to %s %s: refused", a.What, a.Name))
		return done
	}
	before, err := s.m.row(ctx, a.Name)
	if err != nil {
		done.Message = mdm.Clean(fmt.Sprintf("%s: %s.", a.Name, err), 1000)
		s.c.Note(fmt.Sprintf("tried to %s %s: %s", a.What, a.Name, err))
		return done
	}
	// Once begun it is done, also where the viewer leaves: half a start is nobody's wish.
	working, cancel := context.WithTimeout(context.WithoutCancel(ctx), actWithin)
	defer cancel()
	said, err := s.m.act(working, a.Name, a.What)
	after, rowErr := s.m.row(working, a.Name)
	if rowErr != nil {
		after.State, after.Enabled = unknown, unknown
	}
	word := func(r signaling.ServiceRow) string { return r.State }
	if a.What == signaling.ServiceEnable || a.What == signaling.ServiceDisable {
		word = func(r signaling.ServiceRow) string { return r.Enabled }
	}
	done.Before, done.After, done.OK = word(before), word(after), err == nil
	if err == nil && (a.What == signaling.ServiceStart || a.What == signaling.ServiceRestart) && after.State == "failed" {
		done.OK = false
		err = errors.New("it started and failed at once; its last lines say why")
	}
	done.Log = orEmpty(s.m.log(working, a.Name))
	switch {
	case err != nil:
		done.Message = mdm.Clean(fmt.Sprintf("%s of %s did not work: %s. It was %s and is %s now.", a.What, a.Name, err, done.Before, done.After), 2000)
		s.c.Note(mdm.Clean(fmt.Sprintf("%s %s failed: %s before, %s now: %s", a.What, a.Name, done.Before, done.After, err), 1000))
	default:
		done.Message = mdm.Clean(strings.TrimSpace(fmt.Sprintf("%s was %s and is %s now. %s", a.Name, done.Before, done.After, said)), 2000)
		s.c.Note(fmt.Sprintf("%s %s: %s before, %s now", a.What, a.Name, done.Before, done.After))
	}
	return done
}

// tail returns the last lines of a text, each fit to be shown.
func tail(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = mdm.Clean(line, maxLine); line != "" {
			out = append(out, line)
		}
	}
	return out[max(0, len(out)-maxLog):]
}
