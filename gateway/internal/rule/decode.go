package rule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// DecodeSection decodes a section's JSON for Facts.Inventory: whole numbers as int64, others
// as float64. Callers that see one section's data often keep the result by its hash.
//
// A fleet's sections are decoded by the hundred thousand, and encoding/json takes three times
// as long for values of any shape; what this decoder does not know well it leaves to that.
func DecodeSection(data []byte) (any, error) {
	d := decoder{data: data}
	v, err := d.value(0)
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

type decoder struct {
	data []byte
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

func (d *decoder) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errSlow
	}
	switch c := d.next(); {
	case c == '{':
		return d.object(depth)
	case c == '[':
		return d.list(depth)
	case c == '"':
		return d.text()
	case c == 't':
		return true, d.word("true")
	case c == 'f':
		return false, d.word("false")
	case c == 'n':
		return nil, d.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	}
	return nil, errSlow
}

func (d *decoder) word(w string) error {
	if !bytes.HasPrefix(d.data[d.at:], []byte(w)) {
		return errSlow
	}
	d.at += len(w)
	return nil
}

// number takes whole numbers without a leading zero of up to 18 digits; others are rare.
func (d *decoder) number() (any, error) {
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
	return n, nil
}

// text takes strings of printable ASCII without escapes.
func (d *decoder) text() (string, error) {
	from := d.at + 1
	for i := from; i < len(d.data); i++ {
		switch c := d.data[i]; {
		case c == '"':
			d.at = i + 1
			return string(d.data[from:i]), nil
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
			if err := json.Unmarshal(d.data[from-1:i+1], &s); err != nil {
				return "", errSlow
			}
			d.at = i + 1
			return s, nil
		}
	}
	return "", errSlow
}

func (d *decoder) list(depth int) (any, error) {
	d.at++
	out := []any{}
	if d.next() == ']' {
		d.at++
		return out, nil
	}
	for {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
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

func (d *decoder) object(depth int) (any, error) {
	d.at++
	out := map[string]any{}
	if d.next() == '}' {
		d.at++
		return out, nil
	}
	for {
		if d.next() != '"' {
			return nil, errSlow
		}
		key, err := d.text()
		if err != nil {
			return nil, err
		}
		if d.next() != ':' {
			return nil, errSlow
		}
		d.at++
		if out[key], err = d.value(depth + 1); err != nil {
			return nil, err
		}
		switch d.next() {
		case ',':
			d.at++
		case '}':
			d.at++
			return out, nil
		default:
			return nil, errSlow
		}
	}
}
