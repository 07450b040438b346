package report

import "testing"

func TestQuotedTextCannotDriveTheTerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"pod web answers":           "pod web answers",
		"\x1b[2Jgone\r":             "[2Jgone",
		"a check has a bug\nline 2": "a check has a bug\n    line 2",
		"Brötchen – 20 °C":          "Brötchen – 20 °C",
	} {
		if got := plain(text, "    "); got != want {
			t.Errorf("plain(%q) = %q, want %q", text, got, want)
		}
	}
}
