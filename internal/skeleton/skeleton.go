// Package skeleton writes the beginning of a lab: small, complete and sound in its form, with everything that only its
// author can know left to fill in.
package skeleton

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed lab
var files embed.FS

// ErrThere says that something is where the lab should go.
var ErrThere = errors.New("is there already")

// Write makes the folder topic/name below dir and returns its path. What is there is never touched: a folder of that name
// is an ErrThere. Both words are valid as metadata of a lab.
func Write(dir, topic, name string) (folder string, err error) {
	if err := os.MkdirAll(filepath.Join(dir, topic), 0o755); err != nil {
		return "", fmt.Errorf("making the topic's folder: %w", err)
	}
	folder = filepath.Join(dir, topic, name)
	// The folder is this call's own from here on: Mkdir takes no other's.
	if err := os.Mkdir(folder, 0o755); errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s %w", folder, ErrThere)
	} else if err != nil {
		return "", fmt.Errorf("making the lab's folder: %w", err)
	}
	own, err := fs.Sub(files, "lab")
	if err != nil {
		return "", err
	}
	words := strings.NewReplacer("NAME", name, "TOPIC", topic)
	return folder, fs.WalkDir(own, ".", func(at string, e fs.DirEntry, err error) error {
		target := filepath.Join(folder, filepath.FromSlash(at))
		switch {
		case err != nil:
			return err
		case at == ".":
			return nil
		case e.IsDir():
			return os.Mkdir(target, 0o755)
		}
		text, err := fs.ReadFile(own, at)
		if err != nil {
			return err
		}
		return os.WriteFile(target, []byte(words.Replace(string(text))), 0o644)
	})
}
