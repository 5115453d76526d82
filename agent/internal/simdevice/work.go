package simdevice

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"handrail/agent/internal/link"
	"handrail/mdm/command"
	"handrail/mdm/inventory"
	"handrail/mdm/manifest"
	"handrail/signaling"
)

// What a device has to do.
const (
	todoLook      = 1 << iota // the link came up: finish what is not done
	todoInventory             // send everything
	todoManifest
	todoCommands
)

// Pauses before what failed is tried again.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// atOnce is how far apart devices are that do something at once: no two clocks and networks are the
// same.
const atOnce = 2 * time.Second

func (d *device) want(what uint32) {
	d.todo.Or(what)
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *device) manifestHash() string {
	if h := d.hash.Load(); h != nil {
		return *h
	}
	return ""
}

// work does what is asked for, one thing at a time, and what the device does by itself.
func (d *device) work(ctx context.Context) {
	drift, flap := d.every(d.f.cfg.Drift), d.every(d.f.cfg.Flap)
	defer stop(drift)
	defer stop(flap)
	again := time.NewTimer(lastRetry) // a first look at nothing
	defer again.Stop()
	retry := firstRetry
	held := d.f.open
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-again.C:
		case <-held:
			held = nil
			d.todo.Or(todoLook)
			again.Reset(time.Duration(d.rng.Int64N(int64(atOnce))))
			continue
		case <-channel(drift):
			drift.Reset(d.around(d.f.cfg.Drift))
			if d.up.Load() && d.whole {
				_, err := d.putInventory(ctx, false, d.change())
				d.take(err)
			}
			continue
		case <-channel(flap):
			flap.Reset(d.around(d.f.cfg.Flap))
			d.link.Reconnect()
			continue
		}
		left, after := d.do(ctx, d.todo.Swap(0))
		if left == 0 {
			retry = firstRetry
			continue
		}
		d.todo.Or(left)
		if after == 0 {
			after = retry/2 + time.Duration(d.rng.Int64N(int64(retry)))
			retry = min(2*retry, lastRetry)
		}
		again.Reset(after)
	}
}

// every returns a timer of a period that devices do not keep in step; nil for none.
func (d *device) every(period time.Duration) *time.Timer {
	if period <= 0 {
		return nil
	}
	return time.NewTimer(d.around(period))
}

