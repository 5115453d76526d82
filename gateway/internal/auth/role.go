package auth

import (
	"slices"

	"handrail/mdm"
	"handrail/mdm/group"
	"handrail/signaling"
)

// Permission names one thing an operator may do. Every API operation and every message of a
// browser socket needs one.
type Permission string

// The permissions. All but those of operators, audit, overview and settings are about
// devices of the groups a role was granted on.
const (
	DeviceView     Permission = "device.view"
	DeviceManage   Permission = "device.manage" // rename, move
	DeviceEnroll   Permission = "device.enroll" // make and revoke enrollment tokens
	DeviceRevoke   Permission = "device.revoke" // cut off, delete
	SessionView    Permission = "session.view"  // ask for a session that only looks
	SessionControl Permission = "session.control"
	SessionList    Permission = "session.list" // see past and present sessions
	GroupView      Permission = "group.view"
	GroupManage    Permission = "group.manage"
	OperatorView   Permission = "operator.view"
	OperatorManage Permission = "operator.manage"
	AuditView      Permission = "audit.view"
	OverviewView   Permission = "overview.view"
	SettingsView   Permission = "settings.view"

	PolicyView       Permission = "policy.view"
	PolicyManage     Permission = "policy.manage" // write, publish, assign, roll out
	CommandRun       Permission = "command.run"   // order, cancel, and read what came of it
	ScriptManage     Permission = "script.manage" // the library, and scripts typed for the occasion
	ComplianceView   Permission = "compliance.view"
	ComplianceManage Permission = "compliance.manage" // rules, waivers
)

// Permissions lists every permission.
func Permissions() []Permission {
	return []Permission{
		DeviceView, DeviceManage, DeviceEnroll, DeviceRevoke, SessionView, SessionControl, SessionList,
		GroupView, GroupManage, OperatorView, OperatorManage, AuditView, OverviewView, SettingsView,
		PolicyView, PolicyManage, CommandRun, ScriptManage, ComplianceView, ComplianceManage,
	}
}

// Role is a named set of permissions.
type Role string

// The roles.
const (
	Admin      Role = "admin"
	Technician Role = "technician"
	HelpDesk   Role = "helpdesk"
	Auditor    Role = "auditor"
)

// RoleSpec describes a role to people and to checks.
type RoleSpec struct {
	Role        Role
	Name        string // "Help desk"
	Summary     string // one sentence
	Permissions []Permission
	// Capabilities is the most a session of this role may hold.
	Capabilities signaling.CapabilitySet
}

// Roles lists every role, the most powerful first.
func Roles() []RoleSpec {
	return []RoleSpec{
		{
			Role: Admin, Name: "Administrator", Summary: "Everything, on the groups it is granted on.",
			Permissions: Permissions(), Capabilities: signaling.SetOf(signaling.Capabilities()...),
		},
		{
			Role: Technician, Name: "Technician", Summary: "Looks at, controls and looks after devices.",
			Permissions:  []Permission{DeviceView, DeviceManage, SessionView, SessionControl, SessionList, GroupView, OverviewView, PolicyView, CommandRun, ComplianceView},
			Capabilities: signaling.SetOf(signaling.Capabilities()...),
		},
		{
			Role: HelpDesk, Name: "Help desk", Summary: "Looks at devices, controls nothing.",
			Permissions:  []Permission{DeviceView, SessionView, SessionList, GroupView, OverviewView, PolicyView, ComplianceView},
			Capabilities: signaling.SetOf(signaling.View),
		},
		{
			Role: Auditor, Name: "Auditor", Summary: "Reads records; changes nothing and opens no session.",
			Permissions: []Permission{DeviceView, SessionList, GroupView, OperatorView, AuditView, OverviewView, SettingsView, PolicyView, ComplianceView},
		},
	}
}

// Spec returns the role's description; false for a role that does not exist.
func (r Role) Spec() (RoleSpec, bool) {
	for _, s := range Roles() {
		if s.Role == r {
			return s, true
		}
	}
	return RoleSpec{}, false
}

