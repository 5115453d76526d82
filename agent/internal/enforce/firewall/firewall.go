// Package firewall enforces the firewall policy through whoever is in charge of the
// device's packet filter: firewalld, ufw, or else a table of our own in nftables beside
// everybody else's, which are never touched.
package firewall

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Key is the catalogue's key.
const Key = "firewall.policy"

// value is the setting's value. Its words: deny and allow, in and out, any, tcp, udp, icmp.
type value struct {
	Enabled         bool   `json:"enabled"`
	DefaultIncoming string `json:"default_incoming"`
	DefaultOutgoing string `json:"default_outgoing"`
	Rules           []rule `json:"rules"`
	LogDropped      bool   `json:"log_dropped"`
}

type rule struct {
	Name      string   `json:"name"`
	Action    string   `json:"action"`
	Direction string   `json:"direction"`
	Protocol  string   `json:"protocol"`
	Ports     []string `json:"ports"`
	Sources   []string `json:"sources"` // the other side's
	Interface string   `json:"interface"`

	ports  []portRange
	v4, v6 []netip.Prefix
}

type portRange struct{ from, to uint16 }

func (p portRange) text(dash string) string {
	if p.from == p.to {
		return strconv.Itoa(int(p.from))
	}
	return strconv.Itoa(int(p.from)) + dash + strconv.Itoa(int(p.to))
}

// keeper is who is in charge of the packet filter.
type keeper interface {
	name() string
	plan(ctx context.Context, sys *enforce.System, s manifest.Setting, v value) (enforce.Plan, error)
	apply(ctx context.Context, sys *enforce.System, v value) error
	observe(ctx context.Context, sys *enforce.System, v value) (observed, error)
	remove(ctx context.Context, sys *enforce.System, before json.RawMessage) error
}

// observed is what was read back.
type observed struct {
	Keeper   string `json:"keeper"`
	Enabled  bool   `json:"enabled"`
	Loaded   bool   `json:"loaded"` // into the running kernel; not on a scratch tree
	Incoming string `json:"default_incoming,omitempty"`
	Outgoing string `json:"default_outgoing,omitempty"`
	Rules    int    `json:"rules"` // as the keeper counts them
}

// before is what is remembered of the time before us.
type before struct {
	Keeper string          `json:"keeper"`
	State  json.RawMessage `json:"state,omitempty"` // the keeper's own
}

// Enforcer enforces firewall.policy.
type Enforcer struct{}

// New returns the enforcer.
func New() *Enforcer { return &Enforcer{} }

// Keys implements enforce.Enforcer.
func (*Enforcer) Keys() []string { return []string{Key} }

// Last marks it as one to apply after everything else: it may cut the device off.
func (*Enforcer) Last() {}

// inCharge finds the keeper: one that is switched on, else nftables itself.
func inCharge(sys *enforce.System) keeper {
	switch {
	case usesFirewalld(sys):
		return firewalld{}
	case usesUFW(sys):
		return ufw{}
	}
	return nftables{}
}

// Plan implements enforce.Enforcer.
func (*Enforcer) Plan(ctx context.Context, sys *enforce.System, s manifest.Setting) (enforce.Plan, error) {
	v, err := decode(s)
	if err != nil {
		return enforce.Plan{}, err
	}
	k := inCharge(sys)
	p, err := k.plan(ctx, sys, s, v)
	if err != nil {
		return p, err
	}
	b := before{Keeper: k.name()}
	if p.Before != nil {
		if b.State, err = json.Marshal(p.Before); err != nil {
			return p, err
		}
	}
	p.Before, p.Confirm = b, true
	return p, nil
}

// Apply implements enforce.Enforcer.
func (*Enforcer) Apply(ctx context.Context, sys *enforce.System, s manifest.Setting) error {
	v, err := decode(s)
	if err != nil {
		return err
	}
	k := inCharge(sys)
	if err := k.apply(ctx, sys, v); err != nil {
		return err
	}
	if k.name() != (nftables{}).name() { // somebody took charge since: our own table would decide too
		return nftables{}.remove(ctx, sys, nil)
	}
	return nil
}

// Observe implements enforce.Enforcer.
func (*Enforcer) Observe(ctx context.Context, sys *enforce.System, s manifest.Setting) (any, error) {
	v, err := decode(s)
	if err != nil {
		return nil, err
	}
	o, err := inCharge(sys).observe(ctx, sys, v)
	o.Loaded = o.Enabled && sys.HasKernel()
	return o, err
}

