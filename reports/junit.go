package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"hybridlab/lab"
)

// JUnit writes the run as JUnit XML. A finding is a failure, a fault of the
// lab an error; what says nothing about the peers (unsupported, inconclusive)
// is skipped with the reason: never green, and never the peer's fault. A flaky
// cell is a failure, as it is for the exit code. What is known is skipped too;
// a known deviation that is gone is a failing test of its own.
func JUnit(w io.Writer, rep lab.Report, verdicts Verdicts) error {
	s, err := summarize(rep, verdicts)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	suite := junitSuite(rep, s)
	for _, t := range []xml.Token{xml.StartElement{Name: xmlName("testsuites")}, suite} {
		if err := e.EncodeToken(t); err != nil {
			return err
		}
	}
	if err := e.EncodeElement(junitProperties(rep), xml.StartElement{Name: xmlName("properties")}); err != nil {
		return err
	}
	err = each(verdicts, func(v lab.Verdict) error {
		return e.EncodeElement(newCase(rep, v), xml.StartElement{Name: xmlName("testcase")})
	})
	if err != nil {
		return err
	}
	for _, k := range rep.Gone() {
		c := junitCase{Class: "known deviations", Name: name(k.Name), Failure: &junitResult{Message: gone(k), Type: "gone", Body: "\n" + text(k.Reason) + "\n"}}
		if err := e.EncodeElement(c, xml.StartElement{Name: xmlName("testcase")}); err != nil {
			return err
		}
	}
	for _, name := range []string{"testsuite", "testsuites"} {
		if err := e.EncodeToken(xml.EndElement{Name: xmlName(name)}); err != nil {
			return err
		}
	}
	if err := e.Close(); err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n")
	return err
}

func xmlName(s string) xml.Name { return xml.Name{Local: s} }

func junitSuite(rep lab.Report, s *summary) xml.StartElement {
	gone := len(rep.Gone())
	failures, faults := s.unexpected()+gone, s.counts[lab.Fault]
	passes, tests := s.sum(lab.Outcome.Pass), s.total+gone
	el := xml.StartElement{Name: xmlName("testsuite")}
	for _, a := range [][2]string{
		{"name", "hybridlab " + name(rep.Fabric)},
		{"id", name(rep.Run)},
		{"tests", fmt.Sprint(tests)},
		{"failures", fmt.Sprint(failures)},
		{"errors", fmt.Sprint(faults)},
		{"skipped", fmt.Sprint(tests - passes - failures - faults)},
		{"time", fmt.Sprintf("%.3f", duration(rep).Seconds())},
		{"timestamp", rep.Started.UTC().Format(time.RFC3339)},
	} {
		el.Attr = append(el.Attr, xml.Attr{Name: xmlName(a[0]), Value: a[1]})
	}
	return el
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

func junitProperties(rep lab.Report) any {
	ps := []junitProperty{
		{"seed", fmt.Sprint(rep.Seed)},
		{"tool", name(rep.Tool)},
		{"kernel", name(rep.Kernel)},
		{"plan", name(rep.PlanDigest)},
		{"command", text(rep.Command)},
	}
	if rep.Reused > 0 {
		ps = append(ps, junitProperty{"reused", fmt.Sprint(rep.Reused)})
	}
	for _, p := range rep.Peers {
		ps = append(ps, junitProperty{"peer " + name(p.ID), name(p.Version)})
	}
	return struct {
		Property []junitProperty `xml:"property"`
	}{ps}
}

type junitCase struct {
	Class   string       `xml:"classname,attr"`
	Name    string       `xml:"name,attr"`
	Failure *junitResult `xml:"failure"`
	Error   *junitResult `xml:"error"`
	Skipped *junitResult `xml:"skipped"`
}

type junitResult struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Body    string `xml:",cdata"`
}

func newCase(rep lab.Report, v lab.Verdict) junitCase {
	c := junitCase{Class: name(v.Client) + " to " + name(v.Server), Name: name(v.Cell)}
	switch {
	case v.Outcome.Pass():
	case v.Known != "":
		c.Skipped = &junitResult{Message: "known: " + name(v.Known) + ": " + text(v.Why)}
	case v.Outcome.Finding(), v.Outcome == lab.Flaky:
		c.Failure = &junitResult{Message: text(v.Why), Type: kind(v), Body: account(rep, v)}
	case v.Outcome == lab.Fault:
		c.Error = &junitResult{Message: text(v.Why), Type: kind(v), Body: account(rep, v)}
	default:
		c.Skipped = &junitResult{Message: name(v.Outcome) + ": " + text(v.Why)}
	}
	return c
}

// kind is the outcome with its cause: "size/pmtu-blackhole".
func kind(v lab.Verdict) string {
	if v.Cause == "" {
		return name(v.Outcome)
	}
	return name(v.Outcome) + "/" + name(v.Cause)
}

// trigger is what sets the finding off, with its number.
func trigger(v lab.Verdict) string {
	if v.Threshold == 0 {
		return name(v.Trigger)
	}
	return fmt.Sprintf("%s, %s %s", name(v.Trigger), number(v.Threshold), v.Trigger.Unit())
}

// account is what is known of a cell, a line each.
func account(rep lab.Report, v lab.Verdict) string {
	var b strings.Builder
	line := func(what, s string) {
		if s != "" {
			b.WriteString("\n" + what + ": " + s)
		}
	}
	line("predicted", strings.Join(names(v.Predicted), " or "))
	line("observed", observed(v))
	line("blame", name(v.Blame))
	line("trigger", trigger(v))
	line("triage", text(v.Traced))
	line("hello", hello(v))
	for _, c := range v.Control {
		line("control", name(c.Kind)+": "+name(c.Outcome)+" ("+name(c.Cell)+")")
	}
	if len(v.Attempts) > 1 {
		line("attempts", attempts(v))
	}
	line("remedy", text(v.Remedy))
	line("capture", capture(v))
	line("again", again(rep, v))
	return b.String() + "\n"
}

// observed is what the wire showed: "X25519MLKEM768, TLS 1.3".
func observed(v lab.Verdict) string {
	var parts []string
	for _, s := range []string{name(v.Group), name(v.Version)} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if v.HRR != nil && *v.HRR {
		parts = append(parts, "after a HelloRetryRequest")
	}
	if len(parts) == 0 {
		return "no ServerHello"
	}
	return strings.Join(parts, ", ")
}

// hello is "1,449 bytes, 2 segments, 1 record", as far as it is known.
func hello(v lab.Verdict) string {
	var parts []string
	for _, p := range []struct {
		n    int
		noun string
	}{{v.HelloBytes, "byte"}, {v.HelloSegments, "segment"}, {v.HelloRecords, "record"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n, p.noun))
		}
	}
	return strings.Join(parts, ", ")
}

func attempts(v lab.Verdict) string {
	var parts []string
	for _, a := range v.Attempts {
		parts = append(parts, kind(lab.Verdict{Outcome: a.Outcome, Cause: a.Cause}))
	}
	return strings.Join(parts, ", ")
}
