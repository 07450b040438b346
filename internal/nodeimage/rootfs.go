package nodeimage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// rootfs makes a Debian root file system with the packages, as root.tar in its folder.
func (b *Builder) rootfs(ctx context.Context, name string, packages []string) (string, error) {
	script, err := fs.ReadFile(b.recipe.files, "rootfs.sh")
	if err != nil {
		return "", err
	}
	debian := b.recipe.Debian
	k := key(append([]string{string(script), debian.Suite}, packages...)...)
	title := fmt.Sprintf("Debian %s with %d packages (%s)", debian.Suite, len(packages), name)
	return b.cache.step(ctx, "rootfs."+name, title, k, func(ctx context.Context, dir string) error {
		arguments := append([]string{
			"-s", "--", filepath.Join(dir, "root.tar"), debian.Suite, filepath.Join(b.cache.dir, "debs"),
		}, packages...)
		command := exec.CommandContext(ctx, "bash", arguments...)
		command.Stdin = strings.NewReader(string(script))
		isolateMounts(command)
		_, err := run(command)
		return err
	})
}

// nodeFiles makes the part of the node's file system that Debian does not bring: kind's own base files (read from
// kind's module, so that they always fit the kind that starts the node), binaries, and the manifests that kind
// applies. It follows the steps of images/base/Dockerfile and pkg/build/nodeimage of sigs.k8s.io/kind.
func (b *Builder) nodeFiles(ctx context.Context, source string, binaries map[string]string) (string, error) {
	files, err := keyOfFiles(b.recipe.files, "files")
	if err != nil {
		return "", err
	}
	parts := []string{
		files, keyOfDir(source), b.recipe.KubernetesVersion(), strings.Join(b.recipe.Applets, " "),
		strings.Join(b.recipe.Units.Enabled, " "), strings.Join(b.recipe.Units.Masked, " "),
	}
	for _, group := range b.recipe.Binaries {
		parts = append(parts, keyOfDir(binaries[group.Group]))
	}
	return b.cache.step(ctx, "node", "kind's node files", key(parts...), func(ctx context.Context, dir string) error {
		kind, err := b.moduleDir(ctx, source, "sigs.k8s.io/kind")
		if err != nil {
			return err
		}
		root := filepath.Join(dir, "root")
		for _, step := range []func() error{
			func() error { return b.kindFiles(kind, root) },
			func() error { return b.installBinaries(binaries, root) },
			func() error { return copyTree(b.recipe.files, "files/root", root, sameName) },
			func() error { return b.enableUnits(root) },
			func() error { return b.containerdConfig(ctx, root) },
			func() error { return b.kindManifests(root) },
			func() error { return tarFolder(ctx, root, filepath.Join(dir, "root.tar")) },
			func() error { return os.RemoveAll(root) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *Builder) kindFiles(kind, root string) error {
	base := os.DirFS(filepath.Join(kind, "images", "base", "files"))
	// A merged-usr Debian has no /usr/local of its own to clash with; all other paths are kind's.
	for _, folder := range []string{"etc", "kind", "usr"} {
		if err := copyTree(base, folder, filepath.Join(root, folder), sameName); err != nil {
			return err
		}
	}
	for _, folder := range []string{"kind/bin", "usr/local/bin"} {
		if err := chmodAll(filepath.Join(root, folder), 0o755); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(root, "etc/kubernetes/manifests"), 0o755)
}

func (b *Builder) installBinaries(binaries map[string]string, root string) error {
	if err := installAll(binaries["containerd"], filepath.Join(root, "usr/local/bin")); err != nil {
		return err
	}
	if err := installAll(binaries["cni"], filepath.Join(root, "opt/cni/bin")); err != nil {
		return err
	}
	if err := installAll(binaries["kubernetes"], filepath.Join(root, "usr/bin")); err != nil {
		return err
	}
	for _, applet := range b.recipe.Applets {
		if err := os.Symlink("kubernetes", filepath.Join(root, "usr/bin", applet)); err != nil {
			return err
		}
	}
	return nil
}

// enableUnits does by links what systemctl enable and mask do in kind's Dockerfile: there is no systemd to ask here.
func (b *Builder) enableUnits(root string) error {
	system := filepath.Join(root, "etc/systemd/system")
	wants := filepath.Join(system, "multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		return err
	}
	var failures []error
	for _, unit := range b.recipe.Units.Enabled {
		failures = append(failures, os.Symlink("/etc/systemd/system/"+unit, filepath.Join(wants, unit)))
	}
	for _, unit := range b.recipe.Units.Masked {
		failures = append(failures, os.Symlink("/dev/null", filepath.Join(system, unit)))
	}
	// kind has no fuse-overlayfs snapshotter here: it serves rootless engines only.
	failures = append(failures, os.Remove(filepath.Join(system, "containerd-fuse-overlayfs.service")))
	return errors.Join(failures...)
}

func (b *Builder) kindManifests(root string) error {
	folder := filepath.Join(root, "kind/manifests")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"default-cni.yaml", "default-storage.yaml"} {
		raw, err := fs.ReadFile(b.recipe.files, "files/"+name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(b.recipe.expand(string(raw))), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "kind/version"), []byte(b.recipe.KubernetesVersion()), 0o644)
}

func installAll(from, to string) error {
	if err := copyTree(os.DirFS(from), ".", to, sameName); err != nil {
		return err
	}
	return chmodAll(to, 0o755)
}

func sameName(name string) string { return name }

func chmodAll(dir string, mode fs.FileMode) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chmod(name, mode)
	})
}

// tarFolder packs a folder for an image layer: owned by root, times at zero, so that equal content is an equal layer.
func tarFolder(ctx context.Context, dir, archive string) error {
	_, err := run(exec.CommandContext(ctx, "tar", "--create", "--file="+archive, "--directory="+dir,
		"--numeric-owner", "--sort=name", "--mtime=@0", "."))
	return err
}

// tarUnder packs a folder so that it unpacks below prefix.
func tarUnder(ctx context.Context, dir, prefix, archive string) error {
	_, err := run(exec.CommandContext(ctx, "tar", "--create", "--file="+archive, "--directory="+dir,
		"--numeric-owner", "--sort=name", "--mtime=@0", "--transform=s,^\\.,"+prefix+",", "."))
	return err
}
