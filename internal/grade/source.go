package grade

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kindlab-dev/kindlab/internal/check"
)

// place is what one informer watches: the objects of a resource in a namespace, or in all with "".
type place struct {
	resource  schema.GroupVersionResource
	namespace string
}

// source is an informer, and who wants to know of its objects.
type source struct {
	place
	interests []interest
}

// interest is a check that reads some of the objects.
type interest struct {
	name     string // "" for any
	selector labels.Selector
	look     *look
}

// wants tells whether the object is among those that the check reads, or was.
func (i interest) wants(versions ...metav1.Object) bool {
	return slices.ContainsFunc(versions, func(o metav1.Object) bool {
		return (i.name == "" || i.name == o.GetName()) && i.selector.Matches(labels.Set(o.GetLabels()))
	})
}

// sources are the informers that the checks need, one for each place.
func sources(looks []*look) []*source {
	var all []*source
	at := map[place]*source{}
	for _, l := range looks {
		if l.check.Changes() {
			continue // it is never run
		}
		seen := map[place]bool{}
		for _, d := range needs(l) {
			p := place{d.Resource, d.Namespace}
			if at[p] == nil {
				at[p] = &source{place: p}
				all = append(all, at[p])
			}
			selector, err := labels.Parse(d.Selector)
			if err != nil {
				selector = labels.Everything() // asked too often, but never too seldom
			}
			at[p].interests = append(at[p].interests, interest{d.Name, selector, l})
			if !seen[p] {
				seen[p] = true
				l.unsynced++
			}
		}
	}
	return all
}

// needs is what a check reads and, for packets, what may change their way in the same namespaces.
func needs(l *look) []check.Dependency {
	deps := l.check.Objects()
	if !l.probes {
		return deps
	}
	var namespaces []string
	for _, d := range deps {
		if !slices.Contains(namespaces, d.Namespace) {
			namespaces = append(namespaces, d.Namespace)
		}
	}
	deps = slices.Clone(deps)
	for _, ns := range namespaces {
		if ns == "" {
			continue // nodes, say: the probe is not about the traffic of a namespace
		}
		for _, r := range []schema.GroupVersionResource{
			{Version: "v1", Resource: "pods"},
			{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
			{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
		} {
			deps = append(deps, check.Dependency{Resource: r, Namespace: ns})
		}
	}
	return deps
}

// syncPatience is how long a first look waits for the informers, so that no change falls between the two.
const syncPatience = time.Second

// connect starts the informers, and has every check asked anew.
func (w *watch) connect(ctx context.Context) {
	if w.hangUp != nil {
		w.hangUp()
	}
	ctx, w.hangUp = context.WithCancel(ctx)
	w.connection = ctx
	w.epoch++
	now := time.Now()
	for _, l := range w.looks {
		l.unsynced, l.running, l.outdated, l.current = 0, false, false, false
		l.behind, l.due = time.Time{}, now.Add(syncPatience)
	}
	for _, s := range sources(w.looks) {
		go w.follow(ctx, w.epoch, s)
	}
	for _, l := range w.looks {
		if l.unsynced == 0 {
			l.due = now
		}
	}
}

// follow watches one place until ctx ends. Where the resource does not exist, it waits until it does.
func (w *watch) follow(ctx context.Context, epoch int, s *source) {
	r, namespace, err := w.resolve(s.place)
	for err != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(unwatched):
		}
		w.cluster.Mapper.Reset()
		r, namespace, err = w.resolve(s.place)
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(w.cluster.Dynamic, r, namespace, 0, cache.Indexers{}, nil).Informer()
	changed := func(versions ...any) {
		w.post(ctx, func() {
			if w.epoch == epoch {
				w.touch(s, versions)
			}
		})
	}
	handle, err := informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(o any, first bool) {
			if !first { // what was there before is no change
				changed(o)
			}
		},
		UpdateFunc: func(old, o any) {
			if version(old) != version(o) { // the same again comes after a lost connection
				changed(old, o)
			}
		},
		DeleteFunc: func(o any) { changed(o) },
	})
	if err != nil {
		return // only of an informer that has ended
	}
	// Neither fails but for an informer that runs already.
	_ = informer.SetTransform(strip)
	_ = informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) { w.askHealth() })
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-handle.HasSyncedChecker().Done():
		}
		w.post(ctx, func() {
			if w.epoch == epoch {
				s.synced(time.Now())
			}
		})
	}()
	informer.RunWithContext(ctx)
}

// resolve finds the resource on the cluster. Where a check knows a kind alone, that may be any group and version.
func (w *watch) resolve(p place) (r schema.GroupVersionResource, namespace string, err error) {
	if r, err = w.cluster.Mapper.ResourceFor(p.resource); err != nil {
		return r, "", err
	}
	kind, err := w.cluster.Mapper.KindFor(r)
	if err != nil {
		return r, "", err
	}
	m, err := w.cluster.Mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return r, "", err
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return r, "", nil
	}
	return r, p.namespace, nil
}

// synced notes that s tells of changes from now on. A check whose first look did not wait for that looks again.
func (s *source) synced(now time.Time) {
	var done []*look
	for _, i := range s.interests {
		if slices.Contains(done, i.look) {
			continue
		}
		done = append(done, i.look)
		i.look.unsynced--
		if i.look.unsynced == 0 || i.look.current || i.look.running {
			i.look.due = now
		}
	}
}

// touch passes a change on to the checks that read the object.
func (w *watch) touch(s *source, versions []any) {
	var objects []metav1.Object
	for _, v := range versions {
		if gone, ok := v.(cache.DeletedFinalStateUnknown); ok {
			v = gone.Obj
		}
		if o, err := meta.Accessor(v); err == nil {
			objects = append(objects, o)
		}
	}
	now := time.Now()
	for _, i := range s.interests {
		if i.wants(objects...) {
			i.look.touch(now)
			w.changed = now
		}
	}
}

func version(o any) string {
	m, err := meta.Accessor(o)
	if err != nil {
		return ""
	}
	return m.GetResourceVersion()
}

// strip keeps of an object what tells who wants to know of it: checks read the API themselves.
func strip(o any) (any, error) {
	full, ok := o.(*unstructured.Unstructured)
	if !ok {
		return o, nil
	}
	kept := &unstructured.Unstructured{}
	kept.SetAPIVersion(full.GetAPIVersion())
	kept.SetKind(full.GetKind())
	kept.SetNamespace(full.GetNamespace())
	kept.SetName(full.GetName())
	kept.SetUID(full.GetUID())
	kept.SetResourceVersion(full.GetResourceVersion())
	kept.SetLabels(full.GetLabels())
	return kept, nil
}
