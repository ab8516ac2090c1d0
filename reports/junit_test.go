package reports

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"hybridlab/lab"
)

// junitFile is what a CI system reads.
type junitFile struct {
	Suite struct {
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	} `xml:"testsuite"`
}

func readJUnit(t *testing.T, rep lab.Report, vs Verdicts) junitFile {
	t.Helper()
	var b bytes.Buffer
	if err := JUnit(&b, rep, vs); err != nil {
		t.Fatal(err)
	}
	var f junitFile
	if err := xml.Unmarshal(b.Bytes(), &f); err != nil {
		t.Fatalf("not XML: %v\n%s", err, &b)
	}
	return f
}

func TestJUnitOutcomes(t *testing.T) {
	var vs []lab.Verdict
	for _, o := range append(lab.Outcomes, "brand-new") {
		vs = append(vs, lab.Verdict{Cell: string(o), Outcome: o, Why: "because " + string(o)})
	}
	suite := readJUnit(t, small.report(), Slice(vs)).Suite
	if suite.Tests != 14 || suite.Failures != 7 || suite.Errors != 1 || suite.Skipped != 3 {
		t.Errorf("tests %d, failures %d, errors %d, skipped %d; want 14, 7, 1, 3", suite.Tests, suite.Failures, suite.Errors, suite.Skipped)
	}
	for _, c := range suite.Cases {
		o := lab.Outcome(c.Name)
		failed := o.Finding() || o == lab.Flaky
		skipped := !o.Pass() && !failed && o != lab.Fault
		if (c.Failure != nil) != failed || (c.Error != nil) != (o == lab.Fault) || (c.Skipped != nil) != skipped {
			t.Errorf("%s: failure %v, error %v, skipped %v", o, c.Failure, c.Error, c.Skipped)
		}
		if skipped && !strings.Contains(c.Skipped.Message, "because "+string(o)) {
			t.Errorf("%s is skipped without its reason: %q", o, c.Skipped.Message)
		}
	}
}

func TestJUnitHostile(t *testing.T) {
	rep, vs := spikedRun()
	suite := readJUnit(t, rep, vs).Suite
	if want := 4 * len(hostile); suite.Tests != want || len(suite.Cases) != want {
		t.Errorf("%d tests in the count, %d in the file, want %d", suite.Tests, len(suite.Cases), want)
	}
	if got := suite.Cases[1].Failure.Message; got != hostile[0] {
		t.Errorf("message came out as %q, went in as %q", got, hostile[0])
	}
}

// The counts stand before the cases and must be theirs.
func TestJUnitCounts(t *testing.T) {
	suite := readJUnit(t, large.report(), large.verdicts).Suite
	var failures, faults, skipped int
	for _, c := range suite.Cases {
		switch {
		case c.Failure != nil:
			failures++
		case c.Error != nil:
			faults++
		case c.Skipped != nil:
			skipped++
		}
	}
	if suite.Tests != len(suite.Cases) || suite.Failures != failures || suite.Errors != faults || suite.Skipped != skipped {
		t.Errorf("the suite says %d %d %d %d, its cases %d %d %d %d", suite.Tests, suite.Failures, suite.Errors, suite.Skipped,
			len(suite.Cases), failures, faults, skipped)
	}
	if err := JUnit(io.Discard, large.report(), torn); err == nil {
		t.Error("no error for verdicts that cannot be read")
	}
}