// Remove implements enforce.Enforcer.
func (*Enforcer) Remove(ctx context.Context, sys *enforce.System, r enforce.Removal) error {
	var b before
	if len(r.Before) > 0 {
		if err := json.Unmarshal(r.Before, &b); err != nil {
			return err
		}
	}
	for _, k := range []keeper{firewalld{}, ufw{}} {
		if b.Keeper == k.name() {
			if err := k.remove(ctx, sys, b.State); err != nil {
				return err
			}
		}
	}
	return nftables{}.remove(ctx, sys, nil)
}

func decode(s manifest.Setting) (value, error) {
	v, err := enforce.Decode[value](s)
	if err != nil {
		return v, err
	}
	v.DefaultIncoming, v.DefaultOutgoing = cmp.Or(v.DefaultIncoming, "deny"), cmp.Or(v.DefaultOutgoing, "allow")
	for i := range v.Rules {
		r := &v.Rules[i]
		r.Protocol, r.Direction = cmp.Or(r.Protocol, "any"), cmp.Or(r.Direction, "in")
		if err := r.parse(); err != nil {
			return v, fmt.Errorf("rule %d (%s): %w", i+1, plain(r.Name), err)
		}
	}
	for _, word := range []string{v.DefaultIncoming, v.DefaultOutgoing} {
		if word != "allow" && word != "deny" {
			return v, fmt.Errorf("%q is neither allow nor deny", word)
		}
	}
	return v, nil
}

// parse checks a rule's words and reads its ports and addresses. What is in the rule ends
// in files of others' languages: nothing passes that is not one of the known forms.
func (r *rule) parse() error {
	if !slices.Contains([]string{"allow", "deny"}, r.Action) || !slices.Contains([]string{"in", "out"}, r.Direction) ||
		!slices.Contains([]string{"any", "tcp", "udp", "icmp"}, r.Protocol) {
		return fmt.Errorf("action %q, direction %q or protocol %q is none of the known ones", r.Action, r.Direction, r.Protocol)
	}
	if len(r.Interface) > 15 || strings.ContainsFunc(r.Interface, func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("._-@", c)
	}) {
		return fmt.Errorf("interface %q is not a name of one", r.Interface)
	}
	if len(r.Ports) > 0 && r.Protocol != "tcp" && r.Protocol != "udp" {
		return fmt.Errorf("ports need the protocol tcp or udp")
	}
	for _, p := range r.Ports {
		from, to, isRange := strings.Cut(p, "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
		b, err2 := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
		if err1 != nil || err2 != nil || a == 0 || b < a {
			return fmt.Errorf("%q is neither a port nor a range of ports", p)
		}
		r.ports = append(r.ports, portRange{uint16(a), uint16(b)})
	}
	r.ports = mergePorts(r.ports)
	for _, s := range r.Sources {
		p, err := netip.ParsePrefix(s)
		if a, errAddr := netip.ParseAddr(s); errAddr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() {
			return fmt.Errorf("%q is neither an address nor a network", s)
		}
		if p = p.Masked(); p.Addr().Is4() {
			r.v4 = append(r.v4, p)
		} else {
			r.v6 = append(r.v6, p)
		}
	}
	r.v4, r.v6 = mergePrefixes(r.v4), mergePrefixes(r.v6)
	return nil
}

// mergePorts joins ranges that touch: overlapping ones are an error to nft.
func mergePorts(in []portRange) []portRange {
	slices.SortFunc(in, func(a, b portRange) int { return int(a.from) - int(b.from) })
	var out []portRange
	for _, p := range in {
		if n := len(out); n > 0 && int(p.from) <= int(out[n-1].to)+1 {
			out[n-1].to = max(out[n-1].to, p.to)
			continue
		}
		out = append(out, p)
	}
	return out
}

// mergePrefixes drops networks that are in others.
func mergePrefixes(in []netip.Prefix) []netip.Prefix {
	slices.SortFunc(in, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	var out []netip.Prefix
	for _, p := range in {
		if !slices.ContainsFunc(out, func(o netip.Prefix) bool { return o.Overlaps(p) }) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return out
}

// plain makes a name of people's fit for a comment in a file: letters, digits and a few signs.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" ._-:/()", r)) {
			return r
		}
		return '_'
	}, name)
	return name[:min(len(name), 100)]
}
