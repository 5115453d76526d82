package rule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"

	"handrail/mdm"
)

// Limits of an expression.
const (
	MaxExpression = 8 << 10 // bytes
	maxNesting    = 48
	costLimit     = 250_000 // steps; a walk over 3,000 packages is about 30,000
	interruptRate = 64      // looks at the deadline every so many turns of a loop
	cheapNodes    = 128     // an expression of so few nodes and no loop needs no watching
)

// Deadline bounds one evaluation. The cost limit comes first on any machine that is not starved.
const Deadline = 3 * time.Second

// Outcome is what an expression said of a device.
type Outcome uint8

// The outcomes.
const (
	Unknown Outcome = iota // a fact it reads is not known; Result.Reason says which
	False
	True
	Failed // it could not be evaluated: types that do not fit, too expensive; Result.Reason
)

// String returns the outcome's name.
func (o Outcome) String() string {
	switch o {
	case True:
		return "true"
	case False:
		return "false"
	case Failed:
		return "failed"
	case Unknown:
	}
	return "unknown"
}

// Result is an outcome and, unless it is True or False, the reason in words.
type Result struct {
	Outcome Outcome
	Reason  string
	Costly  bool // Failed, because it came to the limit of steps or time
}

// Expr is a compiled expression. It is safe for concurrent use.
type Expr struct {
	text    string
	program cel.Program
	watched bool // has a cost limit and a deadline
	reads   Reads
	paths   []path
}

// Compiler compiles expressions. It is safe for concurrent use; one is enough for a process.
type Compiler struct {
	env     *cel.Env
	trusted bool
}

// Trusted returns a compiler for expressions of our own: without a cost limit, which makes
// loops twice as fast. The deadline holds for them too.
func (c *Compiler) Trusted() *Compiler { return &Compiler{env: c.env, trusted: true} }

// NewCompiler returns a compiler of the language described at the package.
func NewCompiler() (*Compiler, error) {
	env, err := newEnv()
	if err != nil {
		return nil, fmt.Errorf("expression language: %w", err)
	}
	return &Compiler{env: env}, nil
}

// Compile compiles an expression that must say yes or no. The error is an *Error that says
// where and what in words, and is mdm.ErrInvalid.
func (c *Compiler) Compile(text string) (*Expr, error) { return c.compile(text, true) }

// CompileValue compiles an expression with any value, for Value.
func (c *Compiler) CompileValue(text string) (*Expr, error) { return c.compile(text, false) }

func (c *Compiler) compile(text string, question bool) (*Expr, error) {
	if strings.TrimSpace(text) == "" {
		return nil, &Error{Problems: []Problem{{Line: 1, Column: 1, Message: "the expression is empty"}}}
	}
	if len(text) > MaxExpression {
		return nil, &Error{Problems: []Problem{{Line: 1, Column: 1, Message: fmt.Sprintf("the expression is %d bytes, at most %d", len(text), MaxExpression)}}}
	}
	ast, issues := c.env.Compile(text)
	if issues != nil && issues.Err() != nil {
		return nil, problems(issues)
	}
	if t := ast.OutputType(); question && !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, &Error{Problems: []Problem{{Line: 1, Column: 1, Message: "the expression must be true or false, but it is " + typeInWords(t)}}}
	}
	e := &Expr{text: text}
	size := e.survey(ast.NativeRep())
	// A text that is bound, and put together with itself, and bound again, doubles each time.
	e.watched = size.loops || size.nodes > cheapNodes || size.bindings && !c.trusted
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if e.watched {
		opts = append(opts, cel.InterruptCheckFrequency(interruptRate))
		if !c.trusted {
			opts = append(opts, cel.CostLimit(costLimit))
		}
	}
	var err error
	if e.program, err = c.env.Program(ast, opts...); err != nil {
		return nil, &Error{Problems: []Problem{{Line: 1, Column: 1, Message: mdm.Clean(err.Error(), 300)}}}
	}
	return e, nil
}

// String returns the text the expression was compiled from.
func (e *Expr) String() string { return e.text }

// Reads returns what the expression may look at.
func (e *Expr) Reads() Reads { return e.reads }

// Match evaluates the expression over facts; see MatchPrepared for several over the same.
func (e *Expr) Match(ctx context.Context, f Facts) Result { return e.MatchPrepared(ctx, Prepare(f)) }

// MatchPrepared evaluates the expression. It takes at most Deadline.
func (e *Expr) MatchPrepared(ctx context.Context, p *Prepared) Result {
	v, res := e.eval(ctx, p)
	if res.Reason != "" {
		return res
	}
	switch v {
	case types.True:
		return Result{Outcome: True}
	case types.False:
		return Result{Outcome: False}
	}
	return Result{Outcome: Failed, Reason: fmt.Sprintf("the expression must be true or false, but here it is %T", v.Value())}
}

func (e *Expr) eval(ctx context.Context, p *Prepared) (val, Result) {
	var out val
	var err error
	if e.watched {
		ctx, cancel := context.WithTimeout(ctx, Deadline)
		out, _, err = e.program.ContextEval(ctx, &p.vars)
		cancel()
	} else {
		out, _, err = e.program.Eval(&p.vars)
	}
	if err != nil {
		return nil, failure(err)
	}
	return out, Result{}
}

// failure sorts an evaluation's error: something absent is Unknown, all else Failed.
func failure(err error) Result {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		if cancelled.Cause == interpreter.CostLimitExceeded {
			return Result{Outcome: Failed, Reason: "the expression takes too many steps", Costly: true}
		}
		return Result{Outcome: Failed, Reason: "the expression takes too long", Costly: true}
	}
	msg := err.Error()
	if msg == "operation interrupted" { // as a value, when a loop inside another notices first
		return Result{Outcome: Failed, Reason: "the expression takes too long", Costly: true}
	}
	if why, ok := strings.CutPrefix(msg, unknownPrefix); ok {
		return Result{Outcome: Unknown, Reason: mdm.Clean(why, 200)}
	}
	if key, ok := strings.CutPrefix(msg, "no such key: "); ok {
		return Result{Outcome: Unknown, Reason: "not reported: " + mdm.Clean(key, 100)}
	}
	if name, ok := strings.CutPrefix(msg, "no such attribute(s): "); ok {
		return Result{Outcome: Unknown, Reason: "not known: " + mdm.Clean(strings.TrimPrefix(name, softwarePrefix), 100)}
	}
	return Result{Outcome: Failed, Reason: mdm.Clean(msg, 300)}
}
