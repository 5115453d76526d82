package inventory

import (
	"reflect"
	"slices"
	"strings"
)

// Strange returns the place of the first step of a path into the inventory, a section and then
// fields, that cannot be there in any report, and the names that can; -1 when all can. Lists,
// and maps with names of the device's own, end what is known of a path.
func Strange(path []string) (at int, names []string) {
	t := reflect.TypeFor[Sections]()
	for at, step := range path {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[Sections]().PkgPath() {
			return -1, nil // a list, a map, or a value that says itself what it is in JSON
		}
		next, names := fieldOf(t, step)
		if next == nil {
			return at, names
		}
		t = next
	}
	return -1, nil
}

// fieldOf returns the type of a field by its name in JSON, or nil and the names there are.
func fieldOf(t reflect.Type, name string) (reflect.Type, []string) {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			found, more := fieldOf(inner, name)
			if found != nil {
				return found, nil
			}
			names = append(names, more...)
			continue
		}
		if tag == name {
			return f.Type, nil
		}
		if tag != "" && tag != "-" {
			names = append(names, tag)
		}
	}
	slices.Sort(names)
	return nil, names
}
