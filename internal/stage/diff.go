package stage

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// A Difference is one field that is not as it was. The values of Secrets are not told.
type Difference struct {
	Object string `json:"object"`         // "deployments.apps/web in namespace shop"
	Path   string `json:"path,omitempty"` // "spec.replicas"; "" is the object itself
	Was    string `json:"was"`
	Is     string `json:"is"`
}

func (d Difference) String() string {
	if d.Path == "" {
		return fmt.Sprintf("%s was %s, is %s", d.Object, d.Was, d.Is)
	}
	return fmt.Sprintf("%s: %s was %s, is %s", d.Object, d.Path, d.Was, d.Is)
}

const (
	absent  = "not there"
	present = "there"
	// lingers is how long what was deleted may take to go before that is a difference.
	lingers = time.Minute
)

// Diff compares the cluster with the baseline of a lab, object by object: all in the lab's namespaces, what the lab
// touches, nodes, and on a cluster of kindlab's own what is in no namespace. What a server chooses or counts by itself
// (UIDs, versions, times, status, cluster IPs, names of volumes) makes no difference.
func Diff(ctx context.Context, c *check.Cluster, l *lab.Lab) ([]Difference, error) {
	a, err := Recorded(ctx, c, l.Name)
	if err != nil {
		return nil, err
	}
	return a.Diff(ctx, c, l)
}

// Diff compares the cluster with the attempt's baseline. One that was read before a reset tells what the reset did not
// bring back.
func (a Attempt) Diff(ctx context.Context, c *check.Cluster, l *lab.Lab) ([]Difference, error) {
	c = asOwner(c)
	r := a.record
	if r.After == nil {
		return nil, fmt.Errorf("%w %s as the learner finds it: its start or reset did not end; kindlab reset", ErrNotRecorded, l.Name)
	}
	all, err := discover(c)
	if err != nil {
		return nil, err
	}
	now, err := capture(ctx, c, l, all, r.Own)
	if err != nil {
		return nil, err
	}
	found := r.After.differences(now)
	global, err := r.globalDifferences(ctx, c, l, all)
	if err != nil {
		return nil, err
	}
	found = append(found, global...)
	slices.SortStableFunc(found, func(a, b Difference) int {
		return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.Path, b.Path))
	})
	return found, nil
}

func (s *snapshot) differences(now *snapshot) []Difference {
	var found []Difference
	coming := s.coming()
	for _, pair := range [][2][]stored{{s.Objects, now.Objects}, {s.Touched, now.Touched}} {
		was, is := byName(pair[0]), byName(pair[1])
		for name, o := range was {
			found = append(found, compare(o, is[name])...)
		}
		for name, o := range is {
			if _, known := was[name]; !known && !coming[o.String()] {
				found = append(found, compare(stored{}, o)...)
			}
		}
	}
	for name, n := range s.Nodes {
		is, there := now.Nodes[name]
		if !there {
			found = append(found, Difference{"nodes/" + name, "", present, absent})
			continue
		}
		found = append(found, n.differences(name, is)...)
	}
	return found
}

func byName(objects []stored) map[string]stored {
	m := map[string]stored{}
	for _, o := range objects {
		m[o.Resource.GroupResource().String()+" "+o.String()] = o
	}
	return m
}

func (n node) differences(name string, is node) []Difference {
	var found []Difference
	if n.Unschedulable != is.Unschedulable {
		found = append(found, Difference{"nodes/" + name, "spec.unschedulable", fmt.Sprint(n.Unschedulable), fmt.Sprint(is.Unschedulable)})
	}
	taints := func(n node) (list []string) {
		for _, t := range n.Taints {
			list = append(list, t.ToString())
		}
		slices.Sort(list)
		return list
	}
	if was, is := taints(n), taints(is); !slices.Equal(was, is) {
		found = append(found, Difference{"nodes/" + name, "spec.taints", shown(was), shown(is)})
	}
	if !maps.Equal(n.Labels, is.Labels) {
		for _, k := range slices.Sorted(maps.Keys(union(n.Labels, is.Labels))) {
			was, had := n.Labels[k]
			value, has := is.Labels[k]
			if was != value || had != has {
				found = append(found, Difference{"nodes/" + name, "metadata.labels." + k, label(was, had), label(value, has)})
			}
		}
	}
	return found
}

