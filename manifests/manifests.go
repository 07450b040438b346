// Package manifests holds what a cluster is made of where no image registry answers: the recipe of the node image.
package manifests

import (
	"embed"
	"io/fs"
)

// all: because a folder that begins with _ (invisible to this module's go command) holds the recipe's own module.
//
//go:embed all:node
var embedded embed.FS

// Node returns the recipe of the node image, rooted at its recipe.yaml.
func Node() (fs.FS, error) {
	return fs.Sub(embedded, "node")
}
