package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// resolveKind asks what a name resolves to.
type resolveKind struct{}

func (resolveKind) Name() string { return "resolve" }

// Doc explains the kind.
func (resolveKind) Doc() Doc {
	return Doc{
		Text: `Asks what a name resolves to, from inside each running pod of a set and with the pod's own resolv.conf: its
name server, its search list, its ndots. A name that must be absent is believed to be so only if the same pod resolves
another one. Where a question gets no answer at all, the cluster's name servers are asked whether they answer themselves: only
then is it the learner's doing.`,
		Example: `- resolve: {from: {pods: app=web}, name: db, to: {service: db}}
- resolve: {from: {pods: app=web}, name: db-0.db, to: {pods: statefulset.kubernetes.io/pod-name=db-0}}
- resolve: {from: {pods: app=web}, name: old-db, absent: true}
`,
		Params: resolveParams{},
	}
}

type resolveParams struct {
	From   podSet  `yaml:"from,required" doc:"the pods that ask"`
	Name   string  `yaml:"name,required" doc:"the name, as a program in the pod would use it"`
	To     *leadTo `yaml:"to" doc:"what it must resolve to; any address will do when it is left out"`
	Absent bool    `yaml:"absent" doc:"there must be no such name"`
}

// leadTo is one place that a name leads to.
type leadTo struct {
	Service string  `yaml:"service" doc:"the cluster IP of this Service, or shop/db in another namespace; of a headless one, the addresses of its ready pods"`
	Pods    *string `yaml:"pods" doc:"exactly the addresses of the ready pods with these labels, in the namespace of from"`
	Address string  `yaml:"address" doc:"exactly this IPv4 address"`
	CName   string  `yaml:"cname" doc:"an alias of this name, as a Service of type ExternalName makes"`
}

func (resolveKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p resolveParams
	problems := n.Decode(&p)
	problems = append(problems, p.From.compile(s, n.Field("from"))...)
	r := resolve{from: p.From, name: p.Name, absent: p.Absent, about: focusOf(s.Touches), past: &past{}}
	if p.Absent && p.To != nil {
		problems = append(problems, n.Field("absent").Problem("expected either to or absent: true"))
	}
	if p.To != nil {
		problems = append(problems, r.leads(s, *p.To, n.Field("to"))...)
	}
	return r, problems
}

func (r *resolve) leads(s Scope, to leadTo, n lab.Node) lab.Problems {
	given := 0
	for _, there := range []bool{to.Service != "", to.Pods != nil, to.Address != "", to.CName != ""} {
		if there {
			given++
		}
	}
	if given != 1 {
		return lab.Problems{n.Problem("expected one of service, pods, address and cname")}
	}
	r.address, r.cname = to.Address, strings.TrimSuffix(to.CName, ".")
	switch {
	case to.Service != "":
		ns, name, other := strings.Cut(to.Service, "/")
		if !other {
			ns, name = s.Namespace, to.Service
		}
		r.service = &lab.Ref{Namespace: ns, Kind: "service", Name: name}
	case to.Pods != nil:
		r.pods = &podSet{Pods: *to.Pods, Namespace: r.from.Namespace}
		return r.pods.compile(s, n)
	case to.Address != "":
		if ip, err := netip.ParseAddr(to.Address); err != nil || !ip.Is4() {
			return lab.Problems{n.Field("address").Problem("expected an IPv4 address, found %q", to.Address)}
		}
	}
	return nil
}

type resolve struct {
	from    podSet
	name    string
	absent  bool
	service *lab.Ref
	pods    *podSet
	address string
	cname   string
	about   focus
	past    *past
}

func (resolve) Changes() bool { return false }

func (r resolve) Objects() []Dependency {
	ns := r.from.Namespace
	deps := append(r.about.objects(), []Dependency{
		r.from.object(),
		{Resource: services, Namespace: ns},
		{Resource: endpointSlices, Namespace: ns},
		{Resource: policies, Namespace: ns},
	}...)
	if r.pods != nil {
		deps = append(deps, r.pods.object())
	}
	if r.service != nil && r.service.Namespace != ns {
		deps = append(deps, Dependency{Resource: services, Namespace: r.service.Namespace},
			Dependency{Resource: endpointSlices, Namespace: r.service.Namespace})
	}
	return deps
}

