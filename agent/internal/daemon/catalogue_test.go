package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// sample is a value that has every field of the catalogue's entry.
func sample(fields []policy.Field) map[string]any {
	v := map[string]any{}
	for _, f := range fields {
		v[f.Name] = sampleOf(f)
	}
	return v
}

func sampleOf(f policy.Field) any {
	switch f.Kind {
	case policy.Bool:
		return true
	case policy.Integer:
		return f.Min
	case policy.List:
		return []any{sampleOf(*f.Items)}
	case policy.Object:
		return sample(f.Fields)
	case policy.JSON:
		return map[string]any{"Name": true}
	}
	if len(f.Choices) > 0 {
		return f.Choices[0].Value
	}
	return "x"
}

// TestEverySettingOfTheCatalogueIsUnderstood has each enforcer read a value with every field
// the catalogue has: one it does not know would be a setting that fails on every device.
func TestEverySettingOfTheCatalogueIsUnderstood(t *testing.T) {
	sys := &enforce.System{Root: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(sys.Root, "etc/NetworkManager"), 0o755); err != nil { //nolint:gosec // as on a system
		t.Fatal(err)
	}
	byKey := map[string]enforce.Enforcer{}
	for _, e := range enforcers() {
		for _, k := range e.Keys() {
			byKey[k] = e
		}
	}
	for _, entry := range policy.Standard().Entries() {
		e := byKey[entry.Key]
		if e == nil {
			t.Errorf("%s has no enforcer", entry.Key)
			continue
		}
		instance := ""
		if entry.Several {
			instance = "x"
		}
		if len(entry.Instances) > 0 {
			instance = entry.Instances[0]
		}
		value, err := json.Marshal(sample(entry.Fields))
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Plan(t.Context(), sys, manifest.Setting{ID: manifest.MakeID(entry.Key, instance), Value: value})
		if err != nil && strings.Contains(err.Error(), "older than the gateway") {
			t.Errorf("%s: %v", entry.Key, err)
		}
		delete(byKey, entry.Key)
	}
	for k := range byKey {
		t.Errorf("%s is not in the catalogue", k)
	}
}

// TestEverySystemAnswersForEverySetting checks that no key has two enforcers, or none, on any
// system.
func TestEverySystemAnswersForEverySetting(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		count := map[string]int{}
		for _, e := range nativeTo(goos, enforcers()) {
			for _, k := range e.Keys() {
				count[k]++
			}
		}
		for _, entry := range policy.Standard().Entries() {
			if count[entry.Key] != 1 {
				t.Errorf("on %s %s has %d enforcers", goos, entry.Key, count[entry.Key])
			}
		}
	}
}

// TestPlatformsAreTrue: the catalogue names exactly the systems a setting is enforced on.
func TestPlatformsAreTrue(t *testing.T) {
	for goos, platform := range map[string]policy.Platform{"linux": policy.Linux, "windows": policy.Windows, "darwin": policy.MacOS} {
		applies := map[string]bool{}
		for _, e := range nativeTo(goos, enforcers()) {
			_, portable := e.(enforce.Portable)
			for _, k := range e.Keys() {
				unix := k == "file.content" || k == "script.check" // portable where the system is a Unix
				applies[k] = goos == "linux" || portable && (goos != "windows" || !unix)
			}
		}
		for _, entry := range policy.Standard().Entries() {
			if says := slices.Contains(entry.Platforms, platform); says != applies[entry.Key] {
				t.Errorf("%s on %s: the catalogue says %v, the agent %v", entry.Key, goos, says, applies[entry.Key])
			}
		}
	}
}
