package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// seen is why an expression is false, in words of the object and not of CEL.
type seen struct {
	is, want string
}

// reason is one comparison that came out wrong.
type reason struct {
	subject string // spec.replicas
	is      string // "= 2", or "is not set"
	want    string // ">= 3"
}

// place is where a part of an expression stands: with its variables, and with the values that it came to.
type place struct {
	vars  map[string]any
	names map[string]string // of variables, in words; see wording.subject
	state interpreter.EvalState
}

// explainer finds the reasons. It runs the expression again, keeping what it saw, and the body of a loop once for each
// element.
type explainer struct {
	program
	wording
	runs int // how many more parts may be run
}

// How much is looked at and told.
const (
	maxRuns  = 200
	maxTold  = 3
	maxWords = 400 // characters
)

// explain returns what is and what was wanted of an expression that is not true.
func (p program) explain(ctx context.Context, vars map[string]any) seen {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	native := p.ast.NativeRep()
	x := &explainer{program: p, wording: wording{native.SourceInfo()}, runs: maxRuns}
	names := map[string]string{"object": "", "objects": plural(vars["objects"])}
	at, _ := x.at(ctx, native.Expr(), vars, names)
	return summary(x.reasons(ctx, native.Expr(), true, at))
}

// at runs a part of the expression where its variables have these values.
func (x *explainer) at(ctx context.Context, e ast.Expr, vars map[string]any, names map[string]string) (place, ref.Val) {
	out := place{vars: vars, names: names, state: interpreter.NewEvalState()}
	whole, err := cel.AstToCheckedExpr(x.ast)
	if x.runs--; err != nil || x.runs < 0 {
		return out, types.NewErr("not run")
	}
	if whole.Expr, err = ast.ExprToProto(e); err != nil {
		return out, types.WrapErr(err)
	}
	run, err := limited(x.env, cel.CheckedExprToAst(whole), cel.EvalOptions(cel.OptTrackState))
	if err != nil {
		return out, types.WrapErr(err)
	}
	val, details, err := run.ContextEval(ctx, vars)
	if details != nil && details.State() != nil {
		out.state = details.State()
	}
	if err != nil {
		return out, types.WrapErr(err)
	}
	return out, val
}

// value is what a part came to.
func (x *explainer) value(e ast.Expr, at place) ref.Val {
	if e.Kind() == ast.LiteralKind {
		return e.AsLiteral()
	}
	if v, ok := at.state.Value(e.ID()); ok {
		return v
	}
	if v, ok := walk(e, at); ok {
		return v
	}
	return types.NewErr("not seen")
}

// reasons says why e is not what was wanted.
func (x *explainer) reasons(ctx context.Context, e ast.Expr, want bool, at place) []reason {
	switch e.Kind() {
	case ast.CallKind:
		return x.call(ctx, e, want, at)
	case ast.ComprehensionKind:
		return x.loop(ctx, e, want, at)
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return []reason{x.presence(e, want, at)}
		}
	default:
	}
	return []reason{x.compared(e, at, fmt.Sprint(want))}
}

func (x *explainer) call(ctx context.Context, e ast.Expr, want bool, at place) []reason {
	c := e.AsCall()
	switch c.FunctionName() {
	case operators.LogicalNot:
		return x.reasons(ctx, c.Args()[0], !want, at)
	case operators.LogicalAnd, operators.LogicalOr:
		return x.logic(ctx, c, want, at)
	case operators.Conditional:
		if x.value(c.Args()[0], at) == types.True {
			return x.reasons(ctx, c.Args()[1], want, at)
		}
		return x.reasons(ctx, c.Args()[2], want, at)
	}
	return []reason{x.relation(e, want, at)}
}

// logic names the part of an "and" that is wrong, and every part of an "or".
func (x *explainer) logic(ctx context.Context, c ast.CallExpr, want bool, at place) []reason {
	one := (c.FunctionName() == operators.LogicalAnd) == want // a single wrong part is the reason
	var all []reason
	for _, wrong := range []func(ref.Val) bool{func(v ref.Val) bool { return v == types.Bool(!want) }, types.IsError} {
		for _, part := range c.Args() {
			if !wrong(x.value(part, at)) {
				continue
			}
			all = append(all, x.reasons(ctx, part, want, at)...)
			if one {
				return all
			}
		}
	}
	return all
}

// presence is the reason of has().
func (x *explainer) presence(e ast.Expr, want bool, at place) reason {
	s := e.AsSelect()
	r := reason{subject: x.join(x.subject(s.Operand(), at), s.FieldName()), is: "is not set"}
	if missing, ok := x.missing(s.Operand(), at); ok {
		return missing
	}
	if !want {
		holder, _ := walk(s.Operand(), at)
		if m, ok := holder.(traits.Mapper); ok {
			v, _ := m.Find(types.String(s.FieldName()))
			r.is = "= " + show(v)
		}
		r.want = "it not set"
	}
	return r
}

