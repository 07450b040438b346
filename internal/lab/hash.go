package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Hash is the content of the lab's folder in one word: another one means that a file has changed, come, gone or been
// renamed. Files whose names begin with a dot or an underscore are no part of a lab, as in the built-in catalogue. It
// is the same with the line ends of Windows.
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
		content, err := fs.ReadFile(l.fsys, name)
		if err != nil {
			return err
		}
		inside := strings.TrimPrefix(strings.TrimPrefix(name, l.dir), "/")
		fmt.Fprintf(sum, "%x  %s\n", sha256.Sum256(unixLines(content)), inside)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("reading lab %s: %w", l.Name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}
