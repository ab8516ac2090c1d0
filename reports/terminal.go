package reports

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	wrap "github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"hybridlab/lab"
)

// ColorMode says when Terminal colours its output.
type ColorMode int

const (
	ColorAuto   ColorMode = iota // on a terminal, unless NO_COLOR is set
	ColorAlways                  // as asked for: beats NO_COLOR
	ColorNever
)

// TerminalOptions adjust Terminal. The zero value is what a run wants.
type TerminalOptions struct {
	Width int       // columns; 0: the terminal's own, 80 where there is none
	Color ColorMode // colour is never the only carrier of meaning
	Dir   string    // the run directory to point to; empty: none was written
}

// Terminal writes what a reader wants to see after a run: the answer, the
// matrix, the findings as sentences, and where the files are.
func Terminal(w io.Writer, rep lab.Report, verdicts Verdicts, o TerminalOptions) error {
	m := newMatrix()
	s, err := summarize(rep, verdicts, m.add)
	if err != nil {
		return err
	}
	buf := bufio.NewWriter(w)
	t := &terminal{w: buf, width: o.width(w), color: o.color(w)}
	t.head(rep)
	t.matrix(m, s)
	t.answer(rep, s)
	t.groups("Findings", s.findings(), s)
	t.groups("Undecided", s.undecided(), s)
	t.known(rep, s)
	t.excluded(rep)
	t.files(rep, o.Dir)
	return buf.Flush()
}

func (o TerminalOptions) width(w io.Writer) int {
	const usual, least = 80, 40
	if o.Width > 0 {
		return max(o.Width, least)
	}
	if f, ok := w.(*os.File); ok {
		if cols, _, err := term.GetSize(int(f.Fd())); err == nil && cols > 0 {
			return max(cols, least)
		}
	}
	return usual
}