// loop explains all, exists and exists_one by the elements that decide, and bind by what it binds.
func (x *explainer) loop(ctx context.Context, e ast.Expr, want bool, at place) []reason {
	c := e.AsComprehension()
	macro, ok := x.info.GetMacroCall(e.ID())
	if !ok {
		return []reason{{subject: x.text(e), is: fmt.Sprintf("is %t", !want)}}
	}
	name := macro.AsCall().FunctionName()
	if name == "bind" {
		bound, names := maps.Clone(at.vars), maps.Clone(at.names)
		_, bound[c.AccuVar()] = x.at(ctx, c.AccuInit(), at.vars, at.names)
		names[c.AccuVar()] = x.subject(c.AccuInit(), at)
		inner, _ := x.at(ctx, c.Result(), bound, names)
		return x.reasons(ctx, c.Result(), want, inner)
	}
	body, ok := test(name, c)
	if !ok || c.HasIterVar2() {
		return []reason{{subject: x.text(e), is: fmt.Sprintf("is %t", !want)}}
	}
	over, subject := x.value(c.IterRange(), at), x.subject(c.IterRange(), at)
	if types.IsError(over) {
		return []reason{x.compared(c.IterRange(), at, "")}
	}
	looked := x.each(ctx, c, body, over, at)
	with := x.predicate(body, c.IterVar())
	if len(looked) == 0 {
		return []reason{{subject: trim(subject), is: "is empty", want: "one with " + with}}
	}
	switch {
	case name == operators.ExistsOne && want:
		fit := len(filter(looked, true))
		return []reason{{subject: "the number of " + trim(subject) + " with " + with, is: fmt.Sprintf("= %d", fit), want: "1"}}
	case name == operators.All && want, name != operators.All && !want:
		return x.elements(ctx, filter(looked, !want), body, want)
	}
	told := x.elements(ctx, looked, body, want)
	for i := range told {
		told[i].want = "one with " + with
		if !want {
			told[i].want = "one without " + with
		}
	}
	return told
}

// element is one round of a loop.
type element struct {
	place
	fits bool
}

func filter(all []element, fits bool) []element {
	return slices.DeleteFunc(slices.Clone(all), func(e element) bool { return e.fits != fits })
}

// test is what a loop asks of each element.
func test(name string, c ast.ComprehensionExpr) (ast.Expr, bool) {
	if c.LoopStep().Kind() != ast.CallKind {
		return nil, false
	}
	args := c.LoopStep().AsCall().Args()
	switch {
	case (name == operators.All || name == operators.Exists) && len(args) == 2:
		return args[1], true
	case name == operators.ExistsOne && len(args) == 3:
		return args[0], true
	}
	return nil, false
}

// each runs the body of a loop for every element.
func (x *explainer) each(ctx context.Context, c ast.ComprehensionExpr, body ast.Expr, over ref.Val, at place) []element {
	list, ok := over.(traits.Iterable)
	if !ok {
		return nil
	}
	_, keyed := over.(traits.Mapper)
	var all []element
	for it, i := list.Iterator(), 0; it.HasNext() == types.True && x.runs > 0 && ctx.Err() == nil; i++ {
		item := it.Next()
		vars, names := maps.Clone(at.vars), maps.Clone(at.names)
		vars[c.IterVar()] = item
		names[c.IterVar()] = elementName(x.subject(c.IterRange(), at), item, i, keyed)
		inner, val := x.at(ctx, body, vars, names)
		all = append(all, element{inner, val == types.True})
	}
	return all
}

// elements tells of a few elements why they are not as wanted.
func (x *explainer) elements(ctx context.Context, wrong []element, body ast.Expr, want bool) []reason {
	var all []reason
	for i, e := range wrong {
		if i == maxTold {
			all = append(all, reason{is: fmt.Sprintf("and %d more", len(wrong)-i), want: all[0].want})
			break
		}
		all = append(all, x.reasons(ctx, body, want, e.place)...)
	}
	return all
}

// summary puts the reasons into one line: what is, and what was wanted. Where several fields would do, each is named
// with what is wanted of it.
func summary(reasons []reason) seen {
	var is, want []string
	same := true // all reasons want the same, or are of one field
	for _, r := range reasons {
		same = same && (r.want == reasons[0].want || r.subject == reasons[0].subject)
	}
	add := func(list []string, text string) []string {
		if text = strings.TrimSpace(text); text == "" || slices.Contains(list, text) {
			return list
		}
		return append(list, text)
	}
	for _, r := range reasons {
		is = add(is, trim(r.subject)+" "+r.is)
		if same || r.want == "" {
			want = add(want, r.want)
		} else {
			want = add(want, trim(r.subject)+" "+r.want)
		}
	}
	if len(is) == 0 {
		return seen{is: "it is not so"}
	}
	return seen{cut(strings.Join(is, ", "), maxWords), cut(strings.Join(want, " or "), maxWords)}
}
