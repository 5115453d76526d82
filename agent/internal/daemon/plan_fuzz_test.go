package daemon

import (
	"context"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"handrail/agent/internal/enforce"
	"handrail/mdm/manifest"
	"handrail/mdm/policy"
)

// FuzzPlan hands values, as a hostile gateway would, to every enforcer. None may come down,
// and what each means to write is a plain path below the root with a bounded content.
func FuzzPlan(f *testing.F) {
	byKey := map[string]enforce.Enforcer{}
	for _, e := range enforcers() {
		for _, k := range e.Keys() {
			byKey[k] = e
		}
	}
	var keys []string
	for _, e := range policy.Standard().Entries() {
		keys = append(keys, e.Key)
	}
	slices.Sort(keys)
	for i, key := range keys {
		entry, _ := policy.Standard().Entry(key)
		if b, err := json.Marshal(sample(entry.Fields)); err == nil {
			f.Add(i, "x", string(b))
		}
		f.Add(i, "../../x", `{}`)
		f.Add(i, "", `{"path":"/../etc/shadow","name":"../x","content":1e999}`)
	}
	f.Fuzz(func(t *testing.T, i int, instance, value string) {
		if len(value) > 1<<16 {
			return
		}
		key := keys[((i%len(keys))+len(keys))%len(keys)]
		id := manifest.MakeID(key, instance)
		if instance == "" {
			id = manifest.ID(key)
		}
		e := byKey[key]
		if e == nil || id.Check() != nil || !json.Valid([]byte(value)) { // manifest.Decode lets no other through
			return
		}
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "etc/NetworkManager"), 0o755); err != nil { //nolint:gosec // as on a system
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		plan, err := e.Plan(ctx, &enforce.System{Root: root}, manifest.Setting{ID: id, Value: json.RawMessage(value)})
		if err != nil {
			return
		}
		for _, file := range plan.Files {
			if !strings.HasPrefix(file.Path, "/") || path.Clean(file.Path) != file.Path || strings.ContainsRune(file.Path, 0) {
				t.Errorf("%s = %s would be written to %q", id, value, file.Path)
			}
			if len(file.Content) > 1<<20 {
				t.Errorf("%s: %d bytes for a value of %d", id, len(file.Content), len(value))
			}
		}
	})
}
