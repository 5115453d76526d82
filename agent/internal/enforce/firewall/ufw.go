package firewall

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// ufwMark begins the comment of our rules in ufw, by which they are known again.
const ufwMark = "handrail "

// ufwPorts is how many ports ufw takes in one rule, a range counting as two.
const ufwPorts = 15

type ufw struct{}

// ufwBefore is how ufw was set before us. Rules of others are never touched.
type ufwBefore struct {
	Incoming string `json:"incoming"`
	Outgoing string `json:"outgoing"`
}

func (ufw) name() string { return "ufw" }

// usesUFW reports whether ufw is switched on.
func usesUFW(sys *enforce.System) bool {
	return setting(sys, "/etc/ufw/ufw.conf", "ENABLED") == "yes"
}

// setting reads NAME=value of a file of shell assignments.
func setting(sys *enforce.System, file, name string) string {
	b, err := sys.ReadFile(file, 1<<20)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}

func ufwDefaults(sys *enforce.System) ufwBefore {
	word := func(policy string) string {
		switch policy {
		case "ACCEPT":
			return "allow"
		case "REJECT":
			return "reject"
		}
		return "deny"
	}
	return ufwBefore{word(setting(sys, "/etc/default/ufw", "DEFAULT_INPUT_POLICY")), word(setting(sys, "/etc/default/ufw", "DEFAULT_OUTPUT_POLICY"))}
}

func (ufw) plan(_ context.Context, sys *enforce.System, _ manifest.Setting, v value) (enforce.Plan, error) {
	rules, err := ufwRules(v)
	if err != nil {
		return enforce.Plan{}, err
	}
	return enforce.Plan{Before: ufwDefaults(sys), Patience: 10 * time.Minute, Check: func(ctx context.Context, _ enforce.Staged) error {
		for _, r := range rules {
			if _, err := runUFW(ctx, sys, append([]string{"--dry-run"}, r...)...); err != nil {
				return fmt.Errorf("ufw does not take a rule: %w", err)
			}
		}
		return nil
	}}, nil
}

// runUFW runs ufw on the device, or on a scratch tree, which must have a kernel's packet
// filter of its own: ufw has no way to write its files only.
func runUFW(ctx context.Context, sys *enforce.System, args ...string) (string, error) {
	if !sys.HasKernel() {
		return "", enforce.Conflict("ufw is in charge of this tree, and there is no packet filter that it may change")
	}
	tool, err := sys.Tool("ufw", "ufw")
	if err != nil {
		return "", err
	}
	p := enforce.Program{Path: tool, Args: args, Within: time.Minute}
	if !sys.Live() {
		p.Args = append([]string{"--rootdir=" + sys.Root, "--datadir=" + sys.Root}, args...)
	}
	r, err := sys.Run(ctx, p)
	return r.Out, err
}

func (ufw) apply(ctx context.Context, sys *enforce.System, v value) error {
	rules, err := ufwRules(v)
	if err != nil {
		return err
	}
	now := ufwDefaults(sys)
	// What is let through comes before what is shut, so that nothing is cut on the way.
	ours, err := ufwOurs(ctx, sys)
	if err != nil {
		return err
	}
	if !slices.Equal(marks(ours), wantedMarks(rules)) {
		if err := dropUFW(ctx, sys, ours); err != nil {
			return err
		}
		for _, r := range slices.Backward(rules) {
			if _, err := runUFW(ctx, sys, r...); err != nil {
				return err
			}
		}
	}
	if !v.Enabled {
		return nil
	}
	return ufwSetDefaults(ctx, sys, now, ufwBefore{v.DefaultIncoming, v.DefaultOutgoing})
}

func ufwSetDefaults(ctx context.Context, sys *enforce.System, now, want ufwBefore) error {
	if now.Incoming != want.Incoming {
		if _, err := runUFW(ctx, sys, "default", want.Incoming, "incoming"); err != nil {
			return err
		}
	}
	if now.Outgoing != want.Outgoing {
		if _, err := runUFW(ctx, sys, "default", want.Outgoing, "outgoing"); err != nil {
			return err
		}
	}
	return nil
}

func (ufw) observe(ctx context.Context, sys *enforce.System, v value) (observed, error) {
	d := ufwDefaults(sys)
	o := observed{Keeper: "ufw", Enabled: usesUFW(sys), Incoming: d.Incoming, Outgoing: d.Outgoing}
	rules, err := ufwRules(v)
	if err != nil {
		return o, err
	}
	ours, err := ufwOurs(ctx, sys)
	if err != nil {
		return o, err
	}
	o.Rules = len(ours)
	switch {
	case !slices.Equal(marks(ours), wantedMarks(rules)):
		return o, errors.New("the rules in ufw are not those of the policy")
	case v.Enabled && (d.Incoming != v.DefaultIncoming || d.Outgoing != v.DefaultOutgoing):
		return o, errors.New("what ufw does where no rule fits is not what the policy says")
	}
	return o, nil
}

