package desire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"handrail/mdm"
	"handrail/mdm/group"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
)

// inputs is everything that settings follow from but the devices' own places, at one
// revision. What is resolved with it is remembered: devices of the same group with the same
// labels and ring must be the same.
type inputs struct {
	rev      int64
	tree     group.Tree
	policies []entry
	labels   map[mdm.LabelID]bool // that any assignment mentions
	rollouts []rollout.Rollout    // under way
	known    map[string]*outcome  // by signature
}

// entry is a policy with the versions devices may get of it.
type entry struct {
	policy.Policy
	rollout  *rollout.Rollout
	versions map[int64]*policy.Compiled
}

type versionKey struct {
	policy policy.ID
	number int64
	name   string
}

// outcome is what some devices must be.
type outcome struct {
	key      string
	sum      string // manifest.Sum
	hash     string // keyed
	settings []manifest.Setting
	says     []say
	sealed   string // as it is kept; "" until it was needed
}

// current returns the inputs at rev, loading them when they are not the ones at hand.
func (e *Engine) current(ctx context.Context, rev int64) (*inputs, error) {
	e.mu.Lock()
	in := e.inputs
	e.mu.Unlock()
	if in != nil && in.rev == rev {
		return in, nil
	}
	in, err := e.load(ctx, rev)
	if err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	e.mu.Lock()
	if e.inputs == nil || e.inputs.rev < rev {
		e.inputs = in
	}
	e.mu.Unlock()
	return in, nil
}

// latest returns the inputs as they are now, for answers that change nothing.
func (e *Engine) latest(ctx context.Context) (*inputs, error) {
	for range 5 {
		rev, err := e.cfg.Store.InputsRev(ctx)
		if err != nil {
			return nil, err
		}
		in, err := e.current(ctx, rev)
		if err != nil {
			return nil, err
		}
		if again, err := e.cfg.Store.InputsRev(ctx); err != nil || again == rev {
			return in, err
		}
		e.mu.Lock()
		if e.inputs == in {
			e.inputs = nil // it may be a mixture
		}
		e.mu.Unlock()
	}
	return nil, fmt.Errorf("policies change too fast to read: %w", mdm.ErrUnavailable)
}

func (e *Engine) load(ctx context.Context, rev int64) (*inputs, error) {
	groups, err := e.cfg.Store.Groups(ctx)
	if err != nil {
		return nil, err
	}
	all, err := e.cfg.Store.AllPolicies(ctx)
	if err != nil {
		return nil, err
	}
	rolling, _, err := e.cfg.Store.Rollouts(ctx, rollout.Filter{UnderWay: true, Limit: policy.MaxPolicies})
	if err != nil {
		return nil, err
	}
	in := &inputs{rev: rev, tree: group.NewTree(groups), rollouts: rolling, labels: map[mdm.LabelID]bool{}, known: map[string]*outcome{}}
	for _, p := range all {
		one := entry{Policy: p}
		for i := range rolling {
			if rolling[i].Policy == p.ID {
				one.rollout = &rolling[i]
			}
		}
		if err := e.compileAll(ctx, &one); err != nil {
			return nil, err
		}
		in.add(one)
	}
	return in, nil
}

// add takes an entry in; one that gives nobody anything is left out.
func (in *inputs) add(one entry) {
	if len(one.versions) == 0 {
		return
	}
	in.policies = append(in.policies, one)
	for _, a := range one.Assignments {
		for _, l := range slices.Concat(a.Include.Labels, a.Exclude.Labels) {
			in.labels[l] = true
		}
	}
}

// compileAll readies the versions the assignments of a policy may give.
func (e *Engine) compileAll(ctx context.Context, one *entry) error {
	one.versions = map[int64]*policy.Compiled{}
	for _, a := range one.Assignments {
		want := []int64{a.Version}
		if a.Version == 0 {
			want = []int64{one.Live}
			if one.rollout != nil {
				want = append(want, one.rollout.From, one.rollout.To)
			}
		}
		for _, n := range want {
			if n == 0 || one.versions[n] != nil {
				continue
			}
			c, err := e.compile(ctx, one.ID, one.Name, n)
			if err != nil {
				return err
			}
			one.versions[n] = c
		}
	}
	return nil
}

func (e *Engine) compile(ctx context.Context, id policy.ID, name string, number int64) (*policy.Compiled, error) {
	key := versionKey{id, number, name}
	e.mu.Lock()
	c := e.compiled[key]
	e.mu.Unlock()
	if c != nil {
		return c, nil
	}
	v, err := e.cfg.Store.PolicyVersion(ctx, id, number)
	if err != nil {
		return nil, fmt.Errorf("version %d of policy %s: %w", number, id, err)
	}
	if c, err = e.cfg.Policies.Compile(v, name); err != nil {
		return nil, err
	}
	e.mu.Lock()
	if len(e.compiled) > 4096 { // versions never change, but there is no end of them
		clear(e.compiled)
	}
	e.compiled[key] = c
	e.mu.Unlock()
	return c, nil
}

// signature is all of a device that its settings follow from.
func (in *inputs) signature(m Member, labels []mdm.LabelID) (string, policy.Target) {
	var b strings.Builder
	b.WriteString(string(m.Group))
	t := policy.Target{}
	for _, l := range labels {
		if in.labels[l] {
			t.Labels = append(t.Labels, l)
		}
	}
	slices.Sort(t.Labels)
	for _, l := range t.Labels {
		b.WriteByte(' ')
		b.WriteString(string(l))
	}
	for i := range in.rollouts {
		if in.rollouts[i].Reaches(m.Device) {
			fmt.Fprintf(&b, " +%d", i)
		}
	}
	for id, n := m.Group, in.tree.Len(); id != "" && n > 0; n-- {
		g, ok := in.tree.Group(id)
		if !ok {
			break
		}
		t.Groups = append(t.Groups, id)
		id = g.Parent
	}
	slices.Reverse(t.Groups)
	return b.String(), t
}

