package engine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadInotify(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if _, ok := ReadInotify(root); ok {
		t.Error("a host without /proc was read")
	}
	limits := filepath.Join(root, "proc/sys/fs/inotify")
	if err := os.MkdirAll(limits, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(limits, "max_user_instances"), []byte("3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for process, targets := range map[string][]string{
		"1":   {"anon_inode:inotify", "/dev/null"},
		"22":  {"anon_inode:inotify", "anon_inode:inotify", "anon_inode:[eventpoll]"},
		"bus": {"anon_inode:inotify"}, // not a process
	} {
		folder := filepath.Join(root, "proc", process, "fd")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, target := range targets {
			if err := os.Symlink(target, filepath.Join(folder, string(rune('0'+i)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, ok := ReadInotify(root)
	if want := (Inotify{Max: 3, Used: 3}); !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
	if got.Left() != 0 || (Inotify{Max: 2, Used: 5}).Left() != 0 || (Inotify{Max: 5, Used: 2}).Left() != 3 {
		t.Error("Left is not the difference, or falls below zero")
	}
}
