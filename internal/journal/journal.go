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
	"sync"
	"syscall"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// version is that of the file's format; it goes up when an older kindlab could not read it rightly.
const version = 1

// Journal is the learner's journal on disk. It is safe for use by several processes.
type Journal struct {
	dir    string
	repair sync.Once // for saying so
	say    func(text string)
}

// Open returns the journal below dir. Nothing is read or made until it is needed. say is told, once, when the journal
// was damaged and its second copy was taken; it may be nil.
func Open(dir string, say func(text string)) *Journal {
	return &Journal{dir: dir, say: say}
}

func (j *Journal) path() string { return filepath.Join(j.dir, "journal.json") }

// spare is a second copy of the journal, for when the first is empty or cut: a full disk or a hard end of the machine
// may do that to a file.
func (j *Journal) spare() string { return j.path() + ".spare" }

// Read returns what the journal says now; a journal that was never written says nothing.
func (j *Journal) Read() (State, error) {
	s, err := read(j.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return State{Version: version}.complete(), nil
	case errors.Is(err, errDamaged):
		spare, none := read(j.spare())
		if none != nil {
			return State{}, remedy.New(fmt.Errorf("reading the journal: %w", err),
				"move that file away: which lab is under way, your answers, hints taken and past grades are lost, and what is on a cluster is not")
		}
		s = spare
		j.repair.Do(func() {
			if j.say != nil {
				j.say(fmt.Sprintf("note: the journal was damaged (%v); its second copy is used.", err))
			}
		})
	case err != nil:
		return State{}, fmt.Errorf("reading the journal: %w", err)
	}
	if s.Version != version {
		return State{}, remedy.New(fmt.Errorf("the journal %s has format %d, this kindlab knows %d", j.path(), s.Version, version),
			"use the kindlab that wrote it, or move that file away")
	}
	return s.complete(), nil
}

// errDamaged is a file that is not a journal, such as one that is cut.
var errDamaged = errors.New("damaged")

func read(file string) (State, error) {
	var s State
	data, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s is %w: %w", file, errDamaged, err)
	}
	return s, nil
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

// write replaces both copies, each as a whole and the spare one first: at any moment one of them is good.
func (j *Journal) write(s State) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	for _, file := range []string{j.spare(), j.path()} {
		if err := replace(file, append(data, '\n')); err != nil {
			return fmt.Errorf("writing the journal: %w", err)
		}
	}
	return nil
}

// replace has the bytes on disk before the file gets its name.
func replace(file string, data []byte) error {
	f, err := os.OpenFile(file+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
