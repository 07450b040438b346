//go:build e2e

// The packet-sending kinds, each on a real cluster: right, wrong, and could not look.
package check_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
	"github.com/kindlab-dev/kindlab/internal/site/sitetest"
)

const (
	shop   = "probes-shop"
	street = "probes-street"
)

// The pods of the shop, and one in the street: each answers over HTTP and UDP with its name.
const scenery = `
apiVersion: v1
kind: Namespace
metadata: {name: probes-shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: probes-street}
`

// workload is a deployment of servers.
func workload(ns, name string, replicas int, extra string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: %[1]s, name: %[2]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s, tier: all}}
    spec:
      terminationGracePeriodSeconds: 10
      %[4]s
      containers:
      - name: server
        image: registry.k8s.io/e2e-test-images/agnhost:2.66.1
        args: [netexec, --http-port=8080, --udp-port=8081, --delay-shutdown=4]
        readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}
`, ns, name, replicas, extra)
}

func service(name, selector string, extra string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {namespace: probes-shop, name: %s}
spec: {selector: {%s}, ports: [{name: http, port: 80, targetPort: 8080%s}]}
`, name, selector, extra)
}

// withSpec adds to a Service's spec.
func withSpec(service, more string) string {
	return strings.Replace(service, "spec: {", "spec: {"+more+", ", 1)
}

const alias = `
apiVersion: v1
kind: Service
metadata: {namespace: probes-shop, name: alias}
spec: {type: ExternalName, externalName: web.probes-shop.svc.cluster.local}
`

const denyDB = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: probes-shop, name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: front}}}]}]
`

// apply puts objects on the cluster by server-side apply.
func apply(t *testing.T, c *check.Cluster, manifests ...string) {
	t.Helper()
	for one := range strings.SplitSeq(strings.Join(manifests, "---\n"), "---\n") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		var u unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(one), &u.Object); err != nil {
			t.Fatal(err)
		}
		m, err := c.Mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Owner.Dynamic.Resource(m.Resource).Namespace(u.GetNamespace()).
			Apply(t.Context(), u.GetName(), &u, metav1.ApplyOptions{FieldManager: "e2e", Force: true})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t *testing.T, c *check.Cluster, resource schema.GroupVersionResource) {
	t.Helper()
	err := c.Owner.Dynamic.Resource(resource).Namespace(shop).Delete(t.Context(), "db", metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
}

func policies() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"}
}

// compile reads a check as a lab writes it.
func compile(t *testing.T, text string) check.Check {
	t.Helper()
	head := `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: one, topic: basics}
