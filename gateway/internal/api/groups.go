package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/group"
	"handrail/signaling"
)

// UnattendedBody is a policy for sessions nobody at the device is asked about.
type UnattendedBody struct {
	Enabled      bool     `json:"enabled"`
	Capabilities []string `json:"capabilities" maxItems:"16" enum:"view,control,clipboard,files,terminal,root,diagnostics,power,record" doc:"More is never granted unasked"`
}

// GroupBody is a node of the group tree.
type GroupBody struct {
	ID         string          `json:"id"`
	ParentID   string          `json:"parent_id,omitempty" doc:"Left out for the root"`
	Name       string          `json:"name"`
	Path       []string        `json:"path" doc:"Names from the root down to this group"`
	Unattended *UnattendedBody `json:"unattended,omitempty" doc:"This group's own policy; left out: it inherits"`
	InForce    UnattendedBody  `json:"in_force" doc:"The policy that applies: its own, or the nearest above"`
	Revision   int64           `json:"revision" doc:"Its ETag, for If-Match"`
	CreatedAt  *time.Time      `json:"created_at,omitempty"`
	May        []string        `json:"may" doc:"Permissions you hold on this group"`

	Devices      *int64 `json:"devices,omitempty" doc:"Devices in this group itself; in the list of groups only, and left out where you may not see them"`
	DevicesBelow *int64 `json:"devices_below,omitempty" doc:"Devices in this group and in its subgroups that you may see; as devices"`
	Policies     *int64 `json:"policies,omitempty" doc:"Policies assigned to this group itself that you may see; in the list of groups only, and left out where you may not see any"`
}

func unattendedBody(u *group.Unattended) *UnattendedBody {
	if u == nil {
		return nil
	}
	b := &UnattendedBody{Enabled: u.Enabled, Capabilities: u.Capabilities}
	if b.Capabilities == nil {
		b.Capabilities = []string{}
	}
	return b
}

func unattendedOf(b *UnattendedBody) *group.Unattended {
	if b == nil {
		return nil
	}
	return &group.Unattended{Enabled: b.Enabled, Capabilities: capabilityNames(capabilitySet(b.Capabilities))}
}

func groupBody(c auth.Caller, t group.Tree, g group.Group) GroupBody {
	force := t.Unattended(g.ID)
	return GroupBody{
		ID: string(g.ID), ParentID: string(g.Parent), Name: g.Name, Path: t.Path(g.ID), Unattended: unattendedBody(g.Unattended),
		InForce: *unattendedBody(&force), Revision: g.Revision, CreatedAt: timePtr(g.CreatedAt), May: may(c, g.ID),
	}
}

// may lists the permissions a caller holds on one group.
func may(c auth.Caller, g mdm.GroupID) []string {
	out := []string{}
	for _, p := range auth.Permissions() {
		if c.May(p, g) {
			out = append(out, string(p))
		}
	}
	return out
}

// NewGroupInput makes a group.
type NewGroupInput struct {
	ParentID   string          `json:"parent_id" maxLength:"64"`
	Name       string          `json:"name" minLength:"1" maxLength:"80"`
	Unattended *UnattendedBody `json:"unattended,omitempty" doc:"Left out: inherit"`
}

// GroupChange changes a group; what is left out stays.
type GroupChange struct {
	ParentID   *string         `json:"parent_id,omitempty" maxLength:"64"`
	Name       *string         `json:"name,omitempty" minLength:"1" maxLength:"80"`
	Unattended *UnattendedBody `json:"unattended,omitempty"`
	Inherit    bool            `json:"inherit,omitempty" doc:"Drop the group's own unattended policy and inherit again"`
}

func (a *API) registerGroups() {
	tags := []string{"groups"}
	operation(a, auth.GroupView, huma.Operation{
		OperationID: "list-groups", Method: http.MethodGet, Path: "/api/groups", Tags: tags,
		Summary: "Every group you may see, parents before children",
	}, a.listGroups)
	operation(a, auth.GroupManage, huma.Operation{
		OperationID: "create-group", Method: http.MethodPost, Path: "/api/groups", Tags: tags, Summary: "Make a group",
		DefaultStatus: http.StatusCreated,
	}, a.createGroup)
	operation(a, auth.GroupManage, huma.Operation{
		OperationID: "change-group", Method: http.MethodPatch, Path: "/api/groups/{id}", Tags: tags,
		Summary: "Rename, move, or set the unattended policy",
	}, a.changeGroup)
	operation(a, auth.GroupManage, huma.Operation{
		OperationID: "delete-group", Method: http.MethodDelete, Path: "/api/groups/{id}", Tags: tags,
		Summary: "Remove a group nothing hangs on", DefaultStatus: http.StatusNoContent,
	}, a.deleteGroup)
}

