package policy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"handrail/mdm/manifest"
)

// Secrets within values have four forms. Plain text is what an admin sends and what a device
// gets. {"sealed":"…"} is what the store holds. {"secret":true,"ref":"…"} is the marker, what
// the API shows; sent back it means the stored secret with that ref, or without a ref the one
// at the same place. A ref says nothing of the secret: it is a hash of the sealed form.

// sealLabel binds sealed secrets to this purpose.
const sealLabel = "policy secret"

// markerOf reads a marker, and its ref if it has one.
func markerOf(m map[string]any) (ref string, ok bool) {
	if is, _ := m["secret"].(bool); !is {
		return "", false
	}
	ref, named := m["ref"].(string)
	if len(m) > 2 || len(m) == 2 && !named || len(ref) > 64 {
		return "", false
	}
	return ref, true
}

func sealedOf(v any) (string, bool) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return "", false
	}
	s, ok := m["sealed"].(string)
	return s, ok
}

func refOf(sealed string) string {
	sum := sha256.Sum256([]byte(sealed))
	return hex.EncodeToString(sum[:8])
}

// eachSecret calls change for every secret in value and puts what it returns in its place.
func eachSecret(path string, fields []Field, value map[string]any, change func(path string, v any) (any, error)) error {
	for i := range fields {
		f := &fields[i]
		v, ok := value[f.Name]
		if !ok {
			continue
		}
		n, err := inSecret(join(path, f.Name), f, v, change)
		if err != nil {
			return err
		}
		value[f.Name] = n
	}
	return nil
}

func inSecret(path string, f *Field, v any, change func(path string, v any) (any, error)) (any, error) {
	switch f.Kind {
	case Secret:
		return change(path, v)
	case Object:
		if m, ok := v.(map[string]any); ok {
			return v, eachSecret(path, f.Fields, m, change)
		}
	case List:
		list, _ := v.([]any)
		for i, e := range list {
			n, err := inSecret(fmt.Sprintf("%s[%d]", path, i), f.Items, e, change)
			if err != nil {
				return nil, err
			}
			list[i] = n
		}
	}
	return v, nil
}

// hasSecrets reports whether any field within is a secret.
func hasSecrets(fields []Field) bool {
	for i := range fields {
		f := &fields[i]
		if f.Kind == Secret || f.Kind == Object && hasSecrets(f.Fields) ||
			f.Kind == List && (f.Items.Kind == Secret || f.Items.Kind == Object && hasSecrets(f.Items.Fields)) {
			return true
		}
	}
	return false
}

// rewrite runs change over the secrets of one setting's value.
func (c *Catalogue) rewrite(s Setting, change func(path string, v any) (any, error)) (Setting, error) {
	e, ok := c.byKey[s.ID.Key()]
	if !ok || !hasSecrets(e.Fields) {
		return s, nil
	}
	m, wrong := decodeObject(s.Value)
	if wrong != "" {
		return s, fmt.Errorf("stored value of %s: %s", s.ID, wrong)
	}
	if err := eachSecret("", e.Fields, m, change); err != nil {
		return s, fmt.Errorf("secret of %s: %w", s.ID, err)
	}
	return Setting{ID: s.ID, Value: encode(m)}, nil
}

// marker is what is shown for a secret in any of its forms.
func marker(v any) any {
	m := map[string]any{"secret": true}
	if sealed, ok := sealedOf(v); ok {
		m["ref"] = refOf(sealed)
	} else if old, ok := v.(map[string]any); ok {
		if ref, is := markerOf(old); is && ref != "" {
			m["ref"] = ref
		}
	}
	return m
}

// Mask returns a value with markers in place of its secrets, whatever form they have: what
// may leave the gateway. Of a value that cannot be read nothing leaves.
func (c *Catalogue) Mask(id manifest.ID, value json.RawMessage) json.RawMessage {
	if value == nil {
		return nil
	}
	s, err := c.rewrite(Setting{ID: id, Value: value}, func(_ string, v any) (any, error) { return marker(v), nil })
	if err != nil {
		return json.RawMessage("null")
	}
	return s.Value
}

// MaskAll masks settings; the slice it is given stays as it is.
func (c *Catalogue) MaskAll(settings []Setting) []Setting {
	out := make([]Setting, len(settings))
	for i, s := range settings {
		out[i] = Setting{ID: s.ID, Value: c.Mask(s.ID, s.Value)}
	}
	return out
}

// Seal makes validated settings fit for the store: plain secrets are sealed, and markers
// become the sealed secret they mean, looked for in kept (settings as the store has them, the
// likeliest first). A marker that means none is a problem.
func (c *Catalogue) Seal(settings []Setting, sealer Sealer, kept ...[]Setting) ([]Setting, error) {
	out := make([]Setting, len(settings))
	var problems Problems
	for i, s := range settings {
		var old oldSecrets
		sealed, err := c.rewrite(s, func(path string, v any) (any, error) {
			if old.byRef == nil {
				old = c.oldSecrets(s.ID, kept)
			}
			if plain, ok := v.(string); ok {
				return map[string]any{"sealed": old.seal(path, plain, sealer)}, nil
			}
			m, _ := v.(map[string]any)
			ref, _ := markerOf(m)
			stored, ok := old.byRef[ref]
			if ref == "" {
				stored, ok = old.byPath[path]
			}
			if !ok {
				problems = append(problems, Problem{Setting: s.ID, Path: path, Message: "there is no stored secret to keep here: give the secret itself"})
				return v, nil
			}
			return map[string]any{"sealed": stored}, nil
		})
		if err != nil {
			return nil, err
		}
		out[i] = sealed
	}
	return out, problems.err()
}

type oldSecrets struct{ byRef, byPath map[string]string }

// seal seals a secret; one that is stored already keeps its seal, so that saving the same
// password again is no change.
func (o oldSecrets) seal(path, plain string, sealer Sealer) string {
	is := func(sealed string) bool {
		old, err := sealer.Open(sealLabel, sealed)
		return err == nil && subtle.ConstantTimeCompare(old, []byte(plain)) == 1
	}
	if sealed, ok := o.byPath[path]; ok && is(sealed) {
		return sealed
	}
	for _, ref := range slices.Sorted(maps.Keys(o.byRef)) {
		if is(o.byRef[ref]) {
			return o.byRef[ref]
		}
	}
	return sealer.Seal(sealLabel, []byte(plain))
}

func (c *Catalogue) oldSecrets(id manifest.ID, kept [][]Setting) oldSecrets {
	old := oldSecrets{byRef: map[string]string{}, byPath: map[string]string{}}
	for _, settings := range kept {
		for _, s := range settings {
			if s.ID != id {
				continue
			}
			// A stored value that cannot be read keeps no secrets.
			_, _ = c.rewrite(s, func(path string, v any) (any, error) {
				if sealed, ok := sealedOf(v); ok {
					old.byRef[refOf(sealed)] = sealed
					if _, nearer := old.byPath[path]; !nearer {
						old.byPath[path] = sealed
					}
				}
				return v, nil
			})
		}
	}
	return old
}

// errNotSealed is a stored secret in a form the store should not hold.
var errNotSealed = errors.New("it is not sealed")

// Open returns a stored setting with its secrets in the clear: what goes to devices.
func (c *Catalogue) Open(s Setting, sealer Sealer) (Setting, error) {
	return c.rewrite(s, func(_ string, v any) (any, error) {
		sealed, ok := sealedOf(v)
		if !ok {
			return nil, errNotSealed
		}
		plain, err := sealer.Open(sealLabel, sealed)
		return string(plain), err
	})
}
