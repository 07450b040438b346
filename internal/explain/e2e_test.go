//go:build e2e

package explain

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// cluster is the one that KINDLAB_E2E_KUBECONFIG leads to.
type cluster struct {
	kube *kubernetes.Clientset
	dyn  *dynamic.DynamicClient
	cfg  *rest.Config
}

type counted struct {
	next  http.RoundTripper
	calls *atomic.Int64
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.calls.Add(1)
	return c.next.RoundTrip(r)
}

func connect(t *testing.T) cluster {
	t.Helper()
	path := os.Getenv("KINDLAB_E2E_KUBECONFIG")
	if path == "" {
		t.Fatal("KINDLAB_E2E_KUBECONFIG names no cluster: run make e2e, or kindlab up and set it")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS = -1
	c := cluster{cfg: cfg}
	if c.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	if c.dyn, err = dynamic.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	return c
}

// namespace makes one for the test and puts the documents in it; NS in them stands for its name.
func (c cluster) namespace(t *testing.T, name, text string) string {
	t.Helper()
	ns := fmt.Sprintf("explain-%s-%d", name, time.Now().UnixNano()%1e6)
	ctx := t.Context()
	if _, err := c.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		_ = c.kube.CoreV1().Pods(ns).DeleteCollection(context.Background(), metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
		if err := c.kube.CoreV1().Namespaces().Delete(context.Background(), ns, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	if _, err := c.kube.CoreV1().ServiceAccounts(ns).Get(ctx, "default", metav1.GetOptions{}); err != nil {
		c.until(t, func() error {
			_, err := c.kube.CoreV1().ServiceAccounts(ns).Get(ctx, "default", metav1.GetOptions{})
			return err
		})
	}
	for _, o := range objects(t, strings.ReplaceAll(text, "NS", ns)) {
		kinds, _, err := scheme.Scheme.ObjectKinds(o)
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		if err := scheme.Scheme.Convert(o, u, nil); err != nil {
			t.Fatal(err)
		}
		resource, _ := meta.UnsafeGuessKindToResource(kinds[0])
		if _, err := c.dyn.Resource(resource).Namespace(ns).Create(ctx, u, metav1.CreateOptions{}); err != nil {
			t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
	return ns
}

// until repeats a look at the cluster.
func (c cluster) until(t *testing.T, look func() error) {
	t.Helper()
	end := time.Now().Add(90 * time.Second)
	for {
		err := look()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// explains walks until the link's sentence matches, as a learner who looks again, and prints what it cost.
func (c cluster) explains(t *testing.T, is, look string, walk func(context.Context, Walker) (*Link, error)) {
	t.Helper()
	var calls atomic.Int64
	looking := rest.CopyConfig(c.cfg)
	looking.Wrap(func(next http.RoundTripper) http.RoundTripper { return counted{next, &calls} })
	kube, err := kubernetes.NewForConfig(looking)
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile("^(" + is + ")$")
	c.until(t, func() error {
		calls.Store(0)
		start := time.Now()
		link, err := walk(t.Context(), Walker{Kube: kube})
		took, calls := time.Since(start), calls.Load()
		switch {
		case err != nil:
			return err
		case link == nil && is == "":
			t.Logf("nothing broken (%d calls, %s)", calls, took.Round(time.Millisecond))
			return nil
		case link == nil:
			return fmt.Errorf("got no link, want %s", is)
		case !pattern.MatchString(link.Is) || !strings.Contains(link.Look, look):
			return fmt.Errorf("got  %s\n     %s\nwant %s\n     …%s…", link.Is, link.Look, is, look)
		}
		t.Logf("%s\n  look: %s\n  holds: %s\n  %d calls, %s", link.Is, link.Look, strings.Join(link.Chain, "; "), calls, took.Round(time.Millisecond))
		checkStyle(t, link.Is)
		return nil
	})
}

func (c cluster) pod(t *testing.T, ns, selector string) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	c.until(t, func() error {
		l, err := c.kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
		if err == nil && len(l.Items) == 0 {
			err = fmt.Errorf("no pod %s", selector)
		}
		if err == nil {
			found = &l.Items[0]
		}
		return err
	})
	return found
}

func (c cluster) readyPod(t *testing.T, ns, selector string) *corev1.Pod {
	t.Helper()
	c.until(t, func() error {
		if p := c.pod(t, ns, selector); !ready(p) {
			return fmt.Errorf("pod %s is not ready: %v", p.Name, p.Status.Conditions)
		}
		return nil
	})
	return c.pod(t, ns, selector)
}

const agnhost = "image: 'registry.k8s.io/e2e-test-images/agnhost:2.66.1', imagePullPolicy: IfNotPresent"

// realPod serves HTTP at 8080 unless its container says otherwise.
func realPod(name, container, spec string) string {
	if !strings.Contains(container, "image:") {
		container += ", " + agnhost
	}
	if !strings.Contains(container, "args:") {
		container += ", args: [netexec, --http-port=8080]"
	}
	return "{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", labels: {app: " + name + "}}, spec: {terminationGracePeriodSeconds: 0, " + spec +
		"containers: [{name: main, ports: [{name: http, containerPort: 8080}], " + strings.TrimPrefix(container, ", ") + "}]}}"
}

func realService(name, spec string) string {
	return "{apiVersion: v1, kind: Service, metadata: {name: " + name + "}, spec: {" + spec + "}}"
}

func TestE2EServices(t *testing.T) {
	t.Parallel()
	c := connect(t)
	ns := c.namespace(t, "svc", docs(
		realPod("oven", "", ""),
		realPod("cold", "readinessProbe: {httpGet: {path: /dial, port: http}, periodSeconds: 1}", ""),
		realService("good", "selector: {app: oven}, ports: [{port: 80, targetPort: http}]"),
		realService("typo", "selector: {app: ovens}, ports: [{port: 80, targetPort: 8080}]"),
		realService("target", "selector: {app: oven}, ports: [{port: 80, targetPort: 32080}]"),
		realService("named", "selector: {app: oven}, ports: [{port: 80, targetPort: web}]"),
		realService("port", "selector: {app: oven}, ports: [{port: 8080}]"),
		realService("cold", "selector: {app: cold}, ports: [{port: 80, targetPort: 8080}]"),
		realService("headless", "clusterIP: None, selector: {app: oven}, ports: [{port: 80, targetPort: 8080}]"),
		realService("gate", "type: NodePort, externalTrafficPolicy: Local, selector: {app: oven}, ports: [{port: 80, targetPort: 8080}]"),
		realService("wide", "type: NodePort, selector: {app: oven}, ports: [{port: 80, targetPort: 8080}]"),
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: idle}, spec: {replicas: 0, selector: {matchLabels: {app: idle}}, template: {metadata: {labels: {app: idle}}, spec: {containers: [{name: main, "+agnhost+"}]}}}}",
		realService("idle", "selector: {app: idle}, ports: [{port: 80}]"),
	))
	node := c.readyPod(t, ns, "app=oven").Spec.NodeName
	for _, tt := range []struct{ service, is, look string }{
		{"good", "", ""},
		{"typo", `Service typo has no ready endpoint \(selector app=ovens\): no pod in namespace ` + ns + ` has these labels; pods here have app=oven`, "get pods --show-labels"},
		{"target", `Service target sends to port 32080 of its pods, and Pod oven declares http \(8080\)`, "service/target pod/oven"},
		{"named", `Service named sends to port web of its pods, and no container of Pod oven has a port of that name: there is http \(8080\)`, "service/named pod/oven"},
		{"port", `Service port has no port 80: it has 8080`, "get service/port"},
		{"cold", `Service cold has no ready endpoint \(selector app=cold\): container main of Pod cold runs and is not ready: Readiness probe failed: HTTP probe failed with statuscode: 400`, "describe pod cold"},
		{"headless", `Service headless is headless: .*`, "service/headless"},
		{"godo", `there is no Service godo in namespace ` + ns + `; there is good`, "get services"},
		{"idle", `Service idle has no ready endpoint \(selector app=idle\): Deployment idle asks for 0 replicas`, "describe deployment idle"},
	} {
		t.Run(tt.service, func(t *testing.T) {
			t.Parallel()
			c.explains(t, tt.is, tt.look, func(ctx context.Context, w Walker) (*Link, error) {
				return w.Through(ctx, somebody(ns), ns, tt.service, 80)
			})
		})
	}
	nodePort := func(name string) int {
		s, err := c.kube.CoreV1().Services(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return int(s.Spec.Ports[0].NodePort)
	}
	t.Run("node port, local", func(t *testing.T) {
		t.Parallel()
		c.explains(t, `Service gate has externalTrafficPolicy Local, and no ready pod of it is on nodes? .*`, "get pods -o wide",
			func(ctx context.Context, w Walker) (*Link, error) {
				link, err := w.NodePort(ctx, ns, nodePort("gate"))
				if link != nil && regexp.MustCompile(`\b`+node+`(,|$| and)`).MatchString(link.Is) {
					return nil, fmt.Errorf("the pod is on node %s: %s", node, link.Is)
				}
				return link, err
			})
	})
	t.Run("node port", func(t *testing.T) {
		t.Parallel()
		c.explains(t, "", "", func(ctx context.Context, w Walker) (*Link, error) { return w.NodePort(ctx, ns, nodePort("wide")) })
	})
	t.Run("no node port", func(t *testing.T) {
		t.Parallel()
		c.explains(t, `no Service in namespace `+ns+` has node port 1; Service gate has \d+ and Service wide has \d+`, "get services",
			func(ctx context.Context, w Walker) (*Link, error) { return w.NodePort(ctx, ns, 1) })
	})
}

func TestE2EPolicies(t *testing.T) {
	t.Parallel()
	c := connect(t)
	policy := func(name, spec string) string {
		return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: " + name + "}, spec: {" + spec + "}}"
	}
	ns := c.namespace(t, "policy", docs(
		realPod("till", "", ""), realPod("oven", "", ""), realPod("mute", "", ""),
		realService("oven", "selector: {app: oven}, ports: [{port: 80, targetPort: http}]"),
		policy("oven", "podSelector: {matchLabels: {app: oven}}, ingress: [{from: [{podSelector: {matchLabels: {app: nobody}}}, {podSelector: {matchLabels: {app: till}}}], ports: [{port: http}]}]"),
		policy("mute", "podSelector: {matchLabels: {app: mute}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}, {ports: [{port: 53}]}]"),
	))
	till, oven, mute := c.readyPod(t, ns, "app=till"), c.readyPod(t, ns, "app=oven"), c.readyPod(t, ns, "app=mute")
	name := func(from *corev1.Pod, host string) func(context.Context, Walker) (*Link, error) {
		return func(ctx context.Context, w Walker) (*Link, error) { return w.Name(ctx, from, host) }
	}
	path := func(from *corev1.Pod, host string, port int) func(context.Context, Walker) (*Link, error) {
		return func(ctx context.Context, w Walker) (*Link, error) { return w.Path(ctx, from, host, port) }
	}
	connection := func(from, to *corev1.Pod, port int, allowed bool) func(context.Context, Walker) (*Link, error) {
		return func(ctx context.Context, w Walker) (*Link, error) {
			v, err := w.Connection(ctx, from, to, port, corev1.ProtocolTCP)
			if err != nil {
				return nil, err
			}
			if v.Allowed != allowed {
				return nil, fmt.Errorf("allowed is %v: %s", v.Allowed, v.Is)
			}
			return &v.Link, nil
		}
	}
	for _, tt := range []struct {
		name, is, look string
		walk           func(context.Context, Walker) (*Link, error)
	}{
		{"port 53 is closed for UDP", `Pod mute cannot ask the cluster's DNS: NetworkPolicy mute isolates Pod mute \(egress\), and no rule of it lets it out to Pod coredns-\S+ of namespace kube-system on port 53/UDP; egress\[1\] of mute does, on port 53 only`, "describe networkpolicies", name(mute, "oven")},
		{"name", "", "", name(till, "oven")},
		{"name in full", "", "", name(till, "oven."+ns+".svc.cluster.local")},
		{"name with a typo", `there is no Service ovn in namespace ` + ns + `; there is oven`, "get services", name(till, "ovn")},
		{"namespace missing", `there is no Service kube-dns in namespace ` + ns + `; there is one in namespace kube-system`, "get services -A", name(till, "kube-dns")},
		{"namespace with a typo", `the name kube-dns.kube-systm leads nowhere: there is no namespace kube-systm; there is kube-system`, "get namespaces", name(till, "kube-dns.kube-systm")},
		{"path", "", "", path(till, "oven", 80)},
		{"path past a policy", `NetworkPolicy oven isolates Pod oven \(ingress\), and no rule of it lets Pod other in on port 8080; .*`, "describe networkpolicies", func(ctx context.Context, w Walker) (*Link, error) {
			other := till.DeepCopy()
			other.Name, other.Labels = "other", nil
			return w.Path(ctx, other, "oven", 80)
		}},
		{"allowed by a rule", `NetworkPolicy oven, ingress\[0\]\.from\[1\] allows Pod till into Pod oven on port 8080; no NetworkPolicy limits what comes out of Pod till`, "describe networkpolicies", connection(till, oven, 8080, true)},
		{"allowed by none", `no NetworkPolicy limits what comes into Pod till; no NetworkPolicy limits what comes out of Pod oven \(oven only what comes into it\)`, "describe networkpolicies", connection(oven, till, 8080, true)},
		{"another port", `NetworkPolicy oven isolates Pod oven \(ingress\), and no rule of it lets Pod till in on port 80; ingress\[0\]\.from\[1\] of oven does, on port http \(8080\) only`, "describe networkpolicies", connection(till, oven, 80, false)},
		{"way out open, way in closed", `NetworkPolicy oven isolates Pod oven \(ingress\), and no rule of it lets Pod mute in on port 8080; .*`, "describe networkpolicies", connection(mute, oven, 8080, false)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c.explains(t, tt.is, tt.look, tt.walk)
		})
	}
}

func TestE2EPods(t *testing.T) {
	t.Parallel()
	c := connect(t)
	env := func(ref string) string { return "env: [{name: X, valueFrom: {" + ref + "}}]" }
	ns := c.namespace(t, "pod", docs(
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: red}}",
		realPod("image", "image: 'localhost:1/nowhere/oven:1'", ""),
		realPod("badimage", "image: 'Oven:::1'", ""),
		realPod("never", "image: 'localhost/oven:1', imagePullPolicy: Never", ""),
		realPod("crash", "command: [/agnhost, nonsense]", ""),
		realPod("nofile", "command: [/does/not/exist]", ""),
		realPod("selector", "", "nodeSelector: {disk: ssd}, "),
		realPod("greedy", "resources: {requests: {cpu: '1000'}}", ""),
		realPod("config", env("configMapKeyRef: {name: setings, key: color}"), ""),
		realPod("key", env("configMapKeyRef: {name: settings, key: colour}"), ""),
		realPod("mount", "volumeMounts: [{name: v, mountPath: /v}]", "volumes: [{name: v, secret: {secretName: password}}], "),
		realPod("unready", "readinessProbe: {tcpSocket: {port: 1}, periodSeconds: 1}", ""),
		realPod("live", "livenessProbe: {httpGet: {path: /dial, port: 8080}, periodSeconds: 1, failureThreshold: 1}", ""),
		realPod("init", "", "initContainers: [{name: wait, "+agnhost+", command: [/agnhost, nonsense]}], "),
		realPod("claim", "", "volumes: [{name: v, persistentVolumeClaim: {claimName: dta}}], "),
		realPod("good", "", ""),
		"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {storageClassName: fasst, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}",
		"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: alone}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}",
		"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: shared}, spec: {accessModes: [ReadWriteMany], resources: {requests: {storage: 1Mi}}}}",
		"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: byhand}, spec: {storageClassName: '', accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}",
		realPod("shared", "volumeMounts: [{name: v, mountPath: /v}]", "volumes: [{name: v, persistentVolumeClaim: {claimName: shared}}], "),
		"{apiVersion: v1, kind: ResourceQuota, metadata: {name: small}, spec: {hard: {count/jobs.batch: '9', limits.memory: 1Gi}, scopes: [NotTerminating]}}",
	))
	for _, tt := range []struct{ pod, is, look string }{
		{"image", `container main of Pod image: (ErrImagePull|ImagePullBackOff), image localhost:1/nowhere/oven:1 cannot be pulled: its registry cannot be reached`, "describe pod image"},
		{"badimage", `container main of Pod badimage: InvalidImageName, "Oven:::1" is not the name of an image`, "describe pod badimage"},
		{"never", `container main of Pod never: ErrImageNeverPull, image localhost/oven:1 is not on node \S+, and imagePullPolicy is Never`, "describe pod never"},
		{"crash", `container main of Pod crash (keeps ending|has ended) with exit code 1.*; its last line was ".*nonsense.*"`, "logs crash -c main"},
		{"nofile", `container main of Pod nofile: RunContainerError, exec: "/does/not/exist": stat /does/not/exist: no such file or directory.*|container main of Pod nofile keeps ending with exit code 128.*: StartError exec: "/does/not/exist": .*no such file.*`, ""},
		{"selector", `no node takes Pod selector: .*\d nodes? without what its nodeSelector \(disk=ssd\) asks for.*`, "describe pod selector"},
		{"greedy", `no node takes Pod greedy: .*\d nodes? with too little cpu left \(container main asks for 1k\).*`, "describe pod greedy"},
		{"config", `container main of Pod config: CreateContainerConfigError, there is no ConfigMap setings in namespace ` + ns + `; there is settings`, "describe pod config"},
		{"key", `container main of Pod key: CreateContainerConfigError, ConfigMap settings has no key colour; there is color`, "describe pod key"},
		{"mount", `Pod mount has no container yet, because a volume cannot be mounted: there is no Secret password in namespace ` + ns, "describe pod mount"},
		{"unready", `container main of Pod unready runs and is not ready: Readiness probe failed: dial tcp .*: connect: connection refused`, "describe pod unready"},
		{"live", `container main of Pod live keeps ending with exit code \d+.*: Liveness probe failed: HTTP probe failed with statuscode: 400`, "describe pod live"},
		{"init", `container wait of Pod init (keeps ending|has ended) with exit code 1.*; its last line was ".*"`, "logs init -c wait"},
		{"claim", `Pod claim has no node: there is no PersistentVolumeClaim dta in namespace ` + ns + `; there is data`, "get pvc"},
		{"good", "", ""},
	} {
		t.Run(tt.pod, func(t *testing.T) {
			t.Parallel()
			c.explains(t, tt.is, tt.look, func(ctx context.Context, w Walker) (*Link, error) {
				pod, err := c.kube.CoreV1().Pods(ns).Get(ctx, tt.pod, metav1.GetOptions{})
				if err != nil {
					return nil, err
				}
				return w.Pod(ctx, pod)
			})
		})
	}
	for _, tt := range []struct{ claim, is, look string }{
		{"data", `PersistentVolumeClaim data asks for StorageClass fasst, and there is no StorageClass fasst; there is standard`, "get storageclasses"},
		{"alone", `PersistentVolumeClaim alone waits for a pod that uses it \(volumeBindingMode WaitForFirstConsumer of StorageClass standard\), and no pod does`, "describe pvc alone"},
		{"shared", `StorageClass standard cannot make a volume for PersistentVolumeClaim shared: .*access modes?.*`, "describe pvc shared"},
		{"byhand", `PersistentVolumeClaim byhand waits for a volume without a StorageClass that somebody makes by hand.*`, "get pv"},
	} {
		t.Run("claim "+tt.claim, func(t *testing.T) {
			t.Parallel()
			c.explains(t, tt.is, tt.look, func(ctx context.Context, w Walker) (*Link, error) { return w.Claim(ctx, ns, tt.claim) })
		})
	}
}

