package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"diagnose/checks/rules"
	"diagnose/internal/credential"
)

// The elements of JUnit's XML report, as Ant defined it and pipelines read it.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string      `xml:"name,attr"`
		Package    string      `xml:"package,attr"`
		ID         int         `xml:"id,attr"`
		Tests      int         `xml:"tests,attr"`
		Failures   int         `xml:"failures,attr"`
		Errors     int         `xml:"errors,attr"`
		Skipped    int         `xml:"skipped,attr"`
		Time       string      `xml:"time,attr"`
		Timestamp  string      `xml:"timestamp,attr"`
		Hostname   string      `xml:"hostname,attr"`
		Properties struct{}    `xml:"properties"`
		Cases      []junitCase `xml:"testcase"`
		Out        string      `xml:"system-out"`
		Err        string      `xml:"system-err"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		Skipped   *junitMessage `xml:"skipped"`
		Error     *junitMessage `xml:"error"`
		Failure   *junitMessage `xml:"failure"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a test case for each rule that found nothing, and one for
// each finding: failed at or above the threshold, skipped below it or where it
// is ignored.
func writeJUnit(w io.Writer, f Findings) error {
	s := junitSuite{Name: "diagnose " + f.Command, Package: "diagnose", Time: "0", Hostname: "localhost", Timestamp: f.At.UTC().Format("2006-01-02T15:04:05"), Err: strings.Join(f.Incomplete, "\n")}
	found := map[string]bool{}
	for _, x := range f.Result.Findings {
		found[x.Rule] = true
		s.Cases = append(s.Cases, f.junitCase(x))
	}
	for _, r := range rules.Rules() {
		if !found[r.ID] {
			s.Cases = append(s.Cases, junitCase{Name: "none found: " + r.Title, ClassName: r.ID, Time: "0"})
		}
	}
	for _, i := range f.Incomplete {
		s.Cases = append(s.Cases, junitCase{Name: "the input was read whole", ClassName: "input", Time: "0", Error: &junitMessage{Message: Clean(i), Type: "incomplete"}})
	}
	for _, u := range f.Summary.Unread {
		if f.Command != "gate" {
			break
		}
		s.Cases = append(s.Cases, f.junitUnknown(u.What, notKnown(u)))
	}
	for _, c := range s.Cases {
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	s.Tests = len(s.Cases)
	out, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{s}}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	return write(w, xml.Header+credential.Hide(string(out))+"\n")
}

// junitUnknown is the case of what is not known: an error, or skipped where the
// change passes without it.
func (f Findings) junitUnknown(name, message string) junitCase {
	c := junitCase{Name: Clean(name), ClassName: "not-known", Time: "0"}
	if f.Command == "gate" && !f.AllowUnknown {
		c.Error = &junitMessage{Message: "not known: " + Clean(message), Type: "unknown"}
	} else {
		c.Skipped = &junitMessage{Message: "not known: " + Clean(message)}
	}
	return c
}

func (f Findings) junitCase(x rules.Finding) junitCase {
	where := strings.TrimPrefix(whereSuffix(x.Where.File, x.Where.Line, x.Where.Address), ", see ")
	c := junitCase{Name: Clean(x.Resource + " " + x.Member + " " + x.Role), ClassName: x.Rule, Time: "0"}
	body := keepLines(where + "\n" + x.Message)
	for _, fix := range x.Fixes {
		body += "\nfix: " + Clean(fix.Summary) + "\n" + strings.Join(shells(fix.Commands), "\n")
	}
	switch {
	case x.Suppressed != "":
		c.Skipped = &junitMessage{Message: "ignored: " + Clean(x.Suppressed)}
	case x.Undecided() && x.Severity < f.FailOn:
		unknown := f.junitUnknown("", x.Message)
		c.Error, c.Skipped = unknown.Error, unknown.Skipped
	case x.Severity < f.FailOn:
		c.Skipped = &junitMessage{Message: x.Severity.String() + ", below the threshold: " + Clean(x.Message)}
	default:
		c.Failure = &junitMessage{Message: Clean(x.Message), Type: x.Severity.String(), Text: body}
	}
	return c
}
