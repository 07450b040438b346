package cli

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/nodeimage"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/term"
)

type upOptions struct {
	place  placeFlags
	nodes  int
	image  string
	export bool
	yes    bool
}

func newUpCommand(d *deps) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring up a cluster, and prove that it works",
		Long: `Bring up a cluster with kind, or start again one whose nodes were stopped, with
your work in it. It counts as ready when that is proved: names resolve, pods on
every node reach pods on every other, and a denied connection is denied.

Where no image registry answers, the node image is built first; that takes
minutes, once. The cluster gets a kubeconfig of its own: yours stays as it is.`,
		Example: `  kindlab up
  kindlab up --nodes 3
  kindlab up --context my-cluster   # work on a cluster that exists already`,
		GroupID: groupClusters,
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("nodes") && o.nodes < 1 {
				return usageErrorf("--nodes %d: a cluster has one node or more", o.nodes)
			}
			return o.run(cmd.Context(), d)
		},
	}
	o.place.add(cmd)
	cmd.Flags().IntVar(&o.nodes, "nodes", 0, "Number of nodes, the control plane included (default 1)")
	cmd.Flags().StringVar(&o.image, "image", "", "Node image (default: the official one, or one built here)")
	cmd.Flags().BoolVar(&o.export, "export-kubeconfig", false, "Also add the cluster to your own kubeconfig and make it current there")
	addYes(cmd, &o.yes)
	for _, flag := range []string{"nodes", "image", "export-kubeconfig"} {
		cmd.MarkFlagsMutuallyExclusive("context", flag)
	}
	return cmd
}

func addYes(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "Do not ask before working on a cluster that kindlab did not make")
}

func (o *upOptions) run(ctx context.Context, d *deps) error {
	s, err := d.journal.Read()
	if err != nil {
		return err
	}
	place := o.place.complete(&s)
	if err := d.consent(ctx, &s, place, o.yes); err != nil {
		return err
	}
	c, err := o.bring(ctx, d, place)
	if err != nil {
		return err
	}
	d.io.Sayf("\n%s is ready.", place)
	for _, line := range kubectlLines(c, place, "kube-system") {
		d.io.Sayf("  %-16s %s", line[0], line[1])
	}
	d.io.Sayf("  %-16s kindlab list, and kindlab start LAB", "go on")
	return nil
}

// consent asks before kindlab works on a cluster it did not make, unless the learner works there already.
func (d *deps) consent(ctx context.Context, s *journal.State, place journal.Place, yes bool) error {
	if place.Context == "" || yes || s.Place == place {
		return nil
	}
	if _, err := cluster.FindContext(place.Context); err != nil { // nothing to agree to
		return err
	}
	agreed, err := d.io.Confirm(ctx, fmt.Sprintf("kindlab did not make the cluster of context %s. Labs create and delete namespaces there. Go on?", place.Context))
	if err != nil && ctx.Err() != nil {
		return err
	}
	if !agreed {
		return remedy.New(usageErrorf("kindlab did not make the cluster of context %s, and works there only when told to", place.Context),
			"add --yes if that is what you want")
	}
	return nil
}

// bring makes the cluster of a place ready, and remembers it as the one the learner works on.
func (o *upOptions) bring(ctx context.Context, d *deps, place journal.Place) (*cluster.Cluster, error) {
	var c *cluster.Cluster
	var engine string
	var err error
	if place.Context != "" {
		c, err = cluster.OpenContext(ctx, "", place.Context)
	} else {
		c, engine, err = o.make(ctx, d, place.Name)
	}
	if err != nil {
		return nil, err
	}
	return c, d.journal.Update(func(s *journal.State) error {
		s.Place = place
		if engine != "" {
			s.Engines[place.Name] = engine
		}
		return nil
	})
}

// make brings up a cluster of kindlab's own, and returns the engine it runs on too.
func (o *upOptions) make(ctx context.Context, d *deps, name string) (*cluster.Cluster, string, error) {
	steps := d.io.Steps()
	manager, e, err := d.manager(ctx, o.place.engine, steps)
	if err != nil {
		return nil, "", err
	}
	builder, recipe, err := d.builder(e, steps)
	if err != nil {
		return nil, "", err
	}
	// Set only if the cluster is made now.
	var image string
	c, err := manager.Up(ctx, cluster.Options{Name: name, Nodes: o.nodes, EnsureImage: func(ctx context.Context) (_ string, err error) {
		if image = o.image; image == "" {
			image, err = builder.Choose(ctx, cluster.OfficialImage)
		}
		return image, err
	}})
	if err != nil {
		return nil, "", err
	}
	if image != "" && !builder.Built(ctx, image) {
		d.preload(ctx, c, recipe.Workloads, steps)
	}
	if o.export {
		if err := manager.ExportKubeconfig(ctx, name, ""); err != nil {
			return nil, "", err
		}
	}
	return c, e.Name(), nil
}

// preload puts the images of the labs on the nodes of a new cluster. Without it the nodes pull them when a lab asks.
func (d *deps) preload(ctx context.Context, c *cluster.Cluster, images []string, steps *term.Steps) {
	end := steps.Start("loading the images of the labs")
	archive, err := nodeimage.PullWorkloads(ctx, images, filepath.Join(d.cacheDir, "workloads"))
	if err == nil {
		err = c.LoadImageArchive(ctx, archive)
	}
	note := ""
	if err != nil {
		note = "labs will pull them: " + err.Error()
	}
	end(nil, note)
}

// kubectlLines tell how to talk to a cluster with what this machine has: what it does, and the command.
func kubectlLines(c *cluster.Cluster, place journal.Place, namespace string) [][2]string {
	_, err := exec.LookPath("kubectl")
	switch {
	case err != nil:
		return [][2]string{{"look around", "kindlab kubectl -n " + namespace + " get all"}}
	case place.Context != "":
		return [][2]string{{"look around", "kubectl --context " + place.Context + " -n " + namespace + " get all"}}
	}
	return [][2]string{
		{"talk to it", "export KUBECONFIG=" + c.Kubeconfig},
		{"look around", "kubectl -n " + namespace + " get all"},
	}
}
