package stage

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// ErrNotRecorded is wrapped when the cluster has no record of a lab.
var ErrNotRecorded = errors.New("the cluster has no record of the lab")

// An Attempt is what the cluster remembers of a lab that was started.
type Attempt struct {
	Params map[string]string
	// Baseline is the lab as the learner found it. It is nil while a start or a reset is under way, or was interrupted.
	Baseline check.Baseline
	record   record
	held     bool // its record is of a later moment than its baseline
}

// Recorded reads what the cluster remembers of a lab, named as learners type it: "services/clusterip". The error wraps
// ErrNotRecorded when that is nothing.
func Recorded(ctx context.Context, c *check.Cluster, labName string) (Attempt, error) {
	r, err := readRecord(ctx, asOwner(c), labName)
	if err != nil {
		return Attempt{}, err
	}
	a := Attempt{Params: r.Params, record: r}
	if r.After != nil {
		a.Baseline = r.After
	}
	return a, nil
}

// record is what is kept of one lab. It is a Secret, because it has the lab's own Secrets in it.
type record struct {
	Params map[string]string
	// Own tells that the cluster was kindlab's own, so that Known is the whole of what is in no namespace.
	Own bool
	// Known are the objects in no namespace that were there before the lab, with their UIDs.
	Known map[string]string
	// Before is what lies outside the lab's namespaces, before its setup: a reset and a stop go back to it.
	Before *snapshot
	// After is what the learner finds: the baseline. It is nil until the setup is ready.
	After *snapshot
	// since is when the lab was started.
	since time.Time
}

const (
	paramsKey   = "params"
	baselineKey = "baseline"
	// secretLimit is what the API server takes, less some room for the names around the data.
	secretLimit = corev1.MaxSecretSize - 4096
)

func recordName(labName string) string { return strings.Replace(labName, "/", ".", 1) }

func readRecord(ctx context.Context, c *check.Cluster, labName string) (record, error) {
	s, err := c.Kube.CoreV1().Secrets(system).Get(ctx, recordName(labName), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return record{}, fmt.Errorf("%w %s; begin it: kindlab start %s", ErrNotRecorded, labName, labName)
	}
	if err != nil {
		return record{}, fmt.Errorf("reading the record of lab %s: %w", labName, err)
	}
	var r record
	if err := r.decode(s.Data); err != nil {
		return record{}, fmt.Errorf("reading the record of lab %s, secret %s/%s: %w", labName, system, s.Name, err)
	}
	r.since = s.CreationTimestamp.Time
	return r, nil
}

// write replaces the record.
func (r *record) write(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	data, err := r.encode()
	if err != nil {
		return fmt.Errorf("recording lab %s: %w", l.Name, err)
	}
	labels := managed()
	labels[labLabel] = labelValue(l)
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: recordName(l.Name), Namespace: system, Labels: labels},
		Type:       "kindlab.dev/attempt", Data: data,
	}
	api := c.Kube.CoreV1().Secrets(system)
	_, err = api.Update(ctx, s, metav1.UpdateOptions{FieldManager: manager})
	if apierrors.IsNotFound(err) {
		if err := claimOne(ctx, c, system, managed()); err != nil {
			return err
		}
		_, err = api.Create(ctx, s, metav1.CreateOptions{FieldManager: manager})
	}
	if err != nil {
		return fmt.Errorf("recording lab %s: %w", l.Name, err)
	}
	return nil
}

// forget removes a lab's record.
func forget(ctx context.Context, c *check.Cluster, labName string) error {
	err := c.Kube.CoreV1().Secrets(system).Delete(ctx, recordName(labName), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing the record of lab %s: %w", labName, err)
	}
	return nil
}

// encode keeps the parameters readable and packs the rest.
func (r *record) encode() (map[string][]byte, error) {
	params, err := json.Marshal(r.Params)
	if err != nil {
		return nil, err
	}
	packed := *r
	packed.Params = nil
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	if err := errors.Join(json.NewEncoder(zip).Encode(packed), zip.Close()); err != nil {
		return nil, err
	}
	if size := buf.Len() + len(params); size > secretLimit {
		return nil, fmt.Errorf("its baseline takes %d bytes packed, and a Secret holds %d: the lab has too much in its namespaces",
			size, secretLimit)
	}
	return map[string][]byte{paramsKey: params, baselineKey: buf.Bytes()}, nil
}

func (r *record) decode(data map[string][]byte) error {
	zip, err := gzip.NewReader(bytes.NewReader(data[baselineKey]))
	if err != nil {
		return fmt.Errorf("unpacking the baseline: %w", err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		return fmt.Errorf("unpacking the baseline: %w", err)
	}
	// Kubernetes' own decoder: numbers are int64 where they can be, as in objects from the API server.
	if err := utiljson.Unmarshal(text, r); err != nil {
		return fmt.Errorf("unpacking the baseline: %w", err)
	}
	if err := json.Unmarshal(data[paramsKey], &r.Params); err != nil {
		return fmt.Errorf("reading the parameters: %w", err)
	}
	return nil
}
