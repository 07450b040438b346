package nodeimage

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sort"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// store makes the node's image store: every image of the recipe, unpacked, as the content of /var/lib/containerd.
func (b *Builder) store(ctx context.Context, tools string, binaries map[string]string) (string, error) {
	raw, err := fs.ReadFile(b.recipe.files, "recipe.yaml")
	if err != nil {
		return "", err
	}
	overlays, err := keyOfFiles(b.recipe.files, "overlays")
	if err != nil {
		return "", err
	}
	parts := []string{string(raw), overlays, keyOfDir(tools)}
	for _, group := range b.recipe.Binaries {
		parts = append(parts, keyOfDir(binaries[group.Group]))
	}
	title := fmt.Sprintf("%d container images", len(b.recipe.Images))
	return b.cache.step(ctx, "store", title, key(parts...), func(ctx context.Context, dir string) error {
		wanted, err := b.kubeadmImages(ctx, binaries["kubernetes"])
		if err != nil {
			return err
		}
		images, err := b.images(filepath.Join(tools, "root.tar"), binaries, wanted)
		if err != nil {
			return err
		}
		archive := filepath.Join(dir, "images.tar")
		if err := tarball.MultiWriteToFile(archive, images); err != nil {
			return fmt.Errorf("writing the images: %w", err)
		}
		root := filepath.Join(dir, "containerd")
		containerd := privateContainerd{binaries: binaries["containerd"], root: root, runtime: filepath.Join(dir, "run")}
		if err := containerd.importArchive(ctx, archive); err != nil {
			return fmt.Errorf("importing the images: %w", err)
		}
		if err := tarUnder(ctx, root, "var/lib/containerd", filepath.Join(dir, "root.tar")); err != nil {
			return err
		}
		for _, done := range []string{archive, root} {
			if err := os.RemoveAll(done); err != nil {
				return err
			}
		}
		return nil
	})
}

// kubeadmImages asks the kubeadm just built which images it will want, by name without tag.
func (b *Builder) kubeadmImages(ctx context.Context, kubernetes string) (map[string]string, error) {
	command := commandAs(ctx, filepath.Join(kubernetes, "kubernetes"), "kubeadm",
		"config", "images", "list", "--kubernetes-version", b.recipe.KubernetesVersion())
	output, err := run(command)
	if err != nil {
		return nil, err
	}
	wanted := map[string]string{}
	for _, image := range strings.Fields(output) {
		untagged, _, _ := strings.Cut(image, ":")
		wanted[untagged] = image
	}
	return wanted, nil
}

// images puts the recipe's images together. All but the scratch ones share the layer of Debian tools, and those of one
// binary share its layer too: a node keeps each once.
func (b *Builder) images(tools string, binaries, wanted map[string]string) (map[name.Tag]v1.Image, error) {
	base, err := fileLayer(tools)
	if err != nil {
		return nil, err
	}
	layers := map[string]v1.Layer{}
	result := map[name.Tag]v1.Image{}
	for _, recipe := range b.recipe.Images {
		image, err := b.image(recipe, base, binaries, layers)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", recipe.Names[0], err)
		}
		for _, reference := range recipe.Names {
			if !hasTag(reference) {
				tagged, ok := wanted[reference]
				if !ok {
					return nil, fmt.Errorf("image %s has no tag, and kubeadm does not ask for it", reference)
				}
				reference = tagged
			}
			tag, err := name.NewTag(reference)
			if err != nil {
				return nil, err
			}
			result[tag] = image
		}
	}
	return result, nil
}

func (b *Builder) image(recipe Image, base v1.Layer, binaries map[string]string, shared map[string]v1.Layer) (v1.Image, error) {
	var layers []v1.Layer
	if !recipe.Scratch {
		layers = append(layers, base)
	}
	if recipe.Binary != "" {
		layer, ok := shared[recipe.Binary]
		if !ok {
			var err error
			if layer, err = binaryLayer(recipe, binaries); err != nil {
				return nil, err
			}
			shared[recipe.Binary] = layer
		}
		layers = append(layers, layer)
	}
	own, err := b.ownFiles(recipe)
	if err != nil {
		return nil, err
	}
	if len(own) > 0 {
		layer, err := entriesLayer(own)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	file.Config.Entrypoint, file.Config.Cmd = recipe.Entrypoint, recipe.Cmd
	return mutate.ConfigFile(image, file)
}

// entry is one file or link of a small layer.
type entry struct {
	name, link string
	content    []byte
	mode       int64
}

// ownFiles lists what belongs to one image alone: its name for a shared binary, its users, its overlay.
func (b *Builder) ownFiles(recipe Image) ([]entry, error) {
	var entries []entry
	if recipe.As != "" {
		entries = append(entries, entry{name: "usr/local/bin/" + recipe.As, link: recipe.Binary})
	}
	if len(recipe.Users) > 0 {
		passwd := "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
		for user, uid := range recipe.Users {
			passwd += fmt.Sprintf("%s:x:%d:%d::/:/bin/sh\n", user, uid, uid)
		}
		entries = append(entries, entry{name: "etc/passwd", content: []byte(passwd), mode: 0o644})
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
		if e.link != "" {
			header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, e.link, 0o777
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

func fileLayer(archive string) (v1.Layer, error) {
	return layer(func() (io.ReadCloser, error) { return os.Open(archive) })
}
