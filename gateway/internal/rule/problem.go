package rule

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"handrail/mdm"
)

// Problem is one fault of an expression. Line and Column count from 1; Column counts characters.
type Problem struct {
	Line    int
	Column  int
	Message string
}

// String returns "line 1, column 7: …".
func (p Problem) String() string {
	return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, p.Message)
}

// Error is why an expression does not compile; it is mdm.ErrInvalid.
type Error struct{ Problems []Problem }

// Error lists the problems.
func (e *Error) Error() string {
	parts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		parts[i] = p.String()
	}
	return strings.Join(parts, "; ")
}

// Unwrap makes it mdm.ErrInvalid.
func (*Error) Unwrap() error { return mdm.ErrInvalid }

const maxProblems = 8

func problems(issues *cel.Issues) *Error {
	e := &Error{}
	for _, i := range issues.Errors() {
		if len(e.Problems) == maxProblems {
			break
		}
		p := Problem{Line: 1, Column: 1, Message: inWords(i.Message)}
		if i.Location != nil && i.Location.Line() > 0 {
			p.Line, p.Column = i.Location.Line(), i.Location.Column()+1
		}
		e.Problems = append(e.Problems, p)
	}
	return e
}

// phrasing turns the checker's words into ones an administrator knows. Order matters.
type phrasing struct {
	re *regexp.Regexp
	to string
}

func phrasings() []phrasing {
	return []phrasing{
		{regexp.MustCompile(`^undeclared reference to '([^']*)'.*`), `"$1" is not known; an expression may use device, inventory, labels, settings, now, software(), version_less(), mode_within(), micros(), days(), distinct(), unknown()`},
		{regexp.MustCompile(`^found no matching overload for '_([^_']+)_' applied to '\((.*)\)'`), `"$1" cannot be used on ($2)`},
		{regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'`), `"$1" cannot be used on $2`},
		{regexp.MustCompile(`^Syntax error: mismatched input '(.*)' expecting .*`), `"$1" is not expected here`},
		{regexp.MustCompile(`^Syntax error: extraneous input '(.*)' expecting .*`), `"$1" is too much here`},
		{regexp.MustCompile(`^Syntax error: no viable alternative at input '(.*)'`), `this cannot be read near "$1"`},
		{regexp.MustCompile(`^Syntax error: token recognition error at: '(.*)'`), `"$1" is not part of the language`},
		{regexp.MustCompile(`^Syntax error: (missing .*)`), `$1`},
		{regexp.MustCompile(`^(max recursion|expression recursion).*`), `the expression is nested too deeply`},
	}
}

func inWords(msg string) string {
	msg = strings.ReplaceAll(msg, "<EOF>", "the end")
	for _, p := range phrasings() {
		if p.re.MatchString(msg) {
			msg = p.re.ReplaceAllString(msg, p.to)
			break
		}
	}
	return mdm.Clean(msg, 300)
}

func typeInWords(t *cel.Type) string {
	switch t.Kind() {
	case types.StringKind:
		return "text"
	case types.IntKind, types.UintKind, types.DoubleKind:
		return "a number"
	case types.ListKind:
		return "a list"
	case types.MapKind:
		return "a map"
	default:
	}
	return cel.FormatCELType(t)
}
