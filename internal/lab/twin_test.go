package lab

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestATwinIsTheSameElsewhere(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{}
	put := func(name, text string) { fsys["basics/one/"+name] = &fstest.MapFile{Data: []byte(text)} }
	put("lab.yaml", `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: one, topic: basics}
spec:
  title: The shop
  level: beginner
  minutes: 5
  namespaces: [shop, bank]
  setup: {apply: setup.yaml}
  tasks: [{name: open, title: Open, checks: [{http: {from: {pods: app=till}, url: "http://bread.shop/"}}]}]
  solutions: [{title: A, apply: setup.yaml}, {title: B, apply: setup.yaml}]
  mistakes:
  - {title: C, delete: [bank/secret/safe], fails: [open], says: there is no Service bread in namespace shop}
  - {title: D, delete: [bank/secret/safe], fails: [open], says: x}
  - {title: E, delete: [bank/secret/safe], fails: [open], says: y}
`)
	put("setup.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: shop-front, namespace: bank}, data: {of: 'http://x.shop.svc/, workshop'}}")
	for _, name := range []string{"README.md", "debrief.md"} {
		put(name, "A text.")
	}
	put("hints/open.md", "a\n---\nb\n---\nc\n")
	l, err := Load(fsys, "basics/one")
	if err != nil {
		t.Fatal(err)
	}
	twin, err := l.Twin(2)
	if err != nil {
		t.Fatal(err)
	}
	setup, err := twin.File("setup.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if twin.Name != "basics/one-twin-2" || !slices.Equal(twin.Namespaces, []string{"shop-twin-2", "bank-twin-2"}) || twin.Mistakes[0].Delete[0].Namespace != "bank-twin-2" ||
		twin.Mistakes[0].Says != "there is no Service bread in namespace shop-twin-2" ||
		!strings.Contains(setup.Content, "name: shop-front, namespace: bank-twin-2") || !strings.Contains(setup.Content, "'http://x.shop-twin-2.svc/, workshop'") {
		t.Errorf("got %+v with %s", twin, setup.Content)
	}
	if got := twin.Moved("bank/shop"); got != "bank-twin-2/shop-twin-2" {
		t.Errorf("moved: %s", got)
	}
	if before, err := l.File("setup.yaml"); err != nil || !strings.Contains(before.Content, "namespace: bank}") || l.Moved("shop") != "shop" {
		t.Errorf("the lab itself has become %s (%v)", before.Content, err)
	}

	put("lab.yaml", strings.Replace(string(fsys["basics/one/lab.yaml"].Data), "  setup:", "  touches: [kube-system/configmap/coredns]\n  setup:", 1))
	if l, err = Load(fsys, "basics/one"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Twin(2); err == nil || !strings.Contains(err.Error(), "kube-system/configmap/coredns, which is there once") {
		t.Errorf("got %v", err)
	}
}