func label(value string, there bool) string {
	if !there {
		return absent
	}
	return shown(value)
}

// globalDifferences are leftovers, and what was there before the lab and is not any more or was made anew.
func (r *record) globalDifferences(ctx context.Context, c *check.Cluster, l *lab.Lab, all resources) ([]Difference, error) {
	if !r.Own {
		return nil, nil
	}
	uids := map[string]string{}
	var found []Difference
	err := listAll(ctx, c, "", all.global, func(gvr schema.GroupVersionResource, items []unstructured.Unstructured) {
		for i := range items {
			u := &items[i]
			if gvr == namespaces() && u.GetLabels()[labLabel] != "" {
				continue // each lab's own are compared by their names, and others' are no matter of this one
			}
			name := key(gvr, u.GetName())
			uids[name] = string(u.GetUID())
			if _, known := r.Known[name]; known || byServers(l, gvr, u) {
				continue
			}
			is := present
			if t := u.GetDeletionTimestamp(); t != nil {
				if c.Clock.Since(t.Time) < lingers {
					continue
				}
				is = "stuck in deletion"
			}
			found = append(found, Difference{name, "", absent, is})
		}
	})
	if err != nil {
		return nil, err
	}
	for name, uid := range r.Known {
		switch now, there := uids[name]; {
		case !there && !passing(name):
			found = append(found, Difference{name, "", present, absent})
		case there && now != uid:
			found = append(found, Difference{name, "metadata.uid", uid, now})
		}
	}
	return found, nil
}

// passing tells what may have been there before the lab and go by itself: other labs, volumes, requests.
func passing(name string) bool {
	resource, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{"namespaces", "persistentvolumes", "certificatesigningrequests.certificates.k8s.io"}, resource)
}

// compare tells how an object differs from what it was. A stored without an object is one that is not there.
func compare(was, is stored) []Difference {
	if was.Object == nil && is.Object == nil {
		return nil
	}
	if was.Object == nil {
		return []Difference{{is.title(), "", absent, present}}
	}
	if is.Object == nil {
		return []Difference{{was.title(), "", present, absent}}
	}
	var found []Difference
	walk("", plain(was), plain(is), func(path string, a, b any) {
		d := Difference{was.title(), path, shown(a), shown(b)}
		if was.Resource.Resource == "secrets" && strings.HasPrefix(path, "data") {
			d.Was, d.Is = "a value", "another"
		}
		found = append(found, d)
	})
	return found
}

func (s stored) title() string {
	return strings.Replace(s.String(), s.Resource.Resource, s.Resource.GroupResource().String(), 1)
}

// walk calls differ for each smallest part in which a and b differ.
func walk(path string, a, b any, differ func(path string, a, b any)) {
	ma, aMap := a.(map[string]any)
	mb, bMap := b.(map[string]any)
	if aMap && bMap {
		for _, k := range slices.Sorted(maps.Keys(union(ma, mb))) {
			walk(strings.TrimPrefix(path+"."+k, "."), ma[k], mb[k], differ)
		}
		return
	}
	la, aList := a.([]any)
	lb, bList := b.([]any)
	if aList && bList && len(la) == len(lb) {
		for i := range la {
			walk(fmt.Sprintf("%s[%d]", path, i), la[i], lb[i], differ)
		}
		return
	}
	if !equality.Semantic.DeepEqual(a, b) {
		differ(path, a, b)
	}
}

func union[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return all
}

// shown is a value on one short line.
func shown(v any) string {
	if v == nil {
		return absent
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	const width = 100
	if s := []rune(string(b)); len(s) > width {
		return string(s[:width]) + "…"
	}
	return string(b)
}
