package finding

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"handrail/agent/internal/machine"
	"handrail/agent/internal/process"
	"handrail/mdm"
	"handrail/mdm/inventory"
	"handrail/signaling"
	"handrail/signaling/tool"
)

// Paces and limits.
const (
	lookWithin = 12 * time.Second       // any look ends by then, or is said to be missing
	firstAfter = 300 * time.Millisecond // the quick looks are through by then
	tellEvery  = 500 * time.Millisecond
	maxTold    = 60
)

// Config is what a device is looked at with. Each may be nil: then that is not looked at.
type Config struct {
	Volumes      func(context.Context) ([]signaling.SpaceVolume, error)
	Walk         func(ctx context.Context, dir string, within time.Duration) signaling.SpaceTree
	Processes    func(ctx context.Context, over time.Duration) ([]process.Usage, error)
	Failed       func(context.Context) (rows []signaling.ServiceRow, known bool, err error) // services
	ServiceLog   func(ctx context.Context, name string) []string
	Faults       func(context.Context) ([]machine.Fault, error) // of the hardware, newest first
	Servers      func() []netip.Addr                            // of DNS
	Ask          func(ctx context.Context, server netip.Addr, name string) (time.Duration, error)
	Connected    func() bool
	Clock        func(context.Context) (time.Duration, error) // how much later the device's is than the server's
	Disks        func(context.Context) ([]inventory.Disk, string)
	Certificates func(context.Context) ([]inventory.Certificate, string)
	Restart      func() (pending bool, packages string)
}

// Tool is the tool. It is safe for concurrent use.
type Tool struct{ cfg Config }

// New returns the tool.
func New(cfg Config) *Tool { return &Tool{cfg: cfg} }

// look is one way of looking at the device. It may tell more than once; the last counts.
type look struct {
	name string // in words
	run  func(ctx context.Context, tell func([]signaling.Finding)) error
}

// looks are in the order in which findings of the same severity come.
func (t *Tool) looks() []look {
	c := t.cfg
	all := []struct {
		look
		has bool
	}{
		{look{"file systems", t.volumes}, c.Volumes != nil},
		{look{"memory", t.memory}, true},
		{look{"processes", t.processes}, c.Processes != nil},
		{look{"services", t.services}, c.Failed != nil},
		{look{"names (DNS)", t.names}, c.Servers != nil && c.Ask != nil},
		{look{"the kernel's complaints", t.faults}, c.Faults != nil},
		{look{"disks", t.disks}, c.Disks != nil},
		{look{"the clock", t.clock}, c.Clock != nil},
		{look{"certificates", t.certificates}, c.Certificates != nil},
		{look{"restart", t.restart}, c.Restart != nil},
	}
	var out []look
	for _, l := range all {
		if l.has {
			out = append(out, l.look)
		}
	}
	return out
}

// Serve serves one viewer until the channel ends; a tool.Serve.
func (t *Tool) Serve(ctx context.Context, c tool.Conn) error {
	ctx, asked, stop := tool.Asked(ctx, c)
	defer stop()
	end := func() {}
	defer func() { end() }()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e := <-asked:
			if _, ok := e.Body.(signaling.FindingsAsk); !ok {
				return tool.NotFor(e)
			}
			end()
			looking, cancel := context.WithCancel(ctx)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				t.Look(looking, func(m signaling.Findings) error { return tool.Tell(looking, c, signaling.TypeFindings, e.ID, m) })
			}()
			end = func() {
				cancel()
				<-ended
			}
		}
	}
}

// report is what a look has to say; done is its end.
type report struct {
	at    int
	found []signaling.Finding
	done  bool
	err   error
}

