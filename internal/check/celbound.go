package check

import (
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
	"k8s.io/apiserver/pkg/cel/library"
)

// costs are Kubernetes' own, and those of this dialect's functions: each reads its object once. Lists cost what they
// hold, also when they are put together.
type costs struct{ *library.CostEstimator }

// CallCost returns the cost of one call, in CEL's units; nil leaves it to CEL.
func (c costs) CallCost(function, overload string, args []ref.Val, result ref.Val) *uint64 {
	var cost uint64
	switch function {
	case "selects", "ready", "condition", "container", "owner":
		for _, arg := range args {
			cost += 1 + uint64(weigh(arg, maxCost))/10
		}
		return &cost
	case operators.Equals, operators.NotEquals, operators.In:
		cost = uint64(min(weigh(args[0], maxCost), weigh(args[1], maxCost)))
		if function == operators.In {
			cost = uint64(weigh(args[1], maxCost))
		}
		cost = 1 + cost/10
		return &cost
	}
	if overload == overloads.AddList {
		cost = uint64(weigh(result, maxCost))
		return &cost
	}
	return c.CostEstimator.CallCost(function, overload, args, result)
}

// maxWeight bounds what an expression may build. Nested lists of the same list grow without end in a short text, and
// comparing two of them cannot be interrupted. An object of the largest size that Kubernetes takes is half of it.
const maxWeight = 200_000

// light refuses to build what is too heavy.
func light(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch built := i.(type) {
	case interpreter.InterpretableConstructor:
		return lightConstructor{built}, nil
	case interpreter.InterpretableCall:
		if built.Function() == operators.Add {
			return lightCall{built}, nil
		}
	}
	return i, nil
}

type lightConstructor struct {
	interpreter.InterpretableConstructor
}

// Exec builds the list or the map.
func (l lightConstructor) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return weighed(l.InterpretableConstructor.Exec(frame))
}

// Eval builds the list or the map.
func (l lightConstructor) Eval(vars interpreter.Activation) ref.Val {
	return weighed(l.InterpretableConstructor.Eval(vars))
}

type lightCall struct{ interpreter.InterpretableCall }

// Exec calls the function.
func (l lightCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	return weighed(l.InterpretableCall.Exec(frame))
}

// Eval calls the function.
func (l lightCall) Eval(vars interpreter.Activation) ref.Val {
	return weighed(l.InterpretableCall.Eval(vars))
}

func weighed(v ref.Val) ref.Val {
	// A loop collects into a list of this kind, one weighed element at a time, and can be interrupted.
	if _, collecting := v.(traits.MutableLister); collecting {
		return v
	}
	if weigh(v, maxWeight) >= maxWeight {
		return types.NewErr("the expression builds too much")
	}
	return v
}

// weigh counts elements, however deep, and the tenth of all characters, as CEL does. It stops at the limit.
func weigh(v ref.Val, limit int) int {
	switch v := v.(type) {
	case types.String:
		return min(limit, 1+len(v)/10)
	case types.Bytes:
		return min(limit, 1+len(v)/10)
	case *types.Optional:
		if !v.HasValue() {
			return 1
		}
		return weigh(v.GetValue(), limit)
	case traits.Mapper:
		sum := 1
		for it := v.Iterator(); sum < limit && it.HasNext() == types.True; {
			key := it.Next()
			sum += weigh(key, limit-sum)
			if item, ok := v.Find(key); ok && sum < limit {
				sum += weigh(item, limit-sum)
			}
		}
		return min(limit, sum)
	case traits.Lister:
		sum := 1
		for it := v.Iterator(); sum < limit && it.HasNext() == types.True; {
			sum += weigh(it.Next(), limit-sum)
		}
		return min(limit, sum)
	default:
		return 1
	}
}
