package firewall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
)

// Where our own rules are kept, and what loads them before there is a network.
const (
	rulesFile = "/etc/handrail/firewall.nft"
	unitName  = "handrail-firewall.service"
	unitFile  = "/etc/systemd/system/" + unitName
	unitLink  = "/etc/systemd/system/sysinit.target.wants/" + unitName
)

const unitText = `[Unit]
Description=Firewall of this device's policies
DefaultDependencies=no
After=nftables.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target
ConditionPathExists=` + rulesFile + `

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f ` + rulesFile + `

[Install]
WantedBy=sysinit.target
`

// nftables keeps one table of ours.
type nftables struct{}

func (nftables) name() string { return "nftables" }

func (nftables) plan(_ context.Context, sys *enforce.System, s manifest.Setting, v value) (enforce.Plan, error) {
	if !v.Enabled {
		return enforce.Plan{}, nil
	}
	text := ruleset(v)
	p := enforce.Plan{Files: []enforce.File{{Path: rulesFile, Content: []byte("#!/usr/sbin/nft -f\n# " + enforce.Marker(s.ID) + "\n" + text)}}}
	if sys.Exists("/etc/systemd/system") {
		p.Files = append(p.Files,
			enforce.File{Path: unitFile, Content: []byte("# " + enforce.Marker(s.ID) + "\n" + unitText)},
			enforce.File{Path: unitLink, Link: unitFile})
	}
	p.Check = func(ctx context.Context, staged enforce.Staged) error {
		nft, err := sys.Tool("nft", "nftables")
		if err != nil {
			return err
		}
		if _, err = sys.Run(ctx, enforce.Program{Path: nft, Args: []string{"-c", "-f", staged.Path(rulesFile)}}); err != nil {
			return fmt.Errorf("nft does not take the rules: %w", err)
		}
		return nil
	}
	return p, nil
}

func (nftables) apply(ctx context.Context, sys *enforce.System, v value) error {
	if !v.Enabled {
		return nftables{}.remove(ctx, sys, nil)
	}
	if !sys.HasKernel() {
		return nil
	}
	nft, err := sys.Tool("nft", "nftables")
	if err != nil {
		return err
	}
	_, err = sys.Run(ctx, enforce.Program{Path: nft, Args: []string{"-f", sys.Abs(rulesFile)}})
	return err
}

// observe compares the table in the kernel with what the same rules become in a network
// namespace of their own: nft itself says what they mean.
func (nftables) observe(ctx context.Context, sys *enforce.System, v value) (observed, error) {
	o := observed{Keeper: "nftables"}
	nft, err := sys.Tool("nft", "nftables")
	if err != nil {
		return o, err
	}
	now := ""
	if sys.HasKernel() {
		if now, err = table(ctx, sys, nft); err != nil {
			return o, err
		}
	}
	if !v.Enabled {
		if o.Enabled = now != ""; o.Enabled {
			return o, errors.New("the table is still there")
		}
		return o, nil
	}
	want, err := meaning(ctx, sys, nft, ruleset(v))
	if err != nil {
		return o, err
	}
	if !sys.HasKernel() {
		now = want // there is no kernel to ask; that the rules load was seen
	}
	if o.Enabled = now != ""; !o.Enabled {
		return o, errors.New("the rules are not loaded")
	}
	o.Incoming, o.Outgoing = chainPolicy(now, "input"), chainPolicy(now, "output")
	o.Rules = strings.Count(now, "\n\t\t") - strings.Count(now, "\n\t\ttype ")
	if now != want {
		return o, errors.New("the table in the kernel is not what the policy says")
	}
	return o, nil
}

func (nftables) remove(ctx context.Context, sys *enforce.System, _ json.RawMessage) error {
	if !sys.HasKernel() {
		return nil
	}
	nft, err := sys.Tool("nft", "nftables")
	if err != nil {
		return nil //nolint:nilerr // without nft nothing of ours was ever loaded
	}
	if now, err := table(ctx, sys, nft); err != nil || now == "" {
		return err
	}
	_, err = sys.Run(ctx, enforce.Program{Path: nft, Args: []string{"delete", "table", "inet", "handrail"}})
	return err
}

// table is our table as nft lists it; "" where there is none.
func table(ctx context.Context, sys *enforce.System, nft string) (string, error) {
	r, err := sys.Run(ctx, enforce.Program{Path: nft, Args: []string{"-s", "list", "table", "inet", "handrail"}})
	if err != nil && strings.Contains(r.Err, "No such file or directory") {
		return "", nil
	}
	return r.Out, err
}