// Look looks at everything and tells the findings, each time all of them, until everything was looked
// at, ctx ends, or tell fails. A look that hangs is left to itself.
func (t *Tool) Look(ctx context.Context, tell func(signaling.Findings) error) {
	began := time.Now()
	looks := t.looks()
	reports := make(chan report, 4*len(looks))
	timed, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	for i, l := range looks {
		go func() {
			err := l.run(timed, func(found []signaling.Finding) {
				select {
				case reports <- report{at: i, found: found}:
				case <-timed.Done():
				}
			})
			select {
			case reports <- report{at: i, done: true, err: err}:
			case <-timed.Done():
			}
		}()
	}
	state := make([]report, len(looks))
	left := len(looks)
	beat := time.NewTimer(firstAfter)
	defer beat.Stop()
	fresh := true
	for left > 0 {
		select {
		case r := <-reports:
			fresh = true
			if r.done {
				state[r.at].done, state[r.at].err = true, r.err
				left--
			} else {
				state[r.at].found = r.found
			}
			continue
		case <-beat.C:
			beat.Reset(tellEvery)
			if fresh && tell(t.sum(looks, state, began, false)) != nil {
				return
			}
			fresh = false
			continue
		case <-timed.Done():
		}
		break
	}
	if ctx.Err() == nil {
		_ = tell(t.sum(looks, state, began, true)) // an error is the channel's end
	}
}

// sum puts together what is known now.
func (t *Tool) sum(looks []look, state []report, began time.Time, done bool) signaling.Findings {
	m := signaling.Findings{Done: done, Findings: []signaling.Finding{}, Looked: []string{}, Missed: []string{}, TookMS: time.Since(began).Milliseconds()}
	for i, l := range looks {
		s := state[i]
		m.Findings = append(m.Findings, s.found...)
		switch {
		case s.done && s.err == nil:
			m.Looked = append(m.Looked, l.name)
		case s.err != nil:
			m.Missed = append(m.Missed, mdm.Clean(fmt.Sprintf("%s: %v", l.name, s.err), 300))
		case done:
			m.Missed = append(m.Missed, l.name+": no answer within "+lookWithin.String())
		}
	}
	rank := []signaling.Severity{signaling.SeverityBad, signaling.SeverityWarn, signaling.SeverityNote}
	slices.SortStableFunc(m.Findings, func(a, b signaling.Finding) int {
		return cmp.Compare(slices.Index(rank, a.Severity), slices.Index(rank, b.Severity))
	})
	count := map[signaling.Severity]int{}
	room := tool.Room - 8192
	for i := range m.Findings {
		f := &m.Findings[i]
		f.ID, f.Title, f.Advice, f.Target = mdm.Clean(f.ID, 300), mdm.Clean(f.Title, 300), mdm.Clean(f.Advice, 800), mdm.Clean(f.Target, 1024)
		evidence := []string{} // never shared with what a look goes on to tell
		for _, e := range f.Evidence[:min(len(f.Evidence), 8)] {
			evidence = append(evidence, mdm.Clean(e, 400))
		}
		f.Evidence = evidence
		room -= 200 + tool.Weight(f.ID, f.Title, f.Advice, f.Target) + tool.Weight(f.Evidence...)
		if room < 0 || i == maxTold {
			m.Missed = append(m.Missed, fmt.Sprintf("%d more findings are not shown", len(m.Findings)-i))
			m.Findings = m.Findings[:i]
			break
		}
		count[f.Severity]++
	}
	m.Summary = summary(count, done)
	return m
}

func summary(count map[signaling.Severity]int, done bool) string {
	things := func(n int) string {
		if n == 1 {
			return "One thing"
		}
		return fmt.Sprintf("%d things", n)
	}
	var parts []string
	if n := count[signaling.SeverityBad]; n > 0 {
		parts = append(parts, things(n)+map[bool]string{true: " is", false: " are"}[n == 1]+" wrong.")
	}
	if n := count[signaling.SeverityWarn]; n > 0 {
		parts = append(parts, things(n)+map[bool]string{true: " wants", false: " want"}[n == 1]+" attention.")
	}
	switch {
	case len(parts) > 0:
	case !done:
		parts = append(parts, "Nothing wrong was found so far.")
	default:
		parts = append(parts, "Nothing wrong was found.")
	}
	return strings.Join(parts, " ")
}
