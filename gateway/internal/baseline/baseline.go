package baseline

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"handrail/mdm/compliance"
)

// Rules returns the rules, by id. The caller owns them.
func Rules() []compliance.Rule {
	out := slices.Concat(encryption(), updates(), network(), ssh(), accounts(), signIn(), desktop(), sudo(), files(), kernel(), protection(), upkeep())
	slices.SortFunc(out, func(a, b compliance.Rule) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Categories of rules.
const (
	catEncryption = "Encryption"
	catUpdates    = "Updates"
	catNetwork    = "Network"
	catSSH        = "SSH"
	catAccounts   = "Accounts"
	catSignIn     = "Sign-in"
	catDesktop    = "Desktop"
	catSudo       = "Sudo"
	catFiles      = "Permissions"
	catKernel     = "Kernel"
	catProtection = "Protection"
	catUpkeep     = "Upkeep"
)

const (
	onLinux = `device.os == "linux"`
	day     = 24 * time.Hour
)

// ids maps a rule to frameworks; each text is a list of ids separated by spaces.
func ids(cis, nist, iso string) []compliance.Mapping {
	out := []compliance.Mapping{}
	for _, f := range []struct{ name, list string }{
		{"CIS Controls v8", cis}, {"NIST SP 800-53 r5", nist}, {"ISO/IEC 27001:2022", iso},
	} {
		for id := range strings.FieldsSeq(f.list) {
			out = append(out, compliance.Mapping{Framework: f.name, ID: id})
		}
	}
	return out
}

// setting is a fix by a setting of the catalogue.
func setting(id, value, note string) *compliance.Fix {
	return &compliance.Fix{Setting: id, Value: json.RawMessage(value), Note: note}
}

// script is a fix by a program run once.
func script(text, note string) *compliance.Fix {
	return &compliance.Fix{Script: text, Interpreter: "sh", Note: note}
}
