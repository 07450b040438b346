//go:build unix

package engine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// DiskFree is the number of bytes an ordinary user may still write on the file system of path.
func DiskFree(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("reading the free space of %s: %w", path, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
