package explain

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kindlab-dev/kindlab/internal/nearest"
)

// route is where a Service leads, as far as it was followed.
type route struct {
	svc    *corev1.Service
	asked  int                 // the port that was asked for, or 0
	port   *corev1.ServicePort // nil where none was asked for, and where a headless Service translates none
	pods   []corev1.Pod        // the pods that get its traffic
	slices []discoveryv1.EndpointSlice
}

func (r *route) object() string { return "Service " + r.svc.Name }

func (r *route) look(resources string) string {
	return fmt.Sprintf("kubectl -n %s get %s -o wide", r.svc.Namespace, resources)
}

// noEndpoint is how every reason for a Service without endpoints begins.
func (r *route) noEndpoint() string {
	if len(r.svc.Spec.Selector) == 0 {
		return r.object() + " has no ready endpoint"
	}
	return fmt.Sprintf("%s has no ready endpoint (selector %s)", r.object(), selector(r.svc.Spec.Selector))
}

func (r *route) headless() bool { return r.svc.Spec.ClusterIP == corev1.ClusterIPNone }

// service follows a Service's TCP port to the containers behind it, up to what is certain: Service → port → selector →
// pods → their readiness → target port → EndpointSlices. Port 0 asks for no port in particular.
func (k *walk) service(ctx context.Context, namespace, name string, port int) (*route, *Link, error) {
	list, err := k.services(ctx, namespace)
	if err != nil {
		return nil, nil, err
	}
	svc := named(list, name)
	if svc == nil {
		link, err := k.noService(ctx, namespace, name, list)
		return nil, link, err
	}
	return k.behind(ctx, svc, port)
}

// behind follows the Service up to what is certain.
func (k *walk) behind(ctx context.Context, svc *corev1.Service, port int) (*route, *Link, error) {
	r := &route{svc: svc, asked: port}
	for _, step := range []func(context.Context, *route) (*Link, error){
		k.hasPort, k.selects, k.areReady, k.targets, k.published,
	} {
		if link, err := step(ctx, r); link != nil || err != nil {
			return nil, link, err
		}
	}
	return r, nil, nil
}

// noService tells what there is instead, which may be the same name elsewhere.
func (k *walk) noService(ctx context.Context, namespace, name string, list []corev1.Service) (*Link, error) {
	object, look := "Service "+name, fmt.Sprintf("kubectl -n %s get services", namespace)
	if len(list) == 0 {
		if link, err := k.namespace(ctx, namespace); link != nil || err != nil {
			return link, err
		}
	}
	is := fmt.Sprintf("there is no Service %s in namespace %s", name, namespace)
	if near := nearest.Of(name, names(list)); near != "" {
		return k.broken(object, look, "%s; there is %s", is, near), nil
	}
	all, err := k.services(ctx, everywhere)
	if err != nil {
		return nil, err
	}
	var elsewhere []string
	for _, svc := range all {
		if svc.Name == name {
			elsewhere = append(elsewhere, svc.Namespace)
		}
	}
	if len(elsewhere) > 0 {
		return k.broken(object, "kubectl get services -A",
			"%s; there is one in %s", is, many("namespace", elsewhere...)), nil
	}
	return k.broken(object, look, "%s%s", is, instead(name, names(list))), nil
}

// namespace is broken when there is none of that name.
func (k *walk) namespace(ctx context.Context, name string) (*Link, error) {
	all, err := k.namespaces(ctx)
	if err != nil || named(all, name) != nil {
		return nil, err
	}
	return k.broken("Namespace "+name, "kubectl get namespaces",
		"there is no namespace %s%s", name, instead(name, names(all))), nil
}

func (k *walk) hasPort(_ context.Context, r *route) (*Link, error) {
	spec := r.svc.Spec
	if spec.Type == corev1.ServiceTypeExternalName {
		link := k.guess(r.object(), r.look("service/"+r.svc.Name),
			"%s is of type ExternalName: its name leads to %s, and no pod stands behind it", r.object(), spec.ExternalName)
		link.Leaves = !strings.HasSuffix(strings.TrimSuffix(spec.ExternalName, "."), "."+domain)
		return link, nil
	}
	k.holds("%s is in namespace %s", r.object(), r.svc.Namespace)
	if r.asked == 0 {
		return nil, nil
	}
	var others []string
	for i, p := range spec.Ports {
		if tcp := p.Protocol == corev1.ProtocolTCP || p.Protocol == ""; tcp && int(p.Port) == r.asked {
			r.port = &spec.Ports[i]
			k.holds("%s has port %d, for port %s of its pods", r.object(), r.asked, target(p))
			return nil, nil
		}
		others = append(others, portName(p.Port, p.Protocol))
	}
	if r.headless() {
		k.holds("%s is headless, so port %d is asked of the pods themselves", r.object(), r.asked)
		return nil, nil
	}
	if int32(r.asked) > 0 && slices.Contains(others, portName(int32(r.asked), corev1.ProtocolUDP)) {
		return k.broken(r.object(), r.look("service/"+r.svc.Name),
			"%s has no port %d for TCP: it has %s", r.object(), r.asked, and(others...)).lasting(), nil
	}
	return k.broken(r.object(), r.look("service/"+r.svc.Name),
		"%s has no port %d: it has %s", r.object(), r.asked, and(others...)).lasting(), nil
}

