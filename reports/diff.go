package reports

import (
	"bufio"
	"fmt"
	"io"

	"hybridlab/lab/compare"
	"hybridlab/lab/stats"
)

// Diff writes what changed between two runs for a terminal.
func Diff(w io.Writer, c *compare.Comparison, o TerminalOptions) error {
	buf := bufio.NewWriter(w)
	t := &terminal{w: buf, width: o.width(w), color: o.color(w)}
	for _, h := range heads(c) {
		t.para("", h)
	}
	t.line("")
	t.para("", t.paint("1", changed(c)))
	for _, s := range diffSections(c) {
		t.heading(s.title)
		for _, r := range s.rows {
			t.para("  ", r.words)
			if r.cell != "" {
				t.line("    such as %s", r.cell)
			}
		}
	}
	return buf.Flush()
}

// DiffMarkdown writes the same for a pull request.
func DiffMarkdown(w io.Writer, c *compare.Comparison) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "## hybridlab diff: %s\n\n", prose(changed(c)))
	for _, h := range heads(c) {
		fmt.Fprintf(b, "- %s\n", prose(h))
	}
	for _, s := range diffSections(c) {
		fmt.Fprintf(b, "\n### %s\n\n", s.title)
		for _, r := range s.rows {
			fmt.Fprintf(b, "- %s", prose(r.words))
			if r.cell != "" {
				fmt.Fprintf(b, ", such as %s", code(r.cell))
			}
			fmt.Fprintln(b)
		}
	}
	return b.Flush()
}

// heads are the two runs, the peers that differ, and what else does.
func heads(c *compare.Comparison) []string {
	var out []string
	for _, h := range []struct {
		when string
		compare.Head
	}{{"before", c.Before}, {"after", c.After}} {
		out = append(out, fmt.Sprintf("%s: run %s, %s, fabric %s, seed %d, hybridlab %s", h.when, name(h.Run), count(h.Cells, "cell"), name(h.Fabric), h.Seed, name(h.Tool)))
	}
	for _, p := range c.Peers {
		out = append(out, fmt.Sprintf("%s (%s) -> %s (%s)", name(p.Before), text(p.VersionBefore), name(p.After), text(p.VersionAfter)))
	}
	for _, n := range c.Notes {
		out = append(out, "note: "+text(n))
	}
	return out
}

// kindWords name the kinds of change: as a title, for one cell, for several.
var kindWords = map[compare.Kind][3]string{
	compare.Downgraded:  {"New downgrades", "new downgrade", "new downgrades"},
	compare.Broke:       {"New findings", "new finding", "new findings"},
	compare.Lost:        {"No longer possible", "no longer possible", "no longer possible"},
	compare.Weaker:      {"Weaker by agreement", "weaker by agreement", "weaker by agreement"},
	compare.Undecided:   {"No longer decided", "no longer decided", "no longer decided"},
	compare.Other:       {"Findings that changed", "finding that changed", "findings that changed"},
	compare.NewRetry:    {"New HelloRetryRequests", "new HelloRetryRequest", "new HelloRetryRequests"},
	compare.Group:       {"Other groups or alerts", "other group or alert", "other groups or alerts"},
	compare.Disappeared: {"Only in the run before", "only before", "only before"},
	compare.Appeared:    {"Only in the run after", "only after", "only after"},
	compare.RetryGone:   {"HelloRetryRequests gone", "HelloRetryRequest gone", "HelloRetryRequests gone"},
	compare.Decided:     {"Decided now", "decided now", "decided now"},
	compare.Stronger:    {"Stronger", "stronger", "stronger"},
	compare.Mended:      {"Mended", "mended", "mended"},
}

