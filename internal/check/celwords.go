package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// wording puts parts of an expression into the words of the object they speak of.
type wording struct{ info *ast.SourceInfo }

// opposite is what is wanted where the relation must not hold.
func opposite(operator string) string {
	return map[string]string{
		operators.Equals: operators.NotEquals, operators.NotEquals: operators.Equals,
		operators.Less: operators.GreaterEquals, operators.GreaterEquals: operators.Less,
		operators.Greater: operators.LessEquals, operators.LessEquals: operators.Greater,
	}[operator]
}

// mirrored is the same relation seen from its other side.
func mirrored(operator string) string {
	return map[string]string{
		operators.Less: operators.Greater, operators.Greater: operators.Less,
		operators.LessEquals: operators.GreaterEquals, operators.GreaterEquals: operators.LessEquals,
	}[operator]
}

// relation is the reason of a comparison or of a function.
func (x *explainer) relation(e ast.Expr, want bool, at place) reason {
	c := e.AsCall()
	name, args := c.FunctionName(), c.Args()
	if c.IsMemberFunction() {
		args = slices.Concat([]ast.Expr{c.Target()}, args)
	}
	not := map[bool]string{true: "", false: "not "}[want]
	switch name {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return x.comparison(name, args[0], args[1], want, at)
	case operators.In:
		if written(args[1]) {
			some := map[bool]string{true: "one of ", false: "none of "}[want]
			return x.compared(args[0], at, some+strings.Trim(show(x.value(args[1], at)), "[]"))
		}
		no := map[bool]string{true: "", false: "no "}[want]
		return x.compared(args[1], at, no+x.other(args[0], at)+" in it")
	case "startsWith", "endsWith", "contains", "matches":
		verb := map[string]string{"startsWith": "starts with", "endsWith": "ends with", "contains": "contains", "matches": "matches"}[name]
		if !want {
			verb = map[string]string{"startsWith": "does not start with", "endsWith": "does not end with", "contains": "does not contain", "matches": "does not match"}[name]
		}
		return x.compared(args[0], at, "one that "+verb+" "+x.other(args[1], at))
	case "orValue", "value", "dyn", "bool", operators.Index:
		return x.compared(e, at, fmt.Sprint(want))
	case "ready":
		if missing, ok := x.missing(args[0], at); ok {
			return missing
		}
		r := reason{subject: trim(x.subject(args[0], at)), is: "is " + map[bool]string{true: "not ", false: ""}[want] + "ready"}
		if r.subject == "" {
			r.subject = "it"
		}
		return r
	case "selects":
		for _, arg := range args {
			if missing, ok := x.missing(arg, at); ok {
				return missing
			}
		}
		verb := map[bool]string{true: "does not select", false: "selects"}[want]
		return reason{
			subject: x.subject(args[0], at) + " " + show(x.value(args[0], at)),
			is:      verb + " " + trim(x.subject(args[1], at)) + " " + show(x.value(args[1], at)),
		}
	}
	if missing, ok := x.missing(e, at); ok {
		return missing
	}
	// Some other function: the fields that it is about, as they are.
	var fields []string
	for _, arg := range args {
		if !written(arg) {
			fields = append(fields, trim(x.subject(arg, at))+" = "+show(x.value(arg, at)))
		}
	}
	return reason{is: strings.Join(fields, ", "), want: not + x.text(e)}
}

// comparison names the field on one side, and on the other what it should be.
func (x *explainer) comparison(operator string, left, right ast.Expr, want bool, at place) reason {
	if !want {
		operator = opposite(operator)
	}
	if written(left) && !written(right) {
		left, right = right, left
		if m := mirrored(operator); m != "" {
			operator = m
		}
	}
	wanted := x.other(right, at)
	switch operator {
	case operators.Equals:
	case operators.NotEquals:
		wanted = "anything but " + wanted
	default:
		symbol, _ := operators.FindReverse(operator)
		wanted = symbol + " " + wanted
	}
	return x.compared(left, at, wanted)
}

// compared tells what a field is.
func (x *explainer) compared(e ast.Expr, at place, want string) reason {
	v := x.value(e, at)
	if !types.IsUnknownOrError(v) {
		return reason{subject: x.subject(e, at), is: "= " + show(v), want: want}
	}
	if missing, ok := x.missing(e, at); ok {
		missing.want = want
		return missing
	}
	return reason{subject: x.subject(e, at), is: "has no value", want: want}
}

