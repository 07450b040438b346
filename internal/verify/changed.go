package verify

import (
	"path"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// grading are the folders that a lab's proof depends on beside the lab itself: the grader, and what clusters are made
// of.
func grading() []string {
	return []string{
		"cmd/kindlab-agent/", "internal/check/", "internal/cluster/", "internal/explain/", "internal/grade/", "internal/lab/",
		"internal/nodeimage/", "internal/probe/", "internal/report/", "internal/site/", "internal/stage/", "internal/verify/",
		"manifests/", "go.mod", "go.sum",
	}
}

// Changed returns the labs that a change of files concerns: those in whose folders a file has changed, or all when the
// grader or the clusters are others. Files are given relative to the repository, as catalogue, the folder of labs, is.
func Changed(labs []*lab.Lab, catalogue string, files []string) []*lab.Lab {
	for _, file := range files {
		concerns := func(folder string) bool { return strings.HasPrefix(file, folder) }
		if slices.ContainsFunc(grading(), concerns) && !strings.HasSuffix(file, "_test.go") && !strings.HasSuffix(file, ".md") {
			return labs
		}
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
