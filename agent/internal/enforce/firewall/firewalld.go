package firewall

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Two policies of our own, which firewalld asks before any zone.
const (
	policyIn  = "/etc/firewalld/policies/handrail-in.xml"
	policyOut = "/etc/firewalld/policies/handrail-out.xml"
)

// maxRich bounds the rules one policy becomes: firewalld takes one address and one port in
// each.
const maxRich = 2000

type firewalld struct{}

func (firewalld) name() string { return "firewalld" }

// usesFirewalld reports whether firewalld is started with the device.
func usesFirewalld(sys *enforce.System) bool {
	if !sys.Exists("/usr/sbin/firewalld") && sys.Live() {
		return false
	}
	for _, wants := range []string{"multi-user.target.wants/firewalld.service", "multi-user.target.requires/firewalld.service", "dbus-org.fedoraproject.FirewallD1.service"} {
		if sys.Exists("/etc/systemd/system/"+wants) || isLink(sys, "/etc/systemd/system/"+wants) {
			return true
		}
	}
	return false
}

func isLink(sys *enforce.System, p string) bool {
	_, err := os.Readlink(sys.Abs(p))
	return err == nil
}

func (firewalld) plan(_ context.Context, sys *enforce.System, s manifest.Setting, v value) (enforce.Plan, error) {
	if !v.Enabled {
		return enforce.Plan{}, nil
	}
	var p enforce.Plan
	for _, f := range []struct{ path, direction, standard string }{{policyIn, "in", v.DefaultIncoming}, {policyOut, "out", v.DefaultOutgoing}} {
		text, err := policyXML(s.ID, f.direction, f.standard, v)
		if err != nil {
			return p, err
		}
		p.Files = append(p.Files, enforce.File{Path: f.path, Content: text})
	}
	p.Check = func(ctx context.Context, staged enforce.Staged) error { return checkFirewalld(ctx, sys, staged) }
	return p, nil
}

// checkFirewalld has firewalld read our policies in a configuration of nothing else.
func checkFirewalld(ctx context.Context, sys *enforce.System, staged enforce.Staged) error {
	tool, err := sys.Tool("firewall-offline-cmd", "firewalld")
	if err != nil {
		return err
	}
	dir := staged.Path("/etc/firewalld")
	if err := os.WriteFile(filepath.Join(dir, "firewalld.conf"), []byte("DefaultZone=public\n"), 0o600); err != nil {
		return err
	}
	r, err := sys.Run(ctx, enforce.Program{Path: tool, Args: []string{"--system-config", dir, "--check-config"}})
	if err == nil && strings.Contains(r.Err+r.Out, "INVALID_") {
		err = errors.New(r.Words()) // it warns of rules it drops, and ends well
	}
	if err != nil {
		return fmt.Errorf("firewalld does not take the rules: %w", err)
	}
	return nil
}

func (firewalld) apply(ctx context.Context, sys *enforce.System, _ value) error {
	return reloadFirewalld(ctx, sys)
}

func (firewalld) remove(ctx context.Context, sys *enforce.System, _ json.RawMessage) error {
	return reloadFirewalld(ctx, sys)
}

func reloadFirewalld(ctx context.Context, sys *enforce.System) error {
	if !sys.Live() {
		return nil
	}
	tool, err := sys.Tool("firewall-cmd", "firewalld")
	if err != nil {
		return err
	}
	if _, err := sys.Run(ctx, enforce.Program{Path: tool, Args: []string{"--state"}}); err != nil {
		return nil //nolint:nilerr // it does not run: it will read the policies when it starts
	}
	_, err = sys.Run(ctx, enforce.Program{Path: tool, Args: []string{"--reload"}})
	return err
}

func (firewalld) observe(ctx context.Context, sys *enforce.System, v value) (observed, error) {
	o := observed{Keeper: "firewalld", Enabled: v.Enabled}
	if !v.Enabled {
		return o, nil
	}
	o.Incoming, o.Outgoing = v.DefaultIncoming, v.DefaultOutgoing
	args := func(policy, what string) []string { return []string{"--policy", policy, what} }
	tool, err := sys.Tool("firewall-cmd", "firewalld")
	if !sys.Live() {
		tool, err = sys.Tool("firewall-offline-cmd", "firewalld")
		args = func(policy, what string) []string {
			return []string{"--system-config", sys.Abs("/etc/firewalld"), "--policy", policy, what}
		}
	}
	if err != nil {
		return o, err
	}
	for _, d := range []struct{ policy, direction, standard string }{{"handrail-in", "in", v.DefaultIncoming}, {"handrail-out", "out", v.DefaultOutgoing}} {
		r, err := sys.Run(ctx, enforce.Program{Path: tool, Args: args(d.policy, "--list-rich-rules")})
		if err != nil {
			return o, err
		}
		n := strings.Count(strings.TrimSpace(r.Out), "rule ")
		o.Rules += n
		rich, err := richRules(d.direction, v)
		if err != nil {
			return o, err
		}
		if n < len(rich) {
			return o, fmt.Errorf("firewalld has %d of the %d rules of %s", n, len(rich), d.policy)
		}
	}
	return o, nil
}

