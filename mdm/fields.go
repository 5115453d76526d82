package mdm

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// FieldError is what is wrong with one field of what somebody wrote.
type FieldError struct {
	Field   string // as in JSON, "files[2]" or "parameters.name"; "" is the whole
	Message string // goes on from the field's name: "must be 1 to 744"
}

// FieldErrors is all that is wrong with what somebody wrote. It is an ErrInvalid whose words may
// be told; never empty as an error.
type FieldErrors []FieldError

// BadField returns what is wrong with one field.
func BadField(field, format string, args ...any) FieldErrors {
	return FieldErrors{{Field: field, Message: fmt.Sprintf(format, args...)}}
}

// Error tells it field by field.
func (f FieldErrors) Error() string {
	words := make([]string, len(f))
	for i, one := range f {
		words[i] = strings.TrimPrefix(one.Field+" "+one.Message, " ")
	}
	return strings.Join(words, "; ")
}

// Unwrap returns ErrInvalid.
func (f FieldErrors) Unwrap() error { return ErrInvalid }

// Below returns an error with what it says of fields said of them below another: what is wrong
// with parameters is wrong in the order they are part of. Other errors stay as they are.
func Below(field string, err error) error {
	var list FieldErrors
	if !errors.As(err, &list) {
		return err
	}
	out := make(FieldErrors, len(list))
	for i, one := range list {
		out[i] = FieldError{Field: strings.TrimSuffix(field+"."+one.Field, "."), Message: one.Message}
	}
	return out
}

// BadJSON turns an error of decoding JSON into v into what is wrong with which field, in words
// that do not tell of Go.
func BadJSON(err error, v any) FieldErrors {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return BadField(Clean(kind.Field, 100), "must be %s, not %s", wanted(kind.Type), Clean(kind.Value, 40))
	}
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name := Clean(strings.Trim(quoted, `"`), 64)
		hint := ""
		if meant := Nearest(name, namesOf(reflect.TypeOf(v))); meant != "" {
			hint = fmt.Sprintf("; did you mean %q?", meant)
		}
		return BadField(name, "is not known here%s", hint)
	}
	return BadField("", "cannot be read as JSON: %s", Clean(err.Error(), 200))
}

func wanted(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

// namesOf is what the fields of a struct are called in JSON.
func namesOf(t reflect.Type) []string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var out []string
	if t == nil || t.Kind() != reflect.Struct {
		return out
	}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			out = append(out, name)
		}
	}
	return out
}
