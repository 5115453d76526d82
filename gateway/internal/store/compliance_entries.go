package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"handrail/mdm/compliance"
)

// entryDoc is a compliance.Entry as it is stored; short keys, as there are many.
type entryDoc struct {
	Rule     string           `json:"r"`
	State    compliance.State `json:"s"`
	Since    int64            `json:"t"`
	Broken   int64            `json:"b,omitempty"`
	Grace    int64            `json:"g,omitempty"`
	Waiver   string           `json:"w,omitempty"`
	Reason   string           `json:"m,omitempty"`
	Evidence json.RawMessage  `json:"e,omitempty"`
}

func (d entryDoc) entry() compliance.Entry {
	return compliance.Entry{
		Rule: d.Rule, State: d.State, Since: fromMicros(d.Since), BrokenSince: fromMicros(d.Broken), GraceUntil: fromMicros(d.Grace),
		Waiver: d.Waiver, Reason: d.Reason, Evidence: d.Evidence,
	}
}

// encodeEntries writes entries as a JSON list of entryDoc. It is done for every device of a
// fleet when a rule changes, so what is plain is written by hand.
func encodeEntries(entries []compliance.Entry) (string, error) {
	b := make([]byte, 0, 128*len(entries)+2)
	b = append(b, '[')
	for i, e := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		if !isPlain(e.Rule) || !isPlain(e.Reason) || !isPlain(e.Waiver) || !isPlain(string(e.State)) {
			one, err := json.Marshal(entryDoc{
				Rule: e.Rule, State: e.State, Since: micros(e.Since), Broken: micros(e.BrokenSince), Grace: micros(e.GraceUntil),
				Waiver: e.Waiver, Reason: e.Reason, Evidence: e.Evidence,
			})
			if err != nil {
				return "", err
			}
			b = append(b, one...)
			continue
		}
		b = append(append(append(b, `{"r":"`...), e.Rule...), `","s":"`...)
		b = append(append(b, e.State...), `","t":`...)
		b = strconv.AppendInt(b, micros(e.Since), 10)
		b = appendMicros(b, `,"b":`, micros(e.BrokenSince))
		b = appendMicros(b, `,"g":`, micros(e.GraceUntil))
		b = appendPlain(b, `,"w":"`, e.Waiver)
		b = appendPlain(b, `,"m":"`, e.Reason)
		if len(e.Evidence) > 0 {
			if !json.Valid(e.Evidence) {
				return "", fmt.Errorf("evidence of %s is no JSON", e.Rule)
			}
			b = append(append(b, `,"e":`...), bytes.TrimSpace(e.Evidence)...)
		}
		b = append(b, '}')
	}
	return string(append(b, ']')), nil
}

func appendMicros(b []byte, name string, us int64) []byte {
	if us == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), us, 10)
}

func appendPlain(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return append(append(append(b, name...), s...), '"')
}

// isPlain reports whether a text stands in JSON as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// decodeEntries reads what encodeEntries wrote.
func decodeEntries(doc string) ([]compliance.Entry, error) {
	out := make([]compliance.Entry, 0, strings.Count(doc, `{"r":"`))
	err := eachEntry(doc, func(e entryText) {
		d := entryDoc{
			Rule: e.rule, State: compliance.State(e.state), Since: e.since, Broken: e.broken, Grace: e.grace, Waiver: e.waiver, Reason: e.reason,
		}
		if e.evidence != "" {
			d.Evidence = json.RawMessage(e.evidence)
		}
		out = append(out, d.entry())
	})
	return out, err
}

// entryText is an entryDoc whose texts are parts of the document: to count the entries of a
// whole fleet nothing is copied.
type entryText struct {
	rule, state, waiver, reason, evidence string
	since, broken, grace                  int64
}

// eachEntry visits the entries of a list that encodeEntries wrote.
func eachEntry(doc string, visit func(entryText)) error {
	var list []entryText
	var room [96]entryText // more rules than most have
	for rest, some := doc, room[:0]; ; {
		var e entryText
		var ok bool
		if rest, ok = cutEntry(rest[min(1, len(rest)):], &e); !ok {
			break
		}
		if some = append(some, e); rest == "]" {
			list = some
			break
		}
	}
	if list == nil { // one of another hand
		var docs []entryDoc
		if err := json.Unmarshal([]byte(doc), &docs); err != nil {
			return err
		}
		for _, d := range docs {
			list = append(list, entryText{d.Rule, string(d.State), d.Waiver, d.Reason, string(d.Evidence), d.Since, d.Broken, d.Grace})
		}
	}
	for _, e := range list {
		visit(e)
	}
	return nil
}

// cutEntry takes one entry from the beginning of a list's text, up to the comma or bracket
// behind it; not ok when that is not for it.
func cutEntry(doc string, e *entryText) (rest string, ok bool) {
	if doc, ok = cutText(doc, `{"r":"`, &e.rule); !ok {
		return "", false
	}
	if doc, ok = cutText(doc, `,"s":"`, &e.state); !ok {
		return "", false
	}
	if doc, ok = cutNumber(doc, `,"t":`, &e.since); !ok {
		return "", false
	}
	doc, _ = cutNumber(doc, `,"b":`, &e.broken)
	doc, _ = cutNumber(doc, `,"g":`, &e.grace)
	doc, _ = cutText(doc, `,"w":"`, &e.waiver)
	doc, _ = cutText(doc, `,"m":"`, &e.reason)
	if value, has := strings.CutPrefix(doc, `,"e":`); has {
		text, found := evidence(value)
		if !found || text != strings.TrimSpace(text) {
			return "", false
		}
		e.evidence = text
		doc = value[len(text):]
	}
	return strings.CutPrefix(doc, "}")
}

// evidence returns the JSON value doc begins with; false when it never ends.
func evidence(doc string) (string, bool) {
	depth, quoted := 0, false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case (c == '}' || c == ']' || c == ',') && depth == 0:
			return doc[:i], true
		case c == '}' || c == ']':
			depth--
		}
	}
	return "", false
}

// cutText takes a text without anything special in it, as far as its closing quote.
func cutText(doc, name string, s *string) (rest string, ok bool) {
	after, ok := strings.CutPrefix(doc, name)
	if !ok {
		return doc, false
	}
	end := strings.IndexByte(after, '"')
	if end < 0 || !isPlain(after[:end]) {
		return doc, false
	}
	*s = after[:end]
	return after[end+1:], true
}

func cutNumber(doc, name string, n *int64) (rest string, ok bool) {
	after, ok := strings.CutPrefix(doc, name)
	if !ok {
		return doc, false
	}
	end := 0
	for end < len(after) && (after[end] == '-' || after[end] >= '0' && after[end] <= '9') {
		end++
	}
	v, err := strconv.ParseInt(after[:end], 10, 64)
	if err != nil {
		return doc, false
	}
	*n = v
	return after[end:], true
}
