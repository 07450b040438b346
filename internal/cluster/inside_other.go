//go:build !linux

package cluster

import (
	"context"
	"os/exec"
)

// inside is nil: nodes run in a virtual machine here.
func (n Node) inside(context.Context, []string) *exec.Cmd { return nil }
