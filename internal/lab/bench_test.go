package lab

import "testing"

// BenchmarkLoad is one lab with params and all its files.
func BenchmarkLoad(b *testing.B) {
	fsys := folder(drawn(nil))
	for b.Loop() {
		if _, err := Load(fsys, "basics/one", decodes{}); err != nil {
			b.Fatal(err)
		}
	}
}
