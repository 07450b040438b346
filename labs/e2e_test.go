//go:build e2e

// The proof of the catalogue on a real cluster, with the engine of kindlab verify: an untouched lab fails every task,
// each solution passes, each mistake fails exactly the tasks it names, in the words it promises, and wrong answers that
// nobody wrote down are caught.
package labs_test

import (
	"context"
	"os"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/site/sitetest"
	"github.com/kindlab-dev/kindlab/internal/verify"
	"github.com/kindlab-dev/kindlab/labs"
)

// TestLabs proves the labs one by one, so that `-run TestLabs -args -labels topic=dns` proves a topic.
func TestLabs(t *testing.T) {
	s, _ := sitetest.Open(t)
	catalogue, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	testenv := env.NewWithConfig(envconf.New())
	for _, entry := range catalogue {
		l, err := lab.Load(labs.FS(), entry.Name, check.Builtin())
		if err != nil {
			t.Fatal(err)
		}
		v := prover(s, verify.DefaultGenerate)
		proved := func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
			r, err := v.Run(ctx, []*lab.Lab{l}, catalogue)
			if err != nil {
				t.Error(err)
			}
			if err := verify.Human.Write(os.Stderr, r, true); err != nil {
				t.Error(err)
			}
			if code := r.ExitCode(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			return ctx
		}
		testenv.Test(t, features.New(l.Name).WithLabel("topic", l.Topic).Assess("is proved", proved).Feature())
	}
}

// prover proves labs on a site one by one, each with so many mistakes that nobody wrote down.
func prover(s *site.Site, generate int) *verify.Verifier {
	ground := verify.Ground{Cluster: s.Cluster, Kinds: check.Builtin(), Runner: s.Home.Scripts(), Own: s.Own}
	return &verify.Verifier{
		Kinds: check.Builtin(), Scene: ground.Scene, Enforced: true, Repeat: 1, Generate: generate,
		Parallel: 1, Limit: verify.DefaultLimit, Patience: verify.DefaultPatience, Now: time.Now,
	}
}
