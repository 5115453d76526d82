package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// places knows groups and labels by name, fetched once.
type places struct {
	api    *client
	groups []groupItem
	labels []labelItem
	loaded struct{ groups, labels bool }
}

type groupItem struct {
	ID   string   `json:"id"`
	Name string   `json:"name"`
	Path []string `json:"path"`
}

type labelItem struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (g groupItem) path() string { return strings.Join(g.Path, "/") }

func (p *places) loadGroups(ctx context.Context) error {
	if p.loaded.groups {
		return nil
	}
	_, err := p.api.each(ctx, "/api/groups", nil, 0, func(raw json.RawMessage) error {
		var g groupItem
		err := json.Unmarshal(raw, &g)
		p.groups = append(p.groups, g)
		return err
	})
	p.loaded.groups = err == nil
	return err
}

func (p *places) loadLabels(ctx context.Context) error {
	if p.loaded.labels {
		return nil
	}
	_, err := p.api.each(ctx, "/api/labels", nil, 0, func(raw json.RawMessage) error {
		var l labelItem
		err := json.Unmarshal(raw, &l)
		p.labels = append(p.labels, l)
		return err
	})
	p.loaded.labels = err == nil
	return err
}

// group finds a group by id, by its path of names (with or without the root's), or by its
// name where only one has it. "" stays "".
func (p *places) group(ctx context.Context, what string) (string, error) {
	if what == "" {
		return "", nil
	}
	if err := p.loadGroups(ctx); err != nil {
		return "", err
	}
	var found []groupItem
	for _, g := range p.groups {
		path := g.path()
		if g.ID == what || strings.EqualFold(path, what) {
			return g.ID, nil
		}
		if below := strings.Join(g.Path[min(1, len(g.Path)):], "/"); strings.EqualFold(below, what) || strings.EqualFold(g.Name, what) {
			found = append(found, g)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("there is no group %q (or you may not see it)", clean(what, 100))
	case 1:
		return found[0].ID, nil
	}
	return "", fmt.Errorf("%d groups are called %q: say which by its path, as %q", len(found), clean(what, 100), clean(found[0].path(), 200))
}

// label finds a label by id or name.
func (p *places) label(ctx context.Context, what string) (string, error) {
	if what == "" {
		return "", nil
	}
	if err := p.loadLabels(ctx); err != nil {
		return "", err
	}
	for _, l := range p.labels {
		if l.ID == what || strings.EqualFold(l.Name, what) {
			return l.ID, nil
		}
	}
	return "", fmt.Errorf("there is no label %q", clean(what, 100))
}

// groupName is a group's path of names, or its id when it is gone.
func (p *places) groupName(id string) string {
	for _, g := range p.groups {
		if g.ID == id {
			return g.path()
		}
	}
	return id
}

func (p *places) labelName(id string) string {
	for _, l := range p.labels {
		if l.ID == id {
			return l.Name
		}
	}
	return id
}

type deviceItem struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Hostname string `json:"hostname"`
	Serial   string `json:"serial"`
}

// device finds a device by id, name, host name or serial number, whole and whatever the case.
func (c *client) device(ctx context.Context, what string) (deviceItem, error) {
	if strings.HasPrefix(what, "dev_") {
		var d deviceItem
		err := c.do(ctx, request{method: http.MethodGet, path: "/api/devices/" + url.PathEscape(what)}, &d)
		return d, err
	}
	var found []deviceItem
	_, err := c.each(ctx, "/api/devices", values("q", quoted(what)), 1000, func(raw json.RawMessage) error {
		var d deviceItem
		if err := json.Unmarshal(raw, &d); err != nil {
			return err
		}
		if slices.ContainsFunc([]string{d.Name, d.Hostname, d.Serial}, func(s string) bool { return strings.EqualFold(s, what) }) {
			found = append(found, d)
		}
		return nil
	})
	switch {
	case err != nil:
		return deviceItem{}, err
	case len(found) == 0:
		return deviceItem{}, fmt.Errorf("there is no device %q (or you may not see it)", clean(what, 100))
	case len(found) > 1:
		return deviceItem{}, fmt.Errorf("%d devices are called %q: say which by its id, as %s", len(found), clean(what, 100), found[0].ID)
	}
	return found[0], nil
}

// quoted keeps a name together in the language of searches.
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, " ") + `"` }
