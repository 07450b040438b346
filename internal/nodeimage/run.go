package nodeimage

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// run runs a command to its end and returns its trimmed output. An error carries the last lines the command printed.
// The command dies with this process, also when this process is killed.
func run(command *exec.Cmd) (string, error) {
	var output, complaints bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaints
	dieTogether(command)
	err := command.Run()
	if err != nil {
		return "", commandError(command, err, complaints.String()+output.String())
	}
	return strings.TrimSpace(output.String()), nil
}

func commandError(command *exec.Cmd, err error, output string) error {
	if missing, ok := errors.AsType[*exec.Error](err); ok {
		return fmt.Errorf("%s is not installed: %w", missing.Name, err)
	}
	name := filepath.Base(command.Path)
	if len(command.Args) > 1 {
		name += " " + command.Args[1]
	}
	return fmt.Errorf("%s: %w\n%s", name, err, lastLines(output, 15))
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
