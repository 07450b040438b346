package nodeimage

import (
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Label marks node images built from a recipe; its value is the key of everything in the image.
const Label = "dev.kindlab.recipe"

// node puts the node image together and gives it to the engine under the reference.
func (b *Builder) node(ctx context.Context, reference, label string, archives ...string) error {
	var layers []v1.Layer
	for _, archive := range archives {
		layer, err := fileLayer(archive)
		if err != nil {
			return err
		}
		layers = append(layers, layer)
	}
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config = v1.Config{
		// systemd looks for this to know that it is in a container, and stops on SIGRTMIN+3 alone.
		Env:        []string{"container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		StopSignal: "SIGRTMIN+3",
		Entrypoint: []string{"/usr/local/bin/entrypoint", "/sbin/init"},
		Labels:     map[string]string{Label: label},
	}
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return err
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	archive := filepath.Join(b.cache.dir, "node-image.tar"+partial)
	defer func() { _ = os.Remove(archive) }() // left behind, it would be overwritten by the next build
	if err := tarball.WriteToFile(archive, tag, image); err != nil {
		return fmt.Errorf("writing the node image: %w", err)
	}
	_, err = b.engine.Run(ctx, "load", "--input", archive)
	return err
}

// layer makes a layer that is stored, not compressed: it never leaves this machine.
func layer(open tarball.Opener) (v1.Layer, error) {
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.NoCompression))
}

// commandAs runs a binary under another name, which is how one binary is many programs.
func commandAs(ctx context.Context, binary, as string, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, binary, arguments...)
	command.Args[0] = as
	return command
}
