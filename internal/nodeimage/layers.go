package nodeimage

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// entry is one file or link of a small layer.
type entry struct {
	name, link string
	folder     bool
	content    []byte
	mode       int64
}

// ownFiles lists what belongs to one image alone: its name for a shared binary, links, users, files
// of modules, and its overlay.
func (b *Builder) ownFiles(recipe Image, modules map[string]string) ([]entry, error) {
	var entries []entry
	for _, folder := range recipe.Folders {
		entries = append(entries, entry{name: folder + "/", folder: true, mode: 0o755})
	}
	for link, target := range recipe.Links {
		entries = append(entries, entry{name: link, link: target})
	}
	for _, files := range recipe.Copy {
		for _, file := range files.Files {
			content, err := os.ReadFile(filepath.Join(modules[files.Module], files.From, file))
			if err != nil {
				return nil, err
			}
			entries = append(entries, entry{name: file, content: content, mode: 0o644})
		}
	}
	if recipe.As != "" {
		entries = append(entries, entry{name: "usr/local/bin/" + recipe.As, link: recipe.Binary})
	}
	if len(recipe.Users) > 0 {
		passwd := bytes.NewBufferString("root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n")
		for user, uid := range recipe.Users {
			_, _ = fmt.Fprintf(passwd, "%s:x:%d:%d::/:/bin/sh\n", user, uid, uid)
		}
		entries = append(entries, entry{name: "etc/passwd", content: passwd.Bytes(), mode: 0o644})
	}
	if recipe.Overlay == "" {
		return entries, nil
	}
	root := path.Join("overlays", recipe.Overlay)
	err := fs.WalkDir(b.recipe.files, root, func(file string, found fs.DirEntry, err error) error {
		if err != nil || found.IsDir() {
			return err
		}
		content, err := fs.ReadFile(b.recipe.files, file)
		entries = append(entries, entry{name: strings.TrimPrefix(file, root+"/"), content: content, mode: 0o644})
		return err
	})
	return entries, err
}

func binaryLayer(recipe Image, binaries map[string]string) (v1.Layer, error) {
	target := "usr/local/bin/" + recipe.Binary
	if place, ok := recipe.Files[recipe.Binary]; ok {
		target = strings.TrimPrefix(place, "/")
	}
	for _, folder := range binaries {
		content, err := os.ReadFile(filepath.Join(folder, recipe.Binary))
		if err == nil {
			return entriesLayer([]entry{{name: target, content: content, mode: 0o755}})
		}
	}
	return nil, fmt.Errorf("no group of the recipe builds the binary %s", recipe.Binary)
}

func entriesLayer(entries []entry) (v1.Layer, error) {
	sort.Slice(entries, func(i, j int) bool { return entries[i].name < entries[j].name })
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		switch {
		case e.link != "":
			header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, e.link, 0o777
		case e.folder:
			header.Typeflag = tar.TypeDir
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return layer(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
}
