package rule

import (
	"fmt"
	"reflect"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// A section is decoded straight into values of the language. CEL's own wrap a Go map or list
// anew at every step of every loop; over a fleet that was most of the work.

// keys are the names of an object, shared by all objects of a list that look alike.
type keys struct {
	names []string
	index map[string]int // nil for few
}

// fewKeys is up to how many names looking at each is quicker than hashing.
const fewKeys = 24

func newKeys(names []string) *keys {
	k := &keys{names: names}
	if len(names) > fewKeys {
		k.index = make(map[string]int, len(names))
		for i, n := range names {
			k.index[n] = i
		}
	}
	return k
}

func (k *keys) find(name string) int {
	if k.index != nil {
		if i, ok := k.index[name]; ok {
			return i
		}
		return -1
	}
	for i, n := range k.names {
		if n == name {
			return i
		}
	}
	return -1
}

// object is a JSON object. It is a traits.Mapper.
type object struct {
	keys *keys
	vals []val
}

// list is a JSON list. It is a traits.Lister.
type list struct{ vals []val }

var (
	_ traits.Mapper = (*object)(nil)
	_ traits.Lister = (*list)(nil)
)

// Find implements traits.Mapper.
func (o *object) Find(key val) (val, bool) {
	if s, ok := key.(types.String); ok {
		if i := o.keys.find(string(s)); i >= 0 {
			return o.vals[i], true
		}
	}
	return nil, false
}

// Get implements traits.Indexer.
func (o *object) Get(key val) val {
	if v, ok := o.Find(key); ok {
		return v
	}
	return types.NewErr("no such key: %v", key)
}

// Contains implements traits.Container.
func (o *object) Contains(key val) val {
	_, ok := o.Find(key)
	return types.Bool(ok)
}

// Iterator implements traits.Iterable: over the names.
func (o *object) Iterator() traits.Iterator {
	names := make([]val, len(o.keys.names))
	for i, n := range o.keys.names {
		names[i] = types.String(n)
	}
	return &iterator{vals: names}
}

// Size implements traits.Sizer.
func (o *object) Size() val { return types.Int(len(o.vals)) }

// Type implements ref.Val.
func (*object) Type() ref.Type { return types.MapType }

// Value implements ref.Val: the object as Go has it.
func (o *object) Value() any { return Plain(o) }

// Equal implements ref.Val.
func (o *object) Equal(other val) val { return o.wrapped().Equal(other) }

// ConvertToNative implements ref.Val.
func (o *object) ConvertToNative(t reflect.Type) (any, error) { return o.wrapped().ConvertToNative(t) }

// ConvertToType implements ref.Val.
func (o *object) ConvertToType(t ref.Type) val { return o.wrapped().ConvertToType(t) }

// wrapped is the same as CEL's own kind of value, for what is rare.
func (o *object) wrapped() val { return types.DefaultTypeAdapter.NativeToValue(Plain(o)) }

// Get implements traits.Indexer.
func (l *list) Get(index val) val {
	i, err := types.IndexOrError(index)
	if err != nil {
		return types.ValOrErr(index, "%v", err)
	}
	if i < 0 || i >= len(l.vals) {
		return types.NewErr("index '%d' out of range in list size '%d'", i, len(l.vals))
	}
	return l.vals[i]
}

// Contains implements traits.Container.
func (l *list) Contains(elem val) val {
	for _, v := range l.vals {
		if elem.Equal(v) == types.True {
			return types.True
		}
	}
	return types.False
}

// Add implements traits.Adder.
func (l *list) Add(other val) val {
	return types.NewRefValList(types.DefaultTypeAdapter, l.vals).Add(other)
}

// Iterator implements traits.Iterable.
func (l *list) Iterator() traits.Iterator { return &iterator{vals: l.vals} }

// Size implements traits.Sizer.
func (l *list) Size() val { return types.Int(len(l.vals)) }

// Type implements ref.Val.
func (*list) Type() ref.Type { return types.ListType }

// Value implements ref.Val: the list as Go has it.
func (l *list) Value() any { return Plain(l) }

// Equal implements ref.Val.
func (l *list) Equal(other val) val { return l.wrapped().Equal(other) }

// ConvertToNative implements ref.Val.
func (l *list) ConvertToNative(t reflect.Type) (any, error) { return l.wrapped().ConvertToNative(t) }

// ConvertToType implements ref.Val.
func (l *list) ConvertToType(t ref.Type) val { return l.wrapped().ConvertToType(t) }

func (l *list) wrapped() val { return types.NewRefValList(types.DefaultTypeAdapter, l.vals) }

// iterator walks over values.
type iterator struct {
	vals []val
	at   int
}

// HasNext implements traits.Iterator.
func (i *iterator) HasNext() val { return types.Bool(i.at < len(i.vals)) }

// Next implements traits.Iterator.
func (i *iterator) Next() val {
	if i.at >= len(i.vals) {
		return nil
	}
	i.at++
	return i.vals[i.at-1]
}

// ConvertToNative implements ref.Val.
func (*iterator) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("an iterator cannot become %v", t)
}

// ConvertToType implements ref.Val.
func (*iterator) ConvertToType(ref.Type) val { return types.NewErr("an iterator cannot be converted") }

// Equal implements ref.Val.
func (*iterator) Equal(val) val { return types.False }

// Type implements ref.Val.
func (*iterator) Type() ref.Type { return types.IteratorType }

// Value implements ref.Val.
func (i *iterator) Value() any { return i }

// Plain returns what DecodeSection made as Go has it: map[string]any, []any, string, int64,
// float64, bool and nil. It changes nothing of v, and shares nothing with it that can change.
func Plain(v any) any {
	switch t := v.(type) {
	case *object:
		out := make(map[string]any, len(t.vals))
		for i, n := range t.keys.names {
			out[n] = Plain(t.vals[i])
		}
		return out
	case *list:
		out := make([]any, len(t.vals))
		for i, e := range t.vals {
			out[i] = Plain(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, e := range t {
			out[k] = Plain(e)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			out[i] = Plain(e)
		}
		return out
	case types.Null:
		return nil
	case val:
		return t.Value()
	}
	return v
}