// around is half to one and a half times a period.
func (d *device) around(period time.Duration) time.Duration {
	return period/2 + time.Duration(d.rng.Int64N(int64(period)+1))
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

func channel(t *time.Timer) <-chan time.Time {
	if t == nil {
		return nil
	}
	return t.C
}

// do does what is asked and returns what is still to be done, and when, where the gateway
// said so.
func (d *device) do(ctx context.Context, what uint32) (left uint32, after time.Duration) {
	if !d.up.Load() {
		d.todo.Or(what &^ todoLook) // the link says when it is back
		return 0, 0
	}
	try := func(bit uint32, do func() error) {
		if what&bit == 0 {
			return
		}
		if err := do(); err != nil && ctx.Err() == nil && !errors.Is(err, link.ErrOffline) {
			left |= bit
			after = max(after, link.RetryAfter(err))
		} else if err != nil {
			left |= bit
		}
	}
	if what&todoLook != 0 && !d.whole {
		what |= todoInventory
	}
	select {
	case <-d.f.open:
	default:
		what &^= todoInventory // it is taken up again when they may be sent
		d.prepare()
	}
	try(todoManifest, func() error { return d.manifest(ctx) })
	try(todoInventory, func() error { return d.inventory(ctx) })
	try(todoCommands, func() error { return d.commands(ctx) })
	if after > 0 {
		after += time.Duration(d.rng.Int64N(int64(time.Second)))
	}
	return left, after
}

// timed notes how long a request took that was taken.
func (d *device) timed(began time.Time, err error) error {
	if err != nil {
		if link.RetryAfter(err) > 0 {
			d.f.waited.Add(1)
		}
		return err
	}
	took := int64(time.Since(began))
	for {
		was := d.f.slowest.Load()
		if took <= was || d.f.slowest.CompareAndSwap(was, took) {
			return nil
		}
	}
}

// prepare looks at the software, as a device does on a processor of its own before it asks the gateway.
func (d *device) prepare() {
	if d.offered == nil {
		d.offered = d.sections(inventory.SectionSoftware)
	}
}

// inventory sends everything.
func (d *device) inventory(ctx context.Context) error {
	d.prepare()
	if d.have == nil {
		offer := make(map[string]signaling.Section, len(d.offered))
		for name, s := range d.offered {
			offer[name] = signaling.Section{Hash: s.Hash}
		}
		var err error
		if d.have, err = d.putInventory(ctx, false, offer); err != nil {
			return err // told to come later, it has made nothing in vain
		}
	}
	have := d.have
	all := d.machine(func(string) bool { return true })
	maps.Copy(all, d.offered)
	for name, s := range all {
		if have[name] == s.Hash {
			all[name] = signaling.Section{Hash: s.Hash}
		}
	}
	_, err := d.putInventory(ctx, true, all)
	if err == nil || link.RetryAfter(err) == 0 {
		d.have, d.offered = nil, nil
	}
	if err != nil {
		return err
	}
	if !d.whole {
		d.whole = true
		d.f.complete.Add(1)
	}
	return nil
}

// putInventory returns what the gateway holds then.
func (d *device) putInventory(ctx context.Context, full bool, sections map[string]signaling.Section) (map[string]string, error) {
	began := time.Now()
	a, err := d.link.PutInventory(ctx, signaling.InventoryUpload{Full: full, Sections: sections})
	if err := d.timed(began, err); err != nil {
		return nil, err
	}
	d.f.uploads.Add(1)
	for name, why := range a.Refused {
		d.f.log.Warn("section of a simulated device was refused", "section", name, "reason", why)
	}
	return a.Have, nil
}

// take keeps a change that did not get through for the next look.
func (d *device) take(err error) {
	if err != nil {
		d.whole = false
		d.f.complete.Add(-1)
		d.want(todoLook)
	}
}

// change lets something happen on the device and returns what it changes.
func (d *device) change() map[string]signaling.Section {
	f := &d.facts
	out := map[string]signaling.Section{}
	switch n := d.rng.IntN(10); {
	case n < 3:
		f.signedIn = !f.signedIn
		return d.sections(inventory.SectionUsers)
	case n < 5:
		f.free = f.disk.SizeBytes / 100 * uint64(5+d.rng.IntN(90)) //nolint:gosec // positive
		return d.sections(inventory.SectionFilesystems)
	case n < 6:
		port := uint32(3000 + d.rng.IntN(50)) //nolint:gosec // positive
		if i := slices.Index(f.ports, port); i >= 0 {
			f.ports = slices.Delete(f.ports, i, i+1)
		} else {
			f.ports = append(f.ports[:min(len(f.ports), 6)], port)
		}
		return d.sections(inventory.SectionListening)
	case n < 7 && f.level < levels-1: // everything is brought up to date
		f.level = levels - 1
		return d.sections(inventory.SectionSoftware, inventory.SectionUpdates)
	}
	extras := d.f.wares.byKind["x"]
	s := extras[d.rng.IntN(len(extras))].at(&distributions[f.distribution], f.level)
	if i := slices.IndexFunc(f.own, func(o inventory.Software) bool { return o.Name == s.Name }); i >= 0 {
		f.own = slices.Delete(f.own, i, i+1)
	} else {
		f.own = append(f.own, s)
	}
	d.software(out, inventory.SoftwareBucket(s.Name))
	return out
}

// manifest fetches what the device must be, is it after a while, and says so.
func (d *device) manifest(ctx context.Context) error {
	if d.settled {
		d.settled = false
		d.f.settled.Add(-1)
	}
	began := time.Now()
	m, same, err := d.link.GetManifest(ctx, d.manifestHash())
	if err := d.timed(began, err); err != nil {
		return err
	}
	d.f.fetches.Add(1)
	if same && d.applied != nil {
		d.settle()
		return nil
	}
	if d.f.cfg.Apply > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(d.rng.Int64N(int64(d.f.cfg.Apply)))):
		}
	}
	r := manifest.Report{Generation: m.Generation, Hash: m.Hash, Full: d.applied == nil}
	next := make(map[manifest.ID]uint64, len(m.Settings))
	for _, s := range m.Settings {
		h := fnv.New64a()
		h.Write(s.Value)
		next[s.ID] = h.Sum64()
		if was, there := d.applied[s.ID]; !there || was != next[s.ID] {
			r.Statuses = append(r.Statuses, d.status(s))
		}
	}
	for id := range d.applied {
		if _, there := next[id]; !there {
			r.Gone = append(r.Gone, id)
		}
	}
	began = time.Now()
	if err := d.timed(began, d.link.PostStatus(ctx, r)); err != nil {
		return err
	}
	d.f.reports.Add(1)
	d.applied = next
	d.hash.Store(&m.Hash)
	d.settle()
	return nil
}

