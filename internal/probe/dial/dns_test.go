package dial

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesAreAskedInTheOrderOfTheCLibrary(t *testing.T) {
	t.Parallel()
	const cluster = "# by the kubelet\nsearch shop.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\nnameserver 10.96.0.11\noptions ndots:5 edns0\n"
	tests := []struct {
		name, conf, host string
		want             []string
	}{
		{"short", cluster, "db", []string{"db.shop.svc.cluster.local.", "db.svc.cluster.local.", "db."}},
		{"few dots", cluster, "db.shop", []string{"db.shop.shop.svc.cluster.local.", "db.shop.svc.cluster.local.", "db.shop."}},
		{"as many dots as ndots", cluster, "a.b.c.d.e.f", []string{"a.b.c.d.e.f.", "a.b.c.d.e.f.shop.svc.cluster.local.", "a.b.c.d.e.f.svc.cluster.local."}},
		{"absolute", cluster, "db.shop.svc.cluster.local.", []string{"db.shop.svc.cluster.local."}},
		{"ndots is one unless told", "search a b.\n", "x.y", []string{"x.y.", "x.y.a.", "x.y.b."}},
		{"the last search list counts", "search a\nsearch b\n", "x", []string{"x.b.", "x."}},
		{"no search list", "nameserver 10.96.0.10\nsearch\n", "x", []string{"x."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, parseResolvConf(tt.conf).names(tt.host)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if diff := cmp.Diff([]string{"10.96.0.10", "10.96.0.11"}, parseResolvConf(cluster).servers); diff != "" {
		t.Error(diff)
	}
}

func TestALookupWithoutAServerIsTrouble(t *testing.T) {
	t.Parallel()
	got := Do(t.Context(), Job{Proto: DNS, Host: "db", Timeout: patient}, func() (string, error) { return "search shop\n", nil })
	if got.Result != Error || got.Detail != "resolv.conf names no nameserver" {
		t.Errorf("got %+v, want an error", got)
	}
}
