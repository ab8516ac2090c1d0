package reports

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"embed"
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

//go:embed templates/*.css templates/*.js
var assets embed.FS

// The style and the script are one block each in the page, and several files
// here, by what they are about.
var (
	pageCSS = joined("base.css", "matrix.css", "cell.css", "charts.css", "media.css")
	pageJS  = "(() => {\n'use strict';\n" +
		joined("data.js", "state.js", "matrix.js", "charts.js", "list.js", "ladder.js", "cell.js", "main.js") + "})();\n"
)

func joined(files ...string) string {
	var b strings.Builder
	for _, f := range files {
		text, err := assets.ReadFile("templates/" + f)
		if err != nil {
			panic(err) // embedded
		}
		b.Write(text)
	}
	return b.String()
}

// head and foot are the page before and after the cells. Between them the
// cells are streamed as JSON data blocks: the answer, the counts and the
// findings are on the screen before the browser has read the first of them.
var (
	pages = template.Must(template.New("page").Funcs(template.FuncMap{"number": number, "count": count}).Parse(pageHTML))
	head  = pages.Lookup("head")
	foot  = pages.Lookup("foot")
)

// HTML writes the run as one self-contained page: no network, no inline
// handler, and a content security policy that allows exactly the one style
// and the one script in it. With a src, which may be nil, cells show their
// packets.
func HTML(w io.Writer, rep lab.Report, verdicts Verdicts, src Source) error {
	kept := shelf{}
	s, err := summarize(rep, verdicts, kept.add)
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
	if err := writeDetails(b, kept, src); err != nil {
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
	Worst            []finding // what to look at first
	WorstTitle       string
	Findings, Others []finding
	Expected         []finding // by known deviations
	Boxes            []boxRow
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
	None  string // the outcomes that did not occur, where there is no room for a row each
}

type tallyRow struct {
	Outcome, Class, Letter string
	N                      int
}

// boxRow is a middlebox and what it did in the run.
type boxRow struct{ Name, About, Did, Origin, Fix string }

// segment is one stretch of the bar, in per cent of its length.
type segment struct {
	Outcome     string
	From, Width string
}

type finding struct {
	Outcome, Cause, Blame, Class, Letter string
	Known, Reason                        string // name of the known deviation, and why it is one
	Count                                int
	Words, Plain, Culprit, Where         string // Plain are the words without a capital
	Example                              example
	More                                 []string // cells
}

func newPage(rep lab.Report, s *summary) page {
	p := page{
		Run: name(rep.Run), Answer: s.answer(), Warnings: s.warnings(rep), Facts: facts(rep, s),
		Tallies: tallies(s), Bar: bar(s),
		Findings: views(s.findings(), s), Others: views(s.undecided(), s), Expected: views(s.expected(), s),
		Excluded: len(rep.Excluded), Reasons: reasons(rep.Excluded), Command: text(rep.Command), Started: when(rep.Started),
		Style: template.CSS(pageCSS), Script: template.JS(pageJS), StyleHash: source(pageCSS), ScriptHash: source(pageJS),
	}
	for i := range p.Expected {
		p.Expected[i].Reason = reasonFor(rep, s.expected()[i].known)
	}
	p.WorstTitle, p.Worst = worst(p.Findings, p.Others)
	for _, b := range rep.Boxes {
		did := fmt.Sprintf("It did something in %s of %s.", number(b.Triggered), count(b.Cells, "cell"))
		if b.Version != "" { // nobody knows what a real one must do
			did = fmt.Sprintf("It stood in %s.", count(b.Cells, "cell"))
		}
		p.Boxes = append(p.Boxes, boxRow{name(b.Name), text(b.About), did, stop(text(cmp.Or(b.Origin, b.Version))), stop(text(b.Fix))})
	}
	for _, i := range rep.Peers {
		version := name(i.Version)
		if base, more := shapesOf(rep.Peers, i); base != i.ID {
			continue
		} else if more > 0 {
			version += ", in " + count(more+1, "shape")
		}
		p.Peers = append(p.Peers, peerRow{name(i.ID), version, name(i.Image), name(i.Unavailable)})
	}
	return p
}

// worst are the groups of the first screen: findings, or else what is undecided.
func worst(findings, others []finding) (title string, fs []finding) {
	const most = 4
	title, fs = "Look at this first", findings
	if len(fs) == 0 {
		title, fs = "Undecided", others
	}
	return title, fs[:min(len(fs), most)]
}

// stop takes the full stop away, so that the sentence can go on.
func stop(s string) string { return strings.TrimRight(s, ". ") }

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
		{"Cells", cells, s.reuse()},
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
		var none []string
		for _, o := range lab.Outcomes {
			if !c.keep(o) {
				continue
			}
			t.Rows = append(t.Rows, tallyRow{string(o), class(o), o.Letter(), s.counts[o]})
			if s.counts[o] == 0 {
				none = append(none, string(o))
			}
		}
		t.None = strings.Join(none, ", no ")
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
			Outcome: name(g.outcome), Cause: name(g.cause), Blame: name(g.blame), Class: class(g.outcome), Letter: g.outcome.Letter(), Known: name(g.known),
			Count: g.count, Words: capital(g.words()), Plain: g.words(), Culprit: g.culprit(), Where: strings.Join(g.where(s.axes), " · "),
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
