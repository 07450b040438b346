package nodeimage

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kindlab-dev/kindlab/manifests"
)

func embeddedRecipe(t *testing.T) *Recipe {
	t.Helper()
	files, err := manifests.Node()
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := LoadRecipe(files)
	if err != nil {
		t.Fatal(err)
	}
	return recipe
}

func TestEveryModuleOfTheRecipeHasAVersion(t *testing.T) {
	t.Parallel()
	recipe := embeddedRecipe(t)
	for _, group := range recipe.Binaries {
		if version := recipe.version(group.Module); !strings.HasPrefix(version, "v") {
			t.Errorf("group %s: module %q has version %q in gomod, want vX.Y.Z", group.Group, group.Module, version)
		}
	}
}

// The node's manifests name images; all of them must be in the node's store, or a cluster would want a registry.
func TestManifestsNameImagesOfTheRecipe(t *testing.T) {
	t.Parallel()
	recipe := embeddedRecipe(t)
	known := map[string]bool{}
	for _, image := range recipe.Images {
		for _, name := range image.Names {
			known[name] = true
		}
	}
	placeholder := regexp.MustCompile(`@[A-Z_]+@`)
	found := 0
	for _, name := range []string{"files/default-cni.yaml", "files/default-storage.yaml"} {
		raw, err := fs.ReadFile(recipe.files, name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(recipe.expand(string(raw))) {
			if placeholder.MatchString(line) {
				t.Errorf("%s: %q still has a placeholder", name, strings.TrimSpace(line))
			}
			_, image, ok := strings.Cut(line, "image: ")
			if !ok {
				continue
			}
			found++
			if image = strings.TrimSpace(image); !known[image] {
				t.Errorf("%s: image %s is not in the recipe", name, image)
			}
		}
	}
	if found == 0 {
		t.Error("no image found in the manifests: is this test still looking at the right lines?")
	}
}

func TestKubernetesVersionIsStamped(t *testing.T) {
	t.Parallel()
	recipe := embeddedRecipe(t)
	b := &Builder{recipe: recipe}
	flags := b.linkerFlags(recipe.Binaries[0], recipe.KubernetesVersion())
	for _, want := range []string{
		"-X k8s.io/component-base/version.gitVersion=" + recipe.KubernetesVersion(),
		"-X k8s.io/component-base/version.gitMajor=1 ",
	} {
		if !strings.Contains(flags, want) {
			t.Errorf("linker flags %q lack %q: kubeadm would mis-version everything", flags, want)
		}
	}
}

func TestLoadRecipeRefusesUnknownKeys(t *testing.T) {
	t.Parallel()
	_, err := LoadRecipe(fstest.MapFS{
		"recipe.yaml": {Data: []byte("debian: {suit: bookworm}\n")},
		"_src/gomod":  {Data: []byte("module m\n")},
	})
	if err == nil || !strings.Contains(err.Error(), "suit") {
		t.Errorf("got %v, want an error that names the unknown key", err)
	}
}

func TestWorkloadsAreImagesOfTheRecipe(t *testing.T) {
	t.Parallel()
	recipe := embeddedRecipe(t)
	known := map[string]bool{}
	for _, image := range recipe.Images {
		for _, name := range image.Names {
			known[name] = true
		}
	}
	if len(recipe.Workloads) < 2 {
		t.Fatalf("got %v, want agnhost and nginx at least", recipe.Workloads)
	}
	for _, image := range recipe.Workloads {
		if !known[image] || !hasTag(image) || strings.HasSuffix(image, ":latest") {
			t.Errorf("workload %s is not an image of the recipe with a fixed tag", image)
		}
	}
}
