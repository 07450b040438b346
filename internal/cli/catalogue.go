package cli

import (
	"errors"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// A catalogue is the labs that there are. One that cannot be read takes nothing away from the others: whoever edits lab
// B does not stop those who work in lab A.
type catalogue struct {
	labs   []*lab.Lab // by name
	broken map[string]lab.Problems
}

// catalogue reads the labs, and says nothing.
func (d *deps) catalogue() (*catalogue, error) {
	files, err := d.labFiles()
	if err != nil {
		return nil, err
	}
	labs, err := lab.Catalogue(files)
	problems, bad := errors.AsType[lab.Problems](err)
	if err != nil && !bad {
		return nil, err
	}
	c := &catalogue{labs: labs, broken: map[string]lab.Problems{}}
	for _, p := range problems {
		name := path.Dir(p.File)
		p.File = filepath.Join(d.labsDir, p.File) // a path that opens
		c.broken[name] = append(c.broken[name], p)
	}
	return c, nil
}

// readCatalogue reads the labs, with a line on each that cannot be read.
func (d *deps) readCatalogue() (*catalogue, error) {
	c, err := d.catalogue()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.broken)) {
		d.io.Sayf("note: %s cannot be read: %s", name, c.broken[name][0])
	}
	return c, nil
}

// find returns the lab a learner means: by its full name, or by its short one where only one lab has it. A lab that
// cannot be read is found, and its problems are the error.
func (c *catalogue) find(name string) (*lab.Lab, error) {
	var short []string
	names := make([]string, 0, 2*len(c.labs))
	for _, l := range c.labs {
		if l.Name == name {
			return l, nil
		}
		if l.ID == name {
			short = append(short, l.Name)
		}
		names = append(names, l.Name, l.ID)
	}
	for full := range c.broken {
		if full == name {
			return nil, c.broken[full]
		}
		if path.Base(full) == name {
			short = append(short, full)
		}
	}
	slices.Sort(short)
	switch len(short) {
	case 0:
		return nil, unknown("lab", name, names, "see all labs: kindlab list")
	case 1:
		return c.find(short[0])
	}
	return nil, remedy.New(usageErrorf("several labs are called %q", name), "say which one: "+strings.Join(short, " or "))
}
