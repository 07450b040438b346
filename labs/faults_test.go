//go:build e2e

package labs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/grade"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/site/sitetest"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/labs"
)

// sick is the cluster that faults are done to.
type sick struct {
	*site.Site
	nodes  []cluster.Node // the control plane first
	engine func(ctx context.Context, args ...string) (string, error)

	binding *rbacv1.ClusterRoleBinding // the grader's, while it is taken away
}

func openSick(t *testing.T) *sick {
	t.Helper()
	open, e := sitetest.Open(t)
	nodes, err := open.Home.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &sick{Site: open, nodes: nodes, engine: e.Run}
}

// A fault breaks the cluster under the grader's feet, and mends it again.
type fault struct {
	name       string
	begin, end func(ctx context.Context, s *sick) error
	// again is done over and over while grading goes on; nil for faults that stay by themselves.
	again func(ctx context.Context, s *sick) error
	// blind faults leave nothing to see: every task must be unknown.
	blind bool
}

func faults() []fault {
	nothing := func(context.Context, *sick) error { return nil }
	return []fault{
		{name: "the API server hangs", blind: true, begin: onControlPlane("pkill -STOP kube-apiserver"), end: onControlPlane("pkill -CONT kube-apiserver")},
		{name: "the API server is killed", begin: onControlPlane("pkill -KILL kube-apiserver"), end: nothing},
		{name: "cluster DNS is down", begin: scaleDNS(0), end: scaleDNS(2)},
		{name: "the CNI's agent is killed", begin: nothing, end: nothing, again: onNodes("pkill -KILL kube-router || true")},
		{name: "the probe agents are killed", begin: nothing, end: nothing, again: onNodes("pkill -KILL kindlab-agent || true")},
		{name: "a node is down", begin: engineOnWorker("pause"), end: engineOnWorker("unpause")},
		{name: "the grader's rights are gone", blind: true, begin: takeRights, end: giveRights},
	}
}

func onControlPlane(script string) func(context.Context, *sick) error {
	return func(ctx context.Context, s *sick) error { return s.nodes[0].Exec(ctx, nil, nil, "sh", "-c", script) }
}

func onNodes(script string) func(context.Context, *sick) error {
	return func(ctx context.Context, s *sick) error {
		var errs []error
		for _, n := range s.nodes {
			errs = append(errs, n.Exec(ctx, nil, nil, "sh", "-c", script))
		}
		return errors.Join(errs...)
	}
}

func scaleDNS(replicas int) func(context.Context, *sick) error {
	return func(ctx context.Context, s *sick) error {
		_, err := s.Owner.Kube.AppsV1().Deployments(metav1.NamespaceSystem).Patch(ctx, "coredns", types.MergePatchType,
			fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{})
		for err == nil {
			var list *corev1.PodList
			list, err = s.Owner.Kube.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
			if err == nil && len(list.Items) == replicas {
				return nil
			}
			time.Sleep(100 * time.Millisecond)
		}
		return err
	}
}

func engineOnWorker(verb string) func(context.Context, *sick) error {
	return func(ctx context.Context, s *sick) error {
		_, err := s.engine(ctx, verb, s.nodes[len(s.nodes)-1].Name())
		return err
	}
}

const graderName = "kindlab-grader"

