package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"handrail/gateway/handrail/policyfile"
)

// step is what one policy file comes to.
type step struct {
	file        *policyfile.Policy
	now         *policyItem // nil: there is no such policy yet
	assignments []policyfile.Assignment
	effect      effect
	describe    bool // description changes
	reassign    bool
	activate    bool // nothing is new, but another version is in force
}

// effect is what the gateway says a change would do.
type effect struct {
	Devices   int      `json:"devices"`
	Changed   int      `json:"changed"`
	Conflicts int      `json:"conflicts"`
	Changes   []change `json:"changes"`
}

// change is how one setting differs.
type change struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Fields []struct {
		Path   string          `json:"path"`
		Before json.RawMessage `json:"before"`
		After  json.RawMessage `json:"after"`
		Secret bool            `json:"secret"`
	} `json:"fields"`
}

func (t step) changes() bool {
	return t.now == nil || t.describe || t.reassign || t.activate || len(t.effect.Changes) > 0
}

// plan finds out what files come to; the gateway checks every setting. All problems of all
// files are told at once.
func plan(ctx context.Context, api *client, s streams, env environment, paths []string) ([]step, error) {
	files, err := policyfile.Read(paths, policyfile.Lookup(env), func(name string) ([]byte, error) { return readFile(s, name) })
	if err != nil {
		return nil, err
	}
	all, err := api.policies(ctx)
	if err != nil {
		return nil, err
	}
	where := &places{api: api}
	var out []step
	var problems policyfile.Errors
	for _, f := range files {
		t, err := planOne(ctx, api, where, f, all)
		var more policyfile.Errors
		if err != nil && !errors.As(err, &more) {
			return nil, err
		}
		problems = append(problems, more...)
		out = append(out, t)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return out, nil
}

func planOne(ctx context.Context, api *client, where *places, f *policyfile.Policy, all []policyItem) (step, error) {
	t := step{file: f}
	for _, a := range f.Assignments {
		ids, err := where.toIDs(ctx, a)
		if err != nil {
			return t, policyfile.Errors{fmt.Sprintf("%s:%d: policy %q: %v", f.File, f.Line, f.Name, err)}
		}
		t.assignments = append(t.assignments, ids)
	}
	in := map[string]any{"settings": notNull(f.Settings), "assignments": notNull(t.assignments)}
	path := "/api/what-if"
	if i := slices.IndexFunc(all, func(p policyItem) bool { return strings.EqualFold(p.Name, f.Name) }); i >= 0 {
		now, _, err := api.policy(ctx, all[i].ID)
		if err != nil {
			return t, err
		}
		t.now = &now
		path = now.path("/what-if")
		t.describe = strings.TrimSpace(f.Description) != now.Description
		t.reassign = !sameAssignments(t.assignments, now.Assignments)
	}
	if err := api.do(ctx, request{method: http.MethodPost, path: path, in: in}, &t.effect); err != nil {
		var p *problem
		if errors.As(err, &p) && p.Status == http.StatusUnprocessableEntity {
			told := explain(f, err)
			var lines policyfile.Errors
			if !errors.As(told, &lines) {
				lines = policyfile.Errors{told.Error()}
			}
			return t, lines
		}
		return t, err
	}
	if t.now == nil {
		t.effect.Changes = nil
		for _, one := range f.Settings {
			t.effect.Changes = append(t.effect.Changes, change{ID: one.ID, Kind: "added"})
		}
	} else {
		t.activate = len(t.effect.Changes) == 0 && t.now.Live != t.now.Newest && t.now.Rollout == nil
	}
	return t, nil
}

// notNull makes a list of none a list: to the API a list that is left out stays as it is.
func notNull[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// toIDs is an assignment with ids for names, sorted.
func (p *places) toIDs(ctx context.Context, a policyfile.Assignment) (policyfile.Assignment, error) {
	for _, sc := range []*policyfile.Scope{&a.Include, &a.Exclude} {
		groups, labels := []string{}, []string{}
		for _, name := range sc.Groups {
			id, err := p.group(ctx, name)
			if err != nil {
				return a, err
			}
			groups = append(groups, id)
		}
		for _, name := range sc.Labels {
			id, err := p.label(ctx, name)
			if err != nil {
				return a, err
			}
			labels = append(labels, id)
		}
		slices.Sort(groups)
		slices.Sort(labels)
		sc.Groups, sc.Labels = slices.Compact(groups), slices.Compact(labels)
	}
	return a, nil
}

// sameAssignments compares without regard to order; names of assignments do not count.
func sameAssignments(a, b []policyfile.Assignment) bool {
	form := func(list []policyfile.Assignment) []string {
		out := make([]string, 0, len(list))
		for _, one := range list {
			b, err := json.Marshal(one)
			if err != nil {
				return nil
			}
			out = append(out, string(b))
		}
		slices.Sort(out)
		return out
	}
	return reflect.DeepEqual(form(a), form(b))
}

type policyPlanCmd struct {
	Paths    []string `arg:"" help:"Files, or directories of .yaml files; - is standard input."`
	ExitCode bool     `help:"End with status 2 when there is something to change."`
}

// Run shows what applying would do.
func (p *policyPlanCmd) Run(ctx context.Context, c *commands, s streams, env environment) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	steps, err := plan(ctx, api, s, env, p.Paths)
	if err != nil {
		return err
	}
	if err := showPlan(c, s.out, steps); err != nil {
		return err
	}
	if p.ExitCode && slices.ContainsFunc(steps, step.changes) {
		return statusError(2)
	}
	return nil
}

// planned is a step as JSON.
type planned struct {
	Policy   string   `json:"policy"`
	File     string   `json:"file"`
	ID       string   `json:"id,omitempty"`
	Action   string   `json:"action"` // create, change, none
	Assign   bool     `json:"assign"`
	Describe bool     `json:"describe"`
	Activate bool     `json:"activate"`
	Devices  int      `json:"devices"`
	Changed  int      `json:"changed_devices"`
	Conflict int      `json:"conflicting_devices"`
	Changes  []change `json:"changes"`
}

func showPlan(c *commands, w io.Writer, steps []step) error {
	if c.Output == "json" {
		out := []planned{}
		for _, t := range steps {
			one := planned{
				Policy: t.file.Name, File: t.file.File, Action: "none", Assign: t.reassign, Describe: t.describe, Activate: t.activate,
				Devices: t.effect.Devices, Changed: t.effect.Changed, Conflict: t.effect.Conflicts, Changes: notNull(t.effect.Changes),
			}
			switch {
			case t.now == nil:
				one.Action = "create"
			case t.changes():
				one.Action, one.ID = "change", t.now.ID
			default:
				one.ID = t.now.ID
			}
			out = append(out, one)
		}
		b, err := json.Marshal(out)
		if err != nil {
			return err
		}
		return printJSON(w, b)
	}
	todo := 0
	for _, t := range steps {
		if !t.changes() {
			fmt.Fprintf(w, "= %s: as it is\n", t.file.Name)
			continue
		}
		todo++
		if t.now == nil {
			fmt.Fprintf(w, "+ %s: a new policy\n", t.file.Name)
		} else {
			fmt.Fprintf(w, "~ %s: from version %d\n", t.file.Name, t.now.Newest)
		}
		for _, ch := range t.effect.Changes {
			showChange(w, ch)
		}
		if t.describe {
			fmt.Fprintln(w, "    ~ description")
		}
		if t.reassign {
			fmt.Fprintln(w, "    ~ whom it is for")
		}
		if t.activate {
			fmt.Fprintf(w, "    ~ version %d in force instead of %d\n", t.now.Newest, t.now.Live)
		}
		fmt.Fprintf(w, "    %d devices in reach: %d would change", t.effect.Devices, t.effect.Changed)
		if t.effect.Conflicts > 0 {
			fmt.Fprintf(w, ", %d would be in conflict", t.effect.Conflicts)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d of %d policies to change.\n", todo, len(steps))
	return nil
}

func showChange(w io.Writer, ch change) {
	sign := map[string]string{"added": "+", "removed": "-"}[ch.Kind]
	if sign == "" {
		sign = "~"
	}
	fmt.Fprintf(w, "    %s %s\n", sign, clean(ch.ID, 130))
	for _, f := range ch.Fields {
		if f.Secret {
			fmt.Fprintf(w, "        %s: another secret\n", clean(f.Path, 200))
			continue
		}
		fmt.Fprintf(w, "        %s: %s -> %s\n", clean(f.Path, 200), short(f.Before), short(f.After))
	}
}

func short(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "(none)"
	}
	if s := clean(string(raw), 100); len(s) == len(raw) {
		return s
	}
	return clean(string(raw), 97) + "…"
}

type policyApplyCmd struct {
	Paths     []string `arg:"" help:"Files, or directories of .yaml files; - is standard input."`
	Note      string   `short:"m" help:"What changed, for those who read the versions."`
	DraftOnly bool     `help:"Save drafts and publish nothing."`
	Overwrite bool     `help:"Replace drafts that somebody has not published yet."`
	Stages    string   `help:"Roll out in stages, as 5%:1h,25%:4h,100%: so much of the devices, then so long a wait." placeholder:"PLAN"`
	MaxFailed int      `help:"With --stages: when more of the devices reached fail, it returns by itself (percent)." default:"5"`
	Prune     bool     `help:"Delete policies that are in no file. Asks, unless --yes."`
	Yes       bool     `short:"y" help:"Do not ask."`
}

// Run applies files. Every policy is checked before the first is changed; each is then changed
// on top of the revision that was looked at, so that nobody's edit in between is lost.
func (p *policyApplyCmd) Run(ctx context.Context, c *commands, s streams, env environment) error {
	stages, err := parseStages(p.Stages, p.MaxFailed)
	if err != nil {
		return err
	}
	api, err := c.connect()
	if err != nil {
		return err
	}
	steps, err := plan(ctx, api, s, env, p.Paths)
	if err != nil {
		return err
	}
	if err := showPlan(c, s.out, steps); err != nil {
		return err
	}
	for _, t := range steps {
		if t.now != nil && t.now.Draft != nil && len(t.effect.Changes) > 0 && !p.Overwrite {
			return fmt.Errorf("policy %q has a draft that %s has not published; publish or discard it, or give --overwrite", t.file.Name, clean(t.now.Draft.By, 100))
		}
	}
	gone, err := p.pruned(ctx, api, steps)
	if err != nil {
		return err
	}
	changed := 0
	for _, t := range steps {
		if t.changes() {
			changed++
		}
	}
	if changed+len(gone) == 0 {
		return nil
	}
	question := fmt.Sprintf("Apply to %d policies?", changed)
	if len(gone) > 0 {
		question = fmt.Sprintf("Apply to %d policies and delete %d (%s)?", changed, len(gone), names(gone))
	}
	if err := sure(s, p.Yes, question); err != nil {
		return err
	}
	for _, t := range steps {
		if !t.changes() {
			continue
		}
		done, err := p.apply(ctx, api, t, stages)
		if err != nil {
			return explain(t.file, err)
		}
		fmt.Fprintf(s.err, "%s: %s\n", t.file.Name, done)
	}
	for _, one := range gone {
		if err := api.do(ctx, request{method: http.MethodDelete, path: one.path(""), match: one.Revision}, nil); err != nil {
			return fmt.Errorf("delete %q: %w", one.Name, err)
		}
		fmt.Fprintf(s.err, "%s: deleted\n", clean(one.Name, 100))
	}
	return nil
}

func (p *policyApplyCmd) pruned(ctx context.Context, api *client, steps []step) ([]policyItem, error) {
	if !p.Prune {
		return nil, nil
	}
	all, err := api.policies(ctx)
	return slices.DeleteFunc(all, func(one policyItem) bool {
		return slices.ContainsFunc(steps, func(t step) bool { return strings.EqualFold(t.file.Name, one.Name) })
	}), err
}

func names(list []policyItem) string {
	var out []string
	for _, p := range list {
		out = append(out, clean(p.Name, 80))
	}
	return strings.Join(out, ", ")
}

// apply makes one policy as its file says and returns what was done. Whom a policy is for is
// said before its first version is in force, so that nothing reaches devices it is not for.
func (p *policyApplyCmd) apply(ctx context.Context, api *client, t step, stages any) (string, error) {
	var now policyItem
	if t.now == nil {
		in := map[string]any{"name": t.file.Name, "description": t.file.Description, "settings": notNull(t.file.Settings)}
		if err := api.do(ctx, request{method: http.MethodPost, path: "/api/policies", in: in}, &now); err != nil {
			return "", err
		}
		t.reassign = len(t.assignments) > 0
	} else {
		now = *t.now
	}
	put := func(method, rest string, in any) error {
		return api.do(ctx, request{method: method, path: now.path(rest), in: in, match: now.Revision}, &now)
	}
	if t.now != nil && t.describe {
		if err := put(http.MethodPatch, "", map[string]string{"description": t.file.Description}); err != nil {
			return "", err
		}
	}
	if t.now != nil && len(t.effect.Changes) > 0 {
		if err := put(http.MethodPut, "/draft", map[string]any{"settings": notNull(t.file.Settings)}); err != nil {
			return "", err
		}
	}
	if t.reassign {
		if err := put(http.MethodPut, "/assignments", map[string]any{"assignments": t.assignments}); err != nil {
			return "", err
		}
	}
	switch {
	case p.DraftOnly && len(t.effect.Changes) > 0:
		return "saved as a draft", nil
	case t.activate && !p.DraftOnly:
		in := map[string]any{"version": now.Newest}
		if stages != nil {
			in["rollout"] = stages
		}
		if err := put(http.MethodPost, "/activate", in); err != nil {
			return "", err
		}
	case len(t.effect.Changes) > 0 || t.now == nil && len(t.file.Settings) > 0:
		in := map[string]any{"note": p.Note}
		if stages != nil {
			in["rollout"] = stages
		}
		if err := put(http.MethodPost, "/publish", in); err != nil {
			return "", err
		}
		if now.Rollout != nil {
			return fmt.Sprintf("version %d published, rolling out in stages as %s", now.Newest, now.Rollout.ID), nil
		}
		return fmt.Sprintf("version %d published", now.Newest), nil
	}
	return "changed", nil
}

// parseStages reads 5%:1h,25%:4h,100%; nil for none.
func parseStages(text string, maxFailed int) (any, error) {
	if text == "" {
		return nil, nil
	}
	var stages []map[string]int64
	for part := range strings.SplitSeq(text, ",") {
		share, soak, _ := strings.Cut(strings.TrimSpace(part), ":")
		var percent int64
		if _, err := fmt.Sscanf(share, "%d%%", &percent); err != nil || percent < 1 || percent > 100 {
			return nil, fmt.Errorf("stage %q: write 5%%:1h, a share of the devices and how long to wait before the next", clean(part, 40))
		}
		var wait time.Duration
		if soak != "" {
			var err error
			if wait, err = time.ParseDuration(soak); err != nil || wait < 0 {
				return nil, fmt.Errorf("stage %q: %q is no time, as 30m or 4h", clean(part, 40), clean(soak, 20))
			}
		}
		stages = append(stages, map[string]int64{"percent": percent, "soak_seconds": int64(wait.Seconds())})
	}
	return map[string]any{"stages": stages, "max_failed_percent": maxFailed}, nil
}

// explain turns the API's problems with settings into errors with the file's lines.
func explain(f *policyfile.Policy, err error) error {
	var p *problem
	if !errors.As(err, &p) || len(p.Errors) == 0 {
		return fmt.Errorf("%s: policy %q: %w", f.File, f.Name, err)
	}
	var lines policyfile.Errors
	for _, one := range p.Errors {
		lines = append(lines, f.Locate(one.Location)+": "+clean(one.Message, 400))
	}
	return lines
}
