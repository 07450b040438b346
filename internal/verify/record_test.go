package verify_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/verify"
)

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	b := verify.Record{
		Lab: "b/two", Hash: "22", Tasks: 2, Listed: verify.Strength{Caught: 4, Tried: 4},
		Generated: verify.Strength{Caught: 9, Tried: 10}, Kubernetes: "v1.37.0", CNI: "kube-router",
	}
	a := verify.Record{Lab: "a/one", Hash: "11", Tasks: 3}
	var text strings.Builder
	if err := verify.WriteRecords(&text, []verify.Record{b, a}); err != nil {
		t.Fatal(err)
	}
	got, err := verify.ReadRecords(strings.NewReader(text.String()))
	if diff := cmp.Diff([]verify.Record{a, b}, got); err != nil || diff != "" {
		t.Errorf("error %v, -want +got:\n%s", err, diff)
	}
	if lines := strings.Count(text.String(), "\n"); lines != 7 {
		t.Errorf("%d lines, want one for each lab and five around them:\n%s", lines, text.String())
	}
}

func TestRecordsOfAnotherVersionAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "[]", `{"version":"kindlab.dev/verified-v0","labs":[]}`, `{"version":"kindlab.dev/verified-v1","lab":1}`} {
		if got, err := verify.ReadRecords(strings.NewReader(text)); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestMergedRecordsKeepLabsThatWereNotVerifiedAgain(t *testing.T) {
	t.Parallel()
	old := []verify.Record{{Lab: "a", Hash: "old"}, {Lab: "b", Hash: "old"}}
	got := verify.MergeRecords(old, []verify.Record{{Lab: "b", Hash: "new"}, {Lab: "c", Hash: "new"}})
	want := []verify.Record{{Lab: "a", Hash: "old"}, {Lab: "b", Hash: "new"}, {Lab: "c", Hash: "new"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStrengthIsRoundedDown(t *testing.T) {
	t.Parallel()
	for s, want := range map[verify.Strength]int{{}: 100, {Caught: 199, Tried: 200}: 99, {Caught: 3, Tried: 3}: 100, {Tried: 4}: 0} {
		if got := s.Percent(); got != want {
			t.Errorf("%s is %d %%, want %d", s, got, want)
		}
	}
}
