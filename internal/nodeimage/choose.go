package nodeimage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// registryPatience is how long a registry may take to answer a question of a few bytes before it counts as out of
// reach: long for a train, short beside a build.
const registryPatience = 6 * time.Second

// Choose returns the node image to use: one that the engine has already (the official one first), else the official
// one where its registry answers (kind then pulls it, by digest), else one built here.
func (b *Builder) Choose(ctx context.Context, official string) (string, error) {
	if b.Has(ctx, official) {
		return official, nil
	}
	if reference, _, err := b.reference(); err == nil && b.Has(ctx, reference) {
		return reference, nil
	}
	end := b.steps.Start("asking for the official node image")
	if err := Reachable(ctx, official); err != nil {
		end(nil, "no registry answers: building the image here")
		return b.Ensure(ctx)
	}
	end(nil, official)
	return official, nil
}

// Has reports whether the engine has the image.
func (b *Builder) Has(ctx context.Context, reference string) bool {
	_, err := b.engine.Run(ctx, "image", "inspect", reference)
	return err == nil
}

// Built reports whether the image was built from a recipe: it then carries every workload image in its store.
func (b *Builder) Built(ctx context.Context, reference string) bool {
	label, err := b.engine.Run(ctx, "image", "inspect", "--format", `{{ index .Config.Labels "`+Label+`" }}`, reference)
	return err == nil && label != "" && label != "<no value>"
}

// Reachable asks the image's registry for its manifest. The error says why there is none.
func Reachable(ctx context.Context, image string) error {
	reference, err := name.ParseReference(image)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	_, err = remote.Head(reference, remote.WithContext(ctx))
	return err
}

// PullWorkloads makes one archive of the images below dir, for loading into the nodes of a cluster whose image does
// not carry them, so that labs start with no download. It is kept, and pulled again only for other names.
func PullWorkloads(ctx context.Context, images []string, dir string) (archive string, err error) {
	archive = filepath.Join(dir, "workloads-"+key(images...)+".tar")
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	}
	pulled := map[name.Tag]v1.Image{}
	for _, image := range images {
		tag, err := name.NewTag(image)
		if err != nil {
			return "", err
		}
		if pulled[tag], err = remote.Image(tag, remote.WithContext(ctx)); err != nil {
			return "", fmt.Errorf("pulling %s: %w", image, err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := tarball.MultiWriteToFile(archive+partial, pulled); err != nil {
		return "", errors.Join(fmt.Errorf("writing the workload images: %w", err), os.Remove(archive+partial))
	}
	return archive, os.Rename(archive+partial, archive)
}
