package nodeimage

import (
	"os/exec"
	"syscall"
	"time"
)

// dieTogether makes the kernel end the command when this process ends, and gives a command that is told to stop the
// time to clean up.
func dieTogether(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
}

// isolateMounts gives the command a mount namespace of its own: whatever it mounts is gone when it ends.
func isolateMounts(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
}