func TestE2EWorkloads(t *testing.T) {
	t.Parallel()
	c := connect(t)
	deployment := func(kind, name, spec, pod string) string {
		return "{apiVersion: apps/v1, kind: " + kind + ", metadata: {name: " + name + "}, spec: {" + spec + "selector: {matchLabels: {app: " + name + "}}, template: {metadata: {labels: {app: " + name + "}}, spec: {" + pod +
			"terminationGracePeriodSeconds: 0, containers: [{name: main, " + agnhost + ", args: [pause]}]}}}}"
	}
	ns := c.namespace(t, "work", docs(
		"{apiVersion: v1, kind: ResourceQuota, metadata: {name: small}, spec: {hard: {pods: '1'}}}",
		deployment("Deployment", "first", "", ""),
	))
	c.readyPod(t, ns, "app=first")
	other := c.namespace(t, "work2", docs(
		deployment("Deployment", "picky", "replicas: 2, ", "nodeSelector: {disk: ssd}, "),
		deployment("StatefulSet", "book", "serviceName: book, ", "serviceAccountName: clerk, "),
		deployment("DaemonSet", "log", "", "nodeSelector: {disk: ssd}, "),
	))
	for _, o := range objects(t, deployment("Deployment", "second", "", "")) {
		u := &unstructured.Unstructured{}
		if err := scheme.Scheme.Convert(o, u, nil); err != nil {
			t.Fatal(err)
		}
		resource, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
		if _, err := c.dyn.Resource(resource).Namespace(ns).Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ ns, kind, name, is, look string }{
		{ns, "deployment", "first", "", ""},
		{ns, "Deployment", "second", `the API refuses the pods of Deployment second: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1`, "describe deployment second"},
		{ns, "deployment", "frist", `there is no Deployment frist in namespace ` + ns + `; there is first`, "get deployments"},
		{other, "deployment", "picky", `no node takes Pod picky-\S+: .*nodeSelector \(disk=ssd\).*`, "describe pod picky-"},
		{other, "statefulset", "book", `the API refuses the pods of StatefulSet book: error looking up service account ` + other + `/clerk: serviceaccount "clerk" not found`, "describe statefulset book"},
		{other, "daemonset", "log", `DaemonSet log runs on no node: its nodeSelector \(disk=ssd\) matches none`, "describe daemonset log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c.explains(t, tt.is, tt.look, func(ctx context.Context, w Walker) (*Link, error) { return w.Workload(ctx, tt.kind, tt.ns, tt.name) })
		})
	}
}

