// Command settingsgen prints docs/settings.md: every setting of the catalogue with its fields.
// `make gen` runs it.
package main

//go:generate sh -c "go run . > ../../../../docs/settings.md"

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"handrail/mdm/policy"
)

func main() {
	if err := render(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "settingsgen:", err)
		os.Exit(1)
	}
}

// judges says, for each setting, which of the system's own programs checks it on Linux before
// it is applied, and what is asked to read it back.
func judges() map[string][2]string {
	const nft = "`nft list table`, compared with what the same rules become in a network namespace; ufw's and firewalld's own lists"
	return map[string][2]string{
		"wifi.network":         {"`nmcli --offline connection modify` (NetworkManager)", "`nmcli connection show`"},
		"vpn.wireguard":        {"`nmcli --offline connection modify` (NetworkManager)", "`nmcli connection show`"},
		"vpn.openvpn":          {"`openvpn` itself, in a network namespace without a way out", "`systemctl is-enabled`, `is-active`"},
		"firewall.policy":      {"`nft -c -f`, `ufw --dry-run` or `firewall-offline-cmd`, whichever is in charge", nft},
		"passcode.quality":     {"`pwscore`, and `pam-auth-update` on a copy of PAM's files", "`pwscore` with passwords that break one rule each"},
		"passcode.lockout":     {"`pam-auth-update` on a copy of PAM's files", "PAM's files, line by line"},
		"passcode.ageing":      {"the ranges; `chage` must be there", "`login.defs`, and `chage -l` of each account"},
		"ssh.server":           {"`sshd -t`", "`sshd -T`"},
		"sudo.rules":           {"`visudo -c -s`", "`cvtsudoers`, and `visudo -c` of all files"},
		"sudo.defaults":        {"`visudo -c -s`", "`cvtsudoers`, and `visudo -c` of all files"},
		"screen.lock":          {"`dconf compile`", "`dconf read`, and a write that must be refused"},
		"desktop.restrictions": {"`dconf compile`", "`dconf read`, and a write that must be refused"},
		"camera.disabled":      {"`modprobe -n -v`, `udevadm verify`", "`modprobe -n -v`, and the devices there are"},
		"usb.storage":          {"`modprobe -n -v`, `udevadm verify`", "`modprobe -n -v`, and the devices there are"},
		"browser.policy":       {"the form of the browser's policies", "the file the browser reads"},
		"mail.account":         {"the form of Thunderbird's policies", "the file Thunderbird reads"},
		"ca.trust":             {"`openssl x509`", "`openssl verify` against the system's store"},
		"os.update":            {"`apt-config dump` of the file", "`apt-config dump` of all of apt's files"},
		"service.state":        {"systemd, asked over D-Bus whether there is such a unit", "systemd, over D-Bus"},
		"file.content":         {"what the field `validate` names: a reader of JSON or YAML, `visudo`, `nft`, `sshd` or `sh`", "the file, its mode and its owner"},
		"script.check":         {"the interpreter, without running it", "the check itself"},
		"kernel.sysctl":        {"the kernel: there must be such a key", "`/proc/sys`"},
		"motd.banner":          {"nothing: it is text", "the file"},
	}
}

func merges() map[policy.Merge]string {
	return map[policy.Merge]string{
		policy.MostRestrictive: "the strictest value of each field wins; fields that have no order go by priority",
		policy.ByRank:          "the whole value of the policy with the highest priority wins",
		policy.Union:           "lists are joined; other fields go by priority",
		policy.OrError:         "they must agree; else none is applied and the setting is in conflict",
	}
}

func combines() map[policy.Combine]string {
	return map[policy.Combine]string{
		policy.Highest: "the greater wins", policy.Lowest: "the smaller wins", policy.AnyTrue: "yes wins", policy.AnyFalse: "no wins",
		policy.Strictest: "the first of the choices wins", policy.Together: "joined", policy.InAll: "only what all have",
	}
}

func platforms(list []policy.Platform) string {
	names := map[policy.Platform]string{policy.Linux: "Linux", policy.Windows: "Windows", policy.MacOS: "macOS"}
	var out []string
	for _, p := range list {
		out = append(out, names[p])
	}
	return strings.Join(out, ", ")
}

const head = `# Settings

Every setting a policy may hold. This page is made from the catalogue by ` + "`make gen`" + `; the same is in the console under **Add setting**, and as JSON Schema at ` + "`/api/catalogue`" + `.

A field that is left out leaves the device's own value alone, unless it has a default. A setting that devices may have several of has a name after a slash, as ` + "`wifi.network/office`" + `.
**Merged** says what happens where several policies give a device the same setting. On systems that are not named a device says *not applicable*.

`

