package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"handrail/gateway/handrail/policyfile"
)

type policyCmds struct {
	List     policyListCmd     `cmd:"" help:"Policies by name, and how they stand on devices."`
	Show     policyShowCmd     `cmd:"" help:"One policy."`
	Versions policyVersionsCmd `cmd:"" help:"The versions of a policy."`
	Devices  policyDevicesCmd  `cmd:"" help:"Devices by how a policy stands on them."`
	Settings catalogueCmd      `cmd:"" help:"What can be set: the catalogue, or one setting with its fields or JSON Schema."`
	Plan     policyPlanCmd     `cmd:"" help:"What applying policy files would change, and on how many devices. Changes nothing."`
	Apply    policyApplyCmd    `cmd:"" help:"Make policies as files say, as saving and publishing in the console does."`
	Export   policyExportCmd   `cmd:"" help:"Write policies as files."`
	RollBack policyRollBackCmd `cmd:"" help:"Put an earlier version in force."`
	Delete   policyDeleteCmd   `cmd:"" help:"Take a policy off all devices and forget it."`
}

// policyItem is a policy of the API.
type policyItem struct {
	ID          string                  `json:"id"`
	Name        string                  `json:"name"`
	Description string                  `json:"description"`
	Revision    int64                   `json:"revision"`
	Newest      int64                   `json:"newest"`
	Live        int64                   `json:"live"`
	Assignments []policyfile.Assignment `json:"assignments"`
	Draft       *struct {
		By string    `json:"by"`
		At time.Time `json:"at"`
	} `json:"draft"`
	Rollout *struct {
		ID string `json:"id"`
		To int64  `json:"to"`
	} `json:"rollout"`
}

func (p policyItem) path(rest string) string { return "/api/policies/" + url.PathEscape(p.ID) + rest }

// policies returns every policy by name, as a list shows them.
func (c *client) policies(ctx context.Context) ([]policyItem, error) {
	var out []policyItem
	_, err := c.each(ctx, "/api/policies", nil, 0, func(raw json.RawMessage) error {
		var p policyItem
		err := json.Unmarshal(raw, &p)
		out = append(out, p)
		return err
	})
	return out, err
}

// policy finds a policy by id or name and fetches it whole.
func (c *client) policy(ctx context.Context, what string) (policyItem, json.RawMessage, error) {
	id := what
	if !strings.HasPrefix(what, "pol_") {
		all, err := c.policies(ctx)
		if err != nil {
			return policyItem{}, nil, err
		}
		i := slices.IndexFunc(all, func(p policyItem) bool { return strings.EqualFold(p.Name, what) })
		if i < 0 {
			return policyItem{}, nil, fmt.Errorf("there is no policy %q (or you may not see it)", clean(what, 100))
		}
		id = all[i].ID
	}
	raw, err := c.get(ctx, "/api/policies/"+url.PathEscape(id), nil)
	if err != nil {
		return policyItem{}, nil, err
	}
	var p policyItem
	return p, raw, json.Unmarshal(raw, &p)
}

