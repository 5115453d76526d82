package rule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/cel-go/common/types"
)

// DecodeSection decodes a section's JSON for Facts.Inventory: whole numbers as int, others as
// double. What it returns is only to be read, and may be shared; see Plain. Callers that see
// one section's data often keep the result by its hash.
//
// A fleet's sections are decoded by the hundred thousand, and encoding/json takes many times
// as long for values of any shape; what this decoder does not know well it leaves to that.
func DecodeSection(data []byte) (any, error) {
	d := decoder{data: string(data)}
	v, err := d.value(0, nil)
	if err == nil {
		if d.space(); d.at == len(d.data) {
			return v, nil
		}
	}
	return decodeSlowly(data)
}

func decodeSlowly(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode section: %w", err)
	}
	return numbers(v), nil
}

func numbers(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for k, e := range t {
			t[k] = numbers(e)
		}
	case []any:
		for i, e := range t {
			t[i] = numbers(e)
		}
	case json.Number:
		return number(t.String())
	}
	return v
}

func number(s string) any {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	return f
}

// errSlow leaves a section to encoding/json: it is no JSON, or has something rare in it.
var errSlow = errors.New("not for the quick decoder")

// maxDepth is far deeper than any section.
const maxDepth = 64

// decoder reads a section. Its texts are parts of data, which is copied once.
type decoder struct {
	data string
	at   int
}

func (d *decoder) space() {
	for d.at < len(d.data) {
		switch d.data[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

// next skips space and returns the byte there, 0 at the end.
func (d *decoder) next() byte {
	d.space()
	if d.at == len(d.data) {
		return 0
	}
	return d.data[d.at]
}

// value reads one value. What stood in its place in the object before it in a list is like:
// most is the same again.
func (d *decoder) value(depth int, like val) (val, error) {
	if depth > maxDepth {
		return nil, errSlow
	}
	switch c := d.next(); {
	case c == '{':
		before, _ := like.(*object)
		return d.object(depth, before)
	case c == '[':
		return d.list(depth)
	case c == '"':
		s, err := d.text()
		if err != nil {
			return nil, err
		}
		if same, ok := like.(types.String); ok && string(same) == s {
			return like, nil
		}
		return types.String(s), nil
	case c == 't':
		return types.True, d.word("true")
	case c == 'f':
		return types.False, d.word("false")
	case c == 'n':
		return types.NullValue, d.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return d.number(like)
	}
	return nil, errSlow
}

func (d *decoder) word(w string) error {
	if !strings.HasPrefix(d.data[d.at:], w) {
		return errSlow
	}
	d.at += len(w)
	return nil
}

// number takes whole numbers without a leading zero of up to 18 digits; others are rare.
func (d *decoder) number(like val) (val, error) {
	from := d.at
	if d.data[d.at] == '-' {
		d.at++
	}
	n := int64(0)
	digits := d.at
	for d.at < len(d.data) && d.data[d.at] >= '0' && d.data[d.at] <= '9' {
		n = n*10 + int64(d.data[d.at]-'0')
		d.at++
	}
	long := d.at - digits
	if long == 0 || long > 18 || long > 1 && d.data[digits] == '0' {
		return nil, errSlow
	}
	if d.at < len(d.data) && (d.data[d.at] == '.' || d.data[d.at] == 'e' || d.data[d.at] == 'E') {
		return nil, errSlow
	}
	if digits > from {
		n = -n
	}
	if same, ok := like.(types.Int); ok && int64(same) == n {
		return like, nil
	}
	return types.Int(n), nil
}

// text takes strings of printable ASCII without escapes.
func (d *decoder) text() (string, error) {
	from := d.at + 1
	for i := from; i < len(d.data); i++ {
		switch c := d.data[i]; {
		case c == '"':
			d.at = i + 1
			return d.data[from:i], nil
		case c == '\\' || c < ' ' || c >= 0x80:
			return d.rareText(from)
		}
	}
	return "", errSlow
}

// rareText leaves one string with escapes, or beyond ASCII, to encoding/json.
func (d *decoder) rareText(from int) (string, error) {
	for i := from; i < len(d.data); i++ {
		switch d.data[i] {
		case '\\':
			i++
		case '"':
			var s string
			if err := json.Unmarshal([]byte(d.data[from-1:i+1]), &s); err != nil {
				return "", errSlow
			}
			d.at = i + 1
			return s, nil
		}
	}
	return "", errSlow
}

func (d *decoder) list(depth int) (val, error) {
	d.at++
	out := &list{}
	if d.next() == ']' {
		d.at++
		return out, nil
	}
	var before val
	for {
		v, err := d.value(depth+1, before)
		if err != nil {
			return nil, err
		}
		out.vals = append(out.vals, v)
		before = v
		switch d.next() {
		case ',':
			d.at++
		case ']':
			d.at++
			return out, nil
		default:
			return nil, errSlow
		}
	}
}

// object reads an object, which often has the names of the one before it, in their order.
func (d *decoder) object(depth int, before *object) (val, error) {
	d.at++
	out := &object{}
	if d.next() == '}' {
		d.at++
		out.keys = &keys{}
		return out, nil
	}
	if before == nil {
		before = &object{keys: &keys{}}
	}
	alike, expected := true, before.keys.names
	out.vals = make([]val, 0, len(expected))
	var names []string // once they are not those expected
	for {
		name, err := d.name()
		if err != nil {
			return nil, err
		}
		n := len(out.vals)
		var like val
		if alike && n < len(expected) && expected[n] == name {
			like = before.vals[n]
		} else if alike {
			alike, names = false, slices.Clone(expected[:n])
		}
		if !alike {
			// A name that stands twice is rare, and one of many names too.
			if n <= fewKeys && slices.Contains(names, name) {
				return nil, errSlow
			}
			names = append(names, name)
		}
		v, err := d.value(depth+1, like)
		if err != nil {
			return nil, err
		}
		out.vals = append(out.vals, v)
		switch d.next() {
		case ',':
			d.at++
		case '}':
			d.at++
			return out, out.named(before.keys, names)
		default:
			return nil, errSlow
		}
	}
}

// named gives an object its names: the expected ones for none.
func (o *object) named(expected *keys, names []string) error {
	if names == nil && len(expected.names) == len(o.vals) {
		o.keys = expected
		return nil
	}
	if names == nil {
		names = slices.Clone(expected.names[:len(o.vals)])
	}
	o.keys = newKeys(names)
	if o.keys.index != nil && len(o.keys.index) != len(names) {
		return errSlow // one stands twice
	}
	return nil
}

// name reads a name and the colon behind it.
func (d *decoder) name() (string, error) {
	if d.next() != '"' {
		return "", errSlow
	}
	name, err := d.text()
	if err == nil && d.next() != ':' {
		err = errSlow
	}
	d.at++
	return name, err
}
