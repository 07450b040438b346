package explain

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/kubernetes/fake"
)

func aliasDoc(name, to string) string {
	return serviceDoc(name, "type: ExternalName, externalName: "+to)
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	cluster := docs(namespaceDoc("bakery", "shop"), serviceDoc("bread", "clusterIP: 10.96.0.9, ports: [{port: 80}]"),
		serviceDoc("table", "clusterIP: None"), sliceDoc("table", ""), serviceDoc("empty", "clusterIP: None"), aliasDoc("flour", "mill.example."))
	for host, want := range map[string]*Answer{
		"bread.bakery":                     {Addresses: []string{"10.96.0.9"}},
		"Bread.bakery.svc.cluster.local.":  {Addresses: []string{"10.96.0.9"}},
		"table.bakery":                     {Addresses: []string{"10.244.0.7"}, Headless: true},
		"empty.bakery":                     {Headless: true},
		"flour.bakery":                     {Alias: "mill.example"},
		"bread":                            nil, // in namespace shop
		"oven-1.table.bakery":              nil,
		"mill.example.com":                 nil,
		"bread.bakery.svc.cluster.example": nil,
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			w := Walker{Kube: fake.NewClientset(objects(t, cluster)...), Now: noon}
			got, err := w.Answer(t.Context(), till(nil), host)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	cluster := docs(serviceDoc("bread", "clusterIP: 10.96.0.9"), aliasDoc("loaf", "bread.bakery.svc.cluster.local"), aliasDoc("crumb", "Loaf.bakery.svc.cluster.local."),
		aliasDoc("away", "mill.example"), aliasDoc("short", "bread.bakery"), aliasDoc("lost", "cake.bakery.svc.cluster.local"), aliasDoc("ring", "ring.bakery.svc.cluster.local"))
	for name, want := range map[string]string{"bread": "bread", "loaf": "bread", "crumb": "bread", "away": "", "short": "", "lost": "", "ring": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := Walker{Kube: fake.NewClientset(objects(t, cluster)...), Now: noon}
			list, err := w.walk().services(t.Context(), "bakery")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			found, err := w.Target(t.Context(), named(list, name))
			if found != nil {
				got = found.Name
			}
			if err != nil || got != want {
				t.Errorf("got %q and %v, want %q", got, err, want)
			}
		})
	}
}

func TestBehind(t *testing.T) {
	t.Parallel()
	cluster := docs(podDoc("oven-1", "app: oven", oven, up), nodesDoc, serviceDoc("bread", "clusterIP: 10.96.0.9, selector: {app: oven}, ports: [{port: 80, targetPort: http}]"), sliceDoc("bread", ""))
	w := Walker{Kube: fake.NewClientset(objects(t, cluster)...), Now: noon}
	list, err := w.walk().services(t.Context(), "bakery")
	if err != nil {
		t.Fatal(err)
	}
	doors, err := w.Behind(t.Context(), named(list, "bread"), 80)
	if err != nil || len(doors) != 1 || doors[0].Pod.Name != "oven-1" || doors[0].Port != 8080 {
		t.Errorf("got %+v and %v", doors, err)
	}
	if doors, err = w.Behind(t.Context(), named(list, "bread"), 81); err != nil || len(doors) != 0 {
		t.Errorf("behind a port that is not there: %+v and %v", doors, err)
	}
}
