package lab

import (
	"path"
	"slices"
	"strings"
)

// Safeguards is what a mistake fails that breaks what worked before.
const Safeguards = "safeguards"

// checkHead validates what names and describes the lab.
func (l *Lab) checkHead(root Node) Problems {
	meta, spec := root.Field("metadata"), root.Field("spec")
	var problems Problems
	named := func(key, got, folder string) {
		if n, ok := meta.lookup(key); ok && got != "" && got != folder {
			problems = append(problems, n.Problem("expected %q as the folder is called, found %q", folder, got))
		}
	}
	// A folder alone may be called as its author likes, and a twin is called otherwise than its folder.
	if l.dir != "." && l.moved.suffix == "" {
		named("name", l.ID, path.Base(l.dir))
		if topic := path.Base(path.Dir(l.dir)); topic != "." {
			named("topic", l.Topic, topic)
		}
	}
	for i, n := range spec.list("namespaces") {
		text, _ := n.Text()
		switch {
		case Reserved(text):
			problems = append(problems, n.Problem("a lab cannot own the namespace %s", text))
		case i < len(l.Namespaces) && slices.Contains(l.Namespaces[:i], text):
			problems = append(problems, n.Problem("namespace %s is there twice", text))
		}
	}
	if params, ok := spec.lookup("params"); ok {
		problems = append(problems, checkParams(params)...)
	}
	return problems
}

// Reserved tells whether a namespace is the cluster's own, or one that kindlab made for it: no lab gets one, and no
// reset removes one.
func Reserved(namespace string) bool {
	return strings.HasPrefix(namespace, "kube-") || namespace == "default" ||
		namespace == "local-path-storage" || namespace == "kindlab" || strings.HasPrefix(namespace, "kindlab-")
}

// checkTasks validates ids and the references between tasks.
func (l *Lab) checkTasks(spec Node) Problems {
	var problems Problems
	seen := map[string]bool{}
	for i, n := range spec.list("tasks") {
		id := l.Tasks[i].ID
		switch {
		case id == "":
		case id == Safeguards:
			problems = append(problems, n.Field("name").Problem("no task can be called %s: mistakes mean the lab's safeguards by it", id))
		case seen[id]:
			problems = append(problems, n.Field("name").Problem("task %q is there twice", id))
		}
		// Only earlier tasks count: that makes a circle impossible.
		for _, after := range n.list("after") {
			if text, ok := after.Text(); ok && !seen[text] {
				problems = append(problems, after.Problem("expected an earlier task, found %q", text))
			}
		}
		seen[id] = true
	}
	return problems
}

// checkAnswers validates what solutions and mistakes do, and what mistakes claim.
func (l *Lab) checkAnswers(spec Node) Problems {
	var problems Problems
	for _, key := range []string{"solutions", "mistakes"} {
		for _, n := range spec.list(key) {
			given := slices.ContainsFunc([]string{"apply", "run", "delete"}, func(way string) bool {
				_, ok := n.lookup(way)
				return ok
			})
			if n.IsMap() && !given {
				problems = append(problems, n.Problem("expected apply, run or delete: it does nothing"))
			}
		}
	}
	for _, n := range spec.list("mistakes") {
		for _, fails := range n.list("fails") {
			text, ok := fails.Text()
			_, isTask := l.Task(text)
			switch {
			case !ok || isTask:
			case text != Safeguards:
				problems = append(problems, fails.Problem("expected a task of this lab or the word %s, found %q", Safeguards, text))
			case len(l.Safeguards) == 0:
				problems = append(problems, fails.Problem("the lab has no safeguards that could fail"))
			}
		}
	}
	excused := map[string]bool{}
	for i, n := range spec.list("exceptions") {
		from := l.Exceptions[i].From
		if from != "" && excused[from] {
			problems = append(problems, n.Field("from").Problem("%q is excused twice", from))
		}
		excused[from] = true
	}
	return problems
}

// checkRefs validates which objects the lab names, and where they are.
func (l *Lab) checkRefs(spec Node) Problems {
	var problems Problems
	each := func(list []Node, check func(n Node, r Ref) string) {
		for _, n := range list {
			var r Ref
			if text, ok := n.Text(); !ok || !refForm.MatchString(text) {
				continue // reported
			}
			_ = r.DecodeNode(n)
			if why := check(n, r); why != "" {
				problems = append(problems, n.Problem("%s", why))
			}
		}
	}
	each(spec.list("touches"), l.checkTouched)
	each(spec.Field("setup").list("ready"), l.checkReady)
	for _, key := range []string{"solutions", "mistakes"} {
		for _, answer := range spec.list(key) {
			each(answer.list("delete"), l.checkDeleted)
		}
	}
	return problems
}

// clusterScoped are the kinds without a namespace that a lab may touch.
func clusterScoped() []string {
	return []string{
		"clusterrole", "clusterrolebinding", "customresourcedefinition", "ingressclass", "mutatingwebhookconfiguration", "node",
		"persistentvolume", "priorityclass", "runtimeclass", "storageclass", "validatingadmissionpolicy",
		"validatingadmissionpolicybinding", "validatingwebhookconfiguration",
	}
}

// checkTouched wants what is not the lab's own anyway.
func (l *Lab) checkTouched(_ Node, r Ref) string {
	switch {
	case slices.Contains(l.Namespaces, r.Namespace):
		return "namespace " + r.Namespace + " is the lab's own: a reset brings back all that is in it"
	case r.Namespace == "" && !slices.Contains(clusterScoped(), r.Kind):
		return "expected a namespace, as in kube-system/" + r.String() + ", or a kind that has none: " + strings.Join(clusterScoped(), ", ")
	}
	return ""
}

// checkReady wants a workload of the lab.
func (l *Lab) checkReady(_ Node, r Ref) string {
	workloads := []string{"daemonset", "deployment", "pod", "statefulset"}
	switch {
	case !slices.Contains(workloads, r.Kind):
		return "expected a workload to wait for, one of " + strings.Join(workloads, ", ") + ", found " + r.Kind
	case !l.owns(r):
		return "namespace " + r.Namespace + " is not one of the lab's"
	}
	return ""
}

// checkDeleted wants one object that the lab owns or touches.
func (l *Lab) checkDeleted(_ Node, r Ref) string {
	switch {
	case r.Name == "*":
		return "expected one object, found " + r.String()
	case !l.owns(r) && !slices.Contains(l.Touches, r):
		return "namespace " + r.Namespace + " is not one of the lab's; what else it changes stands in spec.touches: " + r.long()
	}
	return ""
}

// MayChange tells whether setup, solutions and mistakes may change an object that is in a namespace.
func (l *Lab) MayChange(r Ref) bool {
	return slices.Contains(l.Namespaces, r.Namespace) || slices.Contains(l.Touches, r)
}

// owns tells whether an object is in one of the lab's namespaces; yes where those are not known.
func (l *Lab) owns(r Ref) bool {
	return r.Namespace == "" || l.Namespaces == nil || slices.Contains(l.Namespaces, r.Namespace)
}
