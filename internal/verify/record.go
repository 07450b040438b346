package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// recordsVersion is bumped when a field changes its meaning or goes.
const recordsVersion = "kindlab.dev/verified-v1"

// Record is what was proved of one lab. It holds nothing that differs from run
// to run of the same lab on the same kind of cluster, so that it can be kept
// beside the labs and compared.
type Record struct {
	Lab string `json:"lab"` // topic/name
	// Hash is the content of the lab's folder: a record whose hash is not the folder's proves another lab.
	Hash       string   `json:"hash"`
	Tasks      int      `json:"tasks"`
	Listed     Strength `json:"listed"`    // the mistakes of lab.yaml
	Generated  Strength `json:"generated"` // those that nobody wrote down
	Kubernetes string   `json:"kubernetes"`
	CNI        string   `json:"cni"`
}

// Strength is how many wrong answers were tried, and how many the grader caught.
type Strength struct {
	Caught int `json:"caught"`
	Tried  int `json:"tried"`
}

// Percent is the share that was caught, rounded down: 100 means all. Nothing tried is 100.
func (s Strength) Percent() int {
	if s.Tried == 0 {
		return 100
	}
	return 100 * s.Caught / s.Tried
}

func (s Strength) String() string { return fmt.Sprintf("%d/%d", s.Caught, s.Tried) }

type recordFile struct {
	Version string   `json:"version"`
	Labs    []Record `json:"labs"`
}

// ReadRecords reads what WriteRecords has written. Another version is an error.
func ReadRecords(in io.Reader) ([]Record, error) {
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	var file recordFile
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("records of verified labs: %w", err)
	}
	if file.Version != recordsVersion {
		return nil, fmt.Errorf("records of verified labs have version %q, want %q: run kindlab verify --record", file.Version, recordsVersion)
	}
	return file.Labs, nil
}

// WriteRecords writes records in the order of their labs' names, one line each:
// a change of one lab is a change of one line.
func WriteRecords(out io.Writer, records []Record) error {
	sorted := slices.SortedFunc(slices.Values(records), func(a, b Record) int { return strings.Compare(a.Lab, b.Lab) })
	var text strings.Builder
	fmt.Fprintf(&text, "{\n  \"version\": %q,\n  \"labs\": [", recordsVersion)
	for i, r := range sorted {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, "\n    %s", line)
	}
	text.WriteString("\n  ]\n}\n")
	_, err := io.WriteString(out, text.String())
	return err
}

// MergeRecords replaces the old records of the labs that were verified anew, and keeps the others.
func MergeRecords(old, anew []Record) []Record {
	verified := func(r Record) bool {
		return slices.ContainsFunc(anew, func(n Record) bool { return n.Lab == r.Lab })
	}
	return append(slices.DeleteFunc(slices.Clone(old), verified), anew...)
}
