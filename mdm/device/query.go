package device

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"handrail/mdm"
)

// A Term is one condition of a search. A device is found when every term holds.
//
// A search is written as words. A plain word must occur somewhere in the device's SearchText.
// field:value compares a field; < <= > >= = compare numbers, sizes, dates, ages and versions;
// a minus in front turns a term round, quotes keep spaces together:
//
//	latitude ann                     both words occur
//	label:"Front desk" -group:Sales  carries the label, is not in or below the group
//	openssl < 3.0.15                 has a version of the package before that
//	software:firefox -software:snapd has one, not the other; * stands for anything
//	memory<16GB  disk>=500GB  8 GB   sizes; alone, a size is that of the memory
//	encrypted:no  no encryption      no, partly, yes, unknown
//	state:online  seen>30d  enrolled<2026-01-01  updates>0
//	serial:5CG  model:"ThinkPad X1"  os:linux  version:"debian 12"  user:ann  mac:aa:bb
//	asset.cost_center:4711           a field of the organisation's own
type Term struct {
	Field string // one of Fields, "asset.key", or "" for a plain word
	Op    Op
	Value string // lower case, but of software and labels
	Name  string // of a package, when Field is "software"; may hold *
	Not   bool
}

// Op is how a term compares.
type Op string

// The comparisons. Is means occurs in, for text.
const (
	Is       Op = ":"
	Equal    Op = "="
	Less     Op = "<"
	AtMost   Op = "<="
	More     Op = ">"
	AtLeast  Op = ">="
	maxTerms    = 24
)

// Fields are what terms may name, beside asset fields; the value says what of.
func Fields() map[string]string {
	return map[string]string{
		"name": "text", "hostname": "text", "model": "text", "serial": "text", "user": "text", "cpu": "text", "mac": "text",
		"os": "text", "version": "text", "arch": "text", "agent": "version", "id": "text",
		"label": "a label's name or id", "group": "a group's name or id, with those below",
		"state": "online, offline or revoked", "software": "a package", "encrypted": "no, partly, yes or unknown",
		"software_id": "an id of the fleet's software, with /version id",
		"memory":      "size", "disk": "size", "updates": "number", "security_updates": "number",
		"seen": "age or date", "enrolled": "age or date", "is": "copied, returned or never_seen",
		"policy": "a policy's id, with /state", "setting": "a setting's id, with /state", "rule": "a rule's slug, with /state",
		"compliance": "compliant, non_compliant, in_grace or unknown", "command": "a command's or bulk's id, with /state",
	}
}

// ParseQuery reads a search; see Term. Errors are mdm.ErrInvalid and say what to write.
func ParseQuery(text string) ([]Term, error) {
	if len(text) > 4*MaxQuery {
		return nil, fmt.Errorf("the search is %d bytes, at most %d: %w", len(text), 4*MaxQuery, mdm.ErrInvalid)
	}
	p := &queryParser{tokens: tokens(strings.ToValidUTF8(text, ""))}
	var out []Term
	for p.at < len(p.tokens) {
		t, err := p.term()
		if err != nil {
			return nil, err
		}
		if out = append(out, t); len(out) > maxTerms {
			return nil, fmt.Errorf("more than %d terms in the search: %w", maxTerms, mdm.ErrInvalid)
		}
	}
	return out, nil
}

// token is a word, a quoted text, or a comparison.
type token struct {
	text   string
	quoted bool
	op     bool
	glued  bool // nothing stands between it and the token before
}

func tokens(s string) []token {
	var out []token
	glued := false
	for s != "" {
		r := rune(s[0])
		switch {
		case unicode.IsSpace(r) || r < ' ':
			s, glued = s[1:], false
			continue
		case r == '"':
			text, rest, _ := strings.Cut(s[1:], `"`)
			out = append(out, token{text: mdm.Clean(text, MaxQuery), quoted: true, glued: glued})
			s = rest
		case strings.ContainsRune("<>=", r):
			n := 1
			if len(s) > 1 && s[1] == '=' {
				n = 2
			}
			out = append(out, token{text: s[:n], op: true, glued: glued})
			s = s[n:]
		case r == ':' && glued && isFieldName(out[len(out)-1]):
			out = append(out, token{text: ":", op: true, glued: true})
			s = s[1:]
		default:
			n := strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"<>=`, r) })
			if n < 0 {
				n = len(s)
			}
			if c := strings.IndexByte(s[:n], ':'); c > 0 && isFieldName(token{text: s[:c]}) && (len(out) == 0 || !out[len(out)-1].op) {
				n = c
			}
			out = append(out, token{text: mdm.Clean(s[:n], MaxQuery), glued: glued})
			s = s[n:]
		}
		glued = true
	}
	return out
}

// isFieldName: with a colon behind it, it is a field and not a word with a colon in it.
func isFieldName(t token) bool {
	name := strings.ToLower(strings.TrimPrefix(t.text, "-"))
	_, ok := Fields()[name]
	return !t.quoted && !t.op && (ok || strings.HasPrefix(name, "asset."))
}

type queryParser struct {
	tokens []token
	at     int
}

func (p *queryParser) peek(n int) token {
	if p.at+n < len(p.tokens) {
		return p.tokens[p.at+n]
	}
	return token{}
}

