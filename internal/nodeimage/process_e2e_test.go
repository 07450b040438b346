//go:build e2e

package nodeimage

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for a condition before it says what it last saw.
const patience = 30 * time.Second

func waitForProcess(t *testing.T, text string) {
	t.Helper()
	waitUntil(t, "a process with "+text, func() (bool, string) {
		found := processesWith(text)
		return len(found) > 0, "none"
	})
}

func waitForNoProcess(t *testing.T, text string) {
	t.Helper()
	waitUntil(t, "no process with "+text, func() (bool, string) {
		found := processesWith(text)
		return len(found) == 0, strings.Join(found, "\n")
	})
}

func waitUntil(t *testing.T, what string, done func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		ok, seen := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s; last seen: %s", patience, what, seen)
		}
	}
}

// processesWith lists the command lines that contain text, this process excepted.
func processesWith(text string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil || strings.Contains(file, "/self/") {
			continue // it ended meanwhile
		}
		line := string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '}))
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}
