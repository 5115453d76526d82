package mdmtest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"handrail/mdm"
	"handrail/mdm/script"
)

// RunScriptStore is the suite of script.Store.
func RunScriptStore(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	r := script.New(open(t))
	ctx := t.Context()
	draft := script.Draft{
		Interpreter: "sh", Body: "echo $PARAM_WHO\n", By: "op_1", ByName: "Ann",
		Parameters: []script.Parameter{{Name: "who", Type: script.String, Default: "you"}, {Name: "key", Type: script.Secret}},
	}
	s, v, err := r.Create(ctx, "Greet", "says hello", draft, Start)
	if err != nil || v.Number != 1 || v.TimeoutSeconds != 300 || v.OutputBytes != 64<<10 {
		t.Fatalf("create: %+v, %+v, %v", s, v, err)
	}
	if _, _, err := r.Create(ctx, "greet", "", draft, Start); !errors.Is(err, mdm.ErrAlreadyExists) {
		t.Errorf("the same name: %v", err)
	}
	draft.Body = "echo good day $PARAM_WHO\n"
	s, v, err = r.Publish(ctx, s.ID, 1, draft, Start.Add(time.Hour))
	if err != nil || v.Number != 2 || s.Newest != 2 || !s.ChangedAt.Equal(Start.Add(time.Hour)) {
		t.Errorf("publish: %+v, %+v, %v", s, v, err)
	}
	if _, _, err := r.Publish(ctx, s.ID, 1, draft, Start); !errors.Is(err, mdm.ErrConflict) {
		t.Errorf("publish over another's version: %v", err)
	}
	_, old, err := r.Version(ctx, s.ID, 1)
	if err != nil || old.Body != "echo $PARAM_WHO\n" || len(old.Parameters) != 2 || old.Parameters[0].Default != "you" || old.ByName != "Ann" {
		t.Errorf("version 1: %+v, %v", old, err)
	}
	if _, newest, err := r.Version(ctx, s.ID, 0); err != nil || newest.Number != 2 {
		t.Errorf("newest: %+v, %v", newest, err)
	}
	if _, _, err := r.Version(ctx, s.ID, 3); !errors.Is(err, mdm.ErrNotFound) {
		t.Errorf("version 3: %v", err)
	}
	list := must(r.Versions(ctx, s.ID))(t)
	if len(list) != 2 || list[0].Number != 2 {
		t.Errorf("versions: %+v", list)
	}
	name, archived := "Alpha", true
	if s, err = r.Update(ctx, s.ID, script.Change{Name: &name, Archived: &archived}, Start); err != nil || s.Name != "Alpha" || !s.ArchivedAt.Equal(Start) {
		t.Errorf("update: %+v, %v", s, err)
	}
	other, _, err := r.Create(ctx, "Zeta", "", draft, Start)
	if err != nil {
		t.Fatal(err)
	}
	taken := "ALPHA"
	if _, err := r.Update(ctx, other.ID, script.Change{Name: &taken}, Start); !errors.Is(err, mdm.ErrAlreadyExists) {
		t.Errorf("a taken name: %v", err)
	}
	all := must(r.Scripts(ctx))(t)
	if !slices.EqualFunc(all, []string{"Alpha", "Zeta"}, func(s script.Script, n string) bool { return s.Name == n }) {
		t.Errorf("library: %+v", all)
	}
	bound, secret, err := v.Bind(map[string]json.RawMessage{"key": json.RawMessage(`"s3cret"`)})
	if err != nil || bound["who"] != "you" || bound["key"] != "s3cret" || !slices.Equal(secret, []string{"key"}) {
		t.Errorf("bind: %v, %v, %v", bound, secret, err)
	}
}
