package stage

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// plain is an object without what a server chooses or counts by itself.
func plain(s stored) map[string]any {
	u := s.unstructured()
	drop := func(path ...string) { unstructured.RemoveNestedField(u.Object, path...) }
	drop("status")
	for _, field := range []string{
		"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
		"deletionTimestamp", "deletionGracePeriodSeconds",
	} {
		drop("metadata", field)
	}
	for _, annotation := range []string{
		"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation",
		"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller", "volume.kubernetes.io/selected-node",
		"volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner",
	} {
		drop("metadata", "annotations", annotation)
	}
	if len(u.GetAnnotations()) == 0 {
		drop("metadata", "annotations")
	}
	if len(u.GetLabels()) == 0 {
		drop("metadata", "labels")
	}
	owners := u.GetOwnerReferences()
	for i := range owners {
		owners[i].UID = ""
	}
	if len(owners) > 0 {
		u.SetOwnerReferences(owners)
	}
	given := func(text string) bool { return strings.Contains(u.GetAnnotations()[lastApplied], text) }
	switch s.Resource.Resource {
	case "services":
		plainService(u, given)
	case "persistentvolumeclaims":
		if !given(`"volumeName"`) {
			drop("spec", "volumeName")
		}
	case "pods":
		plainPod(u)
	case "jobs":
		drop("spec", "selector")
		for _, l := range []string{"controller-uid", "batch.kubernetes.io/controller-uid"} {
			drop("spec", "template", "metadata", "labels", l)
			drop("metadata", "labels", l)
		}
	}
	return u.Object
}

// plainService forgets the addresses and ports that the API server drew.
func plainService(u *unstructured.Unstructured, given func(string) bool) {
	if ip, _, _ := unstructured.NestedString(u.Object, "spec", "clusterIP"); ip != "None" && !given(`"clusterIP"`) {
		unstructured.RemoveNestedField(u.Object, "spec", "clusterIP")
		unstructured.RemoveNestedField(u.Object, "spec", "clusterIPs")
	}
	if !given(`"healthCheckNodePort"`) {
		unstructured.RemoveNestedField(u.Object, "spec", "healthCheckNodePort")
	}
	ports, _, _ := unstructured.NestedSlice(u.Object, "spec", "ports")
	for _, p := range ports {
		if port, ok := p.(map[string]any); ok && !given(fmt.Sprintf(`"nodePort":%v`, port["nodePort"])) {
			delete(port, "nodePort")
		}
	}
	if len(ports) > 0 {
		u.Object["spec"].(map[string]any)["ports"] = ports
	}
}

// plainPod forgets the node that the scheduler chose and the name of the token's volume.
func plainPod(u *unstructured.Unstructured) {
	unstructured.RemoveNestedField(u.Object, "spec", "nodeName")
	b, err := u.MarshalJSON()
	if err != nil {
		return
	}
	const token = "kube-api-access-"
	text := string(b)
	for {
		before, after, found := strings.Cut(text, token)
		if !found || len(after) < 5 || after[0] == '"' {
			break
		}
		text = before + "kube-api-access" + after[5:]
	}
	var renamed unstructured.Unstructured
	if renamed.UnmarshalJSON([]byte(text)) == nil {
		u.Object = renamed.Object
	}
}
