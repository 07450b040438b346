package lint

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/parser"
)

// An expression is one in CEL, and where it stands.
type expression struct {
	at     node
	tree   *ast.AST
	beside string // the other expressions of the same check, of which each must be true
}

// expressions are those of all checks of objects. What does not parse, the loader has told.
func (s *scene) expressions() []expression {
	env, err := cel.NewEnv(cel.EnableMacroCallTracking(), cel.OptionalTypes())
	if err != nil {
		return nil
	}
	var all []expression
	for _, c := range s.checks() {
		if c.kind != "object" {
			continue
		}
		var texts []string
		first := len(all)
		for _, n := range c.params.at("expect").items() {
			if text := n.at("cel"); text.yaml != nil {
				n = text
			}
			texts = append(texts, n.text())
			if parsed, issues := env.Parse(n.text()); issues.Err() == nil {
				all = append(all, expression{at: n, tree: parsed.NativeRep()})
			}
		}
		for i := range all[first:] {
			all[first+i].beside = strings.Join(texts, "\n")
		}
	}
	return all
}

// celIndexes finds x[0] and its like.
func celIndexes(s *scene) []Finding {
	var found []Finding
	for _, e := range s.expressions() {
		for _, call := range ast.MatchDescendants(ast.NavigateAST(e.tree), ast.KindMatcher(ast.CallKind)) {
			name := call.AsCall().FunctionName()
			if name != operators.Index && name != operators.OptIndex {
				continue
			}
			list, index := call.AsCall().Args()[0], call.AsCall().Args()[1]
			if number, ok := literalOf(index).(types.Int); ok {
				found = append(found, e.at.says(fmt.Sprintf("%s[%d] wants a list in one order", e.show(list), number)))
			}
		}
	}
	return found
}

// vacuousAlls finds x.all(...) that is true of nothing. The objects of a check are never none.
func vacuousAlls(s *scene) []Finding {
	var found []Finding
	for _, e := range s.expressions() {
		text := e.show(e.tree.Expr()) + "\n" + e.beside
		for _, macro := range e.tree.SourceInfo().MacroCalls() {
			call := macro.AsCall()
			if call.FunctionName() != operators.All || !call.IsMemberFunction() {
				continue
			}
			list := e.show(call.Target())
			guarded := strings.Contains(text, "size("+list+")") || strings.Contains(text, list+".size()") ||
				strings.Contains(text, list+".exists")
			if list != "objects" && !guarded {
				found = append(found, e.at.says(fmt.Sprintf("%s.all(...) is true where there is none", list)))
			}
		}
	}
	return found
}

// nameForm is what people call things, other than Kubernetes' own words, which begin in upper case or have a dot.
var nameForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// unknownCELLiterals looks for names in expressions.
func unknownCELLiterals(s *scene) []Finding {
	told := s.told()
	var found []Finding
	for _, e := range s.expressions() {
		seen := map[string]bool{}
		for _, n := range ast.MatchDescendants(ast.NavigateAST(e.tree), ast.KindMatcher(ast.LiteralKind)) {
			value, ok := n.AsLiteral().(types.String)
			text := string(value)
			if ok && !isField(n) && nameForm.MatchString(text) && !given(text) && !mentions(told, text) && !seen[text] {
				seen[text] = true
				found = append(found, e.at.says(fmt.Sprintf("name %q is in a check, and a learner cannot know it", text)))
			}
		}
	}
	return found
}

// isField tells the name of a field, as in 'ingress' in object.spec, or in object.spec.?ingress.
func isField(n ast.NavigableExpr) bool {
	parent, ok := n.Parent()
	if !ok || parent.Kind() != ast.CallKind {
		return false
	}
	switch call := parent.AsCall(); call.FunctionName() {
	case operators.In:
		return call.Args()[0].ID() == n.ID()
	case operators.OptSelect:
		return true
	}
	return false
}

// literalOf is a constant's value, or nil.
func literalOf(e ast.Expr) any {
	if e.Kind() != ast.LiteralKind {
		return nil
	}
	return e.AsLiteral()
}

// show writes a part of the expression.
func (e expression) show(part ast.Expr) string {
	text, err := parser.Unparse(part, e.tree.SourceInfo())
	if err != nil {
		return "the list"
	}
	return text
}
