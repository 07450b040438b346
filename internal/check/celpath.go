package check

import (
	"errors"
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// missing tells of the shortest part of a field's path that the object does not have.
func (x *explainer) missing(e ast.Expr, at place) (reason, bool) {
	for _, part := range parts(e) {
		if inner, ok := x.missing(part, at); ok {
			return inner, true
		}
	}
	if v, ok := at.state.Value(e.ID()); ok && types.IsError(v) {
		if gone, ok := errors.AsType[leftOut](v.Value().(error)); ok {
			return reason{is: gone.Error()}, true
		}
	}
	if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() || !isPath(e) {
		return reason{}, false
	}
	if _, ok := walk(e, at); ok {
		return reason{}, false
	}
	return reason{subject: trim(x.subject(e, at)), is: "is not set"}, true
}

// parts are what an expression reads.
func parts(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.CallKind:
		c := e.AsCall()
		switch c.FunctionName() {
		case operators.OptSelect, operators.OptIndex, "orValue":
			return nil // may be missing
		}
		if c.IsMemberFunction() {
			return slices.Concat([]ast.Expr{c.Target()}, c.Args())
		}
		return c.Args()
	default:
		return nil
	}
}

func isPath(e ast.Expr) bool {
	return e.Kind() == ast.SelectKind || e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index
}

// walk follows a path by hand: its value, where there is one.
func walk(e ast.Expr, at place) (ref.Val, bool) {
	switch e.Kind() {
	case ast.LiteralKind:
		return e.AsLiteral(), true
	case ast.IdentKind:
		v, ok := at.vars[e.AsIdent()]
		return types.DefaultTypeAdapter.NativeToValue(v), ok
	case ast.SelectKind:
		holder, ok := walk(e.AsSelect().Operand(), at)
		if m, isMap := holder.(traits.Mapper); ok && isMap {
			return m.Find(types.String(e.AsSelect().FieldName()))
		}
		return nil, false
	case ast.CallKind:
		if c := e.AsCall(); c.FunctionName() == operators.Index {
			holder, ok := walk(c.Args()[0], at)
			key, fine := walk(c.Args()[1], at)
			if !ok || !fine {
				return nil, false
			}
			if i, isIndexer := holder.(traits.Indexer); isIndexer {
				v := i.Get(key)
				return v, !types.IsUnknownOrError(v)
			}
			return nil, false
		}
	default:
	}
	v, ok := at.state.Value(e.ID())
	return v, ok && !types.IsUnknownOrError(v)
}
