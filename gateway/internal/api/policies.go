package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"handrail/gateway/internal/audit"
	"handrail/gateway/internal/auth"
	"handrail/mdm"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
	"handrail/mdm/rollout"
	"handrail/signaling"
)

const (
	codePrecondition signaling.Code = "precondition" // say with If-Match which revision you saw
	codeStale        signaling.Code = "stale"        // somebody else changed it meanwhile
)

// maxPolicyBody lets a policy's settings through with some white space.
const maxPolicyBody = policy.MaxBytes + 1<<20

// SettingBody is one setting of a policy. A secret in the value is shown as {"secret": true,
// "ref": …}; sent back so, it stays as it is.
type SettingBody struct {
	ID    manifest.ID     `json:"id" maxLength:"129" doc:"Key of the catalogue, with a name after a slash where there may be several"`
	Value json.RawMessage `json:"value" doc:"As the key's schema says"`
}

// ScopeBody is a set of devices.
type ScopeBody struct {
	Groups []mdm.GroupID `json:"groups,omitempty" maxItems:"200" doc:"Devices in these and below"`
	Labels []mdm.LabelID `json:"labels,omitempty" maxItems:"200" doc:"Devices that carry any of these"`
}

// AssignmentBody says which devices a policy is for.
type AssignmentBody struct {
	ID       policy.AssignmentID `json:"id,omitempty" maxLength:"64" doc:"Left out for a new one"`
	Include  ScopeBody           `json:"include"`
	Exclude  ScopeBody           `json:"exclude,omitempty"`
	Priority int                 `json:"priority" minimum:"0" maximum:"1000" doc:"The higher wins"`
	Version  int64               `json:"version,omitempty" minimum:"0" doc:"Pins a version; left out: the live one"`
}

// DraftBody is what the next version will be.
type DraftBody struct {
	Base     int64         `json:"base" doc:"Version it began from; 0: from nothing"`
	Settings []SettingBody `json:"settings,omitempty" doc:"Left out in lists"`
	By       string        `json:"by" doc:"Name of who edited it last"`
	At       time.Time     `json:"at"`
}

// PolicyBody is a policy. Its revision is its ETag.
type PolicyBody struct {
	ID          policy.ID        `json:"id"`
	Name        string           `json:"name"`
	Description string           `json:"description"`
	Revision    int64            `json:"revision"`
	Newest      int64            `json:"newest" doc:"Number of the newest version; 0: never published"`
	Live        int64            `json:"live" doc:"Version in force; 0: none"`
	Draft       *DraftBody       `json:"draft,omitempty"`
	Assignments []AssignmentBody `json:"assignments"`
	Rollout     *RolloutBody     `json:"rollout,omitempty" doc:"Under way"`
	Counts      *CountsBody      `json:"counts,omitempty" doc:"Devices you may see, by state"`
	CreatedAt   time.Time        `json:"created_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
	MayManage   bool             `json:"may_manage" doc:"Whether you may change it"`
}

// VersionBody is a published version of a policy. It never changes.
type VersionBody struct {
	Number   int64         `json:"number"`
	Author   string        `json:"author"`
	Note     string        `json:"note"`
	At       time.Time     `json:"at"`
	Live     bool          `json:"live"`
	Settings []SettingBody `json:"settings,omitempty" doc:"Left out in lists"`
}

type policyAnswer struct {
	ETag string `header:"ETag"`
	Body PolicyBody
}

// Match is how a change says which revision it is about.
type Match struct {
	IfMatch string `header:"If-Match" maxLength:"64" doc:"The revision you saw, as its ETag; * takes any"`
}

// revision reads If-Match; 0 is any.
func (i Match) revision() (int64, error) {
	text := strings.TrimSpace(i.IfMatch)
	if text == "*" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(text, "W/"), `"`), 10, 64)
	if text == "" || err != nil || n < 1 {
		return 0, problem(http.StatusPreconditionRequired, codePrecondition, "say in If-Match which revision you saw: its ETag")
	}
	return n, nil
}

// MayMatch is how a change may say which revision it is about. The console always does.
type MayMatch struct {
	IfMatch string `header:"If-Match" maxLength:"64" doc:"The revision you saw, as its ETag: a newer one is not written over. Left out, or *: any"`
}

// revision reads If-Match; 0 is any.
func (i MayMatch) revision() (int64, error) {
	if strings.TrimSpace(i.IfMatch) == "" {
		return 0, nil
	}
	return Match(i).revision()
}

type matchInput[T any] struct {
	IDPath
	MayMatch
	Body T
}

