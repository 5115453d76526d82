package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"handrail/gateway/internal/rule"
	"handrail/mdm"
	"handrail/mdm/device"
	"handrail/mdm/group"
	"handrail/mdm/inventory"
	"handrail/mdm/label"
)

// touches reports whether changed names the section, or so many that it may.
func touches(changed []string, section string) bool {
	return slices.Contains(changed, section) || slices.Contains(changed, rule.Everything)
}

// deviceRecord is what a change of a device's own record is called among sections.
const deviceRecord = "device"

// Compile compiles the expression of a smart label. It may read the device and its inventory,
// but neither labels, which could go round in circles, nor the state of settings, which labels
// decide. Errors are mdm.ErrInvalid, a *rule.Error where the expression cannot be read.
func (f *Fleet) Compile(text string) (*rule.Expr, error) {
	f.mu.Lock()
	e := f.exprs[text]
	f.mu.Unlock()
	if e != nil {
		return e, nil
	}
	e, err := f.compiler.Compile(text)
	if err == nil {
		err = e.Strange(inventory.Strange)
	}
	if err != nil {
		return nil, err
	}
	r := e.Reads()
	if r.Labels {
		return nil, &rule.Error{Problems: []rule.Problem{{Line: 1, Column: 1, Message: "a smart label cannot depend on labels"}}}
	}
	if r.Settings {
		return nil, &rule.Error{Problems: []rule.Problem{{Line: 1, Column: 1, Message: "a smart label cannot depend on the state of settings, which labels decide"}}}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.exprs) > 2*label.MaxAll {
		f.exprs = map[string]*rule.Expr{}
	}
	f.exprs[text] = e
	return e, nil
}

// Reads lists what an expression reads, as it is kept with a label.
func Reads(e *rule.Expr) []string {
	r := e.Reads()
	out := slices.Clone(r.Sections)
	if r.Device {
		out = append(out, deviceRecord)
	}
	if r.Clock {
		out = append(out, "now")
	}
	return out
}

// compiled is a label ready to be evaluated.
type compiled struct {
	label.Label
	expr *rule.Expr
}

// smart returns the smart labels that can be evaluated.
func (f *Fleet) smart(ctx context.Context) ([]compiled, error) {
	all, err := f.cfg.Labels.Labels(ctx)
	if err != nil {
		return nil, err
	}
	var out []compiled
	for _, l := range all {
		if !l.IsSmart() {
			continue
		}
		e, err := f.Compile(l.Expression)
		if err != nil { // a later version of the language may refuse what an earlier took
			f.problem(ctx, l, err.Error())
			continue
		}
		out = append(out, compiled{l, e})
	}
	return out, nil
}

func (f *Fleet) problem(ctx context.Context, l label.Label, problem string) {
	if problem = mdm.Clean(problem, 300); problem == l.Problem {
		return
	}
	if err := f.cfg.Store.LabelProblem(ctx, l.ID, problem); err != nil {
		f.log.WarnContext(ctx, "label_problem_unkept", "label", string(l.ID), "error", err)
	}
}