spec:
  title: One
  level: beginner
  minutes: 5
  namespaces: [probes-shop, probes-street]
  setup: {apply: setup}
  solutions: []
  mistakes: []
  tasks:
  - name: first
    title: First
    checks:
    - `
	labs, err := lab.Catalogue(fstest.MapFS{"basics/one/lab.yaml": {Data: []byte(head + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ") + "\n")}})
	if err != nil {
		t.Fatal(err)
	}
	c, problems := check.Builtin().Compile(check.ScopeOf(labs[0]), labs[0].Tasks[0].Checks[0])
	if problems != nil {
		t.Fatalf("compiling %s: %v", text, problems)
	}
	return c
}

// grade runs a check as the grader does: again while it settles.
func grade(t *testing.T, c *check.Cluster, one check.Check) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := one.Run(ctx, c)
		f, no := errors.AsType[*check.Failure](err)
		if !no || !f.Settling || ctx.Err() != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// want is a verdict: "" is a yes, "unknown: …" that it could not look, anything else a no in these words.
func want(t *testing.T, c *check.Cluster, text, verdict string) {
	t.Helper()
	start := time.Now()
	err := grade(t, c, compile(t, text))
	_, no := errors.AsType[*check.Failure](err)
	why, unknown := strings.CutPrefix(verdict, "unknown: ")
	switch {
	case verdict == "" && err != nil,
		verdict != "" && (err == nil || no == unknown || !strings.Contains(err.Error(), why)):
		t.Errorf("%s\ngot  %v (a no: %t)\nwant %s", text, err, no, verdict)
	default:
		t.Logf("%4d ms  %.90s: %v", time.Since(start).Milliseconds(), strings.Join(strings.Fields(text), " "), err)
	}
}

// scene sets the shop up and waits for it.
func scene(t *testing.T, c *check.Cluster) {
	t.Helper()
	t.Cleanup(func() {
		for _, ns := range []string{shop, street} {
			if err := c.Owner.Kube.CoreV1().Namespaces().Delete(context.Background(), ns, metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	apply(t, c, scenery,
		workload(shop, "front", 1, ""), workload(shop, "guest", 1, ""), workload(shop, "db", 2, ""),
		workload(shop, "web", 3, ""), workload(shop, "canary", 1, ""), workload(street, "stranger", 1, ""),
		strings.ReplaceAll(strings.ReplaceAll(workload(shop, "host", 1, "hostNetwork: true\n      dnsPolicy: ClusterFirstWithHostNet"), "808", "2808"), "tier: all", "tier: none"),
		strings.Replace(workload(shop, "solo", 1, ""), "  selector:", "  strategy: {type: Recreate}\n  selector:", 1), service("solo", "app: solo", ""),
		service("web", "app: web", ""), withSpec(service("gate", "app: web", ", nodePort: 32481"), "type: NodePort"),
		service("mixed", "tier: all", ""), withSpec(service("pods", "app: db", ""), "clusterIP: None"), alias,
	)
	for _, ref := range []string{"front", "guest", "db", "web", "canary", "host", "solo", "probes-street/deployment/stranger"} {
		if !strings.Contains(ref, "/") {
			ref = "deployment/" + ref
		}
		want(t, c, "rollout: {of: "+ref+"}", "")
	}
}

func TestProbesOnARealCluster(t *testing.T) {
	open, _ := sitetest.Open(t)
	c := open.Cluster
	scene(t, c)

	t.Run("from the nodes", func(t *testing.T) { policyTables(t, c) })
	t.Run("from ephemeral containers", func(t *testing.T) {
		session := probe.OpenPods(c.Owner.Kube, c.Owner.Config)
		t.Cleanup(func() { _ = session.Close() })
		pods := *c
		pods.Prober = session
		policyTables(t, &pods)
		want(t, &pods, `http: {from: {pods: app=front}, url: "http://web/hostname", by: {pods: app=web}}`, "")
		want(t, &pods, `resolve: {from: {pods: app=front}, name: web, to: {service: web}}`, "")
		want(t, &pods, `node: {nodes: all, process: kubelet}`, "unknown: take no commands")
		want(t, &pods, `http: {from: {node: any}, url: "http://web/hostname"}`, "unknown: take no commands")
	})
	t.Run("http", func(t *testing.T) { httpKinds(t, c) })
	t.Run("resolve", func(t *testing.T) { resolveKinds(t, c) })
	t.Run("inside", func(t *testing.T) { insideKinds(t, c) })
	t.Run("quick", func(t *testing.T) { quickLooks(t, c) })
	t.Run("changes", func(t *testing.T) { changeKinds(t, c) })
	t.Run("ports that got no answer", func(t *testing.T) { stalePorts(t, c) })
	t.Run("a table, 100 times", func(t *testing.T) { hundredTables(t, c) })
}

func table(protocol string, port int, expect ...string) string {
	return fmt.Sprintf(`reach:
  clients: {front: {pods: app=front}, guest: {pods: app=guest}, stranger: {pods: app=stranger, namespace: probes-street}}
  targets: {db: {pods: app=db, port: %d, protocol: %s}}
  expect: |
    from      db
    %s`, port, protocol, strings.Join(expect, "\n    "))
}

// policyTables are without a policy, with one, and with it gone again, by TCP and by UDP.
func policyTables(t *testing.T, c *check.Cluster) {
	t.Helper()
	for protocol, port := range map[string]int{"tcp": 8080, "udp": 8081} {
		open := table(protocol, port, "front     allow", "guest     allow", "stranger  allow")
		closed := table(protocol, port, "front     allow", "guest     deny", "stranger  deny")
		remove(t, c, policies())
		want(t, c, open, "")
		want(t, c, closed, "guest still reaches db; stranger still reaches db")
		apply(t, c, denyDB)
		want(t, c, closed, "")
		want(t, c, open, "guest cannot reach db (")
		remove(t, c, policies())
		want(t, c, open, "")
		// Nobody listens there, not even for the pods themselves.
		want(t, c, table(protocol, 9, "front     deny", "guest     deny", "stranger  deny"), "unknown: no positive control: pod db-")
	}
}

func httpKinds(t *testing.T, c *check.Cluster) {
	t.Helper()
	want(t, c, `http: {from: {pods: app=front}, url: "http://web/hostname", by: {pods: app=web}, every: true}`, "")
	want(t, c, `http: {from: {pods: app=front}, url: "http://web/hostname", by: {pods: app=db}}`, "is answered by web-")
	want(t, c, `http: {from: {pods: app=front}, url: "http://wep/hostname"}`, "there is no Service wep")
	want(t, c, `http: {from: {pods: app=front}, url: "http://web/echo?msg=good%20bread", body: {equals: good bread}}`, "")
	want(t, c, `http: {from: {pods: app=front}, url: "http://web/echo?msg=stale%20bread", body: {matches: "^good"}}`, `with "stale bread", want a body that matches ^good`)
	want(t, c, `http: {outside: true, url: "http://{node}:32481/hostname", by: {pods: app=web}}`, "")
	want(t, c, `http: {outside: true, url: "http://{node}:32482/hostname"}`, "has node port 32482")
	want(t, c, `http: {outside: true, deny: true, url: "http://{node}:32482/hostname", by: {pods: app=web}}`, "")
	want(t, c, `http: {outside: true, deny: true, url: "http://{node}:32481/hostname", by: {pods: app=web}}`, "still answers through node")
	want(t, c, `http: {from: {node: all}, url: "http://web/hostname", by: {pods: app=web}}`, "")
	want(t, c, `http: {from: {node: any}, url: "http://{node}:32481/hostname"}`, "")
	want(t, c, `http: {from: {node: any}, url: "http://wep/hostname"}`, "there is no Service wep with a cluster IP")
	want(t, c, `http: {from: {node: nowhere}, url: "http://web/hostname"}`, "unknown: no node nowhere")
	// The host's network: the pod asks from the node's own namespace, with its own resolv.conf.
	want(t, c, `http: {from: {pods: app=host}, url: "http://web.probes-shop/hostname", by: {pods: app=web}}`, "")
	// Three of the nine pods behind it.
	want(t, c, `http: {from: {pods: app=front}, url: "http://mixed/hostname", share: {of: {pods: app=web}, between: [20, 50]}}`, "")
	want(t, c, `http: {from: {pods: app=front}, url: "http://web/hostname", share: {of: {pods: app=canary}, between: [10, 30]}}`, "0 of 256 answers")

	// Denied, and asked before the network can have heard of it: that it still answers is no yes.
	apply(t, c, denyDB)
	want(t, c, `http: {from: {pods: app=guest}, url: "http://pods:8080/hostname"}`, "does not answer from pod guest-")
	remove(t, c, policies())
	want(t, c, `http: {from: {pods: app=guest}, url: "http://pods:8080/hostname"}`, "")

	// A host without a route to the nodes: their neighbours ask.
	detour := *c
	detour.Prober = noRoute{c.Prober}
	want(t, &detour, `http: {outside: true, url: "http://{node}:32481/hostname", by: {pods: app=web}}`, "")
	want(t, &detour, `http: {outside: true, url: "http://{node}:32482/hostname"}`, "does not answer through node")
	want(t, &detour, `http: {outside: true, deny: true, url: "http://{node}:32481/hostname", by: {pods: app=web}}`, "still answers through node")
}

// noRoute is a host from which nothing reaches the nodes.
type noRoute struct{ check.Prober }

func (n noRoute) Probe(ctx context.Context, jobs []probe.Job) []probe.Outcome {
	out := make([]probe.Outcome, len(jobs))
	for i, j := range jobs {
		if j.Node == "" {
			out[i] = probe.Outcome{Result: dial.Timeout, Detail: "no route"}
			continue
		}
		out[i] = n.Prober.Probe(ctx, []probe.Job{j})[0]
	}
	return out
}

func resolveKinds(t *testing.T, c *check.Cluster) {
	t.Helper()
	want(t, c, `resolve: {from: {pods: app=front}, name: web, to: {service: web}}`, "")
	want(t, c, `resolve: {from: {pods: app=host}, name: web.probes-shop, to: {service: web}}`, "")
	want(t, c, `resolve: {from: {pods: app=stranger, namespace: probes-street}, name: web.probes-shop, to: {service: probes-shop/web}}`, "")
	want(t, c, `resolve: {from: {pods: app=stranger, namespace: probes-street}, name: web, to: {service: web}}`, "web does not resolve in pod stranger-")
	want(t, c, `resolve: {from: {pods: app=front}, name: pods, to: {pods: app=db}}`, "")
	want(t, c, `resolve: {from: {pods: app=front}, name: pods, to: {service: pods}}`, "")
	want(t, c, `resolve: {from: {pods: app=front}, name: pods, to: {pods: app=web}}`, "pods resolves to")
	want(t, c, `resolve: {from: {pods: app=front}, name: web, to: {address: 10.0.0.1}}`, "want 10.0.0.1")
	want(t, c, `resolve: {from: {pods: app=front}, name: alias, to: {cname: web.probes-shop.svc.cluster.local}}`, "")
	want(t, c, `resolve: {from: {pods: app=front}, name: alias, to: {cname: db}}`, "alias is an alias of web.probes-shop.svc.cluster.local")
	want(t, c, `resolve: {from: {pods: app=front}, name: old, absent: true}`, "")
	want(t, c, `resolve: {from: {pods: app=front}, name: web, absent: true}`, "web resolves to")

	// A policy that lets no question out: the learner's doing, as the name servers answer themselves.
	apply(t, c, strings.Replace(strings.Replace(denyDB, "policyTypes: [Ingress]", "policyTypes: [Egress]", 1), "  ingress: [{from: [{podSelector: {matchLabels: {app: front}}}]}]", "  egress: []", 1))
	want(t, c, `reach: {clients: {db: {pods: app=db}}, targets: {names: {lookup: web}}, expect: "from names\ndb deny"}`, "")
	want(t, c, `resolve: {from: {pods: app=db}, name: web, to: {service: web}}`, "gets no answer when it looks web up (dns-")
	want(t, c, `resolve: {from: {pods: app=db}, name: old, absent: true}`, "gets no answer")
	want(t, c, `http: {from: {pods: app=db}, url: "http://web/hostname"}`, "does not answer from pod db-")
	remove(t, c, policies())
	want(t, c, `resolve: {from: {pods: app=db}, name: web, to: {service: web}}`, "")
}

func insideKinds(t *testing.T, c *check.Cluster) {
	t.Helper()
	want(t, c, `exec: {in: {pods: app=web}, run: [sh, -c, "echo bread"], stdout: {equals: bread}}`, "")
	want(t, c, `exec: {in: {pods: app=web}, run: [sh, -c, "echo stale; exit 3"], exitCode: 3}`, "")
	want(t, c, `exec: {in: {pods: app=web}, run: [sh, -c, "exit 3"]}`, "ends with exit code 3, want 0")
	want(t, c, `exec: {in: {pods: app=web}, run: [sh, -c, "echo stale"], stdout: {contains: good}}`, `writes "stale"`)
	want(t, c, `exec: {in: {pods: app=web}, run: [no-such-command]}`, "has no command no-such-command")
	want(t, c, `exec: {in: {pods: app=web}, run: [sleep, "30"], seconds: 1}`, "unknown: did not end within 1s")
	want(t, c, `exec: {in: {pods: app=web}, container: nope, run: [id]}`, "has no container nope")
	want(t, c, `logs: {of: {pods: app=web}, contains: "Started HTTP server on port 8080"}`, "")
	want(t, c, `logs: {of: {pods: app=web}, contains: "Started HTTP server on port 9"}`, "has no such line")
	want(t, c, `logs: {of: {pods: app=web}, lacks: "Started UDP"}`, "says")
	want(t, c, `logs: {of: {pods: app=web}, contains: x, previous: true}`, "has not been restarted")
	want(t, c, `logs: {of: {pods: app=nobody}, contains: x}`, "no pod has labels app=nobody")
	want(t, c, `node: {nodes: all, process: kubelet}`, "")
	want(t, c, `node: {nodes: worker, process: kube-apiserver, absent: true}`, "")
	want(t, c, `node: {nodes: control-plane, process: kube-controller-manager}`, "")
	want(t, c, `node: {nodes: control-plane, process: kube-apiserver, absent: true}`, "kube-apiserver is running on node")
	want(t, c, `node: {nodes: control-plane, file: /etc/kubernetes/manifests/kube-apiserver.yaml, contains: {matches: "kind: Pod"}}`, "")
	want(t, c, `node: {nodes: worker, file: /etc/kubernetes/manifests/kube-apiserver.yaml}`, "has no /etc/kubernetes")
	want(t, c, `node: {nodes: all, file: /etc/hostname, contains: {equals: x}}`, "is otherwise")
	want(t, c, `node: {nodes: all, run: [cat, /nope], exitCode: 1}`, "")
	want(t, c, `node: {nodes: all, run: [uname, -s], contains: {equals: Linux}}`, "")
	want(t, c, `node: {nodes: all, run: [no-such-command]}`, "unknown: has no command")
	want(t, c, `node: {nodes: nowhere, process: kubelet}`, "unknown: no node that is meant")

	// A broken stream is no answer of the command's.
	away := *c
	config := *c.Owner.Config
	config.Host = "https://127.0.0.1:1"
	clients, err := check.NewClients(&config)
	if err != nil {
		t.Fatal(err)
	}
	away.Owner = clients
	want(t, &away, `exec: {in: {pods: app=web}, run: [id]}`, "unknown: running a command in pod web-")
}

// quickLooks never wait. What is wrong is settling for a while and then wrong, what is right is green at once.
func quickLooks(t *testing.T, c *check.Cluster) {
	t.Helper()
	quick := *c
	quick.Quick = true
	closed := compile(t, table("tcp", 8080, "front     allow", "guest     deny", "stranger  deny"))
	look := func() (verdict string, took time.Duration) {
		start := time.Now()
		err := closed.Run(t.Context(), &quick)
		f, no := errors.AsType[*check.Failure](err)
		switch {
		case err == nil:
			verdict = "right"
		case !no:
			verdict = "unknown: " + err.Error()
		case f.Settling:
			verdict = "settling"
		default:
			verdict = "wrong"
		}
		return verdict, time.Since(start)
	}
	follow := func(end string) {
		var seen []string
		start := time.Now()
		for {
			verdict, took := look()
			if took > 3*time.Second {
				t.Errorf("a quick look took %s", took)
			}
			if len(seen) == 0 || seen[len(seen)-1] != verdict {
				seen = append(seen, verdict)
				t.Logf("%s after %s, in %s", verdict, time.Since(start).Round(time.Millisecond), took.Round(time.Millisecond))
			}
			if verdict == end {
				break
			}
			if time.Since(start) > 20*time.Second {
				t.Fatalf("saw %q and never %s", seen, end)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if slices.Contains(seen[:len(seen)-1], "wrong") && end != "right" {
			t.Errorf("saw %q on the way to %s", seen, end)
		}
	}
	follow("wrong")
	apply(t, c, denyDB)
	follow("right")
	remove(t, c, policies())
	follow("wrong")
}

// onePod is a pod of the shop that stays.
func onePod(t *testing.T, c *check.Cluster, selector string) corev1.Pod {
	t.Helper()
	list, err := c.Owner.Kube.CoreV1().Pods(shop).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp == nil })
	if i < 0 {
		t.Fatalf("no pod has labels %s", selector)
	}
	return list.Items[i]
}

func changeKinds(t *testing.T, c *check.Cluster) {
	t.Helper()
	base := `http: {from: {pods: app=front}, url: "http://web/hostname", by: {pods: app=web}, during: `
	want(t, c, base+`{restart: deployment/web}}`, "")
	want(t, c, base+`{delete: pod/`+onePod(t, c, "app=web").Name+`}}`, "")
	want(t, c, base+`{restart: deployment/nope}}`, "deployment/nope does not exist")
	// All at once, and nobody is left to answer.
	want(t, c, `http: {from: {pods: app=front}, url: "http://solo/hostname", during: {restart: deployment/solo}}`, "failed while deployment/solo was restarted; the first after")
}

// hundredTables are right every time.
func hundredTables(t *testing.T, c *check.Cluster) {
	t.Helper()
	apply(t, c, denyDB)
	four := compile(t, `reach:
  clients:
    front: {pods: app=front}
    guest: {pods: app=guest}
    canary: {pods: app=canary}
    stranger: {pods: app=stranger, namespace: probes-street}
  targets:
    db: {pods: app=db, port: 8080}
    dbudp: {pods: app=db, port: 8081, protocol: udp}
    web: {pods: app=web, port: 8080}
  expect: |
    from      db     dbudp  web
    front     allow  allow  allow
    guest     deny   deny   allow
    canary    deny   deny   allow
    stranger  deny   deny   allow`)
	if err := grade(t, c, four); err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for range 100 {
		start := time.Now()
		if err := four.Run(t.Context(), c); err != nil {
			t.Error(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("100 tables of 4x3: median %s, p95 %s, longest %s", took[50].Round(time.Millisecond), took[95].Round(time.Millisecond), took[99].Round(time.Millisecond))
}
