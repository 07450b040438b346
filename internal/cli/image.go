package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
)

func newImageCommand(d *deps) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "image",
		Short:   "Build and list node images",
		GroupID: groupClusters,
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImageBuildCommand(d), newImageListCommand(d))
	return cmd
}

type imageBuildOptions struct {
	engine string
	quiet  bool
}

func newImageBuildCommand(d *deps) *cobra.Command {
	var o imageBuildOptions
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the node image from Go modules and Debian packages",
		Long: `Build the node image from Go modules and Debian packages, for machines that no
image registry answers; up calls it by itself there. Each step is kept, so an
interrupted build goes on where it was. Prints the name of the image.

It needs Linux, root, Go and debootstrap.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), d) },
	}
	enumVarP(cmd, &o.engine, "engine", "", []string{"docker", "podman", "nerdctl"}, "Container engine that gets the image (default: the first that answers)")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "Show no progress")
	return cmd
}

func (o *imageBuildOptions) run(ctx context.Context, d *deps) error {
	e, err := d.engine(ctx, d.engineOptions(o.engine))
	if err != nil {
		return err
	}
	var steps interface {
		Start(string) func(error, string)
	} = d.io.Steps()
	if o.quiet {
		steps = quiet{}
	}
	builder, _, err := d.builder(e, steps)
	if err != nil {
		return err
	}
	image, err := builder.Ensure(ctx)
	if err != nil {
		return err
	}
	return d.print(image + "\n")
}

func newImageListCommand(d *deps) *cobra.Command {
	var engine string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the node images that the engine has",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return listImages(cmd.Context(), d, engine) },
	}
	enumVarP(cmd, &engine, "engine", "", []string{"docker", "podman", "nerdctl"}, "Container engine to ask (default: the first that answers)")
	return cmd
}

func listImages(ctx context.Context, d *deps, engineName string) error {
	e, err := d.engine(ctx, d.engineOptions(engineName))
	if err != nil {
		return err
	}
	var rows [][]string
	if d.io.OutView.Terminal {
		rows = append(rows, []string{"IMAGE", "SIZE", "MADE"})
	}
	for _, source := range []struct{ repository, made string }{{"localhost/kindlab/node", "here"}, {"kindest/node", "by kind"}} {
		out, err := e.Run(ctx, "images", "--filter", "reference="+source.repository, "--format", "{{.Repository}}:{{.Tag}}|{{.Size}}")
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			name, size, _ := strings.Cut(strings.TrimSpace(line), "|")
			rows = append(rows, []string{name, size, source.made})
		}
	}
	return d.writeTable(rows)
}