// reaching is what the policies say to a device.
func (in *inputs) reaching(d mdm.DeviceID, t policy.Target) []policy.Input {
	var out []policy.Input
	for i := range in.policies {
		one := &in.policies[i]
		for _, a := range one.Assignments {
			number := a.Version
			if number == 0 {
				if number = one.Live; one.rollout != nil {
					number = one.rollout.Version(d)
				}
			}
			c := one.versions[number]
			if c == nil {
				continue
			}
			if via, ok := a.Reaches(t); ok {
				out = append(out, policy.Input{Compiled: c, Assignment: a.ID, Priority: a.Priority, Via: via})
			}
		}
	}
	return out
}

// resolve returns what a device must be. The inputs' memory is used by one caller at a time:
// remember is false where others may be at it.
func (e *Engine) resolve(in *inputs, m Member, labels []mdm.LabelID, remember bool) (*outcome, error) {
	sig, target := in.signature(m, labels)
	if remember {
		if o := in.known[sig]; o != nil {
			return o, nil
		}
	}
	o, err := e.outcomeOf(e.cfg.Policies.Catalogue().Resolve(in.reaching(m.Device, target)))
	if err != nil {
		return nil, err
	}
	if remember {
		in.known[sig] = o
	}
	return o, nil
}

// outcomeOf names and hashes what was resolved.
func (e *Engine) outcomeOf(resolved []policy.Resolved) (*outcome, error) {
	settings := policy.Manifest(resolved)
	sum, err := manifest.Sum(settings)
	if err != nil {
		return nil, err
	}
	size, parts := 0, make([]string, 0, 1+len(settings))
	parts = append(parts, sum)
	for _, s := range settings {
		size += len(s.Value) + len(s.ID) + 128
		parts = append(parts, s.Source.Policy)
	}
	says := saysOf(resolved)
	for i := range says {
		parts = append(parts, says[i].words()...)
	}
	if len(settings) > manifest.MaxSettings || size > manifest.MaxBytes {
		return nil, fmt.Errorf("%d settings of %d bytes are too much for one device: %w", len(settings), size, errTooLarge)
	}
	return &outcome{key: e.keyed("outcome", parts...), sum: sum, hash: e.hashOf(sum), settings: settings, says: says}, nil
}

var errTooLarge = errors.New("manifest is over its limits")

// sealedBody is an outcome as it is kept.
type sealedBody struct {
	Sum      string             `json:"sum"`
	Settings []manifest.Setting `json:"settings"`
	Says     []say              `json:"says,omitempty"`
}

const sealLabel = "manifest"

// seal returns an outcome as it is kept. Only the transaction that resolves calls it.
func (e *Engine) seal(o *outcome) (Outcome, error) {
	if o.sealed == "" {
		b, err := json.Marshal(sealedBody{o.sum, o.settings, o.says})
		if err != nil {
			return Outcome{}, err
		}
		o.sealed = e.cfg.Sealer.Seal(sealLabel, b)
	}
	return Outcome{Key: o.key, Hash: o.hash, Sealed: o.sealed}, nil
}

// read returns an outcome by its key, or by the keyed hash of a manifest; mdm.ErrNotFound.
func (e *Engine) read(ctx context.Context, key, hash string) (*outcome, error) {
	e.mu.Lock()
	o := e.outcomes[key]
	if key == "" {
		o = e.byHash[hash]
	}
	e.mu.Unlock()
	if o != nil {
		return o, nil
	}
	var kept Outcome
	var err error
	if key != "" {
		kept, err = e.cfg.Store.Outcome(ctx, key)
	} else {
		kept, err = e.cfg.Store.OutcomeOf(ctx, hash)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", key+hash, err)
	}
	b, err := e.cfg.Sealer.Open(sealLabel, kept.Sealed)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", kept.Key, err)
	}
	var body sealedBody
	if err := json.Unmarshal(b, &body); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", kept.Key, err)
	}
	o = &outcome{key: kept.Key, sum: body.Sum, hash: kept.Hash, settings: body.Settings, says: body.Says}
	e.remember(o)
	return o, nil
}

// HasSettings reports whether an outcome of Desired holds any setting; "" holds none.
func (e *Engine) HasSettings(ctx context.Context, outcome string) (bool, error) {
	if outcome == "" {
		return false, nil
	}
	o, err := e.read(ctx, outcome, "")
	if errors.Is(err, mdm.ErrNotFound) {
		return true, nil // replaced a moment ago
	}
	if err != nil {
		return false, err
	}
	return len(o.settings) > 0, nil
}

// maxRemembered bounds what is kept at hand of manifests, in bytes.
const maxRemembered = 64 << 20

// remember keeps an outcome at hand for deliveries and reports.
func (e *Engine) remember(o *outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.outcomes[o.key] == nil {
		for _, s := range o.settings {
			e.size += len(s.Value) + 200
		}
	}
	if e.size > maxRemembered {
		clear(e.outcomes)
		clear(e.byHash)
		e.size = 0
	}
	e.outcomes[o.key], e.byHash[o.hash] = o, o
}

// empty is the manifest of a device of which nothing is asked.
func empty() (*outcome, error) {
	sum, err := manifest.Sum(nil)
	return &outcome{sum: sum, settings: []manifest.Setting{}}, err
}

// now is the time as exact as it is stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
