package cli

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/nodeimage"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/term"
	"github.com/kindlab-dev/kindlab/labs"
	"github.com/kindlab-dev/kindlab/manifests"
)

// deps is what commands need of the world. What takes time is a method, called by those who need it: listing labs
// and completing words look at neither engine nor cluster.
type deps struct {
	io       *term.IO
	version  string
	grader   string // "" where the build does not tell
	stateDir string
	cacheDir string
	labsDir  string // "" for the built-in labs
	journal  *journal.Journal
	now      func() time.Time
	random   *rand.Rand // draws a lab's values
}

func newDeps(io *term.IO, build Build) (*deps, error) {
	state, err := xdg(io.Getenv, "XDG_STATE_HOME", ".local/state")
	if err != nil {
		return nil, err
	}
	cache, err := xdg(io.Getenv, "XDG_CACHE_HOME", ".cache")
	if err != nil {
		return nil, err
	}
	return &deps{
		io: io, version: build.Version, grader: build.Grader, stateDir: state, cacheDir: cache, labsDir: io.Getenv("KINDLAB_LABS"),
		journal: journal.Open(state, func(text string) { io.Sayf("%s", text) }), now: time.Now,
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), //nolint:gosec // values for exercises, not secrets
	}, nil
}

// xdg returns kindlab's folder below an XDG base directory, or below its default in the home directory.
func xdg(getenv func(string) string, variable, fallback string) (string, error) {
	// The specification wants relative paths ignored.
	if base := getenv(variable); filepath.IsAbs(base) {
		return filepath.Join(base, "kindlab"), nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", remedy.New(fmt.Errorf("neither %s nor HOME is set", variable), "set HOME to your home directory")
	}
	return filepath.Join(home, fallback, "kindlab"), nil
}

// labFiles is the catalogue's file system.
func (d *deps) labFiles() (fs.FS, error) {
	if d.labsDir == "" {
		return labs.FS(), nil
	}
	info, err := os.Stat(d.labsDir)
	if err != nil {
		return nil, usageErrorf("reading the labs: %w", err)
	}
	if !info.IsDir() {
		return nil, usageErrorf("reading the labs: %s is not a folder", d.labsDir)
	}
	return os.DirFS(d.labsDir), nil
}

// engine finds the container engine and makes it the one that kind runs.
func (d *deps) engine(ctx context.Context, options engine.Options) (*engine.Engine, error) {
	e, err := engine.Find(ctx, options)
	if err != nil {
		return nil, err
	}
	// kind runs the engine itself, with the environment of the process.
	return e, e.Activate(os.Setenv)
}

func (d *deps) engineOptions(name string) engine.Options {
	return engine.Options{Name: name, StateDir: d.stateDir, Getenv: d.io.Getenv}
}

// manager manages the clusters of an engine, "" for the first that answers.
func (d *deps) manager(ctx context.Context, engineName string, steps cluster.Steps) (*cluster.Manager, *engine.Engine, error) {
	e, err := d.engine(ctx, d.engineOptions(engineName))
	if err != nil {
		return nil, nil, err
	}
	return cluster.NewManager(e, d.stateDir, steps, d.now), e, nil
}

// openOwn opens a running cluster of kindlab's own. Where it is known which engine it runs on, that is not asked
// whether it answers: the cluster will show.
func (d *deps) openOwn(ctx context.Context, engineName, name string) (*cluster.Cluster, error) {
	options := d.engineOptions(engineName)
	options.Trusted = engineName != ""
	e, err := d.engine(ctx, options)
	if err != nil {
		return nil, err
	}
	return cluster.NewManager(e, d.stateDir, quiet{}, d.now).Open(ctx, name)
}

// builder builds node images for an engine.
func (d *deps) builder(e *engine.Engine, steps nodeimage.Steps) (*nodeimage.Builder, *nodeimage.Recipe, error) {
	files, err := manifests.Node()
	if err != nil {
		return nil, nil, err
	}
	recipe, err := nodeimage.LoadRecipe(files)
	if err != nil {
		return nil, nil, err
	}
	return nodeimage.NewBuilder(recipe, e, filepath.Join(d.cacheDir, "build"), steps), recipe, nil
}

// quiet shows no steps.
type quiet struct{}

func (quiet) Start(string) (end func(error, string)) { return func(error, string) {} }
