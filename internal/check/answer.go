package check

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// answerKind asks what the learner wrote with "kindlab answer".
type answerKind struct{ dialect dialect }

func (answerKind) Name() string { return "answer" }

// Doc explains the kind.
func (answerKind) Doc() Doc {
	return Doc{
		Text: `Asks what the learner wrote with "kindlab answer TASK TEXT": for tasks whose result is knowledge, such as the name of
the pod that eats the memory. Case and spaces around words do not matter. "from" computes the right answer from the
learner's own cluster, so that it cannot be copied. No failure tells the right answer.`,
		Example: `- answer: {equals: payments-7f6c}
- answer: {oneOf: [OOMKilled, "out of memory"]}
- answer: {matches: "exit code 137|137"}
- answer: {number: "0.5", within: "0.05"}
- answer: {from: {kind: Service, namespace: kube-system, name: kube-dns, value: object.spec.clusterIP}}`,
		Params: answerParams{},
	}
}

type answerParams struct {
	Equals  *scalar     `yaml:"equals" doc:"the right answer"`
	OneOf   []scalar    `yaml:"oneOf" doc:"the right answers"`
	Matches string      `yaml:"matches" doc:"a regular expression that the whole answer must match"`
	Number  *scalar     `yaml:"number" doc:"the right number"`
	From    *answerFrom `yaml:"from" doc:"computes the right answer from an object of the cluster"`
	Within  *scalar     `yaml:"within" doc:"how far a number may be off"`
}

// answerFrom is an object of the cluster and what to take from it.
type answerFrom struct {
	Kind       string `yaml:"kind,required" doc:"the kind, as manifests write it: Service"`
	APIVersion string `yaml:"apiVersion" doc:"such as apps/v1; needed where several groups have the kind"`
	Namespace  string `yaml:"namespace" doc:"the lab's first namespace, unless it is said"`
	Name       string `yaml:"name" doc:"the object of this name"`
	Selector   string `yaml:"selector" doc:"those with these labels; object is the first by name, objects the list of all"`
	Value      string `yaml:"value,required" doc:"a CEL expression: a text, a number, or a list of right answers"`
}

func (k answerKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p answerParams
	problems := n.Decode(&p)
	out := answer{task: s.Task, oneOf: p.OneOf}
	ways := 0
	for _, given := range []bool{p.Equals != nil, p.OneOf != nil, p.Matches != "", p.Number != nil, p.From != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		problems = append(problems, n.Problem("expected one of equals, oneOf, matches, number and from"))
	}
	if s.Task == "" {
		problems = append(problems, n.Problem("an answer belongs to a task, not to safeguards"))
	}
	if p.Equals != nil {
		out.oneOf = []scalar{*p.Equals}
	}
	if p.OneOf != nil && len(p.OneOf) == 0 {
		problems = append(problems, n.Field("oneOf").Problem("expected at least one answer"))
	}
	number := func(s *scalar, at lab.Node) *float64 {
		if s == nil || !s.set {
			return nil
		}
		v, err := strconv.ParseFloat(s.text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			problems = append(problems, at.Problem("expected a number, found %q", s.text))
		}
		return &v
	}
	out.number = number(p.Number, n.Field("number"))
	if p.Within != nil && p.Number == nil && p.From == nil {
		problems = append(problems, n.Field("within").Problem("expected a number that it belongs to"))
	}
	if within := number(p.Within, n.Field("within")); within != nil {
		out.within = *within
	}
	if p.Matches != "" {
		re, err := regexp.Compile(`(?is)^(?:` + p.Matches + `)$`)
		if err != nil {
			problems = append(problems, n.Field("matches").Problem("expected a regular expression: %v", err))
		}
		out.matches = re
	}
	if p.From != nil {
		problems = append(problems, out.compute(k.dialect, s, *p.From, n.Field("from"))...)
	}
	return out, problems
}

// compute compiles where the right answer comes from.
func (a *answer) compute(d dialect, s Scope, from answerFrom, n lab.Node) lab.Problems {
	a.from = &selection{Kind: from.Kind, APIVersion: from.APIVersion, Namespace: from.Namespace, Name: from.Name, Selector: from.Selector}
	problems := append(a.from.compile(s, n), a.from.foreign(n)...)
	if from.Value == "" {
		return problems // which is reported
	}
	var err error
	a.value, err = d.compile(from.Value, cel.StringType, cel.IntType, cel.UintType, cel.DoubleType, cel.ListType(cel.StringType), cel.ListType(cel.DynType))
	if err != nil {
		problems = append(problems, n.Field("value").Problem("expected a CEL expression that is a text, a number or a list: %v", err))
	}
	return problems
}

type answer struct {
	task    string
	oneOf   []scalar
	matches *regexp.Regexp
	number  *float64
	within  float64
	from    *selection
	value   program
}

func (answer) Changes() bool { return false }

// Objects are what the right answer is computed from; what the learner writes is no object.
func (a answer) Objects() []Dependency {
	if a.from == nil {
		return nil
	}
	return []Dependency{a.from.dependency()}
}

func (a answer) Run(ctx context.Context, c *Cluster) error {
	if c.Answer == nil {
		return errors.New("answers cannot be read here")
	}
	look := "kindlab answer " + a.task + " ..."
	text, ok := c.Answer(a.task)
	if text = tidy(text); !ok || text == "" {
		return &Failure{Is: "nothing is answered yet", Look: look}
	}
	oneOf, number := a.oneOf, a.number
	if a.from != nil {
		var err error
		if oneOf, number, err = a.right(ctx, c); err != nil {
			return err
		}
	}
	wrong := &Failure{Is: fmt.Sprintf("the answer %q is not right", cut(text, maxShown)), Look: look}
	switch {
	case number != nil:
		given, err := strconv.ParseFloat(text, 64)
		if err != nil {
			wrong.Is = fmt.Sprintf("the answer %q is not a number", cut(text, maxShown))
			return wrong
		}
		// A little more than exactly within, as fractions are never exact.
		if !(math.Abs(given-*number) <= a.within+1e-9*math.Abs(*number)) {
			return wrong
		}
	case a.matches != nil:
		if !a.matches.MatchString(text) {
			return wrong
		}
	case !slices.ContainsFunc(oneOf, func(right scalar) bool { return tidy(right.text) == text }):
		return wrong
	}
	return nil
}

// tidy is a text without what does not matter.
func tidy(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// right computes the right answer: texts, or a number.
func (a answer) right(ctx context.Context, c *Cluster) ([]scalar, *float64, error) {
	list, known, err := a.from.find(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	if !known || len(list) == 0 {
		return nil, nil, fmt.Errorf("computing the right answer: %s", a.from.missing())
	}
	all := make([]any, len(list))
	for i := range list {
		all[i] = list[i].Object
	}
	val, err := a.value.value(ctx, map[string]any{"object": all[0], "objects": all})
	if err != nil {
		return nil, nil, fmt.Errorf("computing the right answer: %w", err)
	}
	switch v := native(val).(type) {
	case string:
		return []scalar{{text: v}}, nil, nil
	case int64:
		f := float64(v)
		return nil, &f, nil
	case uint64:
		f := float64(v)
		return nil, &f, nil
	case float64:
		return nil, &v, nil
	case []any:
		var texts []scalar
		for _, item := range v {
			texts = append(texts, scalar{text: inline(item, 0)})
		}
		return texts, nil, nil
	default:
		return nil, nil, fmt.Errorf("computing the right answer: expected a text, a number or a list, found %s", show(val))
	}
}
