// Package labs holds the catalogue: every lab as a folder <topic>/<lab>. See
// README.md for how to write one.
package labs

import (
	"embed"
	"io/fs"
)

//go:embed */*/*
var catalogue embed.FS

// FS returns the catalogue's folders.
func FS() fs.FS { return catalogue }
