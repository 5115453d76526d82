package policy

import (
	"context"
	"slices"
	"time"

	"handrail/mdm"
)

// Filter narrows a list of policies.
type Filter struct {
	Query  string            // part of the name, whatever the case; "" is all
	Group  mdm.GroupID       // only those an assignment of which includes this very group; "" is all
	Seen   func(Policy) bool // only those it says true of, before they count as part of a page; nil is all
	Cursor string            // where to go on, as the last page said
	Limit  int               // 0 means 100
}

// Admits reports whether a policy is one by its assignments and by Seen: what a store whose
// database cannot look into assignments asks of each.
func (f Filter) Admits(p Policy) bool {
	if f.Group != "" && !slices.ContainsFunc(p.Assignments, func(a Assignment) bool { return slices.Contains(a.Include.Groups, f.Group) }) {
		return false
	}
	return f.Seen == nil || f.Seen(p)
}

// Store keeps policies and their versions.
type Store interface {
	// CreatePolicy stores a new policy; mdm.ErrAlreadyExists when its name is taken.
	CreatePolicy(ctx context.Context, p Policy) error
	// Policy returns one policy with its draft and assignments; mdm.ErrNotFound.
	Policy(ctx context.Context, id ID) (Policy, error)
	// Policies returns a page by name, without the settings of drafts (Draft itself is there
	// when there is one), and the cursor of the next page; "" at the end.
	Policies(ctx context.Context, f Filter) ([]Policy, string, error)
	// AllPolicies returns every policy by id, without the settings of drafts: what the
	// resolver needs to know of assignments.
	AllPolicies(ctx context.Context) ([]Policy, error)
	// ChangePolicy runs change over the policy as it is and stores what it made of it,
	// together with the version it returns, if any. No other change of the policy happens
	// meanwhile; change may run twice. Errors: mdm.ErrNotFound, mdm.ErrAlreadyExists (the name
	// is taken), and those of change, unwrapped.
	ChangePolicy(ctx context.Context, id ID, change func(*Policy) (*Version, error)) (Policy, error)
	// DeletePolicy removes a policy with its versions. Errors: mdm.ErrNotFound,
	// mdm.ErrConflict when the revision is another (0 takes any).
	DeletePolicy(ctx context.Context, id ID, revision int64, now time.Time) error
	// PolicyVersion returns one version with its settings; mdm.ErrNotFound.
	PolicyVersion(ctx context.Context, id ID, number int64) (Version, error)
	// PolicyVersions returns versions below before (0: all), newest first, at most limit,
	// without their settings.
	PolicyVersions(ctx context.Context, id ID, before int64, limit int) ([]Version, error)
}

// Sealer encrypts secrets for the store; gateway's secret key is one.
type Sealer interface {
	Seal(label string, plain []byte) string
	Open(label, sealed string) ([]byte, error)
}