func (r resolve) Run(ctx context.Context, c *Cluster) error {
	clients, err := r.from.running(ctx, c)
	if err != nil {
		return err
	}
	start, wait := time.Now(), c.patience(ctx, r.Objects(), clients, r.past)
	for {
		worst, err := r.ask(ctx, c, clients)
		f, no := errors.AsType[*Failure](err)
		if err != nil && !no {
			return err
		}
		r.past.note(start, !no)
		if !no {
			return nil
		}
		if f.Settling = f.Settling || wait.disbelieves(worst) && !c.final(ctx, f, r.Objects()); !f.Settling {
			if unsound := c.sound(ctx, r.about, nodesOf(clients)...); unsound != nil {
				return unsound
			}
			return err
		}
		if c.Quick {
			return err
		}
		if pause(ctx, probe.Interval) != nil || time.Since(wait.start) > youth {
			return err
		}
	}
}

// ask looks once from every client.
func (r resolve) ask(ctx context.Context, c *Cluster, clients []corev1.Pod) (probe.Outcome, error) {
	want, err := r.want(ctx, c)
	if err != nil {
		return probe.Outcome{}, err
	}
	var jobs []probe.Job
	for _, p := range clients {
		jobs = append(jobs, r.questions(p)...)
	}
	out := c.Prober.Probe(ctx, jobs)
	each := len(jobs) / len(clients)
	for i, p := range clients {
		o := out[i*each : (i+1)*each]
		if r.absent {
			if o[0].Result == dial.DNSFailed || o[0].Result == dial.DNSTimeout {
				o[0] = o[1]
			}
			if control := o[2]; o[0].Result == dial.NXDomain && control.Result != dial.OK {
				return control, fmt.Errorf("no positive control: pod %s does not resolve kubernetes.default either (%s %s), so it proves nothing that %s is absent",
					p.Name, control.Result, control.Detail, r.name)
			}
		}
		if r.cname != "" && o[0].Result == dial.NXDomain && o[1].Result == dial.OK {
			o[0] = o[1] // it resolves, and is no alias
		}
		if err := r.judge(ctx, c, p, o[0], want); err != nil {
			return o[0], err
		}
	}
	return probe.Outcome{}, nil
}

// questions are what is asked from one pod. Of an alias they are two: the alias, and whether the name leads anywhere at
// all. Of a name that must be absent they are three: the name, as a program would
// look it up; the name in the cluster's own domain only, for what is passed on to a server outside is not answered where
// there is no network; and one that is always there, as a positive control.
func (r resolve) questions(from corev1.Pod) []probe.Job {
	j := jobFrom(from)
	j.Proto, j.Host, j.Timeout = dial.DNS, r.name, 2*allowTimeout
	if !r.absent {
		j.Inside = r.service != nil || r.pods != nil
		if r.cname != "" {
			plain := j
			plain.Inside, j.Record = true, "CNAME"
			return []probe.Job{j, plain}
		}
		return []probe.Job{j}
	}
	inside, control := j, j
	inside.Inside = true
	control.Host, control.Inside = "kubernetes.default", true
	return []probe.Job{j, inside, control}
}

// want is the addresses that the name must have, sorted; nil when any will do.
func (r resolve) want(ctx context.Context, c *Cluster) ([]string, error) {
	switch {
	case r.address != "":
		return []string{r.address}, nil
	case r.pods != nil:
		return readyAddresses(ctx, c, r.pods)
	case r.service == nil:
		return nil, nil
	}
	svc, err := c.Kube.CoreV1().Services(r.service.Namespace).Get(ctx, r.service.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, missing(*r.service)
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", r.service, err)
	case svc.Spec.ClusterIP != corev1.ClusterIPNone:
		return []string{svc.Spec.ClusterIP}, nil
	}
	slicesOf := metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + svc.Name}
	list, err := c.Kube.DiscoveryV1().EndpointSlices(svc.Namespace).List(ctx, slicesOf)
	if err != nil {
		return nil, fmt.Errorf("listing EndpointSlices: %w", err)
	}
	var ips []string
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			if ready := e.Conditions.Ready; ready == nil || *ready {
				ips = append(ips, e.Addresses...)
			}
		}
	}
	if len(ips) == 0 {
		return nil, &Failure{
			Is: fmt.Sprintf("headless service/%s has no ready endpoint", svc.Name), Want: "the addresses of its pods",
			Look: fmt.Sprintf("kubectl -n %s get endpointslices,pods -o wide", svc.Namespace),
		}
	}
	slices.Sort(ips)
	return slices.Compact(ips), nil
}

