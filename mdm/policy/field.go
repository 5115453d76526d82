package policy

import (
	"fmt"
	"slices"
)

// Kind is the type of a field.
type Kind string

// The kinds of fields.
const (
	Bool    Kind = "bool"
	Integer Kind = "integer"
	Text    Kind = "text"
	Secret  Kind = "secret" // text that is sealed at rest and never shown again
	List    Kind = "list"   // of Items
	Object  Kind = "object" // with Fields
	JSON    Kind = "json"   // a JSON object of someone else's schema, as a browser's own policies
)

// Combine is how the values that several policies give one field become one, in settings that
// are merged field by field.
type Combine string

// The ways to combine.
const (
	ByPriority Combine = ""         // that of the policy that wins
	Highest    Combine = "highest"  // the greater number is the stricter
	Lowest     Combine = "lowest"   // the smaller number is the stricter
	AnyTrue    Combine = "any_true" // true is the stricter
	AnyFalse   Combine = "any_false"
	Strictest  Combine = "strictest" // the choice that is listed first
	Together   Combine = "together"  // all entries of all lists
	InAll      Combine = "in_all"    // only the entries that all lists have
)

// Choice is one of the texts a field may be.
type Choice struct {
	Value string `json:"value"`
	Title string `json:"title"`
}

// When says that a field only means something while a sibling has one of these values (as
// text: "true" for a bool).
type When struct {
	Field string   `json:"field"`
	In    []string `json:"in"`
}

// Field is one typed value within a setting. An admin reads Title and Description.
type Field struct {
	Name        string   `json:"name"`
	Kind        Kind     `json:"kind"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Required    bool     `json:"required,omitempty"`  // while When holds
	Default     any      `json:"default,omitempty"`   // bool, int64 or string; filled in when devices' settings are resolved. Without one an absent field leaves the system's own value alone
	Min         int64    `json:"min"`                 // Integer
	Max         int64    `json:"max,omitempty"`       // Integer
	Unit        string   `json:"unit,omitempty"`      // of an Integer, in words
	MinLen      int      `json:"min_len,omitempty"`   // bytes of Text and Secret
	MaxLen      int      `json:"max_len,omitempty"`   // bytes of Text and Secret; 0 means 1024
	Multiline   bool     `json:"multiline,omitempty"` // Text and Secret may have line ends and tabs
	Choices     []Choice `json:"choices,omitempty"`   // Text; the strictest first where Combine is Strictest
	Format      Format   `json:"format,omitempty"`    // Text and Secret
	Items       *Field   `json:"items,omitempty"`     // List
	MinItems    int      `json:"min_items,omitempty"` // List
	MaxItems    int      `json:"max_items,omitempty"` // List; 0 means 100
	Fields      []Field  `json:"fields,omitempty"`    // Object
	When        *When    `json:"when,omitempty"`
	Combine     Combine  `json:"combine,omitempty"`
}

// Limits of fields that name none of their own.
const (
	defaultMaxLen   = 1024
	defaultMaxItems = 100
	maxJSON         = 64 << 10 // bytes of a JSON field
	maxDepth        = 16       // of nested values
)

func (f *Field) maxLen() int {
	if f.MaxLen > 0 {
		return f.MaxLen
	}
	return defaultMaxLen
}

func (f *Field) maxItems() int {
	if f.MaxItems > 0 {
		return f.MaxItems
	}
	return defaultMaxItems
}

func field(fields []Field, name string) *Field {
	for i := range fields {
		if fields[i].Name == name {
			return &fields[i]
		}
	}
	return nil
}

// holds reports whether the condition is met in value, taking the sibling's default when it
// is absent.
func (w *When) holds(fields []Field, value map[string]any) bool {
	if w == nil {
		return true
	}
	f := field(fields, w.Field)
	if f == nil || !f.When.holds(fields, value) {
		return false
	}
	v, ok := value[w.Field]
	if !ok {
		v = f.Default
	}
	return v != nil && slices.Contains(w.In, fmt.Sprint(v))
}

// fill puts the defaults of absent fields into value, which it changes.
func fill(fields []Field, value map[string]any) {
	for i := range fields {
		f := &fields[i]
		if _, ok := value[f.Name]; !ok && f.Default != nil && f.When.holds(fields, value) {
			value[f.Name] = f.Default
		}
	}
	fillWithin(fields, value)
}

// fillWithin is fill for the objects within value, leaving its own fields alone.
func fillWithin(fields []Field, value map[string]any) {
	for i := range fields {
		f := &fields[i]
		switch v := value[f.Name].(type) {
		case map[string]any:
			fill(f.Fields, v)
		case []any:
			for _, e := range v {
				if m, ok := e.(map[string]any); ok {
					fill(f.Items.Fields, m)
				}
			}
		}
	}
}