func render(w io.Writer) error {
	var b strings.Builder
	b.WriteString(head)
	category := ""
	all := judges()
	for _, e := range policy.Standard().Entries() {
		judge, ok := all[e.Key]
		if !ok {
			return fmt.Errorf("nothing is known of what checks %s", e.Key)
		}
		if e.Category != category {
			category = e.Category
			fmt.Fprintf(&b, "## %s\n\n", category)
		}
		entry(&b, e, judge)
	}
	_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
	return err
}

func entry(b *strings.Builder, e *policy.Entry, judge [2]string) {
	name := e.Key
	if e.Several {
		name += "/NAME"
	}
	fmt.Fprintf(b, "### %s: `%s`\n\n%s\n\n", e.Title, name, cell(e.Description))
	row := func(what, text string) {
		if text != "" {
			fmt.Fprintf(b, "* **%s:** %s\n", what, text)
		}
	}
	if len(e.Instances) > 0 {
		row("Names", "`"+strings.Join(e.Instances, "`, `")+"`")
	}
	row("On", platforms(e.Platforms))
	row("Becomes", cell(e.Mechanism))
	row("Merged", merges()[e.Merge])
	row("Checked before by", judge[0])
	row("Read back by", judge[1])
	var risks []string
	if e.Risk.CutsNetwork {
		risks = append(risks, "can cut the network: undone by the device when it cannot reach its gateway afterwards")
	}
	if e.Risk.CutsSignIn {
		risks = append(risks, "can lock people out: undone by the device when it cannot reach its gateway afterwards")
	}
	if e.Risk.Words != "" {
		risks = append(risks, cell(e.Risk.Words))
	}
	row("Mind", strings.Join(risks, "; "))
	b.WriteString("\n| Field | Is | Default | Means |\n|---|---|---|---|\n")
	fields(b, "", e.Fields)
	b.WriteString("\n")
}

func fields(b *strings.Builder, above string, list []policy.Field) {
	for _, f := range list {
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", above, f.Name, kind(f), fallback(f), means(f))
		inner := f.Fields
		if f.Items != nil && len(f.Items.Fields) > 0 {
			inner = f.Items.Fields
		}
		mark := "."
		if f.Kind == policy.List {
			mark = "[]."
		}
		fields(b, above+f.Name+mark, inner)
	}
}

// kind says what a field takes.
func kind(f policy.Field) string {
	var out string
	switch f.Kind {
	case policy.Bool:
		out = "yes or no"
	case policy.Integer:
		out = fmt.Sprintf("%d to %d", f.Min, f.Max)
		if f.Unit != "" {
			out += " " + f.Unit
		}
	case policy.List:
		out = "list"
		if f.Items != nil && f.Items.Kind != policy.Object {
			out += " of " + kind(*f.Items)
		}
		if f.MinItems > 0 {
			out += fmt.Sprintf(", at least %d", f.MinItems)
		}
		if f.MaxItems > 0 {
			out += fmt.Sprintf(", at most %d", f.MaxItems)
		}
	case policy.Object:
		out = "object"
	case policy.JSON:
		out = "JSON object"
	case policy.Secret:
		out = "secret"
	case policy.Text:
		out = "text"
	}
	if len(f.Choices) > 0 {
		var c []string
		for _, one := range f.Choices {
			c = append(c, "`"+one.Value+"`")
		}
		out = strings.Join(c, ", ")
	}
	if f.Format != "" {
		out += " (" + strings.ReplaceAll(fmt.Sprint(f.Format), "_", " ") + ")"
	}
	if f.Required {
		out += ", **needed**"
	}
	return cell(out)
}

func fallback(f policy.Field) string {
	if f.Default == nil {
		return ""
	}
	return cell(fmt.Sprintf("`%v`", f.Default))
}

func means(f policy.Field) string {
	out := f.Title + "."
	if f.Description != "" {
		out += " " + f.Description
	}
	if f.When != nil {
		in := slices.Clone(f.When.In)
		out += fmt.Sprintf(" Only where `%s` is %s.", f.When.Field, strings.Join(in, " or "))
	}
	if c := combines()[f.Combine]; c != "" {
		out += " Of several: " + c + "."
	}
	return cell(out)
}

// cell is text that fits a row of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