func (d *device) settle() {
	d.settled = true
	d.f.settled.Add(1)
}

// status is what comes of a setting; the same setting fares the same each time.
func (d *device) status(s manifest.Setting) manifest.Status {
	st := manifest.Status{ID: s.ID, State: manifest.Applied, Source: s.Source, AtUS: time.Now().UnixMicro()}
	if d.unlucky(string(s.ID)) {
		st.State, st.Message = manifest.Failed, "the simulated device was told that a share of its settings fails"
	}
	return st
}

// unlucky says whether something goes wrong on this device.
func (d *device) unlucky(what string) bool {
	h := fnv.New32a()
	h.Write([]byte(d.facts.hardware.Serial))
	h.Write([]byte(what))
	return float64(h.Sum32()%10_000) < d.f.cfg.Fail*10_000
}

// commands takes what waits and answers it.
func (d *device) commands(ctx context.Context) error {
	for {
		began := time.Now()
		a, err := d.link.ClaimCommands(ctx, command.Claim{})
		if err := d.timed(began, err); err != nil {
			return err
		}
		if len(a.Commands) == 0 {
			return nil
		}
		var r command.Results
		for _, c := range a.Commands {
			r.Results = append(r.Results, d.carryOut(c))
		}
		began = time.Now()
		_, err = d.link.PostResults(ctx, r)
		if err := d.timed(began, err); err != nil {
			return err
		}
		d.f.commands.Add(int64(len(r.Results)))
		if !a.More {
			return nil
		}
	}
}

func (d *device) carryOut(c command.Delivery) command.Result {
	now := time.Now().UnixMicro()
	r := command.Result{ID: c.ID, State: command.Succeeded, StartedUS: now, EndedUS: now}
	switch c.Kind {
	case command.RunScript:
		code := 0
		r.ExitCode, r.Output = &code, fmt.Sprintf("%s: done\n", d.facts.host.Hostname)
		if d.unlucky(string(c.ID)) {
			code = 1
			r.Output = fmt.Sprintf("%s: no such file or directory\n", d.facts.host.Hostname)
		}
		r.OutputBytes = int64(len(r.Output))
		if code != 0 {
			r.State, r.Reason, r.Message = command.Failed, command.ReasonExitCode, "the script ended with 1"
		}
		return r
	case command.Restart:
		d.facts.host.BootTimeUS = now
		d.want(todoInventory)
	case command.RefreshInventory:
		d.want(todoInventory)
	case command.RotateKey, command.CollectLogs:
		r.State, r.Reason, r.Message = command.Failed, command.ReasonUnsupported, "a simulated device has nothing to do this with"
	case command.Shutdown, command.SignOut, command.Message, command.RestartService:
	}
	if r.State == command.Succeeded && d.unlucky(string(c.ID)) {
		r.State, r.Reason, r.Message = command.Failed, command.ReasonError, "the simulated device was told that a share of its commands fails"
	}
	return r
}
