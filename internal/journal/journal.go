// Package journal remembers what the learner does: which lab is started on which cluster, the hints taken and how
// the grades went. It is one small file of JSON below kindlab's state folder. The cluster itself knows which labs it
// carries; the journal only spares the learner from saying so.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// version is that of the file's format; it goes up when an older kindlab could not read it rightly.
const version = 1

// Journal is the learner's journal on disk. It is safe for use by several processes.
type Journal struct {
	dir string
}

// Open returns the journal below dir. Nothing is read or made until it is needed.
func Open(dir string) *Journal {
	return &Journal{dir: dir}
}

func (j *Journal) path() string { return filepath.Join(j.dir, "journal.json") }

// Read returns what the journal says now; a journal that was never written says nothing.
func (j *Journal) Read() (State, error) {
	s := State{Version: version}
	data, err := os.ReadFile(j.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.complete(), nil
	case err != nil:
		return State{}, fmt.Errorf("reading the journal: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, remedy.New(fmt.Errorf("reading the journal %s: %w", j.path(), err),
			"move that file away: only the memory of past grades is lost")
	}
	if s.Version != version {
		return State{}, remedy.New(fmt.Errorf("the journal %s has format %d, this kindlab knows %d", j.path(), s.Version, version),
			"use the kindlab that wrote it, or move that file away")
	}
	return s.complete(), nil
}

// Update changes the journal: change gets what it says now, also when another process is about to change it, and
// nothing is written if it returns an error.
func (j *Journal) Update(change func(*State) error) (err error) {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(j.dir, "journal.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("locking the journal: %w", err)
	}
	// Closing lets go of the lock, as does the end of the process. It is held for moments, so nobody waits long.
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("locking the journal: %w", err)
	}
	s, err := j.Read()
	if err != nil {
		return err
	}
	if err := change(&s); err != nil {
		return err
	}
	return j.write(s)
}

// write replaces the file as a whole: a reader sees the old journal or the new one, also after a crash.
func (j *Journal) write(s State) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	temporary := j.path() + ".new"
	if err := os.WriteFile(temporary, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	if err := os.Rename(temporary, j.path()); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}