func readyAddresses(ctx context.Context, c *Cluster, set *podSet) ([]string, error) {
	found, err := set.running(ctx, c)
	if err != nil {
		return nil, err
	}
	var ips []string
	for i := range found {
		if podReady(&found[i]) {
			ips = append(ips, found[i].Status.PodIP)
		}
	}
	if len(ips) == 0 {
		return nil, set.unready(found, c.Clock)
	}
	slices.Sort(ips)
	return ips, nil
}

// judge compares one pod's answer with what it should be.
func (r resolve) judge(ctx context.Context, c *Cluster, from corev1.Pod, o probe.Outcome, want []string) error {
	found := slices.Sorted(slices.Values(o.Addresses))
	f := &Failure{Look: r.look()}
	switch {
	case !o.Result.Named():
		return fmt.Errorf("looking %s up from pod %s: %s", r.name, from.Name, o.Detail)
	case r.absent && o.Result == dial.NXDomain:
		return nil
	case o.Result == dial.NXDomain:
		f.Is, f.Want = fmt.Sprintf("%s does not resolve in pod %s (%s)", r.name, from.Name, o.Result), r.wanted(want)
	case o.Result != dial.OK:
		// A question that gets no answer: is it this pod's, or everybody's?
		if err := c.namesAnswered(ctx, r.about); err != nil {
			return fmt.Errorf("looking %s up from pod %s: %w", r.name, from.Name, err)
		}
		f.Is, f.Want = fmt.Sprintf("pod %s gets no answer when it looks %s up (%s)", from.Name, r.name, o.Result), r.wanted(want)
	case r.absent:
		f.Is, f.Want = fmt.Sprintf("%s resolves to %s in pod %s", r.name, strings.Join(found, ", "), from.Name), "no such name"
	case r.cname != "" && o.CName == "":
		f.Is, f.Want = fmt.Sprintf("%s resolves to %s in pod %s, and is no alias", r.name, strings.Join(found, ", "), from.Name), r.wanted(want)
	case r.cname != "" && !strings.EqualFold(o.CName, r.cname):
		f.Is, f.Want = fmt.Sprintf("%s is an alias of %s in pod %s", r.name, o.CName, from.Name), r.wanted(want)
	case r.cname == "" && want != nil && !slices.Equal(found, want):
		f.Is, f.Want = fmt.Sprintf("%s resolves to %s in pod %s", r.name, strings.Join(found, ", "), from.Name), r.wanted(want)
	default:
		return nil
	}
	if o.Result == dial.OK {
		f.certain = r.follows(ctx, c, &from, o)
	}
	if r.absent || o.Result == dial.OK {
		return f
	}
	return f.explained(c.walker().Name(ctx, &from, r.name))
}

// follows tells whether an answer is the one that the API's objects lead to, so that it is no lag of the cluster's DNS.
func (r resolve) follows(ctx context.Context, c *Cluster, from *corev1.Pod, o probe.Outcome) bool {
	said, err := c.walker().Answer(ctx, from, r.name)
	switch {
	case err != nil || said == nil:
		return false
	case said.Alias != "":
		return strings.EqualFold(strings.TrimSuffix(o.CName, "."), said.Alias)
	case said.Headless && time.Since(c.lastChange(ctx, r.Objects())) < calm:
		return false
	}
	return slices.Equal(slices.Sorted(slices.Values(o.Addresses)), said.Addresses)
}

func (r resolve) wanted(want []string) string {
	switch {
	case r.absent:
		return "no such name"
	case r.cname != "":
		return "an alias of " + r.cname
	case r.service != nil:
		return fmt.Sprintf("%s (%s)", strings.Join(want, ", "), r.service)
	case r.pods != nil:
		return fmt.Sprintf("%s (the pods with labels %s)", strings.Join(want, ", "), r.pods.Pods)
	case r.address != "":
		return r.address
	default:
		return "an address"
	}
}

func (r resolve) look() string {
	return fmt.Sprintf("kubectl -n %s get services,endpointslices -o wide", r.from.Namespace)
}