// The XML of firewalld.policy(5), in its order.
type xmlPolicy struct {
	XMLName  xml.Name `xml:"policy"`
	Target   string   `xml:"target,attr"`
	Priority int      `xml:"priority,attr"`
	Short    string   `xml:"short"`
	Ingress  xmlZone  `xml:"ingress-zone"`
	Egress   xmlZone  `xml:"egress-zone"`
	Rules    []xmlRule
}

type xmlZone struct {
	Name string `xml:"name,attr"`
}

type xmlRule struct {
	XMLName     xml.Name    `xml:"rule"`
	Priority    int         `xml:"priority,attr"`
	Family      string      `xml:"family,attr,omitempty"`
	Source      *xmlAddress `xml:"source"`
	Destination *xmlAddress `xml:"destination"`
	Service     *xmlZone    `xml:"service"`
	Port        *xmlPort    `xml:"port"`
	Protocol    *xmlValue   `xml:"protocol"`
	Log         *xmlLog     `xml:"log"`
	Accept      *struct{}   `xml:"accept"`
	Drop        *struct{}   `xml:"drop"`
	Reject      *struct{}   `xml:"reject"`
}

type xmlAddress struct {
	Address string `xml:"address,attr"`
}

type xmlPort struct {
	Port     string `xml:"port,attr"`
	Protocol string `xml:"protocol,attr"`
}

type xmlValue struct {
	Value string `xml:"value,attr"`
}

type xmlLog struct {
	Prefix string   `xml:"prefix,attr"`
	Level  string   `xml:"level,attr"`
	Limit  xmlValue `xml:"limit"`
}

func policyXML(id manifest.ID, direction, standard string, v value) ([]byte, error) {
	p := xmlPolicy{Target: "ACCEPT", Priority: -1000, Short: "Handrail", Ingress: xmlZone{"ANY"}, Egress: xmlZone{"HOST"}}
	if direction == "out" {
		p.Ingress, p.Egress = xmlZone{"HOST"}, xmlZone{"ANY"}
	}
	if standard == "deny" {
		p.Target = "DROP"
		if direction == "out" {
			p.Target = "REJECT"
		}
	}
	var err error
	if p.Rules, err = richRules(direction, v); err != nil {
		return nil, err
	}
	b, err := xml.MarshalIndent(p, "", "  ")
	return []byte(xml.Header + "<!-- " + enforce.Marker(id) + " -->\n" + string(b) + "\n"), err
}

// richRules is one direction's rules. Their priority keeps the order.
func richRules(direction string, v value) ([]xmlRule, error) {
	out := []xmlRule{{Service: &xmlZone{"dhcpv6-client"}, Accept: &struct{}{}}}
	for _, r := range v.Rules {
		if r.Direction != direction {
			continue
		}
		if r.Interface != "" {
			return nil, enforce.Conflict("firewalld is in charge of this device's firewall and decides by zones: the rule %q, for the interface %s only, cannot be given to it", plain(r.Name), r.Interface)
		}
		out = append(out, r.rich(v.LogDropped)...)
	}
	if len(out) > maxRich {
		return nil, enforce.Conflict("the rules come to %d of firewalld's, more than the %d it takes in reasonable time", len(out), maxRich)
	}
	for i := range out {
		out[i].Priority = i - 30000
	}
	return out, nil
}

// rich is a rule for each of its addresses, ports and protocols.
func (r *rule) rich(log bool) []xmlRule {
	plainRule := xmlRule{}
	switch {
	case r.Action == "allow":
		plainRule.Accept = &struct{}{}
	case r.Direction == "in":
		plainRule.Drop = &struct{}{}
	default:
		plainRule.Reject = &struct{}{}
	}
	if log && r.Action == "deny" {
		plainRule.Log = &xmlLog{Prefix: "handrail refused " + r.Direction + ": ", Level: "info", Limit: xmlValue{"6/m"}}
	}
	rules := []xmlRule{plainRule}
	var whats []xmlRule
	what := func(set func(*xmlRule)) {
		x := plainRule
		set(&x)
		whats = append(whats, x)
	}
	switch {
	case r.Protocol == "icmp":
		what(func(x *xmlRule) { x.Protocol = &xmlValue{"icmp"} })
		what(func(x *xmlRule) { x.Protocol = &xmlValue{"ipv6-icmp"} })
	case len(r.ports) > 0:
		for _, p := range r.ports {
			what(func(x *xmlRule) { x.Port = &xmlPort{p.text("-"), r.Protocol} })
		}
	case r.Protocol != "any":
		what(func(x *xmlRule) { x.Protocol = &xmlValue{r.Protocol} })
	}
	if len(whats) > 0 {
		rules = whats
	}
	if len(r.Sources) == 0 && r.Protocol == "any" { // a rule must be about something: every address is
		r = &rule{Direction: r.Direction, v4: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, v6: []netip.Prefix{netip.MustParsePrefix("::/0")}}
	} else if len(r.Sources) == 0 {
		return rules
	}
	var out []xmlRule
	for _, x := range rules {
		for _, f := range []struct {
			family string
			list   []netip.Prefix
		}{{"ipv4", r.v4}, {"ipv6", r.v6}} {
			for _, p := range f.list {
				y := x
				y.Family = f.family
				if r.Direction == "in" {
					y.Source = &xmlAddress{p.String()}
				} else {
					y.Destination = &xmlAddress{p.String()}
				}
				out = append(out, y)
			}
		}
	}
	return out
}
