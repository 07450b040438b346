package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	stdio "io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
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
again until the lab, the grader or the cluster's image changes.`,
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
	f.IntVar(&o.parallel, "parallel", verify.DefaultParallel, "Labs to prove at once, where they share no objects")
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

// labs are those to prove, all that there are, and what is wrong with those that cannot be read: one bad lab must not
// keep the others from being proved.
func (o *verifyOptions) labs(ctx context.Context, d *deps, names []string) (labs, all []*lab.Lab, bad map[string]error, err error) {
	files, err := d.labFiles()
	if err != nil {
		return nil, nil, nil, err
	}
	paths, err := fs.Glob(files, "*/*/lab.yaml")
	if err != nil {
		return nil, nil, nil, err
	}
	bad = map[string]error{}
	broken := map[string]error{}
	for _, path := range paths {
		name := filepath.ToSlash(filepath.Dir(path))
		l, err := lab.Load(files, name, check.Builtin())
		if err != nil {
			broken[name] = err
			// By its folder it can be named, and skipped.
			topic, id, _ := strings.Cut(name, "/")
			l = &lab.Lab{Name: name, Topic: topic, ID: id}
		}
		all = append(all, l)
	}
	chosen := all
	switch {
	case o.changed != "":
		if chosen, err = o.changedLabs(ctx, d, all); err != nil {
			return nil, nil, nil, err
		}
	case len(names) > 0:
		chosen = nil
		for _, name := range names {
			l, err := o.named(all, name)
			if err != nil {
				return nil, nil, nil, err
			}
			chosen = append(chosen, l)
		}
	}
	for _, l := range chosen {
		if err := broken[l.Name]; err != nil && len(l.Tasks) == 0 {
			bad[l.Name] = err
		} else {
			labs = append(labs, l)
		}
	}
	return labs, all, bad, nil
}

func (o *verifyOptions) named(all []*lab.Lab, name string) (*lab.Lab, error) {
	if isPath(name) {
		return lab.LoadDir(name, check.Builtin())
	}
	return findLab(all, name)
}

// changedLabs asks git which files differ from a revision, new ones included.
func (o *verifyOptions) changedLabs(ctx context.Context, d *deps, all []*lab.Lab) ([]*lab.Lab, error) {
	folder := "."
	if d.labsDir != "" {
		folder = d.labsDir
	}
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", folder}, args...)...)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			return "", remedy.New(usageErrorf("git %s: %s", strings.Join(args, " "), strings.TrimSpace(said.String())),
				"call it in the repository of the labs, with a revision that is there")
		}
		return strings.TrimSpace(string(out)), nil
	}
	root, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	catalogue := "labs"
	if d.labsDir != "" {
		absolute, err := filepath.Abs(d.labsDir)
		if err != nil {
			return nil, err
		}
		if resolved, err := filepath.EvalSymlinks(absolute); err == nil { // as git tells its root
			absolute = resolved
		}
		if catalogue, err = filepath.Rel(root, absolute); err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(o.changed, "-") {
		return nil, usageErrorf("--only-changed wants a revision, found %q", o.changed)
	}
	differ, err := git("diff", "--name-only", o.changed, "--")
	if err != nil {
		return nil, err
	}
	anew, err := git("ls-files", "--others", "--exclude-standard", "--full-name", ":/")
	if err != nil {
		return nil, err
	}
	return verify.Changed(all, filepath.ToSlash(catalogue), strings.Fields(differ+"\n"+anew)), nil
}

// cache remembers what was proved on this kind of cluster with this program.
func (o *verifyOptions) cache(ctx context.Context, d *deps, s *site.Site, cluster string) (*verify.Cache, error) {
	grader := d.grader
	if grader == "" {
		var err error
		if grader, err = programHash(); err != nil {
			return nil, err
		}
	}
	image, err := s.Home.Image()
	if err != nil {
		return nil, err
	}
	if image == "" { // somebody else's: this very cluster and no other
		system, err := s.Owner.Kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("asking the cluster who it is: %w", err)
		}
		image = string(system.UID)
	}
	key := fmt.Sprintf("%s\n%s\n%s\ngenerated %s, repeat %d", grader, image, cluster, o.generated, o.repeat)
	return &verify.Cache{Dir: filepath.Join(d.cacheDir, "verified"), Key: key}, nil
}

// programHash stands for the grader where the build did not say which it is.
func programHash() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	sum := sha256.New()
	if _, err := stdio.Copy(sum, f); err != nil {
		return "", fmt.Errorf("reading this program: %w", err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// networkOf names what joins the pods of a cluster, as its DaemonSets tell.
func networkOf(ctx context.Context, s *site.Site) string {
	list, err := s.Owner.Kube.AppsV1().DaemonSets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err == nil {
		for _, known := range []string{"cilium", "calico-node", "kube-router", "kindnet", "kube-flannel-ds", "weave-net", "antrea-agent"} {
			for i := range list.Items {
				if list.Items[i].Name == known {
					return known
				}
			}
		}
	}
	return "unknown"
}

// keep writes the records, beside those of labs that were not verified now.
func (o *verifyOptions) keep(records []verify.Record) error {
	if o.record == "" {
		return nil
	}
	var old []verify.Record
	b, err := os.ReadFile(o.record)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if old, err = verify.ReadRecords(bytes.NewReader(b)); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	if err := verify.WriteRecords(&text, verify.MergeRecords(old, records)); err != nil {
		return err
	}
	return os.WriteFile(o.record, text.Bytes(), 0o644)
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
		case verify.Spent, verify.Listed, verify.MadeUp:
		}
	}
}

var errFound = errors.New("there are findings")
