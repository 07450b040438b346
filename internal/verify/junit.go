package verify

import (
	"encoding/xml"
	"fmt"
	"io"
)

// The elements of JUnit's XML that continuous integration reads. A lab is a case, and its findings are why it failed.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Time     string      `xml:"time,attr"` // seconds
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string       `xml:"name,attr"`
		Class   string       `xml:"classname,attr"`
		Time    string       `xml:"time,attr"`
		Failure *junitResult `xml:"failure"`
		Error   *junitResult `xml:"error"`
		Out     string       `xml:"system-out"`
	}
	junitResult struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(w io.Writer, r Report) error {
	suite := junitSuite{Name: "kindlab verify", Tests: len(r.Labs), Time: fmt.Sprintf("%.3f", r.Seconds)}
	for _, l := range r.Labs {
		c := junitCase{Name: l.Name, Class: "kindlab.verify", Time: fmt.Sprintf("%.3f", l.Seconds), Out: l.sentence()}
		if !l.Proved {
			result := &junitResult{Message: l.verdict()}
			for i, f := range l.Findings {
				if i == 0 {
					result.Message = oneLine(f.String())
				}
				result.Text += f.String() + "\n"
			}
			if l.verdict() == "failed" {
				c.Failure = result
				suite.Failures++
			} else {
				c.Error = result
				suite.Errors++
			}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
