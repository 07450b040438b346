package nodeimage

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// shelf is an engine that only knows which images it has.
type shelf map[string]bool

func (shelf) Name() string { return "shelf" }

func (s shelf) Run(_ context.Context, args ...string) (string, error) {
	if args[0] == "image" && s[args[len(args)-1]] {
		return "", nil
	}
	return "", errors.New("no such image")
}

// pushed starts a real registry on loopback with one image in it.
func pushed(t *testing.T) (image string) {
	t.Helper()
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	image = strings.TrimPrefix(server.URL, "http://") + "/kindest/node:v1"
	tag, err := name.NewTag(image)
	if err != nil {
		t.Fatal(err)
	}
	content, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, content); err != nil {
		t.Fatal(err)
	}
	return image
}

func TestChoose(t *testing.T) {
	t.Parallel()
	official := pushed(t)
	recipe := embeddedRecipe(t)
	build := func(engine Engine) *Builder { return NewBuilder(recipe, engine, t.TempDir(), &recorder{}) }
	built, _, err := build(shelf{}).reference()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		engine   shelf
		official string
		want     string
	}{
		{"a registry answers", shelf{}, official, official},
		{"the official image is here already", shelf{"far.invalid/node:v1": true}, "far.invalid/node:v1", "far.invalid/node:v1"},
		{"the built image is here already", shelf{built: true}, "far.invalid/node:v1", built},
		{"both are here", shelf{built: true, official: true}, official, official},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := build(test.engine).Choose(t.Context(), test.official)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestPullWorkloads(t *testing.T) {
	t.Parallel()
	image, dir := pushed(t), t.TempDir()
	archive, err := PullWorkloads(t.Context(), []string{image}, dir)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tarball.ImageFromPath(archive, &tag); err != nil {
		t.Errorf("the archive does not hold %s: %v", image, err)
	}
	_, err = PullWorkloads(t.Context(), []string{strings.Replace(image, ":v1", ":v2", 1)}, dir)
	if err == nil || !strings.Contains(err.Error(), "node:v2") {
		t.Errorf("got %v, want an error that names the image", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*"+partial)); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