// changed is the comparison in one sentence.
func changed(c *compare.Comparison) string {
	tally := c.Tally()
	var parts []string
	for _, k := range compare.Kinds {
		if n := tally[k]; n > 0 {
			parts = append(parts, number(n)+" "+kindWords[k][min(n, 2)])
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("Nothing changed in %s.", count(c.Cells, "cell"))
	}
	return fmt.Sprintf("%s of %s unchanged; %s.", number(c.Unchanged()), count(c.Cells, "cell"), list(parts))
}

// diffSection is one heading and what is below it.
type diffSection struct {
	title string
	rows  []diffRow
}

// diffRow is one statement, and a cell to look at.
type diffRow struct{ words, cell string }

func diffSections(c *compare.Comparison) []diffSection {
	var out []diffSection
	for _, b := range c.Bundles() {
		title := kindWords[b.Kind][0]
		if len(out) == 0 || out[len(out)-1].title != title {
			out = append(out, diffSection{title: title})
		}
		s := &out[len(out)-1]
		s.rows = append(s.rows, diffRow{count(len(b.Changes), "cell") + ": " + text(b.Text), name(b.Changes[0].Cell())})
	}
	for _, s := range []diffSection{{"ClientHello", helloRows(c.Hellos)}, {"Handshake time", timeRows(c.Times)}} {
		if len(s.rows) > 0 {
			out = append(out, s)
		}
	}
	return shortened(out)
}

// shortened keeps a section to what is read.
func shortened(sections []diffSection) []diffSection {
	const most = 12
	for i := range sections {
		if s := &sections[i]; len(s.rows) > most {
			s.rows = append(s.rows[:most:most], diffRow{words: fmt.Sprintf("... and %s more; --json lists them all", number(len(s.rows)-most))})
		}
	}
	return sections
}

func helloRows(gs []compare.Growth) []diffRow {
	var out []diffRow
	for _, g := range gs {
		s := fmt.Sprintf("%s offering %s: %s -> %s bytes (%+d)", name(g.Client), name(g.Offer), number(g.Before), number(g.After), g.Bytes())
		if g.Segments > 0 {
			s += fmt.Sprintf("; more TCP segments in %s of %s", number(g.Segments), count(g.Cells, "cell"))
		}
		out = append(out, diffRow{words: s})
	}
	return out
}

// timeRows are the shifts that are real, and what the others lack.
func timeRows(ts []compare.Timing) []diffRow {
	var out []diffRow
	tested, shifted, same := 0, 0, 0
	lacking := map[float64]int{}
	need := map[float64]int{}
	for _, t := range ts {
		for _, s := range t.Shifts {
			switch {
			case s.Need > 0:
				lacking[s.Quantile]++
				need[s.Quantile] = max(need[s.Quantile], s.Need)
				continue
			case s.Real && t.Same:
				same++
			case s.Real:
				out = append(out, diffRow{words: shift(t, s)})
				shifted++
			}
			tested++
		}
	}
	if same > 0 {
		out = append([]diffRow{{words: fmt.Sprintf("%s between peers that did not change shifted too: the machine or hybridlab was faster or slower, and shifts of the others prove nothing", count(same, "comparison"))}}, out...)
	}
	if none := tested - shifted - same; none > 0 {
		out = append(out, diffRow{words: fmt.Sprintf("no shift beyond chance in %s of %s", number(none), count(tested, "comparison"))})
	}
	for _, q := range stats.Quantiles {
		if n := lacking[q]; n > 0 {
			out = append(out, diffRow{words: fmt.Sprintf("%s: n too small in %s of %s (it takes %d samples; run with --repeat)", percentile(q), number(n), count(len(ts), "group"), need[q])})
		}
	}
	return out
}

func percentile(q float64) string {
	if q == 0.5 {
		return "median"
	}
	return fmt.Sprintf("p%g", 100*q)
}

func shift(t compare.Timing, s stats.Shift) string {
	how := ""
	if t.Retry {
		how = " after HelloRetryRequest"
	}
	return fmt.Sprintf("%s to %s over %s, %s%s: %s %.2f -> %.2f ms (%+.2f ms, 95 %% confident of %+.2f to %+.2f; n %d, p %.2g)",
		name(t.Client), name(t.Server), name(t.Path), name(t.Group), how, percentile(s.Quantile), s.Before, s.After, s.Change.Value, s.Change.Low, s.Change.High, s.Samples, s.P)
}
