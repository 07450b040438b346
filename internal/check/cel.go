package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"k8s.io/apiserver/pkg/cel/library"
)

// program is one compiled expression. Besides its answer it remembers values on
// the way, so that a failure says what was there and not only "false".
type program struct {
	ast   *cel.Ast
	run   cel.Program // within maxCost
	track cel.Program // the same, keeping what it saw
}

// maxCost bounds one evaluation, in CEL's units: about a tenth of a second, the
// limit that Kubernetes puts on a call.
const maxCost = 1_000_000

// compileCEL compiles text in Kubernetes' own dialect. Its objects are untyped:
// a field that is missing is an error when it is read, never null or false.
func compileCEL(text string) (program, error) {
	env, err := cel.NewEnv(
		cel.Variable("object", cel.DynType), cel.Variable("objects", cel.ListType(cel.DynType)),
		cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), cel.EnableMacroCallTracking(),
		ext.Strings(ext.StringsVersion(2)), ext.Sets(), ext.Bindings(),
		library.Lists(library.ListsVersion(1)), library.Quantity(), library.Regex(), library.URLs(), library.IP(), library.CIDR(),
	)
	if err != nil {
		return program{}, fmt.Errorf("preparing CEL: %w", err)
	}
	a, issues := env.Compile(text)
	if issues.Err() != nil {
		var lines []string
		for _, e := range issues.Errors() {
			lines = append(lines, e.Message)
		}
		return program{}, errors.New(strings.Join(lines, "; "))
	}
	if a.OutputType() != cel.BoolType && a.OutputType() != cel.DynType {
		return program{}, fmt.Errorf("it is of type %s", a.OutputType())
	}
	run, err := env.Program(a, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return program{}, err
	}
	// Tracking state switches the counting of costs off, so what is tracked has been run within the limit before.
	track, err := env.Program(a, cel.EvalOptions(cel.OptTrackState), cel.InterruptCheckFrequency(100))
	if err != nil {
		return program{}, err
	}
	return program{a, run, track}, nil
}

// eval returns the answer, and for a no what was seen. A field or an element
// that the object does not have is a no as well: the learner left it out.
func (p program) eval(ctx context.Context, vars map[string]any) (ok bool, saw string, err error) {
	val, _, err := p.run.ContextEval(ctx, vars)
	if err != nil {
		if text := err.Error(); strings.Contains(text, "no such key") || strings.Contains(text, "index out of bounds") {
			return false, text, nil
		}
		return false, "", err
	}
	answer, isBool := val.Value().(bool)
	if !isBool {
		return false, "", fmt.Errorf("the answer is %v, not true or false", val.Value())
	}
	if answer {
		return true, "", nil
	}
	_, details, err := p.track.ContextEval(ctx, vars)
	if err != nil {
		return false, "", err
	}
	return false, p.values(details.State()), nil
}

// values names what the compared fields were.
func (p program) values(state interface{ Value(int64) (ref.Val, bool) }) string {
	native := p.ast.NativeRep()
	var seen []string
	root := ast.NavigateAST(native)
	for _, e := range ast.MatchDescendants(root, ast.KindMatcher(ast.SelectKind)) {
		// Only the longest chain says something: object.spec.replicas.
		if parent, ok := e.Parent(); ok && parent.Kind() == ast.SelectKind {
			continue
		}
		v, ok := state.Value(e.ID())
		text, err := cel.ExprToString(e, native.SourceInfo())
		if !ok || err != nil {
			continue
		}
		if line := fmt.Sprintf("%s = %v", strings.TrimPrefix(text, "object."), v.Value()); len(line) < 120 {
			seen = append(seen, line)
		}
	}
	if len(seen) == 0 {
		return "it is not so"
	}
	return strings.Join(seen, ", ")
}
