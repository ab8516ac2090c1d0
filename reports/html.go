package reports

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hybridlab/lab"
)

//go:embed templates/page.html
var pageHTML string

//go:embed templates/page.css
var pageCSS string

//go:embed templates/page.js
var pageJS string

// head and foot are the page before and after the cells. Between them the
// cells are streamed as a JSON data block: the answer, the counts and the
// findings are on the screen before the browser has read the first of them.
var (
	pages = template.Must(template.New("page").Funcs(template.FuncMap{"number": number, "count": count}).Parse(pageHTML))
	head  = pages.Lookup("head")
	foot  = pages.Lookup("foot")
)

// HTML writes the run as one self-contained page: no network, no inline
// handler, and a content security policy that allows exactly the one style
// and the one script in it.
func HTML(w io.Writer, rep lab.Report, verdicts Verdicts) error {
	s, err := summarize(rep, verdicts)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	p := newPage(rep, s)
	if err := head.Execute(b, p); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	if err := writeCells(b, rep, verdicts); err != nil {
		return err
	}
	if err := foot.Execute(b, p); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	return b.Flush()
}

// page is what the template shows; all text in it is clean.
type page struct {
	Run, Answer      string
	Warnings         []string
	Facts            []fact
	Peers            []peerRow
	Tallies          []tally
	Bar              []segment
	Findings, Others []finding
	Excluded         int
	Reasons          []reason
	Command          string
	Started          string

	Style                 template.CSS
	Script                template.JS
	StyleHash, ScriptHash string // CSP hash sources
}

type fact struct{ Name, Value, Note string }

type peerRow struct{ ID, Version, Image, Unavailable string }

// tally is one column of counts.
type tally struct {
	Title string
	Total int
	Rows  []tallyRow
}

type tallyRow struct {
	Outcome, Letter string
	N               int
}

// segment is one stretch of the bar, in per cent of its length.
type segment struct {
	Outcome     string
	From, Width string
}

type finding struct {
	Outcome, Cause, Blame, Class, Letter string
	Count                                int
	Words, Culprit, Where                string
	Example                              example
	More                                 []string // cells
}

func newPage(rep lab.Report, s *summary) page {
	p := page{
		Run: name(rep.Run), Answer: s.answer(), Warnings: s.warnings(rep), Facts: facts(rep, s),
		Tallies: tallies(s), Bar: bar(s),
		Findings: views(s.findings(), s), Others: views(append(s.undecided(), s.expected()...), s),
		Excluded: len(rep.Excluded), Reasons: reasons(rep.Excluded), Command: text(rep.Command), Started: when(rep.Started),
		Style: template.CSS(pageCSS), Script: template.JS(pageJS), StyleHash: source(pageCSS), ScriptHash: source(pageJS),
	}
	for _, i := range rep.Peers {
		p.Peers = append(p.Peers, peerRow{name(i.ID), name(i.Version), name(i.Image), name(i.Unavailable)})
	}
	return p
}

// source is a CSP hash source (CSP level 3 section 2.3.1) for an inline block.
func source(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func when(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

func facts(rep lab.Report, s *summary) []fact {
	cells := number(s.total)
	if s.total != rep.Cells {
		cells += " of " + number(rep.Cells) + " planned"
	}
	var out []fact
	for _, f := range []fact{
		{"Fabric", name(rep.Fabric), name(rep.FabricWhy)},
		{"TCP of", name(rep.Kernel), ""},
		{"Cells", cells, ""},
		{"Took", took(rep), ""},
		{"Seed", fmt.Sprint(rep.Seed), ""},
		{"Plan", name(rep.PlanDigest), ""},
		{"Tool", name(rep.Tool), ""},
	} {
		if f.Value != "" {
			out = append(out, f)
		}
	}
	return out
}

func tallies(s *summary) []tally {
	columns := []struct {
		title string
		keep  func(lab.Outcome) bool
	}{{"As predicted", lab.Outcome.Pass}, {"Findings", lab.Outcome.Finding}, {"Without a result", neither}}
	var out []tally
	for _, c := range columns {
		t := tally{Title: c.title, Total: s.sum(c.keep)}
		for _, o := range lab.Outcomes {
			if c.keep(o) {
				t.Rows = append(t.Rows, tallyRow{string(o), o.Letter(), s.counts[o]})
			}
		}
		out = append(out, t)
	}
	return out
}

// bar lays the outcomes end to end.
func bar(s *summary) []segment {
	var out []segment
	from := 0.0
	for _, o := range s.present() {
		width := 100 * float64(s.counts[o]) / float64(s.total)
		out = append(out, segment{class(o), fmt.Sprintf("%.3f%%", from), fmt.Sprintf("%.3f%%", width)})
		from += width
	}
	return out
}

// class is the outcome as a CSS class; one we do not know has none.
func class(o lab.Outcome) string {
	if rank(o) == len(lab.Outcomes) {
		return "unknown"
	}
	return string(o)
}

func views(gs []*group, s *summary) []finding {
	var out []finding
	for _, g := range gs {
		f := finding{
			Outcome: name(g.outcome), Cause: name(g.cause), Blame: name(g.blame), Class: class(g.outcome), Letter: g.outcome.Letter(),
			Count: g.count, Words: capital(g.words()), Culprit: g.culprit(), Where: strings.Join(g.where(s.axes), " · "),
			Example: g.examples[0],
		}
		for _, e := range g.examples[1:] {
			f.More = append(f.More, e.Cell)
		}
		out = append(out, f)
	}
	return out
}

func capital(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}
