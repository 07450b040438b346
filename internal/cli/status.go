package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/term"
)

type statusOptions struct {
	place  placeFlags
	output format
}

func newStatusCommand(d *deps) *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Say how the cluster is, and which lab is under way",
		GroupID: groupClusters,
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), d) },
	}
	o.place.add(cmd)
	formatVar(cmd, &o.output)
	return cmd
}

// status is what the status command prints.
type status struct {
	cluster.Status
	Context string `json:"context,omitempty"` // instead of a name, for a cluster that kindlab did not make
	Lab     string `json:"lab,omitempty"`     // the lab under way
}

func (o *statusOptions) run(ctx context.Context, d *deps) error {
	s, err := d.journal.Read()
	if err != nil {
		return err
	}
	place := o.place.complete(&s)
	now, err := o.look(ctx, d, place)
	if err != nil {
		return err
	}
	now.Lab = s.Current(place)
	if o.output == formatJSON {
		err = writeJSON(d, now)
	} else {
		err = d.printStatus(now)
	}
	if err != nil {
		return err
	}
	return verdict(now.Findings)
}

func (o *statusOptions) look(ctx context.Context, d *deps, place journal.Place) (status, error) {
	if place.Context == "" {
		manager, _, err := d.manager(ctx, o.place.engine, quiet{})
		if err != nil {
			return status{}, err
		}
		s, err := manager.Status(ctx, place.Name)
		return status{Status: s}, err
	}
	s := status{Context: place.Context}
	c, err := cluster.OpenContext(ctx, "", place.Context)
	if err != nil {
		s.Findings = []cluster.Finding{{ID: "api", Level: cluster.Error, What: err.Error(), Remedy: remedy.Of(err)}}
		return s, ctx.Err()
	}
	s.Kubeconfig = c.Kubeconfig
	s.Findings = []cluster.Finding{{ID: "api", Level: cluster.OK, What: "the API server answers"}}
	return s, nil
}

func (d *deps) printStatus(s status) error {
	head := [][2]string{{"cluster", s.Name}, {"context", s.Context}, {"engine", s.Engine}, {"image", s.Image}, {"kubeconfig", s.Kubeconfig}, {"lab", dash(s.Lab)}}
	var b strings.Builder
	for _, row := range head {
		if row[1] != "" {
			fmt.Fprintf(&b, "%-11s %s\n", row[0], row[1])
		}
	}
	for _, n := range s.Nodes {
		word := "stopped"
		switch {
		case n.Ready:
			word = "ready"
		case n.Running:
			word = "not ready"
		}
		fmt.Fprintf(&b, "%-11s %s  %s  %s\n", "node", n.Name, word, n.Version)
	}
	if err := d.print(b.String()); err != nil {
		return err
	}
	return d.printFindings(s.Findings)
}

// printFindings shows what was found, each with what can be done about it.
func (d *deps) printFindings(findings []cluster.Finding) error {
	view := d.io.OutView
	marks := map[cluster.Level]string{
		cluster.OK: view.Paint(term.Green, "✓"), cluster.Warn: view.Paint(term.Yellow, "!"), cluster.Error: view.Paint(term.Red, "✗"),
	}
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s %-12s %s\n", marks[f.Level], f.ID, f.What)
		if f.Remedy != "" {
			fmt.Fprintf(&b, "  %-12s %s\n", "", view.Paint(term.Cyan, "→ "+f.Remedy))
		}
	}
	return d.print(view.Fold(b.String()))
}

// verdict ends a command with trouble when a finding is an error.
func verdict(findings []cluster.Finding) error {
	if slices.ContainsFunc(findings, func(f cluster.Finding) bool { return f.Level == cluster.Error }) {
		return exitStatus(exitTrouble)
	}
	return nil
}