// relabel evaluates the labels that read what changed of the devices.
func (f *Fleet) relabel(ctx context.Context, pending []Pending, ids []mdm.DeviceID) error {
	labels, err := f.smart(ctx)
	if err != nil || len(labels) == 0 {
		return err
	}
	concerned := map[mdm.LabelID]map[mdm.DeviceID]bool{}
	var some []compiled
	for _, l := range labels {
		r, on := l.expr.Reads(), map[mdm.DeviceID]bool{}
		for _, p := range pending {
			if r.ReadsAny(p.Sections) || r.Device && slices.Contains(p.Sections, deviceRecord) || slices.Contains(p.Sections, rule.Everything) {
				on[p.Device] = true
			}
		}
		if len(on) > 0 {
			concerned[l.ID] = on
			some = append(some, l)
		}
	}
	if len(some) == 0 {
		return nil
	}
	devices, err := f.cfg.Store.DevicesByID(ctx, ids)
	if err != nil {
		return fmt.Errorf("devices: %w", err)
	}
	facts, err := f.facts(ctx, devices, some)
	if err != nil {
		return err
	}
	for _, l := range some {
		verdicts := f.verdicts(ctx, l, slices.DeleteFunc(slices.Clone(devices), func(d device.Device) bool { return !concerned[l.ID][d.ID] }), facts)
		if err := f.judge(ctx, l.Label, verdicts, label.Single); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) judge(ctx context.Context, l label.Label, verdicts []label.Verdict, sweep label.Sweep) error {
	changed, err := f.cfg.Labels.Judge(ctx, l, verdicts, sweep, f.cfg.Now())
	if err != nil {
		return err
	}
	if len(changed) > 0 {
		f.index.touch(changed)
		f.cfg.Relabeled(changed)
	}
	return nil
}

// verdicts evaluates one label on devices. What cannot be evaluated, or is not known, is not
// carried; the first failure is kept with the label.
func (f *Fleet) verdicts(ctx context.Context, l compiled, devices []device.Device, facts map[mdm.DeviceID]*rule.Prepared) []label.Verdict {
	out := make([]label.Verdict, 0, len(devices))
	problem := ""
	for _, d := range devices {
		p := facts[d.ID]
		res := l.expr.MatchPrepared(ctx, p)
		v := label.Verdict{Device: d.ID, Carries: res.Outcome == rule.True}
		if v.Carries {
			v.Why = why(l.expr, p, d)
		}
		if res.Outcome == rule.Failed && problem == "" {
			problem = d.Name + ": " + res.Reason
		}
		out = append(out, v)
	}
	if problem != "" || len(devices) > 1 {
		f.problem(ctx, l.Label, problem)
	}
	return out
}

// why lists what an expression read of a device, and what it found there.
func why(e *rule.Expr, p *rule.Prepared, d device.Device) []label.Value {
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(e.Evidence(p), &values); err != nil {
		values = nil // too much to show
	}
	out := []label.Value{}
	for _, path := range slices.Sorted(maps.Keys(values)) {
		out = append(out, label.Value{Path: path, Value: mdm.Clean(string(values[path]), 300)})
	}
	record := map[string]string{
		"device.name": d.Name, "device.hostname": d.Hostname, "device.os": d.OS, "device.os_version": d.OSVersion, "device.arch": d.Arch,
		"device.model": d.Model, "device.serial": d.Serial, "device.group": string(d.Group),
	}
	for _, path := range e.Reads().Paths {
		if v, ok := record[path]; ok {
			b, err := json.Marshal(v)
			if err == nil {
				out = append(out, label.Value{Path: path, Value: string(b)})
			}
		}
	}
	return out
}

// facts prepares what the labels read of devices.
func (f *Fleet) facts(ctx context.Context, devices []device.Device, labels []compiled) (map[mdm.DeviceID]*rule.Prepared, error) {
	ids := make([]mdm.DeviceID, len(devices))
	for i, d := range devices {
		ids[i] = d.ID
	}
	tree, err := f.cfg.Groups(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, l := range labels {
		names = append(names, l.expr.Reads().Sections...)
	}
	software := touches(names, inventory.SectionSoftware)
	if slices.Contains(names, rule.Everything) {
		names = nil
	}
	sections, err := f.cfg.Store.SectionsOf(ctx, ids, names)
	if err != nil {
		return nil, fmt.Errorf("inventory of %d devices: %w", len(ids), err)
	}
	var packages map[mdm.DeviceID]map[string][]string
	asked := []string{}
	if software {
		for _, l := range labels {
			asked = append(asked, l.expr.Reads().Packages...)
		}
		slices.Sort(asked)
		if asked = slices.Compact(asked); slices.Contains(asked, rule.Everything) {
			asked = nil
		}
		if packages, err = f.cfg.Store.SoftwareVersions(ctx, ids, asked); err != nil {
			return nil, fmt.Errorf("software of %d devices: %w", len(ids), err)
		}
	}
	out := make(map[mdm.DeviceID]*rule.Prepared, len(devices))
	now := f.cfg.Now()
	for _, d := range devices {
		facts := rule.Facts{Device: ruleDevice(d, tree), Inventory: map[string]any{}, Now: now}
		for _, row := range sections[d.ID] {
			v, err := rule.DecodeSection(row.Data)
			if err != nil {
				return nil, fmt.Errorf("inventory of %s: %w", d.ID, err)
			}
			facts.Inventory[row.Section] = v
		}
		if has, ok := packages[d.ID]; ok {
			facts.Software = func(name string) []string { return has[name] }
		}
		out[d.ID] = rule.Prepare(facts)
	}
	return out, nil
}

func ruleDevice(d device.Device, tree group.Tree) rule.Device {
	var groups []string
	for id := d.Group; ; {
		g, ok := tree.Group(id)
		if !ok || len(groups) > group.MaxDepth {
			break
		}
		groups = append(groups, string(g.ID))
		id = g.Parent
	}
	slices.Reverse(groups)
	return rule.Device{
		ID: string(d.ID), Name: d.Name, Hostname: d.Hostname, OS: d.OS, OSVersion: d.OSVersion, Arch: d.Arch, Model: d.Model,
		Serial: d.Serial, Group: string(d.Group), Groups: groups, EnrolledAt: d.EnrolledAt, LastSeenAt: d.LastSeenAt,
	}
}

// page is how many devices are read at once to evaluate a label on all.
const page = 500

// sweep evaluates labels that are new or changed on every device, page by page; where a node
// stops, another goes on.
func (f *Fleet) sweep(ctx context.Context) error {
	labels, after, err := f.cfg.Store.LabelsToSweep(ctx)
	if err != nil {
		return fmt.Errorf("labels to evaluate: %w", err)
	}
	for _, l := range labels {
		e, err := f.Compile(l.Expression)
		if err != nil {
			f.problem(ctx, l, err.Error())
			continue
		}
		for at := after[l.ID]; ; {
			devices, err := f.cfg.Store.DevicesAfter(ctx, at, page)
			if err != nil {
				return fmt.Errorf("label %s: %w", l.ID, err)
			}
			c := compiled{l, e}
			facts, err := f.facts(ctx, devices, []compiled{c})
			if err != nil {
				return err
			}
			state := label.Underway
			if len(devices) < page {
				state = label.Done
			}
			if err := f.judge(ctx, l, f.verdicts(ctx, c, devices, facts), state); err != nil {
				return err
			}
			if state == label.Done {
				break
			}
			at = devices[len(devices)-1].ID
		}
	}
	return nil
}

// Tick has labels evaluated again whose expression reads the time.
func (f *Fleet) Tick(ctx context.Context) {
	labels, err := f.smart(ctx)
	if err != nil {
		f.log.WarnContext(ctx, "labels_unread", "error", err)
		return
	}
	for _, l := range labels {
		if r := l.expr.Reads(); !r.Clock && !slices.Contains(r.Paths, "device.last_seen_at") {
			continue
		}
		if err := f.cfg.Store.SweepAgain(ctx, l.ID); err != nil {
			f.log.WarnContext(ctx, "label_not_evaluated_again", "label", string(l.ID), "error", err)
		}
	}
}

// Match is a device that an expression matches, and why.
type Match struct {
	Device device.Device
	Why    []label.Value
}

// Preview is who would carry a smart label.
type Preview struct {
	Matches   int
	Looked    int // devices looked at
	Total     int // devices there are to look at
	Sample    []Match
	Unknown   int    // devices that did not report what the expression reads
	Failed    int    // devices on which it cannot be evaluated
	Problem   string // of one of those
	Truncated bool   // time ran out before all were looked at
}

// previewSample is how many matching devices a preview names.
const previewSample = 20

// Preview evaluates an expression on the devices for which may says yes, for at most d.
func (f *Fleet) Preview(ctx context.Context, e *rule.Expr, may func(device.Device) bool, d time.Duration) (Preview, error) {
	var p Preview
	deadline := f.cfg.Now().Add(d)
	c := compiled{label.Label{}, e}
	for at := mdm.DeviceID(""); ; {
		devices, err := f.cfg.Store.DevicesAfter(ctx, at, page)
		if err != nil {
			return p, err
		}
		if len(devices) == 0 {
			return p, nil
		}
		at = devices[len(devices)-1].ID
		devices = slices.DeleteFunc(devices, func(d device.Device) bool { return !may(d) })
		facts, err := f.facts(ctx, devices, []compiled{c})
		if err != nil {
			return p, err
		}
		for _, d := range devices {
			p.Looked++
			res := e.MatchPrepared(ctx, facts[d.ID])
			switch res.Outcome {
			case rule.True:
				p.Matches++
				if len(p.Sample) < previewSample {
					p.Sample = append(p.Sample, Match{Device: d, Why: why(e, facts[d.ID], d)})
				}
			case rule.Unknown:
				p.Unknown++
			case rule.Failed:
				p.Failed++
				p.Problem = d.Name + ": " + res.Reason
			case rule.False:
			}
		}
		if f.cfg.Now().After(deadline) {
			p.Truncated = true
			return p, nil
		}
	}
}
