package verify

import (
	"path"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/grader"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// Changed returns the labs that a change of files concerns: those in whose folders a file has changed, or all when the
// grader or the clusters are others. Files are given relative to the repository, as catalogue, the folder of labs, is.
func Changed(labs []*lab.Lab, catalogue string, files []string) []*lab.Lab {
	if slices.ContainsFunc(files, grader.Grades) {
		return labs
	}
	var changed []*lab.Lab
	for _, l := range labs {
		folder := path.Join(catalogue, l.Name) + "/"
		if slices.ContainsFunc(files, func(file string) bool { return strings.HasPrefix(file, folder) }) {
			changed = append(changed, l)
		}
	}
	return changed
}