// tagged is an answer with the revision of what it tells.
type tagged[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

// stale is what a change under a revision that is no longer the newest comes to.
func stale(err error) error {
	if errors.Is(err, mdm.ErrConflict) {
		return problem(http.StatusPreconditionFailed, codeStale, "somebody else changed this meanwhile: look at it again")
	}
	return err
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// settingProblems tells everything that is wrong with settings.
func settingProblems(wrong policy.Problems) *Problem {
	p := problem(http.StatusUnprocessableEntity, signaling.CodeMalformed, mdm.Clean(wrong.Error(), 300))
	for _, one := range wrong {
		where := "settings"
		if one.Setting != "" {
			where += "[" + string(one.Setting) + "]"
		}
		if one.Path != "" {
			where += "." + one.Path
		}
		p.Errors = append(p.Errors, FieldProblem{Location: mdm.Clean(where, 300), Message: mdm.Clean(one.Message, 300)})
	}
	return p
}

func (a *API) registerPolicies() {
	a.registerManifest()
	tags := []string{"policies"}
	view := func(id, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Tags: tags, Summary: summary}
	}
	change := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Tags: tags, Summary: summary, MaxBodyBytes: maxPolicyBody}
	}
	operation(a, auth.PolicyView, view("get-catalogue", "/api/catalogue", "Every setting there is, with a JSON Schema each"), a.getCatalogue)
	operation(a, auth.PolicyView, view("list-policies", "/api/policies", "Policies by name"), a.listPolicies)
	create := change("create-policy", http.MethodPost, "/api/policies", "Make a policy; settings become its draft")
	create.DefaultStatus = http.StatusCreated
	operation(a, auth.PolicyManage, create, a.createPolicy)
	operation(a, auth.PolicyView, view("get-policy", "/api/policies/{id}", "One policy with its draft"), a.getPolicy)
	operation(a, auth.PolicyManage, change("change-policy", http.MethodPatch, "/api/policies/{id}", "Rename or describe"), a.changePolicy)
	remove := change("delete-policy", http.MethodDelete, "/api/policies/{id}", "Take a policy off all devices and forget it")
	remove.DefaultStatus = http.StatusNoContent
	operation(a, auth.PolicyManage, remove, a.deletePolicy)
	operation(a, auth.PolicyManage, change("save-draft", http.MethodPut, "/api/policies/{id}/draft", "Write the next version"), a.saveDraft)
	operation(a, auth.PolicyManage, change("discard-draft", http.MethodDelete, "/api/policies/{id}/draft", "Throw the draft away"), a.discardDraft)
	operation(a, auth.PolicyView, view("list-policy-versions", "/api/policies/{id}/versions", "Versions, newest first"), a.listVersions)
	operation(a, auth.PolicyView, view("get-policy-version", "/api/policies/{id}/versions/{number}", "One version"), a.getVersion)
	operation(a, auth.PolicyManage, change("edit-policy-version", http.MethodPost, "/api/policies/{id}/versions/{number}/edit", "Make a version the draft"), a.editVersion)
	operation(a, auth.PolicyView, view("diff-policy", "/api/policies/{id}/diff", "How two versions, or the draft, differ"), a.diffPolicy)
	operation(a, auth.PolicyManage, change("publish-policy", http.MethodPost, "/api/policies/{id}/publish", "Make the draft a version and put it in force, at once or in stages"), a.publishPolicy)
	operation(a, auth.PolicyManage, change("activate-policy", http.MethodPost, "/api/policies/{id}/activate", "Put any version in force, as for a roll-back; 0 takes the policy off"), a.activatePolicy)
	operation(a, auth.PolicyManage, change("assign-policy", http.MethodPut, "/api/policies/{id}/assignments", "Say whom it is for"), a.assignPolicy)
	whatIf := change("what-if", http.MethodPost, "/api/policies/{id}/what-if", "What a change would do, device by device, before it is made")
	operation(a, auth.PolicyView, whatIf, a.whatIf)
	operation(a, auth.PolicyManage, change("what-if-new", http.MethodPost, "/api/what-if", "What a new policy would do"), a.whatIfNew)
	operation(a, auth.PolicyView, view("export-policy", "/api/policies/{id}/export", "A policy as a file: name, assignments, settings in force"), a.exportPolicy)
	operation(a, auth.PolicyView, view("get-policy-status", "/api/policies/{id}/status", "How its settings stand on the devices you may see"), a.policyStatus)
	operation(a, auth.PolicyView, view("list-policy-devices", "/api/policies/{id}/devices", "Devices by how the policy, or one setting, stands on them"), a.policyDevices)
	operation(a, auth.PolicyView, view("get-device-settings", "/api/devices/{id}/settings", "What a device must be, why, and how it stands"), a.deviceSettings)
	a.registerRollouts()
}

// mayManage reports whether the caller may change what a policy does: everywhere it is for.
func mayManage(c auth.Caller, lists ...[]policy.Assignment) bool {
	if !c.MayAnywhere(auth.PolicyManage) {
		return false
	}
	for _, list := range lists {
		for _, one := range list {
			if len(one.Include.Labels) > 0 && !c.May(auth.PolicyManage, mdm.RootGroup) {
				return false // labels know no groups
			}
			for _, g := range one.Include.Groups {
				if _, exists := c.Tree().Group(g); exists && !c.May(auth.PolicyManage, g) {
					return false
				}
			}
		}
	}
	return true
}

