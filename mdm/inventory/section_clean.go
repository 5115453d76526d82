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

// clean brings what v points to, a struct of sections, within its limits: text through
// mdm.Clean, lists and maps cut and never nil, moments (fields named _us) not before 1970.
func clean(v any) { cleanValue(reflect.ValueOf(v).Elem(), "", defaultMax, defaultList) }

func cleanValue(v reflect.Value, name string, maxText, maxList int) {
	switch v.Kind() { //nolint:exhaustive // numbers and booleans are in range by their types
	case reflect.String:
		v.SetString(mdm.Clean(v.String(), maxText))
	case reflect.Int64:
		if strings.HasSuffix(name, "_us") && v.Int() < 0 {
			v.SetInt(0)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			cleanValue(v.Elem(), name, maxText, maxList)
		}
	case reflect.Struct:
		defer func() {
			if b, ok := v.Addr().Interface().(interface{ bound() }); ok {
				b.bound()
			}
		}()
		for i := range v.NumField() {
			f := v.Type().Field(i)
			json, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			cleanValue(v.Field(i), json, limitOf(f, "max", defaultMax), limitOf(f, "list", defaultList))
		}
	case reflect.Slice:
		cleanSlice(v, name, maxText, maxList)
	case reflect.Map:
		// The only maps in sections are of text to text.
		if m, ok := v.Interface().(map[string]string); ok {
			out := map[string]string{}
			for _, k := range slices.Sorted(maps.Keys(m)) {
				if c := mdm.Clean(k, defaultMax); c != "" && len(out) < maxList {
					if _, twice := out[c]; !twice {
						out[c] = mdm.Clean(m[k], maxText)
					}
				}
			}
			v.Set(reflect.ValueOf(out))
		}
	}
}

// cleanSlice cuts and cleans; texts that are empty then are left out.
func cleanSlice(v reflect.Value, name string, maxText, maxList int) {
	out := reflect.MakeSlice(v.Type(), 0, min(v.Len(), maxList))
	for i := range min(v.Len(), maxList) {
		e := reflect.New(v.Type().Elem()).Elem()
		e.Set(v.Index(i))
		cleanValue(e, name, maxText, defaultList)
		if e.Kind() != reflect.String || e.Len() > 0 {
			out = reflect.Append(out, e)
		}
	}
	v.Set(out)
}

func limitOf(f reflect.StructField, tag string, otherwise int) int {
	if n, err := strconv.Atoi(f.Tag.Get(tag)); err == nil {
		return n
	}
	return otherwise
}

// cleanMap cleans keys and values; of keys that become the same the first stays.
func cleanMap[T any](m map[string]T, limit int) map[string]T {
	out := map[string]T{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		c := mdm.Clean(k, defaultMax)
		if _, twice := out[c]; c == "" || twice || len(out) == limit {
			continue
		}
		v := m[k]
		clean(&v)
		out[c] = v
	}
	return out
}
