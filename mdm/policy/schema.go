package policy

import (
	"encoding/json"
	"fmt"
)

// schemaDialect is the version of JSON Schema that is spoken.
const schemaDialect = "https://json-schema.org/draft/2020-12/schema"

// schema makes the JSON Schema of an entry's value. Beside the standard's own words: x-order
// is the order of fields in a form, x-unit, x-secret, x-multiline, x-when, x-combine, x-choices
// (titles of an enum's values) and x-merge are for whoever builds one.
func (e *Entry) schema() json.RawMessage {
	s := objectSchema(e.Fields)
	s["$schema"] = schemaDialect
	s["$id"] = "urn:handrail:setting:" + e.Key
	s["title"], s["description"] = e.Title, e.Description
	s["x-merge"], s["x-several"], s["x-platforms"] = e.Merge, e.Several, e.Platforms
	return encode(s)
}

func objectSchema(fields []Field) map[string]any {
	properties, order := map[string]any{}, make([]string, 0, len(fields))
	var required []string
	var conditions []any
	for i := range fields {
		f := &fields[i]
		properties[f.Name] = f.schema()
		order = append(order, f.Name)
		switch {
		case f.When != nil:
			conditions = append(conditions, f.condition(fields))
		case f.Required:
			required = append(required, f.Name)
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false, "x-order": order}
	if required != nil {
		s["required"] = required
	}
	if conditions != nil {
		s["allOf"] = conditions
	}
	return s
}

// condition says in a schema what When says: while it holds the field may be (or is needed),
// else it must not be.
func (f *Field) condition(fields []Field) map[string]any {
	out := map[string]any{"if": f.When.schema(fields), "else": map[string]any{"properties": map[string]any{f.Name: false}}}
	if f.Required {
		out["then"] = map[string]any{"required": []string{f.Name}}
	}
	return out
}

// schema is true of objects for which the condition holds.
func (w *When) schema(fields []Field) map[string]any {
	sibling := field(fields, w.Field)
	values := make([]any, 0, len(w.In))
	byDefault := false
	for _, v := range w.In {
		if sibling.Kind == Bool {
			values = append(values, v == "true")
		} else {
			values = append(values, v)
		}
		byDefault = byDefault || sibling.Default != nil && fmt.Sprint(sibling.Default) == v
	}
	test := map[string]any{"properties": map[string]any{sibling.Name: map[string]any{"enum": values}}}
	if !byDefault {
		test["required"] = []string{sibling.Name}
	}
	if sibling.When != nil {
		test["allOf"] = []any{sibling.When.schema(fields)}
	}
	return test
}

func (f *Field) schema() map[string]any {
	s := map[string]any{"title": f.Title, "description": f.Description}
	if f.Default != nil {
		s["default"] = f.Default
	}
	if f.When != nil {
		s["x-when"] = f.When
	}
	if f.Combine != ByPriority {
		s["x-combine"] = f.Combine
	}
	switch f.Kind {
	case Bool:
		s["type"] = "boolean"
	case Integer:
		s["type"], s["minimum"], s["maximum"] = "integer", f.Min, f.Max
		if f.Unit != "" {
			s["x-unit"] = f.Unit
		}
	case Text:
		f.textSchema(s)
	case Secret:
		text := map[string]any{}
		f.textSchema(text)
		s["x-secret"], s["writeOnly"] = true, true
		s["anyOf"] = []any{text, map[string]any{
			"type": "object", "required": []string{"secret"}, "additionalProperties": false,
			"properties": map[string]any{"secret": map[string]any{"const": true}, "ref": map[string]any{"type": "string", "maxLength": 64}},
		}}
	case List:
		s["type"], s["items"], s["maxItems"] = "array", f.Items.schema(), f.maxItems()
		if f.MinItems > 0 {
			s["minItems"] = f.MinItems
		}
	case Object:
		for k, v := range objectSchema(f.Fields) {
			s[k] = v
		}
	case JSON:
		s["type"] = "object"
	}
	return s
}

func (f *Field) textSchema(s map[string]any) {
	s["type"], s["maxLength"] = "string", f.maxLen()
	if f.MinLen > 0 {
		s["minLength"] = f.MinLen
	}
	if f.Multiline {
		s["x-multiline"] = true
	}
	if len(f.Choices) > 0 {
		values, titles := make([]string, len(f.Choices)), make([]string, len(f.Choices))
		for i, c := range f.Choices {
			values[i], titles[i] = c.Value, c.Title
		}
		s["enum"], s["x-choices"] = values, titles
	}
	if f.Format != "" {
		s["x-format"] = f.Format
		if re := formatPatterns[f.Format]; re != nil && f.MinLen > 0 {
			s["pattern"] = re.String()
		} else if re != nil {
			s["anyOf"] = []any{map[string]any{"const": ""}, map[string]any{"pattern": re.String()}}
		}
	}
}
