package cluster

import (
	"fmt"

	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// What nodes take, counted on nodes with a lab's pods: 31 on the control plane and 18 on a worker.
const (
	inotifyControlPlane = 32
	inotifyWorker       = 18
)

// enoughInotify says whether as many nodes can start. Without room they die with "too many open files", which tells a
// learner nothing.
func enoughInotify(i engine.Inotify, nodes int) error {
	need := uint64(inotifyControlPlane + (nodes-1)*inotifyWorker) //nolint:gosec // the number of nodes is at least 1
	if i.Left() >= need {
		return nil
	}
	return remedy.New(
		fmt.Errorf("%d nodes need about %d inotify instances; this host allows %d and %d are in use", nodes, need, i.Max, i.Used),
		"remove a cluster (kindlab down), use fewer nodes, or raise the limit: sysctl fs.inotify.max_user_instances=512")
}

func inotifyFinding(i engine.Inotify) Finding {
	if low := enoughInotify(i, 3); low != nil {
		return Finding{"inotify", Warn, low.Error(), remedy.Of(low)}
	}
	return Finding{ID: "inotify", Level: OK, What: fmt.Sprintf("%d inotify instances are left for nodes", i.Left())}
}