// portName writes a port; TCP goes without saying.
func portName(port int32, protocol corev1.Protocol) string {
	if protocol == "" || protocol == corev1.ProtocolTCP {
		return strconv.Itoa(int(port))
	}
	return fmt.Sprintf("%d/%s", port, protocol)
}

func target(p corev1.ServicePort) string {
	if p.TargetPort.String() == "0" || p.TargetPort.String() == "" {
		return strconv.Itoa(int(p.Port))
	}
	return p.TargetPort.String()
}

// targets asks whether a named target port has a bearer.
func (k *walk) targets(_ context.Context, r *route) (*Link, error) {
	if r.port == nil || r.headless() || len(r.pods) == 0 {
		return nil, nil
	}
	lacking := slices.DeleteFunc(slices.Clone(r.pods), func(p corev1.Pod) bool { return portOn(&p, *r.port) != 0 })
	if len(lacking) < len(r.pods) {
		return nil, nil
	}
	is := fmt.Sprintf("%s sends to port %s of its pods, and no container of %s has a port of that name", r.object(), target(*r.port), podsIn(lacking))
	if have := declared(&lacking[0]); len(have) > 0 {
		is += ": there is " + and(have...)
	}
	return k.broken(r.object(), k.lookPorts(r), "%s", is), nil
}

func (k *walk) lookPorts(r *route) string {
	return fmt.Sprintf("kubectl -n %s get service/%s pod/%s -o yaml", r.svc.Namespace, r.svc.Name, r.pods[0].Name)
}

// portOn is the number that the Service's port comes to on a pod; 0 when it has no port of that name.
func portOn(pod *corev1.Pod, p corev1.ServicePort) int {
	if n, err := strconv.Atoi(target(p)); err == nil {
		return n
	}
	return namedPort(pod, p.TargetPort.StrVal, p.Protocol)
}

// serving are the containers that run beside each other: init containers that restart are among them.
func serving(pod *corev1.Pod) []corev1.Container {
	all := slices.Clone(pod.Spec.Containers)
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			all = append(all, c)
		}
	}
	return all
}

// namedPort is the number of a container port of that name, or 0.
func namedPort(pod *corev1.Pod, name string, protocol corev1.Protocol) int {
	for _, c := range serving(pod) {
		for _, p := range c.Ports {
			if p.Name == name && orTCP(p.Protocol) == orTCP(protocol) {
				return int(p.ContainerPort)
			}
		}
	}
	return 0
}

func orTCP(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}

// declared are the ports that the containers of a pod say they have: "http (8080)".
func declared(pod *corev1.Pod) []string {
	var all []string
	for _, c := range serving(pod) {
		for _, p := range c.Ports {
			text := portName(p.ContainerPort, p.Protocol)
			if p.Name != "" {
				text = fmt.Sprintf("%s (%s)", p.Name, text)
			}
			all = append(all, text)
		}
	}
	return all
}

// listening compares the target port with the ports that the containers declare. Declaring is a courtesy and proves
// nothing: this is the last thing to say, when all that is certain holds.
func (k *walk) listening(r *route) *Link {
	at := func(pod *corev1.Pod) int {
		if r.headless() {
			return r.asked
		}
		return portOn(pod, *r.port)
	}
	if r.asked == 0 || len(r.pods) == 0 {
		return nil
	}
	if !slices.ContainsFunc(r.pods, func(p corev1.Pod) bool { return len(declared(&p)) > 0 }) {
		link := k.guess(r.object(), k.lookPorts(r),
			"%s, and no container there declares a port", r.sends(at(&r.pods[0])))
		for _, p := range r.pods {
			link.Doors = append(link.Doors, Door{p, at(&p)})
		}
		return link
	}
	for _, p := range r.pods {
		if have := declared(&p); len(have) > 0 && !declares(&p, at(&p)) {
			link := k.guess(r.object(), k.lookPorts(r),
				"%s, and Pod %s declares %s", r.sends(at(&p)), p.Name, and(have...))
			link.Doors = []Door{{p, at(&p)}}
			return link
		}
	}
	return nil
}

func (r *route) sends(port int) string {
	if r.headless() {
		return fmt.Sprintf("%s is headless: its name leads to the pods themselves, and no port is translated; port %d is asked of them", r.object(), port)
	}
	return fmt.Sprintf("%s sends to port %d of its pods", r.object(), port)
}

func declares(pod *corev1.Pod, port int) bool {
	return slices.ContainsFunc(serving(pod), func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return int(p.ContainerPort) == port && orTCP(p.Protocol) == corev1.ProtocolTCP
		})
	})
}
