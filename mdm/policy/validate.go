package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"handrail/mdm"
	"handrail/mdm/manifest"
)

// Problem is one thing wrong with a policy's settings.
type Problem struct {
	Setting manifest.ID `json:"setting"` // "" for the policy as a whole
	Path    string      `json:"path"`    // within the value, as in peers[0].endpoint; "" is the value itself
	Message string      `json:"message"` // for people
}

// String is the problem in one line.
func (p Problem) String() string {
	where := string(p.Setting)
	if p.Path != "" {
		where += ": " + p.Path
	}
	if where == "" {
		return p.Message
	}
	return where + ": " + p.Message
}

// Problems is everything that is wrong with settings; it is an error that wraps
// mdm.ErrInvalid. Never empty as an error.
type Problems []Problem

// Error tells the first problems.
func (p Problems) Error() string {
	words := make([]string, 0, 3)
	for _, one := range p[:min(len(p), 3)] {
		words = append(words, one.String())
	}
	if more := len(p) - 3; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, "; ")
}

// Unwrap returns mdm.ErrInvalid.
func (p Problems) Unwrap() error { return mdm.ErrInvalid }

// err returns the problems as an error, nil when there are none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// judge gathers the problems of one setting.
type judge struct {
	setting  manifest.ID
	problems Problems
	over     int
}

func (j *judge) say(path, format string, args ...any) {
	if len(j.problems) >= MaxProblems {
		j.over++
		return
	}
	j.problems = append(j.problems, Problem{Setting: j.setting, Path: mdm.Clean(path, 200), Message: mdm.Clean(fmt.Sprintf(format, args...), 400)})
}

func (j *judge) done() Problems {
	if j.over > 0 {
		j.problems = append(j.problems, Problem{Setting: j.setting, Message: fmt.Sprintf("and %d more problems", j.over)})
	}
	return j.problems
}

// Validate checks one setting's value and returns it in canonical form: keys in order, no
// white space, numbers in one spelling, so that equal values are equal bytes. With problems
// the value is nil. A secret may be given as text or as the marker that keeps the stored one.
func (c *Catalogue) Validate(id manifest.ID, value []byte) (json.RawMessage, Problems) {
	j := &judge{setting: manifest.ID(mdm.Clean(string(id), 130))}
	e, wrong := c.entryOf(id)
	if wrong != "" {
		j.say("", "%s", wrong)
		return nil, j.done()
	}
	m, wrong := decodeObject(value)
	if wrong != "" {
		j.say("", "%s", wrong)
		return nil, j.done()
	}
	j.object("", e.Fields, m)
	if len(m) == 0 && !slices.ContainsFunc(e.Fields, func(f Field) bool { return f.Default != nil }) && len(j.problems) == 0 {
		j.say("", "the value says nothing: give at least one field")
	}
	if len(j.problems) == 0 && e.check != nil {
		e.check(m, func(path, message string) { j.say(path, "%s", message) })
	}
	if len(j.problems) > 0 {
		return nil, j.done()
	}
	return encode(m), nil
}

// ValidateAll checks the settings of a policy as a whole and returns them by id in canonical
// form.
func (c *Catalogue) ValidateAll(settings []Setting) ([]Setting, Problems) {
	size := 0
	for _, s := range settings {
		size += len(s.ID) + len(s.Value)
	}
	switch {
	case size > MaxBytes:
		return nil, Problems{{Message: fmt.Sprintf("the settings are %d bytes, at most %d: split them into several policies", size, MaxBytes)}}
	case len(settings) > MaxSettings:
		return nil, Problems{{Message: fmt.Sprintf("%d settings, at most %d: split them into several policies", len(settings), MaxSettings)}}
	}
	out := make([]Setting, 0, len(settings))
	var all Problems
	for _, s := range settings {
		v, problems := c.Validate(s.ID, s.Value)
		all = append(all, problems...)
		out = append(out, Setting{ID: s.ID, Value: v})
	}
	slices.SortStableFunc(out, bySetting)
	for i := 1; i < len(out); i++ {
		if out[i].ID == out[i-1].ID {
			all = append(all, Problem{Setting: manifest.ID(mdm.Clean(string(out[i].ID), 130)), Message: "it is there twice"})
		}
	}
	if len(all) == 0 {
		all = c.exclusives(out)
	}
	if n := len(all) - MaxProblems; n > 0 {
		all = append(all[:MaxProblems:MaxProblems], Problem{Message: fmt.Sprintf("and %d more problems", n)})
	}
	if len(all) > 0 {
		return nil, all
	}
	return out, nil
}

