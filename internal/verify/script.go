package verify

import (
	"regexp"
	"slices"
	"strings"
)

// shown tells whether all that a script changes are objects which a baseline knows, so that whoever compares with that sees
// all it did. It has to read as plain kubectl commands, each a line, on kinds that hold no state and run nothing by
// themselves. Anything else, such as a variable, a pipe or another program, may do what a learner can: write a file into
// a container, or change a pod that has an owner.
func shown(script string) bool {
	script = comment.ReplaceAllString(script, "") // first: a backslash does not continue a comment
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || strict.MatchString(line) {
			continue
		}
		words := strings.Fields(quoted.ReplaceAllString(line, "quoted"))
		if strings.ContainsAny(strings.Join(words, ""), "'\"`$|&;<>(){}[]*?~!\\#") || !shownCommand(words) {
			return false
		}
	}
	return true
}

// comment is a line of its own.
var comment = regexp.MustCompile(`(?m)^\s*#.*$`)

// strict is a line that makes the shell stop at errors.
var strict = regexp.MustCompile(`^set -[eu]+(o pipefail)?$`)

// quoted is text that the shell leaves as it is.
var quoted = regexp.MustCompile("'[^']*'|\"[^\"$`\\\\]*\"")

// shownCommand tells it of one command.
func shownCommand(words []string) bool {
	if words[0] != "kubectl" {
		return false
	}
	words = words[1:]
	if len(words) > 2 && (words[0] == "-n" || words[0] == "--namespace") {
		words = words[2:]
	}
	if len(words) < 2 || slices.ContainsFunc(words, fromElsewhere) {
		return false
	}
	verb, words := words[0], words[1:]
	switch verb {
	case "annotate", "create", "delete", "expose", "label", "patch", "scale":
	case "set":
		words = words[1:]
	default:
		return false
	}
	words = slices.DeleteFunc(words, func(word string) bool { return strings.HasPrefix(word, "-") })
	if len(words) == 0 || !shownKind(words[0]) {
		return false
	}
	// Behind the first object there may be others, of other kinds.
	return !slices.ContainsFunc(words, func(word string) bool {
		return strings.Contains(word, "/") && !strings.Contains(word, "=") && !shownKind(word)
	})
}

// fromElsewhere tells whether a flag takes what is to be done from a file, or around the kinds.
func fromElsewhere(word string) bool {
	return slices.ContainsFunc([]string{"-f", "-k", "-R", "--filename", "--kustomize", "--raw", "--subresource"}, func(flag string) bool {
		return strings.HasPrefix(word, flag)
	})
}

// shownKind tells it of an object as kubectl is told it: kind/name, or the kind alone.
func shownKind(word string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(word), "/")
	return slices.Contains([]string{
		"deployment", "deployments", "deploy", "service", "services", "svc", "networkpolicy", "networkpolicies", "netpol",
		"configmap", "configmaps", "cm", "role", "roles", "rolebinding", "rolebindings", "poddisruptionbudget", "pdb",
	}, kind)
}
