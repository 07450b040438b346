package stage

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// coming are the objects, as stored.String names them, that Kubernetes makes by itself for what is in a snapshot, and
// that nobody owns: the snapshot may have been taken before they were there. They are what each namespace gets, and a
// PersistentVolumeClaim for each replica and template of a StatefulSet.
func (s *snapshot) coming() map[string]bool {
	names := map[string]bool{}
	add := func(resource, namespace, name string) {
		names[stored{Resource: corev1.SchemeGroupVersion.WithResource(resource), Namespace: namespace, Name: name}.String()] = true
	}
	for _, o := range s.Objects {
		switch {
		case o.Resource.Group == "" && o.Resource.Resource == "namespaces":
			add("configmaps", o.Name, "kube-root-ca.crt")
			add("serviceaccounts", o.Name, "default")
		case o.Resource.Group == "apps" && o.Resource.Resource == "statefulsets":
			for _, claim := range claimsOf(o) {
				add("persistentvolumeclaims", o.Namespace, claim)
			}
		}
	}
	return names
}

// claimsOf names the claims of a StatefulSet.
func claimsOf(o stored) []string {
	replicas, given, err := unstructured.NestedInt64(o.Object, "spec", "replicas")
	if !given || err != nil {
		replicas = 1
	}
	var names []string
	templates, _, _ := unstructured.NestedSlice(o.Object, "spec", "volumeClaimTemplates")
	for _, t := range templates {
		template, _ := t.(map[string]any)
		name, _, _ := unstructured.NestedString(template, "metadata", "name")
		for i := range replicas {
			names = append(names, fmt.Sprintf("%s-%s-%d", name, o.Name, i))
		}
	}
	return names
}
