package nodeimage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// sourceDir holds the recipe's Go module. Its go.mod and go.sum are called gomod and gosum there: a folder with a
// go.mod of its own could not be embedded.
const sourceDir = "_src"

// source writes the recipe's module to disk, where the go command can read it.
func (b *Builder) source(ctx context.Context) (string, error) {
	k, err := keyOfFiles(b.recipe.files, sourceDir)
	if err != nil {
		return "", err
	}
	return b.cache.step(ctx, "source", "the recipe's Go module", k, func(_ context.Context, dir string) error {
		return copyTree(b.recipe.files, sourceDir, dir, func(name string) string {
			switch name {
			case "gomod":
				return "go.mod"
			case "gosum":
				return "go.sum"
			}
			return name
		})
	})
}

// build compiles a group's commands. The go command checks every module against the recipe's go.sum; what it has
// compiled stays in its own cache, so that an interrupted build goes on where it was.
func (b *Builder) build(ctx context.Context, source string, group Group) (string, error) {
	version := b.recipe.version(group.Module)
	flags := b.linkerFlags(group, version)
	toolchain, err := b.goCommand(ctx, source, "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	k := key(keyOfDir(source), strings.Join(group.Packages, " "), strings.Join(group.Tags, ","), flags, toolchain, runtime.GOARCH)
	title := fmt.Sprintf("compiling %s %s", group.Group, version)
	return b.cache.step(ctx, "bin."+group.Group, title, k, func(ctx context.Context, dir string) error {
		arguments := append([]string{
			"build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", flags,
			"-tags", strings.Join(group.Tags, ","), "-o", dir + string(filepath.Separator),
		}, group.Packages...)
		_, err := b.goCommand(ctx, source, arguments...)
		return err
	})
}

func (b *Builder) linkerFlags(group Group, version string) string {
	flags := []string{"-s", "-w"}
	for _, variable := range group.Stamp {
		flags = append(flags, "-X "+variable+"="+version)
	}
	if group.Module == "k8s.io/kubernetes" {
		// kubeadm and the kubelet compare these with the API server's.
		major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
		minor, _, _ := strings.Cut(rest, ".")
		const base = "-X k8s.io/component-base/version."
		flags = append(flags, base+"gitMajor="+major, base+"gitMinor="+minor, base+"gitTreeState=clean",
			"-X github.com/cloudnativelabs/kube-router/v2/pkg/version.Version="+b.recipe.version("github.com/cloudnativelabs/kube-router/v2"))
	}
	return strings.Join(flags, " ")
}

// goCommand runs the go command in the recipe's module, whatever workspace or platform the user's shell is set to.
func (b *Builder) goCommand(ctx context.Context, dir string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOWORK=off", "GOFLAGS=")
	return run(command)
}

// moduleDir returns the folder of a module of the recipe, downloading it if needed.
func (b *Builder) moduleDir(ctx context.Context, source, module string) (string, error) {
	if _, err := b.goCommand(ctx, source, "mod", "download", module); err != nil {
		return "", err
	}
	return b.goCommand(ctx, source, "list", "-m", "-f", "{{.Dir}}", module)
}
