// Package explain walks the object graph from what somebody asked for to the first link that does not hold, and says
// it in the learner's own object names: what is, never what to do about it. It only looks, and only at the API: a
// walk is worth its calls when something was seen not to work.
package explain

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

// A Link is where a chain first breaks.
type Link struct {
	Object string   // "Service bread", "Pod oven-7f": what to look at
	Is     string   // what is, in one sentence without its full stop, so that it may follow a colon
	Look   string   // the kubectl command that shows the evidence
	Chain  []string // the links before it, which hold, one line each
	// Settling tells that the link may come to hold with nobody's help: a controller is on its way.
	Settling bool
	// Guess tells that nothing certain is broken: what containers declare speaks for this, or the chain leaves for a
	// name outside of what is followed.
	Guess bool
	// Lasting tells that the link does not come to hold by pods that are on their way.
	Lasting bool
	// Leaves tells of a Guess whose chain leads to a name outside of the cluster.
	Leaves bool
	// Doors are what a Guess takes for shut. Who can send packets can find out.
	Doors []Door
}

// A Door is a port of a pod.
type Door struct {
	Pod  corev1.Pod
	Port int
}

// A Walker follows chains of objects. Every walk returns nil and no error when nothing is broken as far as the API
// shows, and an error when it could not look: trouble with the API is never a Link.
type Walker struct {
	Kube kubernetes.Interface
	Now  func() time.Time // nil means time.Now
}

// walk is one walk: what was read on it, and the links that hold. A list is read once in a walk.
type walk struct {
	kube  kubernetes.Interface
	now   time.Time
	lists map[string]any
	chain []string
	// Claims and workloads lead to pods, and pods to claims: what stands here is being walked already.
	entered map[string]bool
}

func (w Walker) walk() *walk {
	now := time.Now
	if w.Now != nil {
		now = w.Now
	}
	return &walk{kube: w.Kube, now: now(), lists: map[string]any{}, entered: map[string]bool{}}
}

// holds notes a link that holds.
func (k *walk) holds(format string, args ...any) {
	k.chain = append(k.chain, fmt.Sprintf(format, args...))
}

// broken makes the Link of an object. Is is to be added: it is a sentence, and wants formatting of its own.
func (k *walk) broken(object, look, format string, args ...any) *Link {
	return &Link{Object: object, Is: fmt.Sprintf(format, args...), Look: look, Chain: slices.Clone(k.chain)}
}

// guess makes the Link of what is likely, where nothing certain is broken.
func (k *walk) guess(object, look, format string, args ...any) *Link {
	l := k.broken(object, look, format, args...)
	l.Guess = true
	return l
}

// settling makes the Link of an object that is on its way.
func (k *walk) settling(object, look, format string, args ...any) *Link {
	l := k.broken(object, look, format, args...)
	l.Settling = true
	return l
}

// lasting marks a link that no pod on its way can make hold.
func (l *Link) lasting() *Link {
	l.Lasting = true
	return l
}

// because puts a sentence before that of the link that is the reason for it. No link, no reason.
func (l *Link) because(format string, args ...any) *Link {
	if l == nil {
		return nil
	}
	l.Is = fmt.Sprintf(format, args...) + ": " + l.Is
	return l
}

// enter tells whether the object is walked for the first time.
func (k *walk) enter(object string) bool {
	if k.entered[object] {
		return false
	}
	k.entered[object] = true
	return true
}
