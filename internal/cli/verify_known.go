package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

// cache remembers what was proved on this kind of cluster with this program.
func (o *verifyOptions) cache(ctx context.Context, d *deps, s *site.Site, cluster string) (*verify.Cache, error) {
	grader := d.grader
	if grader == "" {
		var err error
		if grader, err = programHash(); err != nil {
			return nil, err
		}
	}
	image, err := s.Home.Image()
	if err != nil {
		return nil, err
	}
	if image == "" { // somebody else's: this very cluster and no other
		system, err := s.Owner.Kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("asking the cluster who it is: %w", err)
		}
		image = string(system.UID)
	}
	key := fmt.Sprintf("%s\n%s\n%s\ngenerated %s, repeat %d", grader, image, cluster, o.generated, o.repeat)
	return &verify.Cache{Dir: filepath.Join(d.cacheDir, "verified"), Key: key}, nil
}

// programHash stands for the grader where the build did not say which it is.
func programHash() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("reading this program: %w", err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// networkOf names what joins the pods of a cluster, as its DaemonSets tell.
func networkOf(ctx context.Context, s *site.Site) string {
	list, err := s.Owner.Kube.AppsV1().DaemonSets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err == nil {
		for _, known := range []string{"cilium", "calico-node", "kube-router", "kindnet", "kube-flannel-ds", "weave-net", "antrea-agent"} {
			for i := range list.Items {
				if list.Items[i].Name == known {
					return known
				}
			}
		}
	}
	return "unknown"
}

// keep writes the records, beside those of labs that were not verified now.
func (o *verifyOptions) keep(records []verify.Record) error {
	if o.record == "" {
		return nil
	}
	var old []verify.Record
	b, err := os.ReadFile(o.record)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if old, err = verify.ReadRecords(bytes.NewReader(b)); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	if err := verify.WriteRecords(&text, verify.MergeRecords(old, records)); err != nil {
		return err
	}
	return os.WriteFile(o.record, text.Bytes(), 0o644)
}
