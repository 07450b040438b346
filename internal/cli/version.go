package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/cluster"
)

func newVersionCommand(d *deps) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of kindlab and what it is made with",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(*cobra.Command, []string) error { return printVersion(d, output) },
	}
	formatVar(cmd, &output)
	return cmd
}

// versions is what version prints.
type versions struct {
	Kindlab   string `json:"kindlab"`
	Go        string `json:"go"`
	Platform  string `json:"platform"`
	Kind      string `json:"kind,omitempty"`
	NodeImage string `json:"nodeImage"` // where a registry answers
}

func printVersion(d *deps, output format) error {
	v := versions{
		Kindlab: d.version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, NodeImage: cluster.OfficialImage,
	}
	// go install stamps the module's version; a plain go build says (devel).
	if info, ok := debug.ReadBuildInfo(); ok {
		if v.Kindlab == "" {
			v.Kindlab = info.Main.Version
		}
		for _, m := range info.Deps {
			if m.Path == "sigs.k8s.io/kind" {
				v.Kind = m.Version
			}
		}
	}
	if output == formatJSON {
		return writeJSON(d, v)
	}
	return d.print(fmt.Sprintf("kindlab %s\ngo %s %s\nkind %s\nnode image %s\n", v.Kindlab, v.Go, v.Platform, dash(v.Kind), v.NodeImage))
}
