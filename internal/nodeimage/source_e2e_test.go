//go:build e2e

package nodeimage

import "testing"

// The recipe's Go module has tests of its own, which the go command here does not see. Its commands have none: to compile
// them for a test would be to compile Kubernetes once more.
func TestTheNodeModulesOwnTests(t *testing.T) {
	b := NewBuilder(embeddedRecipe(t), nil, t.TempDir(), &recorder{})
	source, err := b.source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := b.goCommand(t.Context(), source, "test", "-vet=off", "./rules"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
