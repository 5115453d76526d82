package rule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"handrail/mdm"
)

// Everything, as an entry of Reads.Sections, is an expression that walks over the inventory
// as a whole or picks sections by what it finds.
const Everything = "*"

// Reads is what an expression may look at; a change of anything else cannot change its outcome.
type Reads struct {
	Sections []string // inventory sections, sorted; software() counts as "software"
	Device   bool
	Labels   bool
	Settings bool
	Clock    bool

	// Packages are those software() is asked for, sorted; Everything among them when a name
	// is only known once it runs.
	Packages []string

	// Paths are the facts it names, as "inventory.section.field", sorted: what to show as the
	// evidence of an outcome.
	Paths []string
}

// ReadsAny reports whether one of the sections is among those read.
func (r Reads) ReadsAny(sections []string) bool {
	return len(sections) > 0 && slices.Contains(r.Sections, Everything) ||
		slices.ContainsFunc(sections, func(s string) bool { return slices.Contains(r.Sections, s) })
}

// Missing returns the first section it reads that have lacks; "" for none.
func (r Reads) Missing(have map[string]any) string {
	for _, s := range r.Sections {
		if _, ok := have[s]; !ok && s != Everything {
			return s
		}
	}
	return ""
}

// size is what decides how closely an expression is watched.
type size struct {
	nodes           int
	loops, bindings bool
}

// path is a way into the inventory that an expression spells out, and where it spells each step.
type path struct {
	steps []string
	at    []common.Location
}

// Strange names what an expression spells that cannot be: strange says, of the steps of a path
// into the inventory, which is not there and what is, -1 for none. nil when all can be.
func (e *Expr) Strange(strange func(path []string) (at int, names []string)) error {
	out := &Error{}
	for _, p := range e.paths {
		at, names := strange(p.steps)
		if at < 0 || at >= len(p.at) || len(out.Problems) == maxProblems {
			continue
		}
		one := Problem{Line: p.at[at].Line(), Column: p.at[at].Column() + 1}
		typed, what := mdm.Clean(p.steps[at], 64), "inventory has no section"
		if at > 0 {
			what = "inventory." + mdm.Clean(strings.Join(p.steps[:at], pathSeparator), 100) + " has no field"
		}
		one.Message = fmt.Sprintf("%s %q", what, typed)
		if meant := mdm.Nearest(typed, names); meant != "" {
			one.Message += fmt.Sprintf("; did you mean %q?", meant)
		} else {
			one.Message += "; it has " + strings.Join(names, ", ")
		}
		if !slices.Contains(out.Problems, one) {
			out.Problems = append(out.Problems, one)
		}
	}
	if len(out.Problems) == 0 {
		return nil
	}
	slices.SortFunc(out.Problems, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return out
}

// survey notes what a checked expression reads and returns its size.
func (x *Expr) survey(a *ast.AST) size {
	r := &x.reads
	all := ast.MatchDescendants(ast.NavigateAST(a), ast.AllMatcher())
	s := size{nodes: len(all)}
	for _, n := range all {
		switch n.Kind() {
		case ast.ComprehensionKind:
			bound := isBinding(n)
			s.loops, s.bindings = s.loops || !bound, s.bindings || bound
		case ast.IdentKind:
			x.ident(a, n)
		case ast.CallKind:
			r.call(n)
		default:
		}
	}
	slices.Sort(r.Sections)
	r.Sections = slices.Compact(r.Sections)
	slices.Sort(r.Packages)
	r.Packages = slices.Compact(r.Packages)
	slices.Sort(r.Paths)
	r.Paths = slices.Compact(r.Paths)
	// A path that goes on in another says less.
	r.Paths = slices.DeleteFunc(r.Paths, func(p string) bool {
		return slices.ContainsFunc(r.Paths, func(q string) bool { return strings.HasPrefix(q, p+".") })
	})
	return s
}

// isBinding: cel.bind is a loop over an empty list.
func isBinding(n ast.NavigableExpr) bool {
	c := n.AsComprehension()
	return c.IterRange().Kind() == ast.ListKind && c.IterRange().AsList().Size() == 0
}

func (r *Reads) call(n ast.NavigableExpr) {
	c := n.AsCall()
	if c.FunctionName() != softwareFunc {
		return
	}
	name := Everything
	if a := c.Args()[1]; a.Kind() == ast.LiteralKind {
		if s, ok := a.AsLiteral().Value().(string); ok {
			name = s
		}
	}
	r.Packages = append(r.Packages, name)
}

func (x *Expr) ident(a *ast.AST, n ast.NavigableExpr) {
	r := &x.reads
	switch n.AsIdent() {
	case "device":
		r.Device = true
	case "labels":
		r.Labels = true
	case "settings":
		r.Settings = true
	case "now":
		r.Clock = true
	case softwareVar:
		r.Sections = append(r.Sections, "software")
	case "inventory":
	default:
		return
	}
	if n.AsIdent() == softwareVar || n.AsIdent() == "now" {
		return
	}
	path, ends := []string{n.AsIdent()}, []ast.NavigableExpr{}
	for e := n; ; {
		parent, ok := e.Parent()
		if !ok {
			break
		}
		key, ok := step(parent, e)
		if !ok {
			break
		}
		path, ends = append(path, key), append(ends, parent)
		e = parent
	}
	if path[0] == "inventory" {
		section := Everything
		if len(path) > 1 {
			section = path[1]
		}
		r.Sections = append(r.Sections, section)
		x.spelt(a, path[1:], ends)
	}
	if len(path) > 1 {
		r.Paths = append(r.Paths, strings.Join(path, pathSeparator))
	}
}

// spelt notes a path into the inventory with the place of each step, which ends picks.
func (x *Expr) spelt(a *ast.AST, steps []string, ends []ast.NavigableExpr) {
	if len(steps) == 0 {
		return // the inventory as a whole
	}
	p := path{steps: steps}
	for _, e := range ends {
		p.at = append(p.at, a.SourceInfo().GetStartLocation(e.ID()))
	}
	x.paths = append(x.paths, p)
}

// pathSeparator joins the steps of a path. Keys with dots in them (sysctl names, files) are
// found again because a look-up tries the longest key first.
const pathSeparator = "."

// step returns the constant key by which parent looks into child.
func step(parent, child ast.NavigableExpr) (string, bool) {
	switch parent.Kind() {
	case ast.SelectKind:
		return parent.AsSelect().FieldName(), true
	case ast.CallKind:
		c := parent.AsCall()
		args := c.Args()
		if c.FunctionName() == operators.Index && args[0].ID() == child.ID() && args[1].Kind() == ast.LiteralKind {
			s, ok := args[1].AsLiteral().Value().(string)
			return s, ok
		}
		if c.FunctionName() == operators.In && args[1].ID() == child.ID() && args[0].Kind() == ast.LiteralKind {
			s, ok := args[0].AsLiteral().Value().(string)
			if t := child.Type(); t != nil && t.Kind() == types.ListKind {
				return "", false
			}
			return s, ok
		}
	default:
	}
	return "", false
}
