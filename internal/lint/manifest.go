package lint

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// pods visits the specs of pods in objects: whatever has containers.
func pods(objects []node, visit func(spec node)) {
	for _, o := range objects {
		o.walk(func(_ string, n node) {
			if n.at("containers").items() != nil {
				visit(n)
			}
		})
	}
}

// images are the containers' images. Those of mistakes are nobody's concern: a wrong image may be the mistake.
func (s *scene) imageNodes() []node {
	var images []node
	for _, p := range slices.Concat([]part{s.setup}, s.solutions) {
		pods(p.objects, func(spec node) {
			for _, c := range slices.Concat(spec.at("initContainers").items(), spec.at("containers").items()) {
				if n := c.at("image"); n.text() != "" {
					images = append(images, n)
				}
			}
		})
	}
	return images
}

func imageTags(s *scene) []Finding {
	var found []Finding
	for _, n := range s.imageNodes() {
		_, tag, tagged := strings.Cut(path.Base(n.text()), ":")
		switch {
		case strings.Contains(n.text(), "@sha256:"):
		case !tagged:
			found = append(found, n.says(fmt.Sprintf("image %s has no tag, and means latest", n.text())))
		case tag == "latest":
			found = append(found, n.says(fmt.Sprintf("image %s is another one every day", n.text())))
		}
	}
	return found
}

func unknownImages(s *scene) []Finding {
	var found []Finding
	for _, n := range s.imageNodes() {
		if !slices.Contains(s.images, n.text()) && !s.reasoned(n) {
			f := n.says(fmt.Sprintf("image %s is not on the nodes", n.text()))
			f.Remedy = "take one of " + strings.Join(s.images, ", ") + ", or say in a comment beside it why not"
			found = append(found, f)
		}
	}
	return found
}

// privileged finds pods that own their node. A lab may come from anywhere: no reason is good enough, but for a mistake
// that is about it.
func privileged(s *scene) []Finding {
	var found []Finding
	for i, p := range s.parts() {
		isMistake := i > len(s.solutions)
		for _, o := range p.objects {
			o.walk(func(key string, n node) {
				if key == "privileged" && n.text() == "true" && (!isMistake || !s.reasoned(n)) {
					f := n.says("a privileged container: it owns the node, and what the node runs on")
					if isMistake {
						f.Remedy = "do it without, or say in a comment beside it why this mistake needs it"
					}
					found = append(found, f)
				}
			})
		}
	}
	return found
}

// hostAccess finds what reaches beyond the pod.
func hostAccess(s *scene) []Finding {
	strong := []string{"ALL", "BPF", "DAC_READ_SEARCH", "NET_ADMIN", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"}
	var found []Finding
	look := func(key string, n node) (what string) {
		switch {
		case slices.Contains([]string{"hostNetwork", "hostPID", "hostIPC"}, key) && n.text() == "true":
			return key
		case key == "hostPath" && n.pairs() != nil:
			return "hostPath " + n.at("path").text()
		case key == "hostPort" && n.text() != "" && n.text() != "0":
			return "hostPort " + n.text()
		case key == "roleRef" && n.at("name").text() == "cluster-admin":
			return "cluster-admin"
		case key == "capabilities":
			for _, name := range n.at("add").texts() {
				if slices.Contains(strong, strings.TrimPrefix(name, "CAP_")) {
					return "capability " + name
				}
			}
		}
		return ""
	}
	for _, p := range s.parts() {
		for _, o := range p.objects {
			o.walk(func(key string, n node) {
				if what := look(key, n); what != "" && !s.reasoned(n) {
					found = append(found, n.says(what+" reaches beyond the lab"))
				}
			})
		}
	}
	return found
}

// maxGrace is how long a pod of the setup may take to go, in seconds: resets wait for it.
const maxGrace = 5

func slowPods(s *scene) []Finding {
	var found []Finding
	pods(s.setup.objects, func(spec node) {
		grace := spec.at("terminationGracePeriodSeconds")
		seconds, err := strconv.Atoi(grace.text())
		switch {
		case grace.yaml == nil:
			found = append(found, spec.says("pods that ignore SIGTERM take 30 s to go"))
		case err == nil && seconds > maxGrace && !s.reasoned(grace):
			found = append(found, grace.says(fmt.Sprintf("pods that may take %d s to go", seconds)))
		}
	})
	return found
}

// An oldAPI is one that Kubernetes does not have any more, or is about to lose. An empty kind means all.
type oldAPI struct{ version, kind, now string }

func oldAPIList() []oldAPI {
	return []oldAPI{
		{"extensions/v1beta1", "Ingress", "networking.k8s.io/v1"},
		{"extensions/v1beta1", "NetworkPolicy", "networking.k8s.io/v1"},
		{"extensions/v1beta1", "", "apps/v1"},
		{"apps/v1beta1", "", "apps/v1"},
		{"apps/v1beta2", "", "apps/v1"},
		{"policy/v1beta1", "PodSecurityPolicy", "the labels of Pod Security admission on the namespace"},
		{"policy/v1beta1", "", "policy/v1"},
		{"batch/v1beta1", "", "batch/v1"},
		{"batch/v2alpha1", "", "batch/v1"},
		{"networking.k8s.io/v1beta1", "", "networking.k8s.io/v1"},
		{"rbac.authorization.k8s.io/v1beta1", "", "rbac.authorization.k8s.io/v1"},
		{"autoscaling/v2beta1", "", "autoscaling/v2"},
		{"autoscaling/v2beta2", "", "autoscaling/v2"},
		{"storage.k8s.io/v1beta1", "", "storage.k8s.io/v1"},
		{"discovery.k8s.io/v1beta1", "", "discovery.k8s.io/v1"},
		{"scheduling.k8s.io/v1beta1", "", "scheduling.k8s.io/v1"},
		{"coordination.k8s.io/v1beta1", "", "coordination.k8s.io/v1"},
		{"apiextensions.k8s.io/v1beta1", "", "apiextensions.k8s.io/v1"},
		{"admissionregistration.k8s.io/v1beta1", "", "admissionregistration.k8s.io/v1"},
		{"v1", "Endpoints", "an EndpointSlice of discovery.k8s.io/v1"},
		{"v1", "ComponentStatus", "the health of the components themselves"},
	}
}

// oldAPIs looks at manifests, and at what checks of objects ask for.
func oldAPIs(s *scene) []Finding {
	var found []Finding
	look := func(version, kind node) {
		for _, old := range oldAPIList() {
			v := version.text()
			if v == "" && kind.text() == old.kind {
				v = old.version // a check that names the kind alone
			}
			if v != old.version || old.kind != "" && old.kind != kind.text() {
				continue
			}
			at := version
			if at.yaml == nil || old.version == "v1" {
				at = kind
			}
			f := at.says(fmt.Sprintf("%s of %s is of an older Kubernetes", kind.text(), v))
			f.Remedy = "use " + old.now
			found = append(found, f)
			return
		}
	}
	for _, p := range s.parts() {
		for _, o := range p.objects {
			look(o.at("apiVersion"), o.at("kind"))
		}
	}
	for _, c := range s.checks() {
		if c.kind != "object" {
			continue
		}
		if version, kind := c.params.at("apiVersion"), c.params.at("kind"); version.yaml != nil || !ambiguous(kind.text()) {
			look(version, kind)
		}
	}
	return found
}

// ambiguous tells kinds that have a present of their own: named alone, they are what the cluster has.
func ambiguous(kind string) bool { return kind != "Endpoints" && kind != "PodSecurityPolicy" }
