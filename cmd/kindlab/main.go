// Command kindlab is a lab runner for Kubernetes: real clusters, real faults, and a grade for what was repaired.
package main

import (
	"context"
	"os"

	"github.com/kindlab-dev/kindlab/internal/cli"
	"github.com/kindlab-dev/kindlab/internal/term"
)

// version is set by the linker in a release.
var version string

func main() {
	os.Exit(cli.Main(context.Background(), term.System(), version, os.Args[1:]))
}