// maySee reports whether a policy concerns groups the caller may look at.
func maySee(c auth.Caller, p policy.Policy) bool {
	groups, all := c.Groups(auth.PolicyView)
	if all || len(p.Assignments) == 0 || p.CreatedBy == string(c.Operator.ID) {
		return c.MayAnywhere(auth.PolicyView)
	}
	for _, one := range p.Assignments {
		if len(one.Include.Labels) > 0 {
			return len(groups) > 0
		}
		for _, g := range one.Include.Groups {
			if slices.ContainsFunc(groups, func(mine mdm.GroupID) bool { return c.Tree().IsWithin(mine, g) || c.Tree().IsWithin(g, mine) }) {
				return true
			}
		}
	}
	return false
}

// policyFor returns a policy the caller may look at, and, to manage it, change.
func (a *API) policyFor(ctx context.Context, id string, p auth.Permission) (policy.Policy, error) {
	one, err := a.cfg.Policies.Policy(ctx, policy.ID(id))
	if errors.Is(err, mdm.ErrNotFound) || err == nil && !maySee(callerOf(ctx), one) {
		return one, notFound("policy")
	}
	if err == nil && p == auth.PolicyManage && !mayManage(callerOf(ctx), one.Assignments) {
		return one, errForbidden
	}
	return one, err
}

func policyWho(p policy.Policy) audit.Who {
	return audit.Who{Kind: "policy", ID: string(p.ID), Name: p.Name}
}

func (a *API) actor(ctx context.Context) policy.Actor {
	return policy.Actor{ID: string(callerOf(ctx).Operator.ID), At: a.cfg.Now()}
}

func (a *API) settingBodies(settings []policy.Setting) []SettingBody {
	out := make([]SettingBody, 0, len(settings))
	for _, s := range a.cfg.Policies.Catalogue().MaskAll(settings) {
		out = append(out, SettingBody(s))
	}
	return out
}

func settingsOf(bodies []SettingBody) []policy.Setting {
	out := make([]policy.Setting, len(bodies))
	for i, b := range bodies {
		out[i] = policy.Setting(b)
	}
	return out
}

func assignmentBodies(list []policy.Assignment) []AssignmentBody {
	out := make([]AssignmentBody, len(list))
	for i, one := range list {
		out[i] = AssignmentBody{ID: one.ID, Include: ScopeBody(one.Include), Exclude: ScopeBody(one.Exclude), Priority: one.Priority, Version: one.Version}
	}
	return out
}

func assignmentsOf(bodies []AssignmentBody) []policy.Assignment {
	out := make([]policy.Assignment, len(bodies))
	for i, b := range bodies {
		out[i] = policy.Assignment{ID: b.ID, Include: policy.Scope(b.Include), Exclude: policy.Scope(b.Exclude), Priority: b.Priority, Version: b.Version}
	}
	return out
}

// policyBody is a policy without its counts; names remembers operators' names.
func (a *API) policyBody(ctx context.Context, p policy.Policy, names *operatorNames) PolicyBody {
	b := PolicyBody{
		ID: p.ID, Name: p.Name, Description: p.Description, Revision: p.Revision, Newest: p.Newest, Live: p.Live,
		Assignments: assignmentBodies(p.Assignments), CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
		MayManage: mayManage(callerOf(ctx), p.Assignments),
	}
	if p.Draft != nil {
		b.Draft = &DraftBody{Base: p.Draft.Base, By: names.of(ctx, p.Draft.By), At: p.Draft.At}
		if p.Draft.Settings != nil {
			b.Draft.Settings = a.settingBodies(p.Draft.Settings)
		}
	}
	return b
}

// operatorNames finds operators' names, each once.
type operatorNames struct {
	a    *API
	have map[string]string
}

func (a *API) names() *operatorNames { return &operatorNames{a: a, have: map[string]string{}} }

func (n *operatorNames) of(ctx context.Context, id string) string {
	name, ok := n.have[id]
	if !ok {
		name = id
		if o, err := n.a.cfg.Auth.Operator(ctx, auth.OperatorID(id)); err == nil {
			name = o.Name
		}
		n.have[id] = name
	}
	return name
}

// policyDone records a change and answers with the policy as it is now.
func (a *API) policyDone(ctx context.Context, action string, p policy.Policy, detail map[string]string) (*policyAnswer, error) {
	a.cfg.Desire.Wake()
	a.cfg.Changed(signaling.TopicPolicies, string(p.ID))
	if err := a.record(ctx, action, policyWho(p), "", detail); err != nil {
		return nil, err
	}
	b := a.policyBody(ctx, p, a.names())
	under, err := a.rolloutsUnderWay(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	if len(under) > 0 {
		r := a.rolloutBody(ctx, under[0], p.Name, a.names())
		b.Rollout = &r
	}
	return &policyAnswer{ETag: etag(p.Revision), Body: b}, nil
}

func (a *API) rolloutsUnderWay(ctx context.Context, id policy.ID) ([]rollout.Rollout, error) {
	list, _, err := a.cfg.Desire.Rollouts(ctx, rollout.Filter{Policy: id, UnderWay: true, Limit: policy.MaxPolicies})
	return list, err
}