func (o TerminalOptions) color(w io.Writer) bool {
	if o.Color != ColorAuto {
		return o.Color == ColorAlways
	}
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// terminal is the page being written. Errors stick in the bufio.Writer.
type terminal struct {
	w     *bufio.Writer
	width int
	color bool
}

func (t *terminal) line(format string, args ...any) {
	fmt.Fprintf(t.w, format+"\n", args...)
}

// para writes text wrapped to the width, indented.
func (t *terminal) para(indent, s string) {
	for line := range strings.SplitSeq(wrap.WrapSoft(s, t.width-len(indent)), "\n") {
		t.line("%s%s", indent, strings.TrimRight(line, " "))
	}
}

func (t *terminal) heading(s string) { t.line("\n%s", t.paint("1", s)) }

// sgr are the colours of outcomes (ECMA-48 section 8.3.117): calm for what was
// predicted, loud for findings.
var sgr = map[lab.Outcome]string{
	lab.Hybrid: "32", lab.Classical: "34", lab.Refused: "90",
	lab.Downgrade: "1;33", lab.Failure: "1;31", lab.Size: "1;35", lab.Misroute: "1;31", lab.Misreport: "1;33", lab.Slow: "1;33",
	lab.Unsupported: "90", lab.Inconclusive: "36", lab.Flaky: "36", lab.Fault: "1;7;31",
}

func (t *terminal) paint(code, s string) string {
	if !t.color || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *terminal) outcome(o lab.Outcome, s string) string { return t.paint(sgr[o], s) }

func (t *terminal) faint(s string) string { return t.paint("2", s) }

func (t *terminal) head(rep lab.Report) {
	t.line("%s run %s, %s, seed %d", t.paint("1", "hybridlab"), name(rep.Run), took(rep), rep.Seed)
	t.para("", fabric(rep))
	for _, p := range rep.Peers {
		if base, more := shapesOf(rep.Peers, p); base != p.ID {
			continue
		} else if more > 0 {
			t.para("  ", peerLine(p)+", in "+count(more+1, "shape"))
			continue
		}
		t.para("  ", peerLine(p))
	}
	for _, b := range rep.Boxes {
		if b.Version != "" {
			t.para("  ", name(b.Name)+": "+name(b.Version))
		}
	}
}

// shapesOf finds the first of the peers that differ from p in settings alone,
// and how many more there are.
func shapesOf(peers []lab.PeerInfo, p lab.PeerInfo) (first lab.PeerID, more int) {
	base := func(id lab.PeerID) string { b, _, _ := strings.Cut(string(id), "{"); return b }
	for _, o := range peers {
		switch {
		case base(o.ID) != base(p.ID) || o.Unavailable != p.Unavailable || o.Version != p.Version:
		case first == "":
			first = o.ID
		default:
			more++
		}
	}
	return first, more
}

func peerLine(p lab.PeerInfo) string {
	s := name(p.ID)
	if v := name(p.Version); v != "" {
		s += ": " + v
	}
	if p.Unavailable != "" {
		s += " (not available: " + text(p.Unavailable) + ")"
	}
	return s
}

// fabric says what carried the packets, and why that.
func fabric(rep lab.Report) string {
	s := "fabric " + cmp.Or(name(rep.Fabric), "unknown")
	if why := text(rep.FabricWhy); why != "" {
		s += " (" + why + ")"
	}
	if k := name(rep.Kernel); k != "" {
		s += ", TCP of " + k
	}
	return s
}

// duration is zero for a run that was killed before it could say.
func duration(rep lab.Report) time.Duration { return max(0, rep.Ended.Sub(rep.Started)) }

func took(rep lab.Report) string {
	switch d := duration(rep); {
	case d == 0:
		return "unknown duration"
	case d > time.Minute:
		return d.Round(time.Second).String()
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}

func (t *terminal) answer(rep lab.Report, s *summary) {
	t.line("")
	t.para("", t.paint("1", s.answer()))
	for _, d := range s.details(rep) {
		t.para("", d)
	}
}

// maxGroups keeps a bad day on a few screens; the page has the rest.
const maxGroups = 12

func (t *terminal) groups(title string, gs []*group, s *summary) {
	if len(gs) == 0 {
		return
	}
	t.heading(title)
	for i, g := range gs {
		if i == maxGroups {
			t.line("... and %s more; the page shows them all", count(len(gs)-maxGroups, "group"))
			break
		}
		t.group(i+1, g, s)
	}
}

func (t *terminal) group(i int, g *group, s *summary) {
	const indent = "   "
	tag := fmt.Sprintf("%2d ", i) + t.outcome(g.outcome, g.outcome.Letter()+" "+name(g.outcome))
	if c := name(g.cause); c != "" {
		tag += t.faint(", ") + c
	}
	if c := g.culprit(); c != "" {
		tag += t.faint(", blame ") + c
	}
	t.line("%s", tag)
	t.para(indent, g.sentence())
	t.para(indent, "Where: "+strings.Join(g.where(s.axes), "; ")+".")
	for n, e := range g.examples {
		if n == 0 {
			t.line("%sSuch as %s", indent, e.Cell)
			t.para(indent, e.Why)
			if e.Traced != "" {
				t.para(indent, "Triage: "+e.Traced)
			}
			if e.Remedy != "" {
				t.para(indent, "Remedy: "+e.Remedy)
			}
			t.line("%s$ %s", indent, e.Again)
			continue
		}
		t.line("%salso %s", indent, e.Cell)
	}
}

// known is what was expected against the rules, and why.
func (t *terminal) known(rep lab.Report, s *summary) {
	gs := s.expected()
	if len(gs) == 0 {
		return
	}
	t.heading("Known deviations")
	for _, g := range gs {
		t.line("  %s %s", t.outcome(g.outcome, g.outcome.Letter()+" "+name(g.outcome)), name(g.known))
		t.para("    ", g.sentence()+" "+reasonFor(rep, g.known))
		t.line("    such as %s", g.examples[0].Cell)
	}
}

// reasonFor is the reason of a known deviation, and where it is written down.
func reasonFor(rep lab.Report, known string) string {
	for _, k := range rep.Known {
		if k.Name == known {
			if k.See != "" {
				return text(k.Reason) + " See " + text(k.See) + "."
			}
			return text(k.Reason)
		}
	}
	return ""
}

func (t *terminal) excluded(rep lab.Report) {
	const most = 5
	if len(rep.Excluded) == 0 {
		return
	}
	t.line("")
	t.line("Left out of the plan: %s", count(len(rep.Excluded), "combination"))
	for i, r := range reasons(rep.Excluded) {
		if i == most {
			t.line("  ... and more; report.json lists them all")
			break
		}
		t.para("  ", number(r.Count)+"  "+r.Why)
	}
}

func (t *terminal) files(rep lab.Report, dir string) {
	if dir != "" {
		dir = clean(dir, longText)
		t.line("")
		t.line("The page   %s", filepath.Join(dir, "index.html"))
		t.line("Also there verdicts.jsonl report.json junit.xml cells.csv metrics.prom captures/")
	}
	if rep.Command != "" {
		t.line("Run again  %s", text(rep.Command))
	}
}
