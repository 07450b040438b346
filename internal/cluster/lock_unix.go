//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a waiting process asks again: flock itself cannot be cancelled.
const lockPoll = 200 * time.Millisecond

// lock makes the caller the only one to change the named cluster, waiting for another to finish. The kernel gives the
// lock back when the process dies, however it dies. The file stays: removing it would let two hold it at once.
func (m *Manager) lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("locking cluster %q: %w", name, err)
	}
	file, err := os.OpenFile(filepath.Join(m.dir, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking cluster %q: %w", name, err)
	}
	if err := m.waitForLock(ctx, name, file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { file.Close() }, nil // closing gives the lock back
}

func (m *Manager) waitForLock(ctx context.Context, name string, file *os.File) (err error) {
	var end func(error, string)
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("locking cluster %q: %w", name, err)
		}
		if err == nil {
			if end != nil {
				end(nil, "")
			}
			return nil
		}
		if end == nil {
			end = m.steps.Start(fmt.Sprintf("Waiting for another kindlab that is at work on cluster %q", name))
		}
		select {
		case <-ctx.Done():
			end(ctx.Err(), "")
			return ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}
