package nodeimage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// cache keeps the output folder of each build step under the step's name and the key of its inputs. A folder is
// there whole or not at all: it is made under a temporary name and renamed when it is complete.
type cache struct {
	dir   string
	steps Steps
}

const partial = ".partial"

const (
	// scarceDisk is so little free disk, in bytes, that it explains why a step failed: one file may have been larger.
	scarceDisk = 64 << 20
	largerDisk = "free some space, or set XDG_CACHE_HOME to a folder on a larger disk; then run it again: it goes on where it was"
)

// freeDisk is how many bytes may be written below dir.
func freeDisk(dir string) (uint64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("looking for free disk space: %w", err)
	}
	return disk.Bavail * uint64(disk.Bsize), nil
}

// step returns the output folder of a step, calling build to fill it where it is not there yet. A step with output
// removes what it made for other keys: only the newest is worth its disk space.
func (c *cache) step(ctx context.Context, name, title, key string, build func(ctx context.Context, dir string) error) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	end := c.steps.Start(title)
	dir := filepath.Join(c.dir, name+"-"+key)
	if _, err := os.Stat(dir); err == nil {
		end(nil, "cached")
		return dir, nil
	}
	err := c.fill(ctx, dir, build)
	end(err, "")
	if err != nil {
		return "", fmt.Errorf("%s: %w", title, err)
	}
	return dir, c.removeOthers(name, dir)
}

func (c *cache) fill(ctx context.Context, dir string, build func(ctx context.Context, dir string) error) (err error) {
	temporary := dir + partial
	// A build that was killed leaves its folder behind; whoever holds the lock is the only one building.
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return c.orFull(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temporary))
		}
	}()
	if err := build(ctx, temporary); err != nil {
		return c.orFull(err)
	}
	return os.Rename(temporary, dir)
}

// orFull says so when a step failed because the disk is full: what debootstrap and compilers say of that is no help. It
// is asked before the step's half-made output is removed.
func (c *cache) orFull(err error) error {
	free, unknown := freeDisk(c.dir)
	if unknown != nil || free > scarceDisk {
		return err
	}
	return remedy.New(fmt.Errorf("the disk of %s is full: %w", c.dir, err), largerDisk)
}

func (c *cache) removeOthers(name, keep string) error {
	siblings, err := filepath.Glob(filepath.Join(c.dir, name+"-*"))
	if err != nil {
		return err
	}
	for _, sibling := range siblings {
		if sibling != keep {
			if err := os.RemoveAll(sibling); err != nil {
				return err
			}
		}
	}
	return nil
}

// lock makes sure that one build runs at a time; a second one waits, and says so through waiting. The kernel lets go
// of the lock when the process ends, however it ends.
func (c *cache) lock(ctx context.Context, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for told := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("locking the build folder: %w", err), file.Close())
		}
		if !told {
			waiting()
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// key makes a short content key of the parts.
func key(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// keyOfFiles makes a content key of all files below root in fsys.
func keyOfFiles(fsys fs.FS, roots ...string) (string, error) {
	var parts []string
	for _, root := range roots {
		err := fs.WalkDir(fsys, root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			raw, err := fs.ReadFile(fsys, name)
			parts = append(parts, name+"\x00"+string(raw))
			return err
		})
		if err != nil {
			return "", err
		}
	}
	sort.Strings(parts)
	return key(parts...), nil
}

// keyOfDir names an output folder by its own key, which stands for everything it was made from.
func keyOfDir(dir string) string {
	_, after, _ := strings.Cut(filepath.Base(dir), "-")
	return after
}

// copyTree writes the files below root in fsys to dir.
func copyTree(fsys fs.FS, root, dir string, rename func(name string) string) error {
	return fs.WalkDir(fsys, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, rename(relative))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		source, err := fsys.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = source.Close() }()
		return writeFile(target, source, 0o644)
	})
}

func writeFile(name string, content io.Reader, mode fs.FileMode) (err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(file, content)
	return err
}
