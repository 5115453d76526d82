package rule

import (
	"math"
	"strconv"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
)

// val is a value of an expression.
type val = ref.Val

const (
	softwarePrefix = "@"
	unknownPrefix  = "unknown: "
	softwareVar    = "@software" // no expression can spell it
	softwareFunc   = "@software_versions"
)

// newEnv declares the language: the variables and functions beside CEL's own.
func newEnv() (*cel.Env, error) {
	anyMap := cel.MapType(cel.StringType, cel.DynType)
	return cel.NewEnv(
		cel.Variable("device", anyMap),
		cel.Variable("inventory", anyMap),
		cel.Variable("labels", cel.ListType(cel.StringType)),
		cel.Variable("settings", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("now", cel.TimestampType),
		cel.Variable(softwareVar, cel.DynType),
		cel.Macros(cel.GlobalMacro("software", 1, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			return f.NewCall(softwareFunc, f.NewIdent(softwareVar), args[0]), nil
		})),
		cel.Function(softwareFunc, cel.Overload("software_dyn_string", []*cel.Type{cel.DynType, cel.StringType}, cel.ListType(cel.StringType), cel.BinaryBinding(softwareVersions))),
		cel.Function("version_less", cel.Overload("version_less_string_string", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, cel.BinaryBinding(versionLess))),
		cel.Function("mode_within", cel.Overload("mode_within_string_string", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, cel.BinaryBinding(modeWithin))),
		cel.Function("micros", cel.Overload("micros_int", []*cel.Type{cel.IntType}, cel.TimestampType, cel.UnaryBinding(micros))),
		cel.Function("distinct", cel.Overload("distinct_list", []*cel.Type{cel.ListType(cel.DynType)}, cel.IntType, cel.UnaryBinding(distinct))),
		cel.Function("unknown", cel.Overload("unknown_string", []*cel.Type{cel.StringType}, cel.BoolType, cel.UnaryBinding(unknown))),
		cel.Function("days", cel.Overload("days_int", []*cel.Type{cel.IntType}, cel.DurationType, cel.UnaryBinding(days))),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ParserRecursionLimit(maxNesting),
		ext.Bindings(), // cel.bind(name, value, expression)
	)
}

func softwareVersions(of, name ref.Val) ref.Val {
	p, ok := of.(packages)
	if !ok || p.find == nil {
		return types.NewErr("no such key: software")
	}
	s, ok := name.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(name)
	}
	return types.NewStringList(types.DefaultTypeAdapter, p.find(string(s)))
}

func versionLess(a, b ref.Val) ref.Val {
	x, ok := a.(types.String)
	y, ok2 := b.(types.String)
	if !ok || !ok2 {
		return types.MaybeNoSuchOverloadErr(a)
	}
	return types.Bool(VersionLess(string(x), string(y)))
}

// modeWithin reports whether a file's mode grants nothing that the other does not: both octal.
func modeWithin(mode, limit ref.Val) ref.Val {
	m, ok := mode.(types.String)
	l, ok2 := limit.(types.String)
	if !ok || !ok2 {
		return types.MaybeNoSuchOverloadErr(mode)
	}
	have, err := strconv.ParseUint(string(m), 8, 32)
	most, err2 := strconv.ParseUint(string(l), 8, 32)
	if err != nil || err2 != nil {
		return types.NewErr("mode_within wants two octal modes, such as \"0640\"")
	}
	return types.Bool(have&^most == 0)
}

// distinct counts the different values of a list of numbers or texts.
func distinct(list ref.Val) ref.Val {
	l, ok := list.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(list)
	}
	seen := map[any]bool{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		v := it.Next()
		switch v.(type) {
		case types.Int, types.Uint, types.Double, types.String, types.Bool:
			seen[v.Value()] = true
		default:
			return types.NewErr("distinct wants a list of numbers or texts")
		}
	}
	return types.Int(len(seen))
}

// unknown lets an expression say that the facts do not suffice, and why.
func unknown(why ref.Val) ref.Val {
	s, ok := why.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(why)
	}
	return types.NewErr("%s%s", unknownPrefix, string(s))
}

func micros(v ref.Val) ref.Val {
	us, ok := v.(types.Int)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	return types.Timestamp{Time: time.UnixMicro(int64(us)).UTC()}
}

func days(v ref.Val) ref.Val {
	n, ok := v.(types.Int)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	if n > math.MaxInt64/types.Int(24*time.Hour) || n < math.MinInt64/types.Int(24*time.Hour) {
		return types.NewErr("days: out of range")
	}
	return types.Duration{Duration: time.Duration(n) * 24 * time.Hour}
}