func takeRights(ctx context.Context, s *sick) (err error) {
	bindings := s.Owner.Kube.RbacV1().ClusterRoleBindings()
	if s.binding, err = bindings.Get(ctx, graderName, metav1.GetOptions{}); err != nil {
		return err
	}
	if err = bindings.Delete(ctx, graderName, metav1.DeleteOptions{}); err != nil {
		return err
	}
	for !apierrors.IsForbidden(err) { // the API server's authorizer learns of it by a watch
		if _, err = s.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err != nil && !apierrors.IsForbidden(err) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

func giveRights(ctx context.Context, s *sick) error {
	s.binding.ResourceVersion, s.binding.UID = "", ""
	_, err := s.Owner.Kube.RbacV1().ClusterRoleBindings().Create(ctx, s.binding, metav1.CreateOptions{})
	return err
}

// gradeTime is how long one grade may take, whatever happens to the cluster.
const gradeTime = 90 * time.Second

// TestFaults grades a solved and an untouched lab while the cluster breaks: never is right work called failed, and
// never does wrong work pass. KINDLAB_E2E_GRADES says how many grades are made; 200 is what is claimed.
func TestFaults(t *testing.T) {
	s := openSick(t)
	open := s.Site
	grades := 56
	if text := os.Getenv("KINDLAB_E2E_GRADES"); text != "" {
		var err error
		if grades, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	solved, untouched := load(t, "services/clusterip"), load(t, "network-policy/default-deny")
	each := max(1, grades/len(faults())/4)
	for swap := range 2 {
		for _, l := range []*lab.Lab{solved, untouched} {
			stop := func() error { return stage.Stop(context.Background(), open.Cluster, l, open.Options(nil, nil)) }
			t.Cleanup(func() { _ = stop() })
			if err := stage.Start(t.Context(), open.Cluster, l, open.Options(nil, nil)); err != nil {
				t.Fatal(err)
			}
		}
		right := solved.Solutions[0]
		step := stage.Step{Delete: right.Delete, Apply: right.Apply, Run: right.Run}
		if err := stage.Perform(t.Context(), open.Cluster, solved, step, open.Home.Scripts()); err != nil {
			t.Fatal(err)
		}
		for _, f := range faults() {
			t.Run(fmt.Sprintf("%s, %s solved", f.name, solved.Name), func(t *testing.T) {
				t.Logf("round %d", swap)
				underFault(t, s, f, solved, untouched, each)
			})
		}
		for _, l := range []*lab.Lab{solved, untouched} {
			if err := stage.Stop(t.Context(), open.Cluster, l, open.Options(nil, nil)); err != nil {
				t.Fatal(err)
			}
		}
		solved, untouched = untouched, solved
	}
}

// underFault makes grades of both labs, two of each at a time, while the fault lasts.
func underFault(t *testing.T, s *sick, f fault, solved, untouched *lab.Lab, each int) {
	t.Helper()
	ctx := t.Context()
	healthy(t, s, solved)
	if err := f.begin(ctx, s); err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceFunc(func() {
		if err := f.end(context.Background(), s); err != nil {
			t.Errorf("mending the cluster: %v", err)
		}
	})
	defer ended()
	repeating, stop := context.WithCancel(ctx)
	var again, all sync.WaitGroup
	if f.again != nil {
		again.Go(func() {
			for repeating.Err() == nil {
				_ = f.again(repeating, s)
				time.Sleep(300 * time.Millisecond) // the fault's own pace
			}
		})
	}
	var mu sync.Mutex
	counts := map[report.Verdict]int{}
	judge := func(l *lab.Lab, wrong ...report.Verdict) {
		began := time.Now()
		g := grade.Grader{Kinds: check.Builtin(), Cluster: s.Cluster, Timeout: 20 * time.Second}
		r, err := g.Run(ctx, l)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("grading %s: %v", l.Name, err)
		}
		if took := time.Since(began); took > gradeTime {
			t.Errorf("grading %s took %s", l.Name, took)
		}
		for _, task := range append(r.Tasks, r.Safeguards...) {
			counts[task.Verdict]++
			bad := f.blind && task.Verdict != report.Unknown && task.Verdict != report.Blocked
			for _, v := range wrong {
				bad = bad || task.Verdict == v && task.MaxPoints > 0
			}
			if bad {
				t.Errorf("%s of %s is %s: %+v", task.ID, l.Name, task.Verdict, task.Findings)
			}
			if task.Verdict == report.Unknown && (len(task.Findings) == 0 || task.Findings[0].Is == "") {
				t.Errorf("%s of %s is unknown and does not say why", task.ID, l.Name)
			}
		}
	}
	for range each {
		for range 2 {
			all.Go(func() { judge(solved, report.Failed) })
			all.Go(func() { judge(untouched, report.Passed) })
		}
		all.Wait()
	}
	stop()
	again.Wait()
	ended()
	t.Logf("%d grades: %v", 4*each, counts)
}

// healthy waits until the cluster has got over the fault before: the solved lab passes.
func healthy(t *testing.T, s *sick, solved *lab.Lab) {
	t.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for {
		g := grade.Grader{Kinds: check.Builtin(), Cluster: s.Cluster}
		r, err := g.Run(t.Context(), solved)
		if err == nil && r.ExitCode() == 0 && nodesReady(t.Context(), s) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cluster does not recover: %+v, %v", r, err)
		}
		time.Sleep(time.Second)
	}
}

func nodesReady(ctx context.Context, s *sick) bool {
	list, err := s.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false
	}
	for _, n := range list.Items {
		for _, condition := range n.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				return false
			}
		}
	}
	return true
}

func load(t *testing.T, name string) *lab.Lab {
	t.Helper()
	l, err := lab.Load(labs.FS(), name, check.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	return l
}
