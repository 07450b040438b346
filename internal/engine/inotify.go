package engine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Inotify is how many inotify instances root may have, and how many are in use. systemd, the kubelet and containerd
// of every node take theirs from the same purse, and a node that gets none dies while it starts.
type Inotify struct {
	Max, Used uint64
}

// ReadInotify reads the facts below root ("/" on a real host). ok is false where they cannot be read.
func ReadInotify(root string) (i Inotify, ok bool) {
	raw, err := os.ReadFile(filepath.Join(root, "proc/sys/fs/inotify/max_user_instances"))
	if err != nil {
		return Inotify{}, false
	}
	if i.Max, err = strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64); err != nil {
		return Inotify{}, false
	}
	descriptors, err := filepath.Glob(filepath.Join(root, "proc/[0-9]*/fd/*"))
	if err != nil {
		return Inotify{}, false
	}
	for _, descriptor := range descriptors {
		// One that closes meanwhile, or another user's, is not counted.
		if target, err := os.Readlink(descriptor); err == nil && target == "anon_inode:inotify" {
			i.Used++
		}
	}
	return i, true
}

// Left is how many instances can still be made.
func (i Inotify) Left() uint64 {
	return i.Max - min(i.Used, i.Max)
}