// exclusives finds settings of one policy that are about the same thing.
func (c *Catalogue) exclusives(settings []Setting) Problems {
	var out Problems
	seen := map[string]manifest.ID{}
	for _, s := range settings {
		e := c.byKey[s.ID.Key()]
		if len(e.Exclusive) == 0 {
			continue
		}
		m, _ := decodeObject(s.Value)
		for _, name := range e.Exclusive {
			v, ok := m[name].(string)
			if !ok || v == "" {
				continue
			}
			key := e.Key + "\x00" + name + "\x00" + v
			if other, taken := seen[key]; taken {
				out = append(out, Problem{Setting: s.ID, Path: name, Message: fmt.Sprintf("%s says the same %s: there can be only one", other, name)})
			}
			seen[key] = s.ID
		}
	}
	return out
}

// object checks the fields of an object and normalizes its numbers in place.
func (j *judge) object(path string, fields []Field, m map[string]any) {
	for _, name := range sortedKeys(m) {
		if field(fields, name) == nil {
			names := make([]string, 0, len(fields))
			for i := range fields {
				names = append(names, fields[i].Name)
			}
			j.say(join(path, name), "there is no such field%s", nearest(name, names))
		}
	}
	for i := range fields {
		f := &fields[i]
		v, ok := m[f.Name]
		at := join(path, f.Name)
		if !f.When.holds(fields, m) {
			if ok {
				j.say(at, "this is only for %s %s", f.When.Field, strings.Join(f.When.In, " or "))
			}
			continue
		}
		if !ok {
			if f.Required {
				j.say(at, "this is needed%s", whenWords(f.When))
			}
			continue
		}
		if n := j.value(at, f, v); n != nil {
			m[f.Name] = n
		}
	}
}

func whenWords(w *When) string {
	if w == nil {
		return ""
	}
	return " when " + w.Field + " is " + strings.Join(w.In, " or ")
}

// value checks one value and returns it normalized; nil when there is something wrong.
func (j *judge) value(path string, f *Field, v any) any {
	switch f.Kind {
	case Bool:
		if _, ok := v.(bool); ok {
			return v
		}
		j.say(path, "must be true or false, not %s", describe(v))
	case Integer:
		return j.integer(path, f, v)
	case Text, Secret:
		return j.text(path, f, v)
	case List:
		return j.list(path, f, v)
	case Object:
		m, ok := v.(map[string]any)
		if !ok {
			j.say(path, "must be an object with fields, not %s", describe(v))
			return nil
		}
		j.object(path, f.Fields, m)
		return m
	case JSON:
		m, ok := v.(map[string]any)
		if !ok {
			j.say(path, "must be a JSON object, not %s", describe(v))
			return nil
		}
		if n := len(encode(m)); n > maxJSON {
			j.say(path, "is %d bytes, at most %d", n, maxJSON)
			return nil
		}
		return m
	}
	return nil
}