// settingsOf returns a version's settings, secrets as markers; none of version 0.
func (c *client) settingsOf(ctx context.Context, p policyItem, version int64) ([]policyfile.Setting, error) {
	if version == 0 {
		return nil, nil
	}
	var v struct {
		Settings []policyfile.Setting `json:"settings"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: p.path(fmt.Sprintf("/versions/%d", version))}, &v)
	return v.Settings, err
}

type policyListCmd struct {
	Query string `short:"q" help:"Part of the name."`
	Group string `short:"g" help:"Only those assigned to this group itself: name, path or id."`
}

// Run lists policies.
func (l *policyListCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	group, err := (&places{api: api}).group(ctx, l.Group)
	if err != nil {
		return err
	}
	return c.showList(ctx, s, api, "/api/policies", values("q", l.Query, "group", group), 0, column{"NAME", "name"}, column{"VERSION", "live"}, column{"NEWEST", "newest"},
		column{"APPLIED", "counts.applied"}, column{"PENDING", "counts.pending"}, column{"FAILED", "counts.failed"}, column{"CONFLICT", "counts.conflict"},
		column{"DRIFTED", "counts.drifted"}, column{"UPDATED", "updated_at"}, column{"ID", "id"})
}

// onePolicy is the argument that names a policy.
type onePolicy struct {
	Policy string `arg:"" help:"Name or id."`
}

type policyShowCmd struct {
	onePolicy
	Number int64 `help:"This version; without it the one in force, or the newest."`
}

// Run shows a policy as its file.
func (p *policyShowCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	item, raw, err := api.policy(ctx, p.Policy)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(s.out, raw)
	}
	fmt.Fprintf(s.out, "# %s, version %d in force, newest %d\n", item.ID, item.Live, item.Newest)
	if item.Draft != nil {
		fmt.Fprintf(s.out, "# %s has an unpublished draft of %s\n", clean(item.Draft.By, 100), item.Draft.At.Local().Format("2006-01-02 15:04"))
	}
	b, err := export(ctx, &places{api: api}, item, p.Number)
	if err != nil {
		return err
	}
	_, err = s.out.Write(b)
	return err
}

type policyVersionsCmd struct{ onePolicy }

// Run lists versions.
func (p *policyVersionsCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	item, _, err := api.policy(ctx, p.Policy)
	if err != nil {
		return err
	}
	return c.showList(ctx, s, api, item.path("/versions"), nil, 0, column{"VERSION", "number"}, column{"LIVE", "live"}, column{"AT", "at"}, column{"AUTHOR", "author"}, column{"NOTE", "note"})
}

type policyDevicesCmd struct {
	onePolicy
	State   string `help:"Only where it is ${enum}." enum:"applied,pending,failed,conflict,drifted,not_applicable," default:""`
	Setting string `help:"Only by this setting: its id."`
	Limit   int    `help:"At most so many; 0 is all." default:"200"`
}

// Run lists devices of a policy.
func (p *policyDevicesCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	item, _, err := api.policy(ctx, p.Policy)
	if err != nil {
		return err
	}
	return c.showList(ctx, s, api, item.path("/devices"), values("state", p.State, "setting", p.Setting), p.Limit, deviceColumns...)
}

type catalogueCmd struct {
	Key    string `arg:"" optional:"" help:"One setting's key, as screen.lock."`
	Schema bool   `help:"Its JSON Schema."`
}

// Run shows the catalogue.
func (k *catalogueCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	raw, err := api.get(ctx, "/api/catalogue", nil)
	if err != nil {
		return err
	}
	entries, err := itemsOf(raw)
	if err != nil {
		return err
	}
	if k.Key == "" {
		return c.show(s, entries, column{"KEY", "key"}, column{"CATEGORY", "category"}, column{"TITLE", "title"}, column{"SEVERAL", "several"}, column{"MERGE", "merge"}, column{"WHAT IT IS", "description"})
	}
	for _, one := range entries {
		var e struct {
			Key, Title, Description, Mechanism string
			Risk                               struct{ Words string }
			Fields                             []json.RawMessage
			Schema                             json.RawMessage
		}
		if err := json.Unmarshal(one, &e); err != nil {
			return err
		}
		switch {
		case e.Key != k.Key:
			continue
		case k.Schema:
			return printJSON(s.out, e.Schema)
		case c.Output == "json":
			return printJSON(s.out, one)
		}
		fmt.Fprintf(s.out, "%s: %s\n%s\nOn the device: %s.\n", e.Key, clean(e.Title, 100), clean(e.Description, 2000), clean(e.Mechanism, 500))
		if e.Risk.Words != "" {
			fmt.Fprintf(s.out, "Mind: %s\n", clean(e.Risk.Words, 1000))
		}
		fmt.Fprintln(s.out)
		return c.show(s, e.Fields, column{"FIELD", "name"}, column{"TYPE", "kind"}, column{"NEEDED", "required"}, column{"DEFAULT", "default"}, column{"FROM", "min"}, column{"TO", "max"}, column{"WHAT IT IS", "title"})
	}
	return fmt.Errorf("there is no setting %q; handrail policy settings lists them", clean(k.Key, 100))
}

type policyExportCmd struct {
	Policies []string `arg:"" optional:"" help:"Names or ids; without any, all."`
	Dir      string   `short:"d" help:"Write a file each into this directory; without it, to standard output." type:"path" placeholder:"DIR"`
}

// Run writes policies as files.
func (p *policyExportCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	if len(p.Policies) == 0 {
		all, err := api.policies(ctx)
		if err != nil {
			return err
		}
		for _, one := range all {
			p.Policies = append(p.Policies, one.ID)
		}
	}
	where, used := &places{api: api}, map[string]bool{}
	for i, what := range p.Policies {
		item, _, err := api.policy(ctx, what)
		if err != nil {
			return err
		}
		b, err := export(ctx, where, item, 0)
		if err != nil {
			return err
		}
		if p.Dir == "" {
			if i > 0 {
				fmt.Fprintln(s.out, "---")
			}
			if _, err := s.out.Write(b); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(p.Dir, 0o755); err != nil {
			return err
		}
		name := fileName(item, used)
		if err := os.WriteFile(filepath.Join(p.Dir, name), b, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(s.err, "Wrote %s.\n", filepath.Join(p.Dir, name))
	}
	return nil
}

// fileName is a policy's name as a file's; no two are the same.
func fileName(p policyItem, used map[string]bool) string {
	name := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, p.Name), "-")
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	if name == "" || used[name] {
		name = strings.Trim(name+"-"+p.ID, "-")
	}
	used[name] = true
	return name + ".yaml"
}

// export is a policy as a file: the given version, or that in force, or the newest.
func export(ctx context.Context, where *places, p policyItem, version int64) ([]byte, error) {
	if version == 0 {
		if version = p.Live; version == 0 {
			version = p.Newest
		}
	}
	settings, err := where.api.settingsOf(ctx, p, version)
	if err != nil {
		return nil, err
	}
	f := &policyfile.Policy{Name: p.Name, Description: p.Description, Settings: settings}
	for _, a := range p.Assignments {
		named, err := where.toNames(ctx, a)
		if err != nil {
			return nil, err
		}
		f.Assignments = append(f.Assignments, named)
	}
	return f.Write()
}

// toNames is an assignment with names for ids.
func (p *places) toNames(ctx context.Context, a policyfile.Assignment) (policyfile.Assignment, error) {
	for _, sc := range []*policyfile.Scope{&a.Include, &a.Exclude} {
		if len(sc.Groups) > 0 {
			if err := p.loadGroups(ctx); err != nil {
				return a, err
			}
		}
		if len(sc.Labels) > 0 {
			if err := p.loadLabels(ctx); err != nil {
				return a, err
			}
		}
		groups, labels := []string{}, []string{}
		for _, id := range sc.Groups {
			groups = append(groups, p.groupName(id))
		}
		for _, id := range sc.Labels {
			labels = append(labels, p.labelName(id))
		}
		sc.Groups, sc.Labels = groups, labels
	}
	return a, nil
}

type policyRollBackCmd struct {
	onePolicy
	Version int64 `arg:"" help:"Which version; 0 takes the policy off all devices."`
	Yes     bool  `short:"y" help:"Do not ask."`
}

// Run puts a version in force.
func (p *policyRollBackCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	item, _, err := api.policy(ctx, p.Policy)
	if err != nil {
		return err
	}
	var would effect
	if err := api.do(ctx, request{method: http.MethodPost, path: item.path("/what-if"), in: map[string]any{"version": p.Version}}, &would); err != nil {
		return err
	}
	if err := sure(s, p.Yes, fmt.Sprintf("Put version %d of %s in force instead of %d? %d of %d devices would change.", p.Version, clean(item.Name, 80), item.Live, would.Changed, would.Devices)); err != nil {
		return err
	}
	if err := api.do(ctx, request{method: http.MethodPost, path: item.path("/activate"), in: map[string]any{"version": p.Version}, match: item.Revision}, &item); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Version %d of %s is in force.\n", item.Live, clean(item.Name, 80))
	return nil
}

type policyDeleteCmd struct {
	onePolicy
	Yes bool `short:"y" help:"Do not ask."`
}

// Run deletes a policy.
func (p *policyDeleteCmd) Run(ctx context.Context, c *commands, s streams) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	item, _, err := api.policy(ctx, p.Policy)
	if err != nil {
		return err
	}
	var would effect
	if err := api.do(ctx, request{method: http.MethodPost, path: item.path("/what-if"), in: map[string]any{"delete": true}}, &would); err != nil {
		return err
	}
	if err := sure(s, p.Yes, fmt.Sprintf("Delete %s with its %d versions? %d devices would change.", clean(item.Name, 80), item.Newest, would.Changed)); err != nil {
		return err
	}
	if err := api.do(ctx, request{method: http.MethodDelete, path: item.path(""), match: item.Revision}, nil); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "Deleted %s.\n", clean(item.Name, 80))
	return nil
}
