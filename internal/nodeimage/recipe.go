// Package nodeimage builds a kind node image, and the container images inside it, from Go modules and Debian
// packages alone: the way to a real cluster where no image registry answers.
//
// A build is a chain of steps. Each step's output is kept under a key made of its inputs, so an unchanged step costs
// nothing and an interrupted build goes on where it was. What is built, and from which versions, is data: the recipe
// in manifests/node.
package nodeimage

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/mod/modfile"
	"sigs.k8s.io/yaml"
)

// Recipe says what goes into the node image. Versions of Go modules are not in it: they stand in the recipe module's
// go.mod alone.
type Recipe struct {
	Debian struct {
		Suite string `json:"suite"`
	} `json:"debian"`
	Rootfs struct {
		Node  []string `json:"node"`
		Tools []string `json:"tools"`
	} `json:"rootfs"`
	// Units are those of systemd that the node starts, and those of Debian that a node has no use for.
	Units struct {
		Enabled []string `json:"enabled"`
		Masked  []string `json:"masked"`
	} `json:"units"`
	Binaries []Group  `json:"binaries"`
	Applets  []string `json:"applets"`
	Images   []Image  `json:"images"`
	// Workloads are the images that labs may use, by name and tag.
	Workloads []string `json:"workloads"`

	files   fs.FS
	modules *modfile.File
}

// Group is a set of Go commands built by one go build.
type Group struct {
	Group    string   `json:"group"`
	Packages []string `json:"packages"`
	Tags     []string `json:"tags"`
	// Module is the module whose version is stamped into the variables named by Stamp.
	Module string   `json:"module"`
	Stamp  []string `json:"stamp"`
}

// Image is one container image in the node's store.
type Image struct {
	Names  []string `json:"names"`
	Binary string   `json:"binary"`
	// As is the name the binary is called by, where it differs; Files maps a binary to another place than
	// /usr/local/bin.
	As         string            `json:"as"`
	Files      map[string]string `json:"files"`
	Entrypoint []string          `json:"entrypoint"`
	Cmd        []string          `json:"cmd"`
	Users      map[string]int    `json:"users"`
	Links      map[string]string `json:"links"`
	Folders    []string          `json:"folders"`
	Copy       []Copy            `json:"copy"`
	// Overlay is a folder below overlays/ whose files are added.
	Overlay string `json:"overlay"`
	// Scratch images carry the binary alone, without the Debian tools.
	Scratch bool `json:"scratch"`
}

// Copy takes files of a module's folder to the root of an image.
type Copy struct {
	Module string   `json:"module"`
	From   string   `json:"from"`
	Files  []string `json:"files"`
}

// LoadRecipe reads recipe.yaml and the module file beside it. Unknown keys are errors.
func LoadRecipe(files fs.FS) (*Recipe, error) {
	raw, err := fs.ReadFile(files, "recipe.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the node image recipe: %w", err)
	}
	r := &Recipe{files: files}
	if err := yaml.UnmarshalStrict(raw, r); err != nil {
		return nil, fmt.Errorf("reading the node image recipe: %w", err)
	}
	raw, err = fs.ReadFile(files, path.Join(sourceDir, "gomod"))
	if err != nil {
		return nil, fmt.Errorf("reading the recipe's module file: %w", err)
	}
	if r.modules, err = modfile.Parse("gomod", raw, nil); err != nil {
		return nil, fmt.Errorf("reading the recipe's module file: %w", err)
	}
	for i := range r.Images {
		for j, name := range r.Images[i].Names {
			r.Images[i].Names[j] = r.expand(name)
		}
	}
	return r, nil
}

// KubernetesVersion is the version of Kubernetes in the image, such as v1.37.1.
func (r *Recipe) KubernetesVersion() string {
	return r.version("k8s.io/kubernetes")
}

func (r *Recipe) version(module string) string {
	for _, require := range r.modules.Require {
		if require.Mod.Path == module {
			return require.Mod.Version
		}
	}
	return ""
}

// expand fills in the versions that manifests and image names need.
func (r *Recipe) expand(text string) string {
	return strings.NewReplacer(
		"@KUBE_ROUTER@", r.version("github.com/cloudnativelabs/kube-router/v2"),
		"@LOCAL_PATH@", r.version("github.com/rancher/local-path-provisioner"),
		"@DEBIAN@", r.Debian.Suite,
	).Replace(text)
}

func hasTag(name string) bool {
	return strings.Contains(path.Base(name), ":")
}