func (ufw) remove(ctx context.Context, sys *enforce.System, state json.RawMessage) error {
	if !sys.Exists("/etc/ufw/ufw.conf") {
		return nil
	}
	ours, err := ufwOurs(ctx, sys)
	if err != nil {
		return err
	}
	if err := dropUFW(ctx, sys, ours); err != nil {
		return err
	}
	var was ufwBefore
	if err := json.Unmarshal(state, &was); err != nil {
		return err
	}
	return ufwSetDefaults(ctx, sys, ufwDefaults(sys), was)
}

// ufwOurs lists our rules as ufw would be told them, without the comment, each with its mark.
func ufwOurs(ctx context.Context, sys *enforce.System) ([][2]string, error) {
	out, err := runUFW(ctx, sys, "show", "added")
	if err != nil {
		return nil, err
	}
	var ours [][2]string
	for line := range strings.Lines(out) {
		cmd, comment, ok := strings.Cut(strings.TrimSpace(line), " comment '"+ufwMark)
		if rule, is := strings.CutPrefix(cmd, "ufw "); ok && is {
			mark, _, _ := strings.Cut(strings.TrimSuffix(comment, "'"), " ")
			ours = append(ours, [2]string{rule, mark})
		}
	}
	return ours, nil
}

func dropUFW(ctx context.Context, sys *enforce.System, ours [][2]string) error {
	for _, o := range ours {
		if _, err := runUFW(ctx, sys, append([]string{"--force", "delete"}, strings.Fields(o[0])...)...); err != nil {
			return err
		}
	}
	return nil
}

func marks(ours [][2]string) []string {
	var out []string
	for _, o := range ours {
		out = append(out, o[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func wantedMarks(rules [][]string) []string {
	var out []string
	for _, r := range rules {
		mark, _, _ := strings.Cut(strings.TrimPrefix(r[len(r)-1], ufwMark), " ")
		out = append(out, mark)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ufwRules are the arguments that add each rule, first rule first.
func ufwRules(v value) ([][]string, error) {
	if !v.Enabled {
		return nil, nil
	}
	var out [][]string
	for _, r := range v.Rules {
		if r.Protocol == "icmp" {
			return nil, enforce.Conflict("ufw is in charge of this device's firewall: the rule %q, for ICMP, cannot be given to it", plain(r.Name))
		}
		verdict := "allow"
		if r.Action == "deny" && r.Direction == "in" {
			verdict = "deny"
		} else if r.Action == "deny" {
			verdict = "reject"
		}
		head := []string{"prepend", verdict, r.Direction}
		if r.Interface != "" {
			head = append(head, "on", r.Interface)
		}
		if r.Action == "deny" && v.LogDropped {
			head = append(head, "log")
		}
		if r.Protocol != "any" {
			head = append(head, "proto", r.Protocol)
		}
		far := []string{"any"}
		if len(r.Sources) > 0 {
			far = nil
			for _, p := range slices.Concat(r.v4, r.v6) {
				far = append(far, ufwAddress(p))
			}
		}
		for _, f := range far {
			for _, ports := range ufwPortLists(r.ports) {
				args := slices.Clone(head)
				if r.Direction == "in" {
					args = append(args, "from", f, "to", "any")
				} else {
					args = append(args, "from", "any", "to", f)
				}
				if ports != "" {
					args = append(args, "port", ports)
				}
				out = append(out, args)
			}
		}
	}
	for i, args := range out {
		h := sha256.Sum256(fmt.Appendf(nil, "%d %q", i, args))
		out[i] = append(args, "comment", ufwMark+hex.EncodeToString(h[:4]))
	}
	return out, nil
}

func ufwAddress(p netip.Prefix) string {
	switch {
	case p.IsSingleIP():
		return p.Addr().String()
	case p.Bits() == 0 && p.Addr().Is4():
		return "0.0.0.0/0"
	}
	return p.String()
}

// ufwPortLists splits ports as ufw takes them.
func ufwPortLists(ports []portRange) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	var out []string
	var list []string
	n := 0
	for _, p := range ports {
		cost := 1
		if p.from != p.to {
			cost = 2
		}
		if n+cost > ufwPorts {
			out, list, n = append(out, strings.Join(list, ",")), nil, 0
		}
		list, n = append(list, p.text(":")), n+cost
	}
	return append(out, strings.Join(list, ","))
}
