package inventory

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"handrail/mdm"
)

// Limits of fields that state none. A field states its own by a tag: `max:"64"` is the most bytes
// of a text, or of each text in a list or map; `list:"32"` the most entries of a list or map.
const (
	defaultMax  = 255
	defaultList = 64
)

// bounds is what clean has to do to a value of a type: read from its tags once, as a fleet sends
// millions of them.
type bounds struct {
	text, list int
	moment     bool
	own        bool     // it has a method bound
	fields     []bounds // of a struct; of what a list, a pointer or a map holds: that one's
}

type bounded interface{ bound() }

// boundsOf reads the bounds of a type of sections, which are never recursive.
func boundsOf(t reflect.Type, name string, text, list int) bounds {
	b := bounds{text: text, list: list, moment: strings.HasSuffix(name, "_us"), own: reflect.PointerTo(t).Implements(reflect.TypeFor[bounded]())}
	switch t.Kind() { //nolint:exhaustive // the others hold nothing
	case reflect.Pointer:
		b.fields = []bounds{boundsOf(t.Elem(), name, text, list)}
	case reflect.Slice:
		b.fields = []bounds{boundsOf(t.Elem(), name, text, defaultList)}
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			json, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			b.fields = append(b.fields, boundsOf(f.Type, json, limitOf(f, "max", defaultMax), limitOf(f, "list", defaultList)))
		}
	}
	return b
}

// boundsFor is boundsOf for a section, or an entry of one.
func boundsFor[T any]() bounds { return boundsOf(reflect.TypeFor[T](), "", defaultMax, defaultList) }

// clean brings what v points to within its bounds: text through mdm.Clean, lists and maps cut and
// never nil, moments (fields named _us) not before 1970.
func (b *bounds) clean(v any) { b.cleanValue(reflect.ValueOf(v).Elem()) }

func (b *bounds) cleanValue(v reflect.Value) {
	switch v.Kind() { //nolint:exhaustive // numbers and booleans are in range by their types
	case reflect.String:
		if was := v.String(); was != "" {
			if is := mdm.Clean(was, b.text); is != was {
				v.SetString(is)
			}
		}
	case reflect.Int64:
		if b.moment && v.Int() < 0 {
			v.SetInt(0)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			b.fields[0].cleanValue(v.Elem())
		}
	case reflect.Struct:
		for i := range b.fields {
			b.fields[i].cleanValue(v.Field(i))
		}
		if b.own {
			if own, ok := v.Addr().Interface().(bounded); ok {
				own.bound()
			}
		}
	case reflect.Slice:
		b.cleanSlice(v)
	case reflect.Map:
		// The only maps in sections are of text to text.
		if m, ok := v.Interface().(map[string]string); ok {
			out := map[string]string{}
			for _, k := range slices.Sorted(maps.Keys(m)) {
				if c := mdm.Clean(k, defaultMax); c != "" && len(out) < b.list {
					if _, twice := out[c]; !twice {
						out[c] = mdm.Clean(m[k], b.text)
					}
				}
			}
			v.Set(reflect.ValueOf(out))
		}
	}
}

// cleanSlice cuts and cleans in place; texts that are empty then are left out.
func (b *bounds) cleanSlice(v reflect.Value) {
	if v.IsNil() {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return
	}
	kept := 0
	for i := range min(v.Len(), b.list) {
		e := v.Index(i)
		b.fields[0].cleanValue(e)
		if e.Kind() == reflect.String && e.Len() == 0 {
			continue
		}
		if kept < i {
			v.Index(kept).Set(e)
		}
		kept++
	}
	v.SetLen(kept)
}

func limitOf(f reflect.StructField, tag string, otherwise int) int {
	if n, err := strconv.Atoi(f.Tag.Get(tag)); err == nil {
		return n
	}
	return otherwise
}

// cleanMap cleans keys and values; of keys that become the same the first stays.
func cleanMap[T any](m map[string]T, limit int, b *bounds) map[string]T {
	out := map[string]T{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		c := mdm.Clean(k, defaultMax)
		if _, twice := out[c]; c == "" || twice || len(out) == limit {
			continue
		}
		v := m[k]
		b.clean(&v)
		out[c] = v
	}
	return out
}
