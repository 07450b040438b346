//go:build e2e

package labs_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/internal/verify"
	"github.com/kindlab-dev/kindlab/labs"
)

// What makes a CNI that rejects one that drops: a node's word that a port cannot be reached leaves no node. It comes
// before the CNI's own rules, which may end the chain.
const (
	silence   = "iptables -t mangle -I OUTPUT -p icmp --icmp-type port-unreachable -j DROP"
	noSilence = "while iptables -t mangle -D OUTPUT -p icmp --icmp-type port-unreachable -j DROP 2>/dev/null; do :; done"
)

// TestDroppingNetwork proves policy labs on a network where what is denied is dropped without a word, as kindnet and most
// others do. The built image's own CNI rejects.
func TestDroppingNetwork(t *testing.T) {
	s := openSick(t)
	t.Cleanup(func() {
		if err := onNodes(noSilence)(context.Background(), s); err != nil {
			t.Errorf("mending the network: %v", err)
		}
	})
	if err := onNodes(silence)(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Run("a denial is silent", func(t *testing.T) { silent(t, s) })

	catalogue, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	v := prover(s.Site, 2)
	r, err := v.Run(t.Context(), []*lab.Lab{load(t, "network-policy/only-frontend"), load(t, "network-policy/egress")}, catalogue)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.Human.Write(os.Stderr, r, true); err != nil {
		t.Error(err)
	}
	if code := r.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// silent makes sure that the network is what the test is about: what a policy denies times out.
func silent(t *testing.T, s *sick) {
	t.Helper()
	ctx := t.Context()
	l := load(t, "network-policy/default-deny")
	o := s.Options(nil, nil)
	o.Own = false
	t.Cleanup(func() {
		if err := stage.Stop(context.Background(), s.Cluster, l, o); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	if err := stage.Start(ctx, s.Cluster, l, o); err != nil {
		t.Fatal(err)
	}
	right := l.Solutions[0]
	if err := stage.Perform(ctx, s.Cluster, l, stage.Step{Delete: right.Delete, Apply: right.Apply, Run: right.Run}, s.Home.Scripts()); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		outcomes := map[dial.Result]int{}
		for _, table := range reachTables(t, l) {
			pairs, err := table.pairs(ctx, s.Site, l)
			if err != nil {
				t.Fatal(err)
			}
			for _, answer := range s.Prober.Probe(ctx, jobsOf(pairs)) {
				outcomes[answer.Result]++
			}
		}
		if outcomes[dial.Timeout] > 0 && outcomes[dial.Refused] == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing is dropped: %v", outcomes)
		}
		time.Sleep(time.Second)
	}
}