func (p *queryParser) term() (Term, error) {
	first := p.peek(0)
	if first.op && p.peek(1).glued {
		// Nothing is compared: "<script>" is a word like others.
		word := first.text
		for p.at++; p.at < len(p.tokens) && p.peek(0).glued; p.at++ {
			word += p.peek(0).text
		}
		return Term{Op: Is, Value: strings.ToLower(word)}, nil
	}
	if first.op {
		return Term{}, fmt.Errorf("%q needs something before it, as in memory>8GB: %w", first.text, mdm.ErrInvalid)
	}
	var t Term
	if !first.quoted && len(first.text) > 1 && first.text[0] == '-' {
		t.Not, first.text = true, first.text[1:]
	}
	if p.peek(1).op {
		return p.comparison(t, first)
	}
	word := strings.ToLower(first.text)
	next := strings.ToLower(p.peek(1).text)
	switch {
	case first.quoted:
	case (word == "no" || word == "not") && slices.Contains([]string{"encryption", "encrypted"}, next) && !p.peek(1).quoted && !p.peek(2).op:
		p.at += 2
		return Term{Field: "encrypted", Op: Is, Value: NotEncrypted.String(), Not: t.Not}, nil
	case word == "unencrypted" || word == "encrypted":
		p.at++
		return Term{Field: "encrypted", Op: Is, Value: Encrypted.String(), Not: t.Not != (word == "unencrypted")}, nil
	default:
		if _, err := strconv.ParseFloat(word, 64); err == nil && isUnit(next) && !p.peek(1).quoted && !p.peek(2).op {
			p.at += 2
			return Term{Field: "memory", Op: Is, Value: word + next, Not: t.Not}, nil
		}
		if _, err := ParseSize(word); err == nil && isUnit(strings.TrimLeft(word, "0123456789.")) {
			p.at++
			return Term{Field: "memory", Op: Is, Value: word, Not: t.Not}, nil
		}
	}
	p.at++
	t.Op, t.Value = Is, word
	return t, nil
}

func (p *queryParser) comparison(t Term, left token) (Term, error) {
	op, right := p.peek(1), p.peek(2)
	if right.op || right.text == "" {
		return t, fmt.Errorf("%s%s needs something behind it: %w", left.text, op.text, mdm.ErrInvalid)
	}
	p.at += 3
	t.Op, t.Value = Op(op.text), right.text
	if t.Op == "==" {
		t.Op = Equal
	}
	t.Field = strings.ToLower(left.text)
	_, known := Fields()[t.Field]
	switch {
	case t.Field == "software" && op.text == ":":
		t.Name, t.Value = right.text, ""
		// software:openssl<3.0.15
		if next := p.peek(0); next.op && next.text != ":" && p.peek(1).text != "" && !p.peek(1).op {
			t.Op, t.Value = Op(next.text), p.peek(1).text
			p.at += 2
		}
		return t, nil
	case known || strings.HasPrefix(t.Field, "asset."):
		if t.Field != "label" && t.Field != "group" {
			t.Value = strings.ToLower(t.Value)
		}
		return t, t.check()
	default:
		// Anything else that is compared is a package.
		t.Field, t.Name = "software", left.text
		return t, nil
	}
}

// check says early what a field cannot be compared with.
func (t Term) check() error {
	bad := func(want string) error {
		return fmt.Errorf("%s%s%s: want %s: %w", t.Field, t.Op, mdm.Clean(t.Value, 64), want, mdm.ErrInvalid)
	}
	switch t.Field {
	case "memory", "disk":
		if _, err := ParseSize(t.Value); err != nil {
			return bad("a size, as 8GB")
		}
	case "updates", "security_updates":
		if _, err := strconv.ParseInt(t.Value, 10, 64); err != nil {
			return bad("a number")
		}
	case "seen", "enrolled":
		if _, _, err := ParseWhen(t.Value); err != nil {
			return bad("an age, as 30d or 12h, or a date, as 2026-01-31")
		}
	case "encrypted":
		if !slices.Contains([]string{"no", "partly", "yes", "unknown"}, t.Value) {
			return bad("no, partly, yes or unknown")
		}
	case "state":
		if !slices.Contains([]string{"online", "offline", "revoked"}, t.Value) {
			return bad("online, offline or revoked")
		}
	case "is":
		if !slices.Contains([]string{"copied", "returned", "never_seen"}, t.Value) {
			return bad("copied, returned or never_seen")
		}
	}
	return nil
}

func isUnit(s string) bool {
	return slices.Contains([]string{"mb", "mib", "gb", "gib", "tb", "tib"}, s)
}

// ParseSize reads a size in bytes: a number with MB, GB, TB, MiB, GiB or TiB. All count by
// 1024, as memory is sold.
func ParseSize(s string) (int64, error) {
	s = strings.ToLower(strings.ReplaceAll(s, " ", ""))
	unit := strings.TrimLeft(s, "0123456789.")
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, unit), 64)
	factor := map[string]float64{"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30, "t": 1 << 40, "tb": 1 << 40, "tib": 1 << 40}[unit]
	if err != nil || factor == 0 || v < 0 || v*factor > 1<<62 {
		return 0, fmt.Errorf("%q is no size: %w", mdm.Clean(s, 32), mdm.ErrInvalid)
	}
	return int64(v * factor), nil
}

// ParseWhen reads an age (30m, 12h, 7d, 2w) or a date (2026-01-31).
func ParseWhen(s string) (age time.Duration, date time.Time, err error) {
	if date, err = time.Parse("2006-01-02", s); err == nil {
		return 0, date, nil
	}
	if s != "" {
		unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[s[len(s)-1]]
		n, err := strconv.ParseInt(s[:len(s)-1], 10, 32)
		if err == nil && unit != 0 && n >= 0 {
			return time.Duration(n) * unit, time.Time{}, nil
		}
	}
	return 0, time.Time{}, fmt.Errorf("%q is neither an age nor a date: %w", mdm.Clean(s, 32), mdm.ErrInvalid)
}
