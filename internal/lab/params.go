package lab

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Param is a value that is drawn for each attempt, so that an answer learnt by heart is no answer.
type Param struct {
	Range   []int    `yaml:"range" doc:"[lowest, highest]: a whole number, both ends included"`
	OneOf   []Choice `yaml:"oneOf" doc:"one of these words or numbers"`
	Letters int      `yaml:"letters" range:"4-32" doc:"so many random consonants, as in a generated name"`
}

// A Choice is a word or a number that can stand in YAML and in a shell without quotes.
type Choice string

const choicePattern = `^[a-zA-Z0-9]([a-zA-Z0-9._/-]{0,61}[a-zA-Z0-9])?$`

var choiceForm = regexp.MustCompile(choicePattern)

// DecodeNode takes a word or a number as it is written.
func (c *Choice) DecodeNode(n Node) Problems {
	text, ok := n.Text()
	if !ok || !choiceForm.MatchString(text) {
		return n.expected("a word of up to 63 letters, digits, dots, dashes or slashes")
	}
	*c = Choice(text)
	return nil
}

// Values is what was drawn, by the names of params.
type Values map[string]string

// Draw draws a value for every param. The same source of randomness draws the same values.
func (l *Lab) Draw(r *rand.Rand) Values {
	values := Values{}
	for _, name := range slices.Sorted(maps.Keys(l.Params)) {
		values[name] = l.Params[name].draw(r.IntN)
	}
	return values
}

// smallest are the values that a lab is validated with before anything is drawn.
func smallest(params map[string]Param) Values {
	values := Values{}
	for name, p := range params {
		values[name] = p.draw(func(int) int { return 0 })
	}
	return values
}

// consonants make no words: neither rude ones, nor those that YAML takes for something else (no, null, true).
const consonants = "bcdfghjklmnpqrstvwxz"

// draw makes a value; pick(n) returns a number from 0 to n-1.
func (p Param) draw(pick func(n int) int) string {
	switch {
	case len(p.Range) == 2 && p.Range[0] <= p.Range[1]:
		return strconv.Itoa(p.Range[0] + pick(p.Range[1]-p.Range[0]+1))
	case p.Range != nil:
		return "1" // a bad range, which is reported; what it stands in shall not look bad too
	case len(p.OneOf) > 0:
		return string(p.OneOf[pick(len(p.OneOf))])
	}
	var b strings.Builder
	for range min(max(1, p.Letters), maxLetters) {
		b.WriteByte(consonants[pick(len(consonants))])
	}
	return b.String()
}

// The limits of params.
const (
	maxLetters = 32
	maxNumber  = 1<<31 - 1
)

// refuses says what the param wanted instead of a value, and "" when it could have been drawn.
func (p Param) refuses(value string) string {
	switch {
	case len(p.Range) == 2:
		number, err := strconv.Atoi(value)
		if err != nil || strconv.Itoa(number) != value || number < p.Range[0] || number > p.Range[1] {
			return fmt.Sprintf("%d to %d", p.Range[0], p.Range[1])
		}
	case len(p.OneOf) > 0:
		if !slices.Contains(p.OneOf, Choice(value)) {
			words := make([]string, len(p.OneOf))
			for i, c := range p.OneOf {
				words[i] = string(c)
			}
			return strings.Join(words, " or ")
		}
	case len(value) != p.Letters || strings.Trim(value, consonants) != "":
		return fmt.Sprintf("%d consonants", p.Letters)
	}
	return ""
}

// A StaleError says that an attempt's values do not fit the lab: the lab has changed since they were drawn.
type StaleError struct {
	Lab    string   // topic/name
	Faults []string // one for each parameter, by name
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("lab %s has changed since you started it: %s; put it back to its beginning with: kindlab reset",
		e.Lab, strings.Join(e.Faults, ", "))
}

// stale returns what is wrong with an attempt's values, as a *StaleError. Values that the lab no longer asks for do no
// harm.
func (l *Lab) stale(given Values) error {
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(l.Params)) {
		value, ok := given[name]
		if !ok {
			faults = append(faults, fmt.Sprintf("params.%s has no value yet", name))
		} else if want := l.Params[name].refuses(value); want != "" {
			faults = append(faults, fmt.Sprintf("params.%s is %q, and is now %s", name, value, want))
		}
	}
	if faults == nil {
		return nil
	}
	return &StaleError{Lab: l.Name, Faults: faults}
}

// checkParams validates what is drawn, and how.
func checkParams(params Node) Problems {
	var problems Problems
	for _, e := range params.entries() {
		name, _ := e.key.Text()
		if !dnsLabel.MatchString(name) {
			problems = append(problems, e.key.Problem("expected lower case letters, digits and dashes as a parameter's name, found %q", name))
		}
		if e.value.IsMap() {
			problems = append(problems, checkParam(e.value)...)
		}
	}
	return problems
}

func checkParam(n Node) Problems {
	var p Param
	if faults := len(n.Decode(&p)); faults > 0 {
		return nil // reported
	}
	ways := 0
	for _, key := range []string{"range", "oneOf", "letters"} {
		if _, ok := n.lookup(key); ok {
			ways++
		}
	}
	if ways != 1 {
		return Problems{n.Problem("expected one of letters, oneOf and range, found %d", ways)}
	}
	switch {
	case p.Range != nil && (len(p.Range) != 2 || p.Range[0] < 0 || p.Range[0] > p.Range[1] || p.Range[1] > maxNumber):
		return Problems{n.Field("range").Problem("expected [lowest, highest], from 0 to %d", maxNumber)}
	case p.OneOf != nil && len(p.OneOf) < 2:
		return Problems{n.Field("oneOf").Problem("expected at least 2 words to choose from, found %d", len(p.OneOf))}
	}
	return nil
}
