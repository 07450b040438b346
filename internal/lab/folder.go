package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadDir is Load for a lab in a folder of its own, anywhere on this machine and called as its author likes; its name
// is what its metadata says. Problems name files by the path that was given. Nothing outside the folder is ever read,
// whatever links it holds.
func LoadDir(folder string, validators ...Validator) (*Lab, error) {
	return loadDir(folder, nil, validators)
}

// LoadDirWith is LoadWith for a folder.
func LoadDirWith(folder string, v Values, validators ...Validator) (*Lab, error) {
	if v == nil {
		v = Values{}
	}
	return loadDir(folder, v, validators)
}

func loadDir(folder string, v Values, validators []Validator) (*Lab, error) {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("finding the lab's folder: %w", err)
	}
	files, err := openFolder(absolute)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Problems{{File: folder, Text: "no such folder: a lab is a folder with a lab.yaml"}}
	}
	if err != nil {
		return nil, Problems{{File: folder, Text: err.Error()}}
	}
	l, err := load(files, ".", v, validators)
	if problems, ok := errors.AsType[Problems](err); ok {
		for i := range problems {
			problems[i].File = filepath.Join(folder, problems[i].File)
		}
		return nil, problems
	}
	if err != nil {
		return nil, err
	}
	l.Folder = absolute
	return l, nil
}

// openFolder returns the files of a folder, and no way out of it. They stay open as long as they are in use.
func openFolder(absolute string) (fs.FS, error) {
	root, err := os.OpenRoot(absolute)
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err
		}
		return nil, err
	}
	return root.FS(), nil
}
