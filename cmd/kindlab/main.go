// Command kindlab is a lab runner for Kubernetes: real clusters, real faults, and a grade for what was repaired.
package main

import (
	"context"
	"os"

	"github.com/kindlab-dev/kindlab/internal/cli"
	"github.com/kindlab-dev/kindlab/internal/term"
)

// Set by the linker: version in a release, grader, the hash of the sources that grade, in every build by make.
var version, grader string

func main() {
	os.Exit(cli.Main(context.Background(), term.System(), cli.Build{Version: version, Grader: grader}, os.Args[1:]))
}