func (j *judge) integer(path string, f *Field, v any) any {
	number, ok := v.(json.Number)
	if !ok {
		j.say(path, "must be a whole number, not %s", describe(v))
		return nil
	}
	n, err := strconv.ParseInt(number.String(), 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		j.say(path, "must be %d to %d%s", f.Min, f.Max, unit(f))
	case err != nil:
		j.say(path, "must be a whole number, not %s", mdm.Clean(number.String(), 40))
	case n < f.Min || n > f.Max:
		j.say(path, "is %d, must be %d to %d%s", n, f.Min, f.Max, unit(f))
	default:
		return n
	}
	return nil
}

func unit(f *Field) string {
	if f.Unit == "" {
		return ""
	}
	return " " + f.Unit
}

func (j *judge) text(path string, f *Field, v any) any {
	if m, ok := v.(map[string]any); ok && f.Kind == Secret {
		if _, is := markerOf(m); is {
			return m
		}
	}
	s, ok := v.(string)
	if !ok {
		j.say(path, "must be text, not %s", describe(v))
		return nil
	}
	if n := len(s); n > f.maxLen() || n < f.MinLen {
		if n < f.MinLen && n == 0 {
			j.say(path, "must not be empty")
		} else {
			j.say(path, "is %d bytes long, must be %d to %d", n, f.MinLen, f.maxLen())
		}
		return nil
	}
	if r, bad := badRune(s, f.Multiline); bad {
		j.say(path, "has a character that may not be there (U+%04X)", r)
		return nil
	}
	if len(f.Choices) > 0 {
		names := make([]string, 0, len(f.Choices))
		for _, c := range f.Choices {
			if c.Value == s {
				return s
			}
			names = append(names, c.Value)
		}
		j.say(path, "is %q, must be one of %s%s", mdm.Clean(s, 40), strings.Join(names, ", "), nearest(s, names))
		return nil
	}
	if f.Format != "" && (s != "" || f.MinLen > 0) {
		if wrong := f.Format.wrong(s); wrong != "" {
			j.say(path, "%s", wrong) // never the text itself: it may be a secret
			return nil
		}
	}
	return s
}

// badRune finds a control character, or line ends where there may be none. Settings end in
// other programs' files: a line end that slips in is a setting nobody meant.
func badRune(s string, multiline bool) (rune, bool) {
	if !utf8.ValidString(s) {
		return utf8.RuneError, true
	}
	for _, r := range s {
		if unicode.IsControl(r) && (!multiline || r != '\n' && r != '\t') || r == 0x2028 || r == 0x2029 {
			return r, true
		}
	}
	return 0, false
}

func (j *judge) list(path string, f *Field, v any) any {
	list, ok := v.([]any)
	if !ok {
		j.say(path, "must be a list, not %s", describe(v))
		return nil
	}
	if n := len(list); n > f.maxItems() || n < f.MinItems {
		j.say(path, "has %d entries, must have %d to %d", n, f.MinItems, f.maxItems())
		return nil
	}
	for i, e := range list {
		at := path + "[" + strconv.Itoa(i) + "]"
		if n := j.value(at, f.Items, e); n != nil {
			list[i] = n
		}
	}
	return list
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// describe names a JSON value's type for people.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case json.Number, int64:
		return "a number"
	case string:
		return "text"
	case []any:
		return "a list"
	}
	return "an object"
}

// decodeObject reads one JSON object: numbers as they are spelled, no name twice, not too
// deep, nothing after it.
func decodeObject(b []byte) (map[string]any, string) {
	if len(b) > manifest.MaxValue {
		return nil, fmt.Sprintf("the value is %d bytes, at most %d", len(b), manifest.MaxValue)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, "the value is no proper JSON: " + mdm.Clean(err.Error(), 200)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, "there is something after the value"
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, "the value must be an object with fields, not " + describe(v)
	}
	return m, ""
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ := k.(string)
			if _, twice := m[name]; twice {
				return nil, fmt.Errorf("%q is there twice", name)
			}
			if m[name], err = decodeValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

// encode writes a decoded value canonically: as encoding/json does of itself, so that a value
// inside a greater document keeps its bytes.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // decoded JSON always encodes
	}
	return b
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