func (a *API) listGroups(ctx context.Context, _ *empty) (*body[List[GroupBody]], error) {
	c := callerOf(ctx)
	list := List[GroupBody]{Items: []GroupBody{}}
	devices, err := a.cfg.Devices.CountByGroup(ctx)
	if err != nil {
		return nil, err
	}
	policies, err := a.policiesByGroup(ctx)
	if err != nil {
		return nil, err
	}
	mine := map[mdm.GroupID]int64{}
	for _, g := range c.Tree().All() {
		if c.May(auth.DeviceView, g.ID) {
			mine[g.ID] = devices[g.ID]
		}
	}
	for _, g := range c.Tree().All() {
		if !c.May(auth.GroupView, g.ID) {
			continue
		}
		b := groupBody(c, c.Tree(), g)
		if own, ok := mine[g.ID]; ok {
			below := int64(0)
			for _, id := range c.Tree().Below(g.ID) {
				below += mine[id]
			}
			b.Devices, b.DevicesBelow = &own, &below
		}
		if c.May(auth.PolicyView, g.ID) {
			n := policies[g.ID]
			b.Policies = &n
		}
		list.Items = append(list.Items, b)
	}
	return &body[List[GroupBody]]{list}, nil
}

// policiesByGroup counts the policies the caller may see by the groups they are assigned to.
func (a *API) policiesByGroup(ctx context.Context) (map[mdm.GroupID]int64, error) {
	all, err := a.cfg.Policies.All(ctx)
	if err != nil {
		return nil, err
	}
	out := map[mdm.GroupID]int64{}
	for _, p := range all {
		if !maySee(callerOf(ctx), p) {
			continue
		}
		to := map[mdm.GroupID]bool{}
		for _, one := range p.Assignments {
			for _, g := range one.Include.Groups {
				to[g] = true
			}
		}
		for g := range to {
			out[g]++
		}
	}
	return out, nil
}

func (a *API) createGroup(ctx context.Context, in *body[NewGroupInput]) (*tagged[GroupBody], error) {
	if !callerOf(ctx).May(auth.GroupManage, mdm.GroupID(in.Body.ParentID)) {
		return nil, notFound("group to be below")
	}
	g, err := a.cfg.Groups.Create(ctx, mdm.GroupID(in.Body.ParentID), in.Body.Name, unattendedOf(in.Body.Unattended), a.cfg.Now())
	if err != nil {
		return nil, err
	}
	return a.groupDone(ctx, "group.create", g)
}

func (a *API) groupDone(ctx context.Context, action string, g group.Group) (*tagged[GroupBody], error) {
	a.cfg.Changed(signaling.TopicGroups, string(g.ID))
	detail := map[string]string{"parent": string(g.Parent), "unattended": "inherit"}
	if u := g.Unattended; u != nil {
		detail["unattended"] = "off"
		if u.Enabled {
			detail["unattended"] = "on: " + joinWords(u.Capabilities)
		}
	}
	if err := a.record(ctx, action, audit.Who{Kind: "group", ID: string(g.ID), Name: g.Name}, g.ID, detail); err != nil {
		return nil, err
	}
	t, err := a.cfg.Groups.Tree(ctx)
	if err != nil {
		return nil, err
	}
	return &tagged[GroupBody]{etag(g.Revision), groupBody(auth.NewCaller(callerOf(ctx).Operator, t), t, g)}, nil
}

func (a *API) changeGroup(ctx context.Context, in *matchInput[GroupChange]) (*tagged[GroupBody], error) {
	c, id := callerOf(ctx), mdm.GroupID(in.ID)
	if !c.May(auth.GroupManage, id) {
		return nil, notFound("group")
	}
	seen, err := in.revision()
	if err != nil {
		return nil, err
	}
	change := group.Change{Name: in.Body.Name, Revision: seen}
	if in.Body.ParentID != nil {
		to := mdm.GroupID(*in.Body.ParentID)
		g, _ := c.Tree().Group(id)
		// Moving takes the group, and the rights over it, from one parent to another.
		if to != g.Parent && (!c.May(auth.GroupManage, to) || !c.May(auth.GroupManage, g.Parent)) {
			return nil, notFound("group to be below")
		}
		change.Parent = &to
	}
	if in.Body.Unattended != nil || in.Body.Inherit {
		u := unattendedOf(in.Body.Unattended)
		change.Unattended = &u
	}
	g, err := a.cfg.Groups.Update(ctx, id, change)
	if err != nil {
		return nil, stale(err)
	}
	return a.groupDone(ctx, "group.change", g)
}

func (a *API) deleteGroup(ctx context.Context, in *IDPath) (*empty, error) {
	c, id := callerOf(ctx), mdm.GroupID(in.ID)
	g, ok := c.Tree().Group(id)
	if !ok || !c.May(auth.GroupManage, id) {
		return nil, notFound("group")
	}
	if err := a.cfg.Groups.Delete(ctx, id, a.cfg.Now()); err != nil {
		return nil, err
	}
	a.cfg.Changed(signaling.TopicGroups, in.ID)
	return nil, a.record(ctx, "group.delete", audit.Who{Kind: "group", ID: in.ID, Name: g.Name}, g.Parent, nil)
}
