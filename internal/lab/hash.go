package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Hash is the content of the lab's folder in one word: another one means that a file has changed, come, gone or been
// renamed. Files whose names begin with a dot or an underscore are no part of a lab, as in the built-in catalogue.
func (l *Lab) Hash() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(l.fsys, l.dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != l.dir && strings.ContainsAny(path.Base(name)[:1], "._")
		switch {
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || !entry.Type().IsRegular():
			return nil
		}
		f, err := l.fsys.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		content := sha256.New()
		if _, err := io.Copy(content, f); err != nil {
			return err
		}
		inside := strings.TrimPrefix(strings.TrimPrefix(name, l.dir), "/")
		fmt.Fprintf(sum, "%x  %s\n", content.Sum(nil), inside)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("reading lab %s: %w", l.Name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
