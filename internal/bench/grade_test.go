//go:build bench

package bench

import (
	"path/filepath"
	"time"
)

// checks times the grade of each lab, solved, beside a script that asks the same with kubectl. They take turns, because
// most of a grade that deletes a pod is Kubernetes making another, now in two seconds and now in four.
func (b *bench) checks() {
	for _, lab := range []string{"services/clusterip", "services/nodeport", "network-policy/default-deny", "storage/statefulset"} {
		b.solved(lab, func() {
			var took, theirs []time.Duration
			for range 9 {
				theirs = append(theirs, b.once(func() { b.kubectl(filepath.Base(lab)) }))
				took = append(took, b.once(func() { b.run("check", "--name", ours) }))
			}
			b.add(timed("check "+lab, median(took), median(theirs), 1, "kubectl get, exec, run"))
		})
	}
}

// policy times the grade of a table of 4 × 3 beside kubectl exec into standing pods and beside kubectl run, and has it
// right a hundred times.
func (b *bench) policy() {
	b.solved("bench/policy", func() {
		took := median(b.repeat(100, func() { b.run("check", "--name", ours, "--labs", b.labs()) }))
		b.add(timed("check a table of 4 × 3", took, b.once(func() { b.kubectl("policy-exec") }), 1./15, "kubectl exec into standing pods; right in 100 runs of 100"))
		b.add(timed("check a table of 4 × 3", took, b.once(func() { b.kubectl("policy-run") }), 1./50, "kubectl run"))
	}, "--labs", b.labs())
}

// reset times a reset beside what deletes the namespace and applies the setup again, both until the setup is applied and
// until all of it runs. Each begins with a lab that runs, as a learner's does.
func (b *bench) reset() {
	const limit = 2 * time.Second
	b.run("start", "--name", ours, "--labs", b.labs(), "bench/reset")
	var all, quick []time.Duration
	anew := func() { b.run("reset", "--name", ours, "--labs", b.labs()) }
	for range 5 {
		all = append(all, b.once(anew))
		quick = append(quick, b.once(func() { b.run("reset", "--no-wait", "--name", ours, "--labs", b.labs()) }))
		anew()
	}
	waited, took := median(all), median(quick)
	b.add(timed("reset --no-wait", took, limit, 1, "baseline: the 2 s limit; the setup is applied again, its pods are starting"))
	b.run("stop", "--name", ours, "--labs", b.labs())
	setup := filepath.Join(b.labs(), "bench/reset/setup")
	b.kubectl("reset", setup, "ready") // puts there what the next one deletes
	deleted := b.once(func() { b.kubectl("reset", setup) })
	b.add(timed("reset --no-wait", took, deleted, 1./5, "kubectl delete namespace, then apply"))
	b.kubectl("reset", setup, "ready")
	b.add(timed("reset", waited, b.once(func() { b.kubectl("reset", setup, "ready") }), 1, "the same, until all pods are ready"))
}

// solved calls measure while a lab is on the cluster and solved.
func (b *bench) solved(lab string, measure func(), flags ...string) {
	with := func(arguments ...string) { b.run(append(append(arguments, "--name", ours), flags...)...) }
	with("start", lab)
	with("solution", "--apply")
	with("check") // settles
	measure()
	with("stop")
}
