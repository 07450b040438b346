package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// A Runner runs a lab's script where it can do no harm. The kubeconfig names the API server as this program reaches
// it; the runner puts in the address that the script reaches it by. What the script writes goes to output, which may be
// nil, and its last lines are in the error of one that fails.
type Runner interface {
	Run(ctx context.Context, script lab.File, kubeconfig []byte, env map[string]string, output io.Writer) error
}

const (
	// tokenLife is the shortest that the API server grants.
	tokenLife = 10 * time.Minute
	// cleaning bounds the removal of a script's rights, also after the caller has been interrupted.
	cleaning = 10 * time.Second
)

// runScript gives a script an identity for as long as it runs: admin in the lab's namespaces, plus the objects that
// the lab says it touches.
func runScript(ctx context.Context, c *check.Cluster, l *lab.Lab, path string, runner Runner) (err error) {
	files, err := l.Files(path)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("running %s of lab %s: want one script, found %d files", path, l.Name, len(files))
	}
	id := &identity{c: c, name: "lab-" + recordName(l.Name)}
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
		defer cancel()
		err = errors.Join(err, id.revoke(after))
	}()
	kubeconfig, err := id.issue(ctx, l)
	if err != nil {
		return fmt.Errorf("giving %s of lab %s its rights: %w", path, l.Name, err)
	}
	env := map[string]string{"NAMESPACE": l.Namespaces[0]}
	if err := runner.Run(ctx, files[0], kubeconfig, env, nil); err != nil {
		return fmt.Errorf("running %s of lab %s: %w", path, l.Name, err)
	}
	return nil
}

// identity is a ServiceAccount and all that is bound to it.
type identity struct {
	c      *check.Cluster
	name   string
	revert []func(context.Context) error
}

// issue makes the account, binds it and returns a kubeconfig with a token for it.
func (id *identity) issue(ctx context.Context, l *lab.Lab) ([]byte, error) {
	if err := claimOne(ctx, id.c, system, managed()); err != nil {
		return nil, err
	}
	accounts := id.c.Kube.CoreV1().ServiceAccounts(system)
	id.undo(func(ctx context.Context) error { return accounts.Delete(ctx, id.name, metav1.DeleteOptions{}) })
	account := &corev1.ServiceAccount{ObjectMeta: id.meta()}
	if _, err := accounts.Create(ctx, account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, err
	}
	for _, ns := range l.Namespaces {
		if err := id.bind(ctx, ns, rbacv1.RoleRef{Kind: "ClusterRole", Name: "admin"}); err != nil {
			return nil, err
		}
	}
	touched, err := touched(id.c, l, false)
	if err != nil {
		return nil, err
	}
	rules := map[string][]rbacv1.PolicyRule{}
	for _, o := range touched {
		if forbidden(o) {
			return nil, fmt.Errorf("the lab touches %s: a script gets no rights on what grants or holds rights", o)
		}
		rules[o.Namespace] = append(rules[o.Namespace], rbacv1.PolicyRule{
			APIGroups: []string{o.Resource.Group}, ResourceNames: []string{o.Name},
			Resources: []string{o.Resource.Resource, o.Resource.Resource + "/scale"},
			Verbs:     []string{"get", "list", "watch", "update", "patch", "delete"},
		})
	}
	for ns, rules := range rules {
		if err := id.grant(ctx, ns, rules); err != nil {
			return nil, err
		}
	}
	seconds := int64(tokenLife.Seconds())
	token, err := accounts.CreateToken(ctx, id.name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return kubeconfig(id.c.Config, token.Status.Token, l.Namespaces[0])
}

// forbidden objects would let a script reach beyond what it was given.
func forbidden(o stored) bool {
	switch o.Resource.GroupResource().String() {
	case "secrets", "serviceaccounts", "nodes", "namespaces":
		return true
	}
	return o.Resource.Group == rbacv1.GroupName || gatekeeper(o)
}

// grant lets the account change single objects of a namespace, or of none.
func (id *identity) grant(ctx context.Context, ns string, rules []rbacv1.PolicyRule) error {
	rbac := id.c.Kube.RbacV1()
	meta := id.meta()
	if ns == "" {
		id.undo(func(ctx context.Context) error {
			return rbac.ClusterRoles().Delete(ctx, id.name, metav1.DeleteOptions{})
		})
		if _, err := rbac.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
			return err
		}
		id.undo(func(ctx context.Context) error {
			return rbac.ClusterRoleBindings().Delete(ctx, id.name, metav1.DeleteOptions{})
		})
		_, err := rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: id.name}, Subjects: id.subjects(),
		}, metav1.CreateOptions{})
		return err
	}
	id.undo(func(ctx context.Context) error { return rbac.Roles(ns).Delete(ctx, id.name, metav1.DeleteOptions{}) })
	if _, err := rbac.Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
		return err
	}
	return id.bind(ctx, ns, rbacv1.RoleRef{Kind: "Role", Name: id.name})
}

func (id *identity) bind(ctx context.Context, ns string, role rbacv1.RoleRef) error {
	role.APIGroup = rbacv1.GroupName
	api := id.c.Kube.RbacV1().RoleBindings(ns)
	id.undo(func(ctx context.Context) error { return api.Delete(ctx, id.name, metav1.DeleteOptions{}) })
	_, err := api.Create(ctx, &rbacv1.RoleBinding{ObjectMeta: id.meta(), RoleRef: role, Subjects: id.subjects()}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil // left by a run that was killed
	}
	return err
}

func (id *identity) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: id.name, Labels: managed()}
}

func (id *identity) subjects() []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: system, Name: id.name}}
}

func (id *identity) undo(f func(context.Context) error) { id.revert = append(id.revert, f) }

// revoke removes the account, and with it its token, before what was bound to it.
func (id *identity) revoke(ctx context.Context) error {
	var errs []error
	for _, undo := range id.revert {
		if err := undo(ctx); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("taking the rights of the script back: %w", err))
		}
	}
	return errors.Join(errs...)
}

// kubeconfig reaches the cluster of cfg with a token.
func kubeconfig(cfg *rest.Config, token, namespace string) ([]byte, error) {
	cfg = rest.CopyConfig(cfg)
	if err := rest.LoadTLSFiles(cfg); err != nil {
		return nil, fmt.Errorf("reading the cluster's certificate: %w", err)
	}
	const name = "lab"
	return clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{name: {
			Server: cfg.Host, CertificateAuthorityData: cfg.CAData, InsecureSkipTLSVerify: cfg.Insecure, TLSServerName: cfg.ServerName,
		}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name, Namespace: namespace}},
		CurrentContext: name,
	})
}