// What RBAC is said to grant is what the API server grants.
func TestE2ERights(t *testing.T) {
	t.Parallel()
	c := connect(t)
	binding := func(name, kind, role, subjects string) string {
		return "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: " + name + "}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: " + kind + ", name: " + role + "}, subjects: [" + subjects + "]}"
	}
	ns := c.namespace(t, "rbac", docs(
		"{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader}, rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]}",
		binding("read", "Role", "reader", "{kind: ServiceAccount, name: robot, namespace: NS}"),
		binding("lost", "Role", "raeder", "{kind: ServiceAccount, name: ghost, namespace: NS}"),
		binding("else", "ClusterRole", "view", "{kind: ServiceAccount, name: clerk, namespace: default}"),
	))
	account := func(name string) string { return "system:serviceaccount:" + ns + ":" + name }
	for _, tt := range []struct {
		user, namespace, verb, group, resource string
		allowed                                bool
		is                                     string
	}{
		{account("robot"), ns, "get", "", "pods", true, `ServiceAccount robot of namespace NS may get pods in namespace NS: RoleBinding read gives it Role reader, whose rules\[0\] allows that`},
		{account("robot"), ns, "delete", "", "pods", false, `ServiceAccount robot of namespace NS may not delete pods in namespace NS: RoleBinding read gives Role reader, whose rules\[0\] allows get and list on pods`},
		{account("robot"), ns, "get", "apps", "deployments", false, `.*gives Role reader, whose rules\[0\] allows get and list on pods in the API group ""`},
		{account("robot"), "default", "get", "", "pods", false, `.*: RoleBinding read of namespace NS counts there only`},
		{account("ghost"), ns, "get", "", "pods", false, `.*: RoleBinding lost names Role raeder, which does not exist; there is reader`},
		{account("clerk"), ns, "get", "", "pods", false, `.*: RoleBinding else names ServiceAccount clerk of namespace default`},
		{"jane", ns, "get", "", "pods", false, `User jane may not get pods in namespace NS: no RoleBinding or ClusterRoleBinding names it`},
		{"kubernetes-admin", ns, "get", "", "pods", false, `.*`},
	} {
		t.Run(tt.user+" "+tt.verb+" "+tt.resource, func(t *testing.T) {
			t.Parallel()
			spec := authorizationv1.SubjectAccessReviewSpec{User: tt.user, ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: tt.namespace, Verb: tt.verb, Group: tt.group, Resource: tt.resource,
			}}
			review, err := c.kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			c.explains(t, strings.ReplaceAll(tt.is, "NS", ns), "", func(ctx context.Context, w Walker) (*Link, error) {
				v, err := w.Can(ctx, spec)
				if err != nil {
					return nil, err
				}
				if v.Allowed != tt.allowed || v.Allowed != review.Status.Allowed {
					return nil, fmt.Errorf("allowed is %v, the server says %v: %s", v.Allowed, review.Status.Allowed, v.Is)
				}
				return &v.Link, nil
			})
		})
	}
}

// Somebody who may not look gets an error.
func TestE2EForbidden(t *testing.T) {
	t.Parallel()
	cfg := rest.CopyConfig(connect(t).cfg)
	cfg.Impersonate.UserName = "nobody"
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := Walker{Kube: kube}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "x"}}
	for name, walk := range map[string]func(context.Context) (*Link, error){
		"through":  func(ctx context.Context) (*Link, error) { return w.Through(ctx, pod, "default", "kubernetes", 443) },
		"name":     func(ctx context.Context) (*Link, error) { return w.Name(ctx, pod, "x") },
		"path":     func(ctx context.Context) (*Link, error) { return w.Path(ctx, pod, "x", 80) },
		"nodeport": func(ctx context.Context) (*Link, error) { return w.NodePort(ctx, "default", 30000) },
		"claim":    func(ctx context.Context) (*Link, error) { return w.Claim(ctx, "default", "x") },
		"workload": func(ctx context.Context) (*Link, error) { return w.Workload(ctx, "Deployment", "default", "x") },
	} {
		if link, err := walk(t.Context()); link != nil || err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("%s: got %v and %v", name, link, err)
		}
	}
}
