package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

type verifyOptions struct {
	place     placeFlags
	yes       bool
	noCache   bool
	repeat    int
	generated string
	parallel  int
	limit     time.Duration
	changed   string
	record    string
	output    verify.Format
	chosen    bool // the format was asked for
}

func newVerifyCommand(d *deps) *cobra.Command {
	o := verifyOptions{output: verify.Human}
	cmd := &cobra.Command{
		Use:   "verify [LAB|FOLDER...]",
		Short: "Prove that labs grade right",
		Long: `Prove on a real cluster that labs grade right: all of them, or those you name.
Untouched, every task fails and every safeguard holds; each solution passes; each
mistake fails exactly the tasks it names, in the words it promises; wrong answers
that nobody wrote down are caught; and after each, a reset brings everything back.

The exit code is 0 when all labs are proved, 1 when one is wrong or catches too
little (all of its own mistakes, and 90 % of those made up), 2 when one is badly
written, and 3 when kindlab could not tell. A lab that was proved is not proved
again until the lab, the grader or the cluster's image changes. When you change a
lab, or mend what was found, only what that concerns is proved again; what was
interrupted goes on. A lab that is proved alone and takes long is set up several
times, in namespaces called shop-twin-1, shop-twin-2, …; -o json has what each
state took.`,
		Example: `  kindlab verify
  kindlab verify services/clusterip --generated all
  kindlab verify ./my-lab
  kindlab verify --only-changed origin/main -o markdown`,
		GroupID: groupLabs,
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return d.completeLabs(cmd, nil, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.chosen = cmd.Flags().Changed("output")
			return o.run(cmd.Context(), d, args)
		},
	}
	o.place.add(cmd)
	addYes(cmd, &o.yes)
	f := cmd.Flags()
	f.BoolVar(&o.noCache, "no-cache", false, "Prove labs again that were proved already")
	f.IntVar(&o.repeat, "repeat", 1, "Rounds of the untouched state and the solutions; mistakes are tried in the first")
	f.StringVar(&o.generated, "generated", strconv.Itoa(verify.DefaultGenerate), "How many wrong answers to make up for each lab, or all")
	f.IntVar(&o.parallel, "parallel", verify.DefaultParallel, "Labs to prove at once, or how often to set up one that is alone; nearly twice as often where it waits for scripts of its own")
	f.DurationVar(&o.limit, "limit", verify.DefaultLimit, "How long one step may take, such as a script or a grade")
	f.StringVar(&o.changed, "only-changed", "", "Only labs that have changed since this git revision; all when the grader or the images have")
	f.StringVar(&o.record, "record", "", "Write what was proved to this file, for the catalogue's page")
	enumVarP(cmd, &o.output, "output", "o", verify.Formats(), "Output format")
	return cmd
}

func (o *verifyOptions) run(ctx context.Context, d *deps, names []string) error {
	generate, err := o.generate()
	if err != nil {
		return err
	}
	if o.repeat < 1 || o.parallel < 1 || o.limit <= 0 {
		return usageErrorf("--repeat, --parallel and --limit want at least 1")
	}
	if o.changed != "" && len(names) > 0 {
		return usageErrorf("--only-changed chooses the labs itself: name none")
	}
	labs, all, bad, err := o.labs(ctx, d, names)
	if err != nil {
		return err
	}
	if len(labs) == 0 && len(bad) == 0 {
		d.io.Sayf("No lab has changed since %s.", o.changed)
		return nil
	}
	j, err := d.journal.Read()
	if err != nil {
		return err
	}
	place := o.place.complete(&j)
	if err := d.consent(ctx, &j, place, o.yes); err != nil {
		return err
	}
	var r verify.Report
	var records []verify.Record
	interrupted := d.on(ctx, &o.place, place, func(s *site.Site) (err error) {
		ground := verify.Ground{Cluster: s.Cluster, Kinds: check.Builtin(), Runner: s.Home.Scripts(), Own: s.Own}
		v := verify.Verifier{
			Kinds: check.Builtin(), Scene: ground.Scene, Enforced: s.Own, Repeat: o.repeat, Generate: generate,
			Parallel: o.parallel, Limit: o.limit, Patience: verify.DefaultPatience, Now: d.now, Observe: watchProof(d),
		}
		version, err := s.Owner.Kube.Discovery().ServerVersion()
		if err != nil {
			return fmt.Errorf("asking the cluster for its version: %w", err)
		}
		network := networkOf(ctx, s)
		if !o.noCache {
			v.Cache, err = o.cache(ctx, d, s, version.GitVersion+" "+network)
			if err != nil {
				return err
			}
		}
		r, err = v.Run(ctx, labs, all)
		records = r.Records(version.GitVersion, network)
		return err
	})
	if interrupted != nil && ctx.Err() == nil {
		return interrupted
	}
	r.Refuse(bad)
	terminal := d.io.OutView.Terminal || o.chosen && o.output == verify.Human
	if err := o.output.Write(d.io.Out, r, terminal); err != nil {
		return err
	}
	if interrupted != nil {
		return interrupted
	}
	if err := o.keep(records); err != nil {
		return err
	}
	if code := r.ExitCode(); code != exitOK {
		return exitStatus(code)
	}
	return nil
}

// generate reads --generated.
func (o *verifyOptions) generate() (int, error) {
	if o.generated == "all" {
		return -1, nil
	}
	n, err := strconv.Atoi(o.generated)
	if err != nil || n < 0 {
		return 0, usageErrorf("--generated wants a number or the word all, found %q", o.generated)
	}
	return n, nil
}

// watchProof shows on the error stream which labs are at what.
func watchProof(d *deps) func(verify.Event) {
	steps := d.io.Steps()
	ends := map[string]func(error, string){}
	found := map[string]int{}
	return func(e verify.Event) {
		switch e.What {
		case verify.Began:
			if ends[e.Lab] == nil {
				ends[e.Lab] = steps.Start("verifying " + e.Lab)
			}
		case verify.Found:
			found[e.Lab]++
		case verify.Recall:
			ends[e.Lab](nil, "cached")
		case verify.Ended:
			var err error
			note := ""
			if n := found[e.Lab]; n > 0 {
				err, note = errFound, fmt.Sprintf("%d findings", n)
			}
			if !e.Whole {
				err = context.Canceled
			}
			ends[e.Lab](err, note)
		case verify.Spent, verify.Listed, verify.MadeUp, verify.Doubted, verify.Known:
		}
	}
}

var errFound = errors.New("there are findings")
