package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/grade"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

// A Scene is one lab on a cluster, to be changed, graded and put back.
type Scene interface {
	// Start puts the lab on the cluster. Where it is there already it refuses: it may be somebody's work.
	Start(ctx context.Context, l *lab.Lab) error
	Perform(ctx context.Context, s stage.Step) error
	// Grade grades everything, or with quick until the first task fails.
	Grade(ctx context.Context, quick bool) (report.Report, error)
	// Reset puts the lab back, or on with other values, and returns what is not as it was when those were new.
	Reset(ctx context.Context, l *lab.Lab) ([]stage.Difference, error)
	// Undo is a quick Reset where simple objects have changed, and nothing that no object shows, and tells whether that is
	// so. The cluster may take a moment to follow.
	Undo(ctx context.Context) (bool, error)
	// Hold makes what is there now what Undo goes back to, until the next Reset.
	Hold(ctx context.Context) error
	// Passes tells whether all passes that can be looked at without changing something.
	Passes(ctx context.Context) (bool, error)
	// Touched tells whether a grade may have changed something since the lab was put there or put back.
	Touched() bool
	Stop(ctx context.Context) error
	// Answers returns an error when the cluster does not answer at all: then an error says nothing about the lab.
	Answers(ctx context.Context) error
	// Deleted names the lab's namespaces that are gone or on their way out.
	Deleted(ctx context.Context) []string
	// Empower binds everyone to cluster-admin until revoke is called.
	Empower(ctx context.Context) (revoke func(context.Context) error, err error)
}

// errThere is wrapped when a lab is on the cluster already.
var errThere = errors.New("the lab is on the cluster already")

// Ground is a cluster that labs are proved on.
type Ground struct {
	Cluster *check.Cluster
	Kinds   check.Registry
	Runner  stage.Runner
	// Own tells that kindlab made the cluster, and nobody else uses it.
	Own bool
}

// Scene sets one for a lab. One that reaches out of its namespaces gets back what lies outside them too, so it has to be
// alone on the cluster: labs side by side would take away each other's.
func (g Ground) Scene(reaches bool) Scene { return &scene{ground: g, own: g.Own && reaches} }

type scene struct {
	ground Ground
	own    bool
	lab    *lab.Lab
	first  stage.Attempt  // as a learner would find it
	before stage.Attempt  // as this one does: the same, made anew by each reset
	held   *stage.Attempt // as it was when it was to be held
	// marked tells that since then something may have been changed that no object shows.
	marked bool
	// touched tells that a check ran which changes the cluster.
	touched bool
}

func (s *scene) options() stage.Options {
	return stage.Options{Params: s.lab.Values, Own: s.own, Runner: s.ground.Runner}
}

func (s *scene) Start(ctx context.Context, l *lab.Lab) error {
	s.lab, s.held = l, nil // also where the cluster does not answer: the lab is taken off all the same
	there, err := stage.Started(ctx, s.ground.Cluster)
	if err != nil {
		return err
	}
	if slices.Contains(there, l.Name) {
		return fmt.Errorf("%w: somebody may be at work on it; take it off with kindlab stop %s", errThere, l.Name)
	}
	if err := stage.Start(ctx, s.ground.Cluster, l, s.options()); err != nil {
		return err
	}
	s.before, err = stage.Recorded(ctx, s.ground.Cluster, l.Name)
	s.first, s.marked, s.touched = s.before, false, false
	return err
}

func (s *scene) Perform(ctx context.Context, step stage.Step) error {
	if step.Run != "" {
		script, err := s.lab.File(step.Run)
		s.marked = s.marked || err != nil || !shown(script.Content)
	}
	return stage.Perform(ctx, s.ground.Cluster, s.lab, step, s.ground.Runner)
}

func (s *scene) grader() grade.Grader {
	graded := *s.ground.Cluster
	graded.Baseline = s.before.Baseline
	graded.Answer = func(string) (string, bool) { return "", false }
	return grade.Grader{Kinds: s.ground.Kinds, Cluster: &graded}
}

