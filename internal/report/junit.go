package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The elements of JUnit's XML that continuous integration reads: GitLab, Jenkins and GitHub's test reporters. A lab is
// a suite, a task is a case. encoding/xml replaces what XML cannot hold, and a cluster may say anything.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"` // seconds
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
		Out       string      `xml:"system-out,omitempty"`
	}
	junitCase struct {
		Name    string       `xml:"name,attr"`
		Class   string       `xml:"classname,attr"`
		Time    string       `xml:"time,attr"`
		Failure *junitResult `xml:"failure"`
		Error   *junitResult `xml:"error"`
		Skipped *junitResult `xml:"skipped"`
	}
	junitResult struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(w io.Writer, r Report) error {
	suite := junitSuite{Name: r.Lab, Time: junitTime(r.Seconds), Timestamp: r.Time.UTC().Format(time.RFC3339)}
	if r.Tell != nil {
		suite.Out = r.Tell.Mistake + "\n" + r.Tell.Text
	}
	for _, t := range slices.Concat(r.Tasks, r.Safeguards) {
		c := junitCase{Name: t.ID, Class: r.Lab, Time: junitTime(t.Seconds)}
		result := &junitResult{Message: junitMessage(t), Type: junitType(t), Text: junitText(t)}
		suite.Tests++
		switch t.Verdict {
		case Passed:
		case Unknown:
			c.Error = result
			suite.Errors++
		case Blocked:
			result.Type, result.Text = "", "" // skipped has no more than a message
			c.Skipped = result
			suite.Skipped++
		default:
			c.Failure = result
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
	}
	all := junitSuites{
		Name: "kindlab", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Skipped: suite.Skipped,
		Time: suite.Time, Suites: []junitSuite{suite},
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitTime(seconds float64) string { return fmt.Sprintf("%.3f", seconds) }

func junitMessage(t Task) string { return strings.Join(reasons(t), "; ") }

// junitType is the kind of the check that did not pass, or that it still may.
func junitType(t Task) string {
	if t.Verdict == Settling || t.Verdict == Unknown || len(t.Findings) == 0 {
		return string(t.Verdict)
	}
	return t.Findings[0].Check
}

func junitText(t Task) string {
	var b strings.Builder
	b.WriteString(t.Title + "\n")
	writeWhy(&b, t, Style{}, false)
	return b.String()
}
