package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kindlab-dev/kindlab/internal/check"
)

const (
	// graderName is the user that grades, and the ClusterRole and ClusterRoleBinding that let it look.
	graderName = "kindlab-grader"
	// rulesKey marks the binding with the rules that its role was given.
	rulesKey = "kindlab.dev/rules"
	// spreading bounds the time until the API server's authorizer has heard of a new binding.
	spreading = 5 * time.Second
)

// graderRules let the grader read everything, Secrets too because checks may ask for them, and ask what others may do.
// That role names no single resource because a learner's own kinds are to be graded as well.
func graderRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}},
		{NonResourceURLs: []string{"*"}, Verbs: []string{"get"}},
		{
			APIGroups: []string{"authorization.k8s.io"},
			Resources: []string{"subjectaccessreviews", "localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"},
			Verbs:     []string{"create"},
		},
	}
}

// Grader returns clients that can look at everything on the cluster and change nothing: they act as the user
// kindlab-grader, whose ClusterRole and binding are made or mended where they are not right. Where they are, that
// costs one request. An owner who may not do this grades with rights of their own: then the clients are the owner's,
// and note says so.
func Grader(ctx context.Context, owner check.Clients) (clients check.Clients, note string, err error) {
	cfg := rest.CopyConfig(owner.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: graderName}
	grader, err := check.NewClients(cfg)
	if err != nil {
		return check.Clients{}, "", err
	}
	return ensureGrader(ctx, owner, grader)
}

func ensureGrader(ctx context.Context, owner, grader check.Clients) (check.Clients, string, error) {
	rules, err := json.Marshal(graderRules())
	if err != nil {
		return check.Clients{}, "", err
	}
	right, err := looks(ctx, grader, string(rules))
	if err != nil {
		return check.Clients{}, "", err
	}
	if right {
		return grader, "", nil
	}
	err = appoint(ctx, owner, string(rules))
	if apierrors.IsForbidden(err) {
		return owner, asOwnerNote, nil
	}
	if err != nil {
		return check.Clients{}, "", fmt.Errorf("making the grader's identity: %w", err)
	}
	err = wait{what: "the grader's rights", limit: spreading}.until(ctx, func() (bool, error) {
		return looks(ctx, grader, string(rules))
	})
	if err != nil {
		return owner, asOwnerNote, nil //nolint:nilerr // an owner who may bind and not impersonate ends here
	}
	return grader, "", nil
}

const asOwnerNote = "your kubeconfig may not impersonate " + graderName + ", so grading uses your own rights"

// looks asks as the grader for the grader's own binding: an answer proves that the owner may impersonate it, that it
// may read, and what its role was given.
func looks(ctx context.Context, grader check.Clients, rules string) (bool, error) {
	b, err := grader.Kube.RbacV1().ClusterRoleBindings().Get(ctx, graderName, metav1.GetOptions{})
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the grader's rights: %w", err)
	}
	return b.Annotations[rulesKey] == rules, nil
}

// appoint makes the role and then the binding, which vouches for it.
func appoint(ctx context.Context, owner check.Clients, rules string) error {
	rbac := owner.Kube.RbacV1()
	meta := metav1.ObjectMeta{Name: graderName, Labels: managed(), Annotations: map[string]string{rulesKey: rules}}
	role := &rbacv1.ClusterRole{ObjectMeta: meta, Rules: graderRules()}
	_, err := rbac.ClusterRoles().Update(ctx, role, metav1.UpdateOptions{FieldManager: manager})
	if apierrors.IsNotFound(err) {
		_, err = rbac.ClusterRoles().Create(ctx, role, metav1.CreateOptions{FieldManager: manager})
	}
	if err != nil {
		return err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: graderName},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: graderName}},
	}
	_, err = rbac.ClusterRoleBindings().Update(ctx, binding, metav1.UpdateOptions{FieldManager: manager})
	if apierrors.IsInvalid(err) { // somebody pointed it at another role, which cannot be changed
		if err = rbac.ClusterRoleBindings().Delete(ctx, graderName, metav1.DeleteOptions{}); err != nil {
			return err
		}
		_, err = rbac.ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{FieldManager: manager})
	}
	if apierrors.IsNotFound(err) {
		_, err = rbac.ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{FieldManager: manager})
	}
	return err
}
