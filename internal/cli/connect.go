package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

// on calls do with the cluster of a place, running and connected.
func (d *deps) on(ctx context.Context, f *placeFlags, place journal.Place, do func(*site.Site) error) error {
	c, err := d.open(ctx, f, place)
	if err != nil {
		return err
	}
	s, err := d.connect(ctx, c, place)
	if err != nil {
		return err
	}
	// The agents end with their streams; what they still had to say interests nobody.
	defer func() { _ = s.Close() }()
	return do(s)
}

func (d *deps) connect(ctx context.Context, c *cluster.Cluster, place journal.Place) (*site.Site, error) {
	s, err := site.Connect(ctx, c, place.Context == "")
	if err == nil && s.Note != "" {
		d.io.Sayf("note: %s", s.Note)
	}
	return s, err
}

// attempt returns a lab as it was started here, with the values drawn then, and gives the site what checks compare
// with: the baseline, and what the learner answered.
func (d *deps) attempt(ctx context.Context, s *site.Site, name string) (*lab.Lab, error) {
	recorded, err := stage.Recorded(ctx, s.Cluster, name)
	switch {
	case errors.Is(err, stage.ErrNotRecorded):
		// Somebody may have removed the record alone. A lab without params can be graded without it.
		there, err := stage.Started(ctx, s.Cluster)
		if err == nil && !slices.Contains(there, name) {
			return nil, remedy.New(fmt.Errorf("lab %s is not on the cluster any more", name), "put it back: kindlab start "+name)
		}
	case err != nil:
		return nil, err
	}
	j, err := d.journal.Read()
	if err != nil {
		return nil, err
	}
	s.Baseline = recorded.Baseline
	s.Answer = func(task string) (string, bool) {
		text, ok := j.Progress[name].Answers[task]
		return text, ok
	}
	return d.loadWith(name, recorded.Params)
}

// load reads a lab strictly and with all its files: a bad lab must not get as far as a cluster.
func (d *deps) load(name string) (*lab.Lab, error) {
	folder, err := d.folder(name)
	if err != nil {
		return nil, err
	}
	if folder != "" {
		return lab.LoadDir(folder, check.Builtin())
	}
	files, err := d.labFiles()
	if err != nil {
		return nil, err
	}
	return lab.Load(files, name, check.Builtin())
}

// loadWith is load with the values of an attempt.
func (d *deps) loadWith(name string, values lab.Values) (*lab.Lab, error) {
	values = maps.Clone(values)
	folder, err := d.folder(name)
	if err != nil {
		return nil, err
	}
	if folder != "" {
		return lab.LoadDirWith(folder, values, check.Builtin())
	}
	files, err := d.labFiles()
	if err != nil {
		return nil, err
	}
	return lab.LoadWith(files, name, values, check.Builtin())
}

// folder is where a lab outside the catalogue lies, as start was told; "" for a lab of the catalogue.
func (d *deps) folder(name string) (string, error) {
	s, err := d.journal.Read()
	return s.Folders[name], err
}
