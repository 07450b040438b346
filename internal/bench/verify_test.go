//go:build bench

package bench

import (
	"os"
	"path/filepath"
	"time"
)

// verifyLimit is the time in which one lab is to be proved, every state of it.
const verifyLimit = time.Minute

// proving times the proof of a lab from nothing, and again when one of its mistakes has changed.
func (b *bench) proving() {
	const lab = "services/clusterip"
	folder := filepath.Join(b.t.TempDir(), "mine")
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(b.root, "labs", lab))); err != nil {
		b.t.Fatal(err)
	}
	nothingKnown := []string{"XDG_CACHE_HOME=" + b.t.TempDir()}
	verify := func() { b.commandWith(nothingKnown, b.kindlab, "verify", "--name", ours, folder) }
	whole := b.once(verify)
	b.add(timed("verify "+lab, whole, verifyLimit, 1, "baseline: the 60 s limit"))
	mistake, err := os.OpenFile(filepath.Join(folder, "mistakes", "typo.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = mistake.WriteString("# changed\n")
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if err := mistake.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.add(timed("verify, one mistake changed", b.once(verify), whole, 0.6, "all of it"))
}
