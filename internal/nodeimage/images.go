package nodeimage

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// store makes the node's image store: every image of the recipe, unpacked, as the content of /var/lib/containerd.
func (b *Builder) store(ctx context.Context, source, tools string, binaries map[string]string) (string, error) {
	raw, err := fs.ReadFile(b.recipe.files, "recipe.yaml")
	if err != nil {
		return "", err
	}
	overlays, err := keyOfFiles(b.recipe.files, "overlays")
	if err != nil {
		return "", err
	}
	parts := []string{string(raw), overlays, keyOfDir(source), keyOfDir(tools)}
	for _, group := range b.recipe.Binaries {
		parts = append(parts, keyOfDir(binaries[group.Group]))
	}
	title := fmt.Sprintf("%d container images", len(b.recipe.Images))
	return b.cache.step(ctx, "store", title, key(parts...), func(ctx context.Context, dir string) error {
		wanted, err := b.kubeadmImages(ctx, binaries["kubernetes"])
		if err != nil {
			return err
		}
		modules, err := b.copiedModules(ctx, source)
		if err != nil {
			return err
		}
		images, err := b.images(imageParts{tools: filepath.Join(tools, "root.tar"), binaries: binaries, modules: modules}, wanted)
		if err != nil {
			return err
		}
		archive := filepath.Join(dir, "images.tar")
		if err := tarball.MultiWriteToFile(archive, images); err != nil {
			return fmt.Errorf("writing the images: %w", err)
		}
		root := filepath.Join(dir, "containerd")
		containerd := privateContainerd{binaries: binaries["containerd"], root: root}
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

// imageParts is what images are put together from.
type imageParts struct {
	tools    string            // archive of the Debian tools
	binaries map[string]string // folder of each group
	modules  map[string]string // folder of each module that files are copied from
}

// copiedModules finds the modules that the images copy files from.
func (b *Builder) copiedModules(ctx context.Context, source string) (map[string]string, error) {
	found := map[string]string{}
	for _, image := range b.recipe.Images {
		for _, files := range image.Copy {
			dir, err := b.moduleDir(ctx, source, files.Module)
			if err != nil {
				return nil, err
			}
			found[files.Module] = dir
		}
	}
	return found, nil
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
	for image := range strings.FieldsSeq(output) {
		untagged, _, _ := strings.Cut(image, ":")
		wanted[untagged] = image
	}
	return wanted, nil
}

// images puts the recipe's images together. All but the scratch ones share the layer of Debian tools, and those of one
// binary share its layer too: a node keeps each once.
func (b *Builder) images(from imageParts, wanted map[string]string) (map[name.Tag]v1.Image, error) {
	base, err := fileLayer(from.tools)
	if err != nil {
		return nil, err
	}
	layers := map[string]v1.Layer{}
	result := map[name.Tag]v1.Image{}
	for _, recipe := range b.recipe.Images {
		image, err := b.image(recipe, base, from, layers)
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

func (b *Builder) image(recipe Image, base v1.Layer, from imageParts, shared map[string]v1.Layer) (v1.Image, error) {
	var layers []v1.Layer
	if !recipe.Scratch {
		layers = append(layers, base)
	}
	if recipe.Binary != "" {
		layer, ok := shared[recipe.Binary]
		if !ok {
			var err error
			if layer, err = binaryLayer(recipe, from.binaries); err != nil {
				return nil, err
			}
			shared[recipe.Binary] = layer
		}
		layers = append(layers, layer)
	}
	own, err := b.ownFiles(recipe, from.modules)
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

func fileLayer(archive string) (v1.Layer, error) {
	return layer(func() (io.ReadCloser, error) { return os.Open(archive) })
}
