package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"k8s.io/apiserver/pkg/cel/library"
)

// A dialect is the CEL that labs are written in: Kubernetes' own, with a few functions for questions that every lab
// asks. Making one takes a while, so the kinds of a registry share it, and it is made when the first expression comes.
type dialect struct {
	env func() (*cel.Env, error)
}

func newDialect() dialect { return dialect{sync.OnceValues(newEnv)} }

// The bounds of one expression. A lab may come from anywhere, and its expressions must not stop the grader.
const (
	// maxCost bounds one evaluation in CEL's units: about a tenth of a second, the limit that Kubernetes puts on a call.
	maxCost = 1_000_000
	// maxTime bounds it on the clock, for what the units do not see.
	maxTime = 2 * time.Second
	// maxText bounds the expression, in characters.
	maxText = 4000
	// maxPattern bounds a regular expression, in characters.
	maxPattern = 200
	// maxNested bounds the levels of brackets and calls.
	maxNested = 50
)

// newEnv makes the dialect. Its objects are untyped: a field that is missing is an error when it is read, never null or
// false.
func newEnv() (*cel.Env, error) {
	env, err := cel.NewEnv(append(functions(),
		cel.Variable("object", cel.DynType), cel.Variable("objects", cel.ListType(cel.DynType)),
		cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), cel.EnableMacroCallTracking(), cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(maxNested), cel.ParserExpressionSizeLimit(maxText),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals()),
		ext.Strings(ext.StringsVersion(2)), ext.Sets(), ext.Bindings(),
		library.Lists(library.ListsVersion(1)), library.Quantity(), library.Regex(), library.URLs(), library.IP(), library.CIDR(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	return env, nil
}

// program is one compiled expression.
type program struct {
	ast *cel.Ast
	env *cel.Env
	run func() (cel.Program, error) // made when it is first asked for: most labs of a catalogue are only listed
}

// compile compiles an expression that must be of one of the types, or untyped.
func (d dialect) compile(text string, want ...*cel.Type) (program, error) {
	env, err := d.env()
	if err != nil {
		return program{}, err
	}
	a, issues := env.Compile(text)
	if issues.Err() != nil {
		var lines []string
		for _, e := range issues.Errors() {
			lines = append(lines, e.Message)
		}
		return program{}, errors.New(strings.Join(lines, "; "))
	}
	if t := a.OutputType(); t.Kind() != cel.DynKind && len(want) > 0 && !slices.ContainsFunc(want, t.IsExactType) {
		return program{}, fmt.Errorf("it is of type %s", t)
	}
	if err := refuse(a); err != nil {
		return program{}, err
	}
	return program{a, env, sync.OnceValues(func() (cel.Program, error) { return limited(env, a) })}, nil
}

// refuse names what can take for ever before any limit sees it.
func refuse(a *cel.Ast) error {
	root := ast.NavigateAST(a.NativeRep())
	for _, e := range ast.MatchDescendants(root, ast.KindMatcher(ast.CallKind)) {
		call := e.AsCall()
		switch name := call.FunctionName(); name {
		case "replace", "join", "format":
			return fmt.Errorf("%s is not offered: what it makes has no bound", name)
		case "matches", "find", "findAll":
			pattern := call.Args()[0]
			if !call.IsMemberFunction() {
				pattern = call.Args()[1]
			}
			if pattern.Kind() != ast.LiteralKind || len(fmt.Sprint(pattern.AsLiteral().Value())) > maxPattern {
				return fmt.Errorf("%s takes a text of at most %d characters as its pattern", name, maxPattern)
			}
		}
	}
	return nil
}

// limited is an expression, or a part of one, made ready to run within the bounds.
func limited(env *cel.Env, a *cel.Ast, more ...cel.ProgramOption) (cel.Program, error) {
	return env.Program(a, append(more, cel.CostTracking(costs{&library.CostEstimator{}}), cel.CostLimit(maxCost),
		cel.InterruptCheckFrequency(100), cel.CustomDecoratorV2(light))...)
}

// value returns what the expression comes to.
func (p program) value(ctx context.Context, vars map[string]any) (ref.Val, error) {
	run, err := p.run()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxTime, fmt.Errorf("it took longer than %s", maxTime))
	defer cancel()
	val, _, err := run.ContextEval(ctx, vars)
	return val, err
}

// A leftOut is a field or an element that an expression reads and the object does not have.
type leftOut string

func (l leftOut) Error() string { return string(l) }

// isLeftOut tells whether an expression had no answer because something is not there: the learner left it out.
func isLeftOut(err error) bool {
	if _, ok := errors.AsType[leftOut](err); ok {
		return true
	}
	text := err.Error()
	return strings.HasPrefix(text, "no such key: ") || strings.HasPrefix(text, "index out of bounds: ")
}

// eval returns the answer, and for a no what was seen. A field or an element
// that the object does not have is a no as well: the learner left it out.
func (p program) eval(ctx context.Context, vars map[string]any) (ok bool, saw seen, err error) {
	val, err := p.value(ctx, vars)
	switch {
	case err != nil && !isLeftOut(err):
		return false, seen{}, err
	case err == nil:
		answer, isBool := val.Value().(bool)
		if !isBool {
			return false, seen{}, fmt.Errorf("the answer is %s, not true or false", show(val))
		}
		if answer {
			return true, seen{}, nil
		}
	}
	return false, p.explain(ctx, vars), nil
}
