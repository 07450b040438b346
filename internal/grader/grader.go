// Package grader says which of kindlab's sources the proof of a lab depends on beside the lab itself: those that grade
// it, and those that its cluster is made of. It is the one place that says so: the build hashes these sources into the
// binary, by which proofs are remembered, and verify --only-changed asks whether one of them has changed.
package grader

import (
	"crypto/sha256"
	"fmt"
	"go/scanner"
	"go/token"
	"hash"
	"io/fs"
	"slices"
	"strings"
)

// Sources are the files and folders that grade, relative to the repository; a folder has a slash at its end and counts
// with all that is below it. A test holds them against the imports of the packages that grade.
func Sources() []string {
	return []string{
		"cmd/kindlab-agent/",
		"go.mod", "go.sum",
		"internal/check/", "internal/cluster/", "internal/engine/", "internal/explain/", "internal/grade/",
		"internal/grader/", "internal/lab/",
		"internal/nearest/", "internal/nodeimage/", "internal/probe/", "internal/remedy/", "internal/report/", "internal/site/",
		"internal/stage/", "internal/verify/",
		"manifests/",
	}
}

// Grades tells whether a file of the repository is one of the sources. Tests and documentation are not, nor is the
// probe agent's binary, which is built from sources that are.
func Grades(file string) bool {
	if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, ".md") || strings.Contains(file, "/testdata/") ||
		file == "internal/probe/agent/kindlab-agent" {
		return false
	}
	return slices.ContainsFunc(Sources(), func(source string) bool {
		return file == source || strings.HasSuffix(source, "/") && strings.HasPrefix(file, source)
	})
}

// Hash is of all that grades in repo, comments in Go files left out: 16 hexadecimal digits.
func Hash(repo fs.FS) (string, error) {
	sum := sha256.New()
	for _, source := range Sources() {
		err := fs.WalkDir(repo, strings.TrimSuffix(source, "/"), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !Grades(file) {
				return err
			}
			text, err := fs.ReadFile(repo, file)
			if err != nil {
				return err
			}
			fmt.Fprintf(sum, "\x00%s\x00", file)
			if strings.HasSuffix(file, ".go") {
				writeTokens(sum, text)
				return nil
			}
			_, err = sum.Write(text)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("hashing the sources that grade: %w", err)
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil))[:16], nil
}

// writeTokens writes what the compiler sees of a Go file: its tokens, and the comments that are instructions.
func writeTokens(to hash.Hash, text []byte) {
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile("", files.Base(), len(text)), text, nil, scanner.ScanComments)
	for {
		_, tok, literal := s.Scan()
		switch {
		case tok == token.EOF:
			return
		case tok == token.COMMENT && !strings.HasPrefix(literal, "//go:"):
		default:
			fmt.Fprintf(to, "%s %s\n", tok, literal)
		}
	}
}
