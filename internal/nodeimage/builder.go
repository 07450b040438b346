package nodeimage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// Steps shows progress: Start says what begins and returns the function that says how it ended. A note is a short
// word for the line, such as "cached".
type Steps interface {
	Start(name string) (end func(err error, note string))
}

// Engine is the container engine that gets the finished image.
type Engine interface {
	Name() string
	Run(ctx context.Context, args ...string) (string, error)
}

// Builder builds node images into a cache folder. One build runs at a time, also among processes.
type Builder struct {
	recipe *Recipe
	engine Engine
	cache  *cache
	steps  Steps
}

// NewBuilder returns a builder of the recipe that keeps its outputs below dir.
func NewBuilder(recipe *Recipe, engine Engine, dir string, steps Steps) *Builder {
	return &Builder{recipe: recipe, engine: engine, steps: steps, cache: &cache{dir: dir, steps: steps}}
}

// neededDisk is what a build from nothing takes at its peak in the build folder, in bytes: the sizes of all outputs and
// of the archives on the way, added up and rounded up.
// Go's own module and build caches come on top.
const neededDisk = 5 << 30

// Ensure builds what is missing and returns the reference of the node image in the engine's store.
func (b *Builder) Ensure(ctx context.Context) (string, error) {
	unlock, err := b.cache.lock(ctx, func() {
		b.steps.Start("waiting for the build that is under way in another process")(nil, "")
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	reference, label, err := b.reference()
	if err != nil {
		return "", err
	}
	if b.Has(ctx, reference) {
		b.steps.Start("node image "+reference)(nil, "cached")
		return reference, nil
	}
	if err := b.ready(); err != nil {
		return "", err
	}
	archives, err := b.parts(ctx)
	if err != nil {
		return "", err
	}
	end := b.steps.Start("node image " + reference)
	err = b.node(ctx, reference, label, archives...)
	end(err, "")
	return reference, err
}

// reference names the image by everything it is made from, so that an unchanged recipe is found without a look at
// its parts. Debian's packages are those of the day of the build: a newer one alone is no new image.
func (b *Builder) reference() (reference, label string, err error) {
	label, err = keyOfFiles(b.recipe.files, ingredients()...)
	if err != nil {
		return "", "", err
	}
	label = key(label, runtime.GOARCH)
	return fmt.Sprintf("localhost/kindlab/node:%s-%s", b.recipe.KubernetesVersion(), label[:8]), label, nil
}

// ingredients are the parts of the recipe that end up in the image; what is written about it beside them does not.
func ingredients() []string {
	return []string{"recipe.yaml", "rootfs.sh", "files", "overlays", sourceDir}
}

// parts makes the archives that the node image consists of, bottom layer first.
func (b *Builder) parts(ctx context.Context) ([]string, error) {
	source, err := b.source(ctx)
	if err != nil {
		return nil, err
	}
	binaries := map[string]string{}
	for _, group := range b.recipe.Binaries {
		if binaries[group.Group], err = b.build(ctx, source, group); err != nil {
			return nil, err
		}
	}
	tools, err := b.rootfs(ctx, "tools", b.recipe.Rootfs.Tools)
	if err != nil {
		return nil, err
	}
	node, err := b.rootfs(ctx, "node", b.recipe.Rootfs.Node)
	if err != nil {
		return nil, err
	}
	files, err := b.nodeFiles(ctx, source, binaries)
	if err != nil {
		return nil, err
	}
	store, err := b.store(ctx, source, tools, binaries)
	if err != nil {
		return nil, err
	}
	var archives []string
	for _, dir := range []string{node, files, store} {
		archives = append(archives, filepath.Join(dir, "root.tar"))
	}
	return archives, nil
}

// ready says what this machine lacks for a build, all at once, before anything is begun.
func (b *Builder) ready() error {
	if runtime.GOOS != "linux" {
		return remedy.New(errors.New("no image registry answers, and a node image can only be built on Linux"),
			"connect to the internet once, so that the official kindest/node image can be pulled")
	}
	if os.Geteuid() != 0 {
		return remedy.New(errors.New("building a node image needs root: it makes a Debian root file system"),
			"run the same command as root, or connect to the internet so that the official image can be pulled")
	}
	var missing []string
	for _, tool := range []string{"go", "debootstrap", "bash", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if len(missing) > 0 {
		return remedy.New(fmt.Errorf("building a node image needs %s", strings.Join(missing, ", ")),
			"install it (Debian: apt-get install debootstrap; Go: 1.26 or newer)")
	}
	return b.enoughDisk()
}

func (b *Builder) enoughDisk() error {
	free, err := freeDisk(b.cache.dir)
	if err != nil {
		return err
	}
	if free < neededDisk {
		return remedy.New(fmt.Errorf("building a node image needs %d GB of disk below %s, %.1f GB are free", neededDisk>>30, b.cache.dir, float64(free)/(1<<30)),
			largerDisk)
	}
	return nil
}
