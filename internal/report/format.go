package report

import (
	"encoding/json"
	"io"

	"go.yaml.in/yaml/v3"
)

// A Format is a way to write a Report.
type Format string

// The formats.
const (
	Human  Format = "human"
	Wide   Format = "wide" // human, with the kinds of the checks, times and points
	JSON   Format = "json"
	YAML   Format = "yaml"
	JUnit  Format = "junit"  // for continuous integration: XML
	GitHub Format = "github" // annotations in a log of GitHub Actions
)

// Formats lists them, the default first.
func Formats() []Format { return []Format{Human, Wide, JSON, YAML, JUnit, GitHub} }

// Style is what the stream can show. It matters to Human and Wide, but for File.
type Style struct {
	Terminal bool // marks and layout for people; otherwise tab-separated words
	Color    bool
	// Notes stand behind the titles of tasks, by id, such as "just now".
	Notes map[string]string
	// File is the lab.yaml that annotations point at; "" where there is none to open.
	File string
}

// Write writes r to w.
func (f Format) Write(w io.Writer, r Report, s Style) error {
	if r.Tasks == nil {
		r.Tasks = []Task{} // programs iterate over it
	}
	switch {
	case f == JSON:
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	case f == YAML:
		return writeYAML(w, r)
	case f == JUnit:
		return writeJUnit(w, r)
	case f == GitHub:
		return writeGitHub(w, r, s)
	case s.Terminal:
		return writeHuman(w, r, s, f == Wide)
	default:
		return writePlain(w, r, f == Wide)
	}
}

// writeYAML writes the JSON form as YAML, with its names, sorted as Kubernetes' tools do.
func writeYAML(w io.Writer, r Report) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var form map[string]any
	if err := json.Unmarshal(b, &form); err != nil {
		return err
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(form); err != nil {
		return err
	}
	return enc.Close()
}
