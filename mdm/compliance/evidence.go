package compliance

import (
	"encoding/json"
	"strings"
)

// Evidence returns what was observed in today's form. Gateways up to the first releases kept of a
// long list or object the beginning of its JSON as text; here its whole entries become a list or
// an object again, which says that there is more.
func Evidence(kept json.RawMessage) json.RawMessage {
	if len(kept) < 2 || kept[0] != '"' || kept[1] != '[' && kept[1] != '{' {
		return kept
	}
	var text string
	if json.Unmarshal(kept, &text) != nil {
		return kept
	}
	text, cut := strings.CutSuffix(text, " …")
	if !cut {
		return kept
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return kept
	}
	var out any
	if text[0] == '[' {
		out = beginning(d)
	} else {
		out = fields(d)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return kept
	}
	return b
}

func beginning(d *json.Decoder) []any {
	list := []any{}
	for d.More() {
		var v any
		if d.Decode(&v) != nil {
			break
		}
		list = append(list, v)
	}
	return append(list, "and more")
}

func fields(d *json.Decoder) map[string]any {
	out := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			break
		}
		key, ok := name.(string)
		var v any
		if !ok || d.Decode(&v) != nil {
			break
		}
		out[key] = v
	}
	out["…"] = "and more"
	return out
}