// meaning loads rules where they reach nobody and returns how nft lists them.
func meaning(ctx context.Context, sys *enforce.System, nft, rules string) (string, error) {
	unshare, err := sys.Tool("unshare", "util-linux")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "handrail-nft-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "rules")
	if err := os.WriteFile(at, []byte(rules), 0o600); err != nil {
		return "", err
	}
	r, err := sys.Run(ctx, enforce.Program{Path: unshare, Args: []string{
		"--net", "sh", "-c", `"$1" -f "$2" && exec "$1" -s list table inet handrail`, "sh", nft, at,
	}})
	return r.Out, err
}

func chainPolicy(listing, chain string) string {
	_, rest, ok := strings.Cut(listing, "chain "+chain+" {")
	if !ok {
		return "allow"
	}
	if rest, _, _ = strings.Cut(rest, "}"); strings.Contains(rest, "policy drop") {
		return "deny"
	}
	return "allow"
}

// ruleset is the policy in nft's language. The table is replaced in one transaction.
func ruleset(v value) string {
	var b strings.Builder
	say := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	say("table inet handrail")
	say("delete table inet handrail")
	say("table inet handrail {")
	if v.LogDropped {
		for _, d := range []string{"in", "out"} {
			say("\tchain refuse_%s {", d)
			say("\t\tlimit rate 6/minute burst 10 packets log prefix \"handrail refused %s: \"", d)
			say("\t\t%s", refusal(d))
			say("\t}")
		}
	}
	chain := func(name, direction, standard string) {
		policy := "accept"
		if standard == "deny" {
			policy = "drop"
		}
		say("\tchain %s {", name)
		say("\t\ttype filter hook %s priority filter; policy %s;", name, policy)
		if direction == "in" {
			say("\t\tiif \"lo\" accept")
		} else {
			say("\t\toif \"lo\" accept")
		}
		say("\t\tct state established,related accept")
		// Without these there is no address, and no neighbour, to speak to.
		say("\t\ticmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query, mld-listener-report, mld2-listener-report } accept")
		if direction == "in" {
			say("\t\tudp sport 67 udp dport 68 accept")
			say("\t\tudp sport 547 udp dport 546 accept")
		} else {
			say("\t\tudp sport 68 udp dport 67 accept")
			say("\t\tudp sport 546 udp dport 547 accept")
		}
		for _, r := range v.Rules {
			if r.Direction == direction {
				for _, line := range r.nft(v.LogDropped) {
					say("\t\t%s", line)
				}
			}
		}
		if standard == "deny" {
			say("\t\t%s", deny(direction, v.LogDropped))
		}
		say("\t}")
	}
	chain("input", "in", v.DefaultIncoming)
	chain("output", "out", v.DefaultOutgoing)
	say("}")
	return b.String()
}

// refusal is how a direction refuses: strangers get no answer, the device's own programs
// an error at once.
func refusal(direction string) string {
	if direction == "in" {
		return "drop"
	}
	return "reject with icmpx admin-prohibited"
}

func deny(direction string, log bool) string {
	if log {
		return "goto refuse_" + direction
	}
	return refusal(direction)
}

// nft is a rule in nft's language: a line for each family its addresses are of.
func (r *rule) nft(log bool) []string {
	side, far, iface := "dport", "saddr", "iifname"
	if r.Direction == "out" {
		far, iface = "daddr", "oifname"
	}
	match := ""
	if r.Interface != "" {
		match += fmt.Sprintf("%s %q ", iface, r.Interface)
	}
	proto := ""
	switch {
	case r.Protocol == "icmp":
		proto = "meta l4proto { icmp, ipv6-icmp } "
	case len(r.ports) > 0:
		var list []string
		for _, p := range r.ports {
			list = append(list, p.text("-"))
		}
		proto = fmt.Sprintf("%s %s { %s } ", r.Protocol, side, strings.Join(list, ", "))
	case r.Protocol != "any":
		proto = "meta l4proto " + r.Protocol + " "
	}
	verdict := "accept"
	if r.Action == "deny" {
		verdict = deny(r.Direction, log)
	}
	end := fmt.Sprintf("%s%s comment %q", proto, verdict, plain(r.Name))
	if len(r.Sources) == 0 {
		return []string{match + end}
	}
	var out []string
	for _, f := range []struct {
		word string
		list []netip.Prefix
	}{{"ip", r.v4}, {"ip6", r.v6}} {
		if len(f.list) > 0 {
			var list []string
			for _, p := range f.list {
				list = append(list, p.String())
			}
			out = append(out, fmt.Sprintf("%s%s %s { %s } %s", match, f.word, far, strings.Join(list, ", "), end))
		}
	}
	return out
}