// Passes grades until the first check that would change something: all that only look come before it.
func (s *scene) Passes(ctx context.Context) (bool, error) {
	running, enough := context.WithCancel(ctx)
	defer enough()
	g, passes := s.grader(), true
	g.Changing = func(check.Check) { enough() }
	g.Observe = func(t report.Task) {
		if running.Err() == nil && t.Verdict != report.Passed {
			passes = false
			enough()
		}
	}
	_, err := g.Run(running, s.lab)
	if ctx.Err() == nil && running.Err() != nil {
		err = nil
	}
	return passes, err
}

func (s *scene) Grade(ctx context.Context, quick bool) (report.Report, error) {
	g := s.grader()
	g.Recognise, g.Changing = true, func(c check.Check) {
		s.touched, s.marked = true, s.marked || check.Marks(c)
	}
	running, enough := context.WithCancel(ctx)
	defer enough()
	if quick {
		g.Observe = func(t report.Task) {
			if t.Verdict == report.Failed {
				enough()
			}
		}
	}
	r, err := g.Run(running, s.lab)
	if quick && ctx.Err() == nil && running.Err() != nil {
		return r, nil
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r, err
}

func (s *scene) Reset(ctx context.Context, l *lab.Lab) ([]stage.Difference, error) {
	anew := l != s.lab // other values make another lab
	s.lab = l
	s.held = nil
	if err := stage.Reset(ctx, s.ground.Cluster, l, s.options()); err != nil {
		return nil, err
	}
	now, err := stage.Recorded(ctx, s.ground.Cluster, l.Name)
	if err != nil {
		return nil, err
	}
	s.before, s.marked, s.touched = now, false, false
	if anew {
		s.first = now
		return nil, nil
	}
	return s.first.Diff(ctx, s.ground.Cluster, l)
}

func (s *scene) Undo(ctx context.Context) (bool, error) {
	if s.marked {
		return false, nil
	}
	back := &s.before
	if s.held != nil {
		back = s.held
	}
	var undone bool
	var err error
	*back, undone, err = back.Undo(ctx, s.ground.Cluster, s.lab)
	s.touched = s.touched && !undone
	return undone, err
}

func (s *scene) Hold(ctx context.Context) error {
	held, err := s.before.Hold(ctx, s.ground.Cluster, s.lab)
	if err != nil {
		return err
	}
	s.held, s.marked, s.touched = &held, false, false
	return nil
}

func (s *scene) Touched() bool { return s.touched }

func (s *scene) Stop(ctx context.Context) error {
	return stage.Stop(ctx, s.ground.Cluster, s.lab, s.options())
}

func (s *scene) Answers(ctx context.Context) error {
	_, err := s.ground.Cluster.Owner.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1})
	return err
}

func (s *scene) Deleted(ctx context.Context) []string {
	var gone []string
	for _, name := range s.lab.Namespaces {
		ns, err := s.ground.Cluster.Owner.Kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && ns.DeletionTimestamp != nil {
			gone = append(gone, name)
		}
	}
	return gone
}

// empowered begins with kindlab, which no reset takes for a learner's leftover.
const empowered = "kindlab-verify-everyone"

func (s *scene) Empower(ctx context.Context) (func(context.Context) error, error) {
	api := s.ground.Cluster.Owner.Kube.RbacV1().ClusterRoleBindings()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: empowered},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{
			{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:authenticated"},
			{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts"},
		},
	}
	_, err := api.Create(ctx, binding, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("binding everyone to cluster-admin: %w", err)
	}
	revoke := func(ctx context.Context) error {
		err := api.Delete(ctx, empowered, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("taking cluster-admin from everyone again: %w; look: kubectl delete clusterrolebinding %s", err, empowered)
		}
		return s.everyone(ctx, false)
	}
	if err := s.everyone(ctx, true); err != nil {
		return nil, errors.Join(err, revoke(context.WithoutCancel(ctx)))
	}
	return revoke, nil
}

// everyone waits until the API server's authorizer, which learns by a watch, lets anybody do anything, or does not.
func (s *scene) everyone(ctx context.Context, may bool) error {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "kindlab-nobody", Groups: []string{"system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "delete", Group: "*", Resource: "*"},
	}}
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		answer, err := s.ground.Cluster.Owner.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed == may, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the authorizer: %w", err)
	}
	return nil
}