// other is the right side of a comparison: its value, and where that comes from.
func (x *explainer) other(e ast.Expr, at place) string {
	if written(e) {
		return show(x.value(e, at))
	}
	r := x.compared(e, at, "")
	if v, ok := strings.CutPrefix(r.is, "= "); ok {
		return v + " (" + trim(r.subject) + ")"
	}
	if r.subject == "" {
		return "the same as there, but " + r.is
	}
	return "the same as " + trim(r.subject) + ", which " + r.is
}

// written tells that the author wrote the value down.
func written(e ast.Expr) bool {
	if e.Kind() == ast.ListKind {
		return !slices.ContainsFunc(e.AsList().Elements(), func(item ast.Expr) bool { return !written(item) })
	}
	if e.Kind() == ast.CallKind && len(e.AsCall().Args()) == 1 && !e.AsCall().IsMemberFunction() {
		return written(e.AsCall().Args()[0]) // quantity('1Gi')
	}
	return e.Kind() == ast.LiteralKind
}

// subject names what a part of the expression is about: a field of the object, or of an element. It may end in ": ",
// after which a field follows as it is.
func (w wording) subject(e ast.Expr, at place) string {
	switch e.Kind() {
	case ast.IdentKind:
		if name, ok := at.names[e.AsIdent()]; ok {
			return name
		}
	case ast.SelectKind:
		return w.join(w.subject(e.AsSelect().Operand(), at), e.AsSelect().FieldName())
	case ast.CallKind:
		c := e.AsCall()
		args := c.Args()
		if c.IsMemberFunction() {
			args = slices.Concat([]ast.Expr{c.Target()}, args)
		}
		switch name := c.FunctionName(); {
		case name == operators.OptSelect && len(args) == 2 && args[1].Kind() == ast.LiteralKind:
			return w.join(w.subject(args[0], at), show(args[1].AsLiteral()))
		case (name == operators.Index || name == operators.OptIndex) && args[1].Kind() == ast.LiteralKind:
			return trim(w.subject(args[0], at)) + "[" + show(args[1].AsLiteral()) + "]"
		case name == "container" && written(args[1]):
			return w.subject(args[0], at) + "container " + show(args[1].AsLiteral()) + ": "
		case (name == "condition" || name == "owner") && written(args[1]):
			return w.subject(args[0], at) + name + " " + show(args[1].AsLiteral())
		case name == "size" && len(args) == 1:
			return "the number of " + trim(w.subject(args[0], at))
		case len(args) > 0 && slices.Contains([]string{"orValue", "string", "int", "double", "quantity", "value", "dyn"}, name):
			return w.subject(args[0], at)
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		macro, ok := w.info.GetMacroCall(e.ID())
		if ok && macro.AsCall().FunctionName() == operators.Filter && c.LoopStep().Kind() == ast.CallKind {
			return trim(w.subject(c.IterRange(), at)) + " with " + w.predicate(c.LoopStep().AsCall().Args()[0], c.IterVar())
		}
	default:
	}
	return w.text(e)
}

func (wording) join(holder, field string) string {
	if holder == "" || strings.HasSuffix(holder, ": ") {
		return holder + field
	}
	return holder + "." + field
}

func trim(subject string) string { return strings.TrimSuffix(subject, ": ") }

var objectPrefix = regexp.MustCompile(`\bobject\.`)

// text is the expression as it was written, for the rest.
func (w wording) text(e ast.Expr) string {
	text, err := cel.ExprToString(e, w.info)
	if err != nil {
		return "the expression"
	}
	return cut(objectPrefix.ReplaceAllString(text, ""), maxShown)
}

// predicate is what a loop asks of each element, without the element's name.
func (w wording) predicate(e ast.Expr, name string) string {
	variable := regexp.QuoteMeta(name)
	text := regexp.MustCompile(`\b`+variable+`\.`).ReplaceAllString(w.text(e), "")
	return regexp.MustCompile(`(\w+)\(`+variable+`\)`).ReplaceAllString(text, "$1")
}

// elementName names an element: by its name, where it has one.
func elementName(list string, item ref.Val, i int, keyed bool) string {
	if keyed {
		return "the key " + show(item) + " of " + trim(list)
	}
	m, _ := native(item).(map[string]any)
	if u := (unstructured.Unstructured{Object: m}); m != nil && u.GetName() != "" {
		return strings.TrimSpace(u.GetKind()+" "+u.GetName()) + ": "
	}
	if name, ok := m["name"].(string); ok {
		return trim(list) + "[" + name + "]"
	}
	return fmt.Sprintf("%s[%d]", trim(list), i)
}