func (r Role) allows(p Permission) bool {
	s, ok := r.Spec()
	return ok && slices.Contains(s.Permissions, p)
}

// Grant gives a role on a group and every group below it.
type Grant struct {
	Role  Role
	Group mdm.GroupID
}

// Caller is a signed-in operator, with the groups as they were when it was looked up. The
// zero value may do nothing. It is immutable and safe for concurrent use.
type Caller struct {
	Operator Operator
	Token    *APIToken // it came with; nil: signed in at a browser
	tree     group.Tree
	signIn   string // hash
}

// NewCaller returns what an operator may do in a tree.
func NewCaller(op Operator, tree group.Tree) Caller { return Caller{Operator: op, tree: tree} }

// Tree returns the groups as they were when the caller was looked up.
func (c Caller) Tree() group.Tree { return c.tree }

// denied is what no grant gives: anything to a disabled operator, and to a token to make or
// change accounts, which would outlive it.
func (c Caller) denied(p Permission) bool {
	return c.Operator.Disabled || c.Token != nil && p == OperatorManage
}

// May reports whether p was granted on the group or one above it.
func (c Caller) May(p Permission, g mdm.GroupID) bool {
	if c.denied(p) {
		return false
	}
	for _, grant := range c.Operator.Grants {
		if grant.Role.allows(p) && c.tree.IsWithin(g, grant.Group) {
			return true
		}
	}
	return false
}

// MayAnywhere reports whether p was granted on any group.
func (c Caller) MayAnywhere(p Permission) bool {
	return !c.denied(p) && slices.ContainsFunc(c.Operator.Grants, func(g Grant) bool { return g.Role.allows(p) })
}

// Groups returns the groups on which p was granted, inherited ones included; all means
// every group there is or will be, and ids is then nil.
func (c Caller) Groups(p Permission) (ids []mdm.GroupID, all bool) {
	if c.denied(p) {
		return nil, false
	}
	seen := map[mdm.GroupID]bool{}
	for _, grant := range c.Operator.Grants {
		if !grant.Role.allows(p) {
			continue
		}
		if grant.Group == mdm.RootGroup {
			return nil, true
		}
		for _, id := range c.tree.Below(grant.Group) {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids, false
}

// Capabilities is the most a session of this operator on a device of the group may hold.
func (c Caller) Capabilities(g mdm.GroupID) signaling.CapabilitySet {
	var set signaling.CapabilitySet
	if c.Operator.Disabled {
		return set
	}
	for _, grant := range c.Operator.Grants {
		if s, ok := grant.Role.Spec(); ok && c.tree.IsWithin(g, grant.Group) {
			set |= s.Capabilities
		}
	}
	return set
}

// RoleName is the most powerful role held on the group, in words; "" for none.
func (c Caller) RoleName(g mdm.GroupID) string {
	for _, s := range Roles() {
		for _, grant := range c.Operator.Grants {
			if grant.Role == s.Role && c.tree.IsWithin(g, grant.Group) {
				return s.Name
			}
		}
	}
	return ""
}

// Permissions returns what the caller may do on at least one group.
func (c Caller) Permissions() []Permission {
	out := []Permission{}
	for _, p := range Permissions() {
		if c.MayAnywhere(p) {
			out = append(out, p)
		}
	}
	return out
}

// MayGrant reports whether the caller holds everything the grant would give, so that no
// credential ever exceeds its maker's rights.
func (c Caller) MayGrant(g Grant) bool {
	s, ok := g.Role.Spec()
	if !ok || !c.May(OperatorManage, g.Group) {
		return false
	}
	for _, p := range s.Permissions {
		if !c.May(p, g.Group) {
			return false
		}
	}
	return true
}

// MayManage reports whether the caller may change an operator's account: only one whose
// rights the caller could have given. Else setting its password would be a way to them.
func (c Caller) MayManage(op Operator) bool {
	if !c.MayAnywhere(OperatorManage) {
		return false
	}
	return !slices.ContainsFunc(op.Grants, func(g Grant) bool { return !c.MayGrant(g) })
}
