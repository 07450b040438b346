//go:build !linux

package nodeimage

import "os/exec"

// Building needs Linux; Builder.ready says so before anything is run.
func dieTogether(*exec.Cmd) {}

func isolateMounts(*exec.Cmd) {}
