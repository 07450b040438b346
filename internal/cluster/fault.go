package cluster

import (
	"errors"
	"fmt"
	"strings"

	kindexec "sigs.k8s.io/kind/pkg/exec"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// withOutput puts the last lines of a failed kind command into the error: kind's own text is only the exit status.
func withOutput(err error) error {
	var run *kindexec.RunError
	if !errors.As(err, &run) {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(run.Output)), "\n")
	if tail := strings.TrimSpace(strings.Join(lines[max(0, len(lines)-8):], "\n")); tail != "" {
		return fmt.Errorf("%w:\n%s", err, tail)
	}
	return err
}

// withRemedy attaches a remedy to the faults that a learner's machine really has. An error that carries one keeps it.
func withRemedy(err error) error {
	if err == nil || remedy.Of(err) != "" {
		return err
	}
	text := strings.ToLower(err.Error())
	for _, fault := range []struct{ sign, remedy string }{
		{"no space left on device", "free some disk space; `kindlab doctor` shows where the engine keeps its images"},
		{"disk quota exceeded", "free some disk space; `kindlab doctor` shows where the engine keeps its images"},
		{"address already in use", "stop the program that holds the port, then run the command again"},
		{"port is already allocated", "stop the program that holds the port, then run the command again"},
		{"cannot connect to", "start the container engine; `kindlab doctor` says how"},
		{"permission denied", "run as a user who may use the container engine; `kindlab doctor` says more"},
		{"failed to pull image", "build the node image here: kindlab image build"},
		{"executable file not found", "install the container engine; `kindlab doctor` says how"},
	} {
		if strings.Contains(text, fault.sign) {
			return remedy.New(err, fault.remedy)
		}
	}
	return err
}
