package cluster

import (
	"strings"
	"testing"

	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

func TestInotifyIsAskedForBeforeNodesDieOfIt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		have  engine.Inotify
		nodes int
		fits  bool
	}{
		{"an idle host with the kernel's default", engine.Inotify{Max: 128, Used: 4}, 3, true},
		{"another cluster of three is up", engine.Inotify{Max: 128, Used: 70}, 3, false},
		{"one node still fits", engine.Inotify{Max: 128, Used: 70}, 1, true},
		{"raised", engine.Inotify{Max: 512, Used: 100}, 3, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := enoughInotify(test.have, test.nodes)
			if (err == nil) != test.fits {
				t.Fatalf("got %v, want fits = %v", err, test.fits)
			}
			if err != nil && !strings.Contains(remedy.Of(err), "max_user_instances") {
				t.Errorf("remedy %q does not name the setting", remedy.Of(err))
			}
		})
	}
}
