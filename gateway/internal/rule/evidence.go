package rule

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/traits"
	"google.golang.org/protobuf/types/known/structpb"

	"handrail/mdm"
)

// MaxEvidence bounds what Evidence and Value return, in bytes of JSON.
const MaxEvidence = 2 << 10

// Value evaluates an expression of any value and returns it as JSON of at most MaxEvidence
// bytes; nil with a reason when there is none.
func (e *Expr) Value(ctx context.Context, p *Prepared) (json.RawMessage, Result) {
	v, res := e.eval(ctx, p)
	if res.Reason != "" {
		return nil, res
	}
	if quick, ok := simple(v); ok {
		return bounded(quick), Result{}
	}
	native, err := v.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, Result{Outcome: Failed, Reason: mdm.Clean(err.Error(), 300)}
	}
	s, ok := native.(*structpb.Value)
	if !ok {
		return nil, Result{Outcome: Failed, Reason: "the value cannot be shown"}
	}
	return bounded(s.AsInterface()), Result{}
}

// simple returns a value as Go has it when it is of the kinds evidence mostly is.
func simple(v val) (any, bool) {
	switch t := v.(type) {
	case types.String, types.Bool:
		return v.Value(), true
	case types.Int:
		return int64(t), t > -1<<53 && t < 1<<53 // JSON's numbers go no further
	case traits.Lister:
		n, ok := t.Size().(types.Int)
		if !ok {
			return nil, false
		}
		out := make([]any, n)
		for i := range out {
			if out[i], ok = simple(t.Get(types.Int(i))); !ok {
				return nil, false
			}
		}
		return out, true
	}
	return nil, false
}

// Evidence returns the facts the expression names, as JSON {path: value}; lists and maps
// are cut to what fits. A fact that is not known is null.
func (e *Expr) Evidence(p *Prepared) json.RawMessage {
	out := make(map[string]any, len(e.reads.Paths))
	for _, path := range e.reads.Paths {
		name, rest, _ := strings.Cut(path, pathSeparator)
		var root any
		switch name {
		case "inventory":
			root = p.facts.Inventory
		case "settings":
			root = stringsAsAny(p.facts.Settings)
		default:
			continue // the device's record is shown beside it anyway
		}
		v, _ := lookUp(root, rest)
		out[rest] = brief(v)
	}
	return bounded(out)
}

func stringsAsAny(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// lookUp follows a path of keys joined by dots, of which keys may have some themselves.
func lookUp(v any, path string) (any, bool) {
	if path == "" {
		return v, true
	}
	m, ok := v.(map[string]any)
	if !ok {
		if o, is := v.(*object); is {
			return o.lookUp(path)
		}
		return nil, false
	}
	if e, ok := m[path]; ok {
		return e, true
	}
	for i := strings.LastIndex(path, pathSeparator); i > 0; i = strings.LastIndex(path[:i], pathSeparator) {
		if e, ok := m[path[:i]]; ok {
			return lookUp(e, path[i+1:])
		}
	}
	return nil, false
}

func (o *object) lookUp(path string) (any, bool) {
	for i := len(path); i > 0; i = strings.LastIndex(path[:i], pathSeparator) {
		if at := o.keys.find(path[:i]); at >= 0 {
			if i == len(path) {
				return o.vals[at], true
			}
			return lookUp(o.vals[at], path[i+1:])
		}
	}
	return nil, false
}

const briefEntries = 8

// brief keeps scalars and the beginning of short lists of scalars; the rest becomes a count.
func brief(v any) any {
	switch t := v.(type) {
	case *object:
		return fmt.Sprintf("%d entries", len(t.vals))
	case *list:
		if len(t.vals) > briefEntries {
			return fmt.Sprintf("%d entries", len(t.vals))
		}
		return brief(Plain(t))
	case types.String:
		return mdm.Clean(string(t), 200)
	case val:
		return Plain(t)
	case []any:
		if len(t) > briefEntries {
			return fmt.Sprintf("%d entries", len(t))
		}
		for _, e := range t {
			switch e.(type) {
			case []any, map[string]any:
				return fmt.Sprintf("%d entries", len(t))
			}
		}
	case map[string]any:
		return fmt.Sprintf("%d entries", len(t))
	case string:
		return mdm.Clean(t, 200)
	}
	return v
}

func bounded(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	if l, ok := v.([]any); ok && len(b) > MaxEvidence {
		return boundedList(l)
	}
	if len(b) > MaxEvidence {
		b, err = json.Marshal(mdm.Clean(string(b), MaxEvidence/2) + " …")
		if err != nil || len(b) > MaxEvidence {
			return nil
		}
	}
	return b
}

// boundedList keeps the beginning of a list, and says how much more there is.
func boundedList(l []any) json.RawMessage {
	size := 0
	for i, e := range l {
		b, err := json.Marshal(e)
		if err != nil {
			return nil
		}
		if size += len(b) + 1; size > MaxEvidence/2 {
			more := fmt.Sprintf("and %d more", len(l)-i)
			if i == 0 {
				return bounded(mdm.Clean(string(b), MaxEvidence/2) + " …, " + more)
			}
			return bounded(append(l[:i:i], more))
		}
	}
	return bounded(l)
}
