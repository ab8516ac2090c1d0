package reports

import (
	"fmt"
	"math"
	"slices"

	"hybridlab/lab"
	"hybridlab/lab/history"
)

// Charts of the trend page are SVG whose lengths across are in per cent, so
// that they fill any width without stretching a stroke or a letter; numbers
// beside them are text of the page.

// chart is one quantity over the runs.
type chart struct {
	Title, About, Top string // Top says what the edges are
	First, Last       string // dates at the ends
	Empty             string // why nothing is shown
	Bars              []column
	Lines             []line
	Dots              []dot
	Legend            []legendRow
}

// column is a stretch of a bar that stands; all lengths are in per cent.
type column struct{ Class, X, Width, Y, Height, Says string }

// line goes from one run to the next.
type line struct{ Class, X1, Y1, X2, Y2 string }

// dot is a value at a run. One that a line leads away from only shows when it
// is pointed at.
type dot struct {
	Class, X, Y, Says string
	Quiet             bool
}

type legendRow struct{ Class, Letter, Name, Now string }

// unknown is a value that a run does not have.
const unknown = -1

// leastSlots is for how many runs there is room at least: the first ones stand
// at the right.
const leastSlots = 14

// slot is the share of the width that run i of n has, in per cent.
func slot(i, n int) (from, width float64) {
	slots := max(n, leastSlots)
	width = 100 / float64(slots)
	return width * float64(slots-n+i), width
}

// place is where run i of n stands.
func place(i, n int) float64 {
	from, width := slot(i, n)
	return from + width/2
}

func pct(f float64) string { return fmt.Sprintf("%.2f%%", f) }

// scale is where a value stands between the lower edge, 0, and the upper, 1.
type scale func(v float64) float64

// between is a scale from one value to another.
func between(low, high float64) scale {
	return func(v float64) float64 { return (v - low) / (high - low) }
}

// logarithmic gives as much room to a doubling below as above.
func logarithmic(low, high float64) scale {
	linear := between(math.Log(low), math.Log(high))
	return func(v float64) float64 { return linear(math.Log(v)) }
}

// extent is from the least known value to the greatest; ok is false where none
// is known.
func extent(values ...float64) (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v != unknown {
			low, high, ok = min(low, v), max(high, v), true
		}
	}
	return low, high, ok
}

// curve joins the known values of neighbouring runs.
func curve(values []float64, s scale, class string, says func(i int) string) (lines []line, dots []dot) {
	y := func(v float64) string { return pct(4 + 92*(1-s(v))) } // room for a dot at either edge
	n := len(values)
	for i, v := range values {
		if v == unknown {
			continue
		}
		x := pct(place(i, n))
		if i > 0 && values[i-1] != unknown {
			lines = append(lines, line{Class: class, X1: pct(place(i-1, n)), Y1: y(values[i-1]), X2: x, Y2: y(v)})
		}
		joined := i > 0 && values[i-1] != unknown || i+1 < n && values[i+1] != unknown
		dots = append(dots, dot{Class: class, X: x, Y: y(v), Says: says(i), Quiet: joined && i+1 < n})
	}
	return lines, dots
}

func newChart(runs []history.Run, title, about string) chart {
	c := chart{Title: title, About: about, Last: day(runs[len(runs)-1].Started)}
	if len(runs) >= leastSlots {
		c.First = day(runs[0].Started)
	}
	return c
}

// stack puts the counts of each run upon each other; whole is the count that
// fills the height.
func (c *chart) stack(runs []history.Run, outcomes []lab.Outcome, whole func(history.Run) int) {
	for i, r := range runs {
		x, width := slot(i, len(runs))
		from, all := 100.0, float64(whole(r))
		for _, o := range outcomes {
			k := r.Counts[o]
			if k == 0 || all == 0 {
				continue
			}
			height := 100 * float64(k) / all
			from -= height
			c.Bars = append(c.Bars, column{class(o), pct(x + .1*width), pct(.8 * width), pct(from), pct(height),
				fmt.Sprintf("%s: %s %s", r.Started.UTC().Format("2 Jan 2006"), number(k), label(o))})
		}
	}
	last := runs[len(runs)-1]
	for _, o := range outcomes {
		if slices.ContainsFunc(runs, func(r history.Run) bool { return r.Counts[o] > 0 }) {
			c.Legend = append(c.Legend, legendRow{class(o), o.Letter(), label(o), number(last.Counts[o])})
		}
	}
}

// outcomeChart is the share of each outcome in each run.
func outcomeChart(runs []history.Run) chart {
	c := newChart(runs, "Outcomes", "Share of each outcome in each run; beside the names, how many in the last.")
	c.Top = "100%"
	c.stack(runs, lab.Outcomes, func(r history.Run) (n int) {
		for _, k := range r.Counts {
			n += k
		}
		return n
	})
	return c
}

// findingChart is how many findings there were, known ones among them.
func findingChart(runs []history.Run) chart {
	c := newChart(runs, "Findings", "How many cells of each run came to a finding, the known ones among them.")
	var findings []lab.Outcome
	for _, o := range lab.Outcomes {
		if o.Finding() {
			findings = append(findings, o)
		}
	}
	most := 0
	for _, r := range runs {
		n := 0
		for _, o := range findings {
			n += r.Counts[o]
		}
		most = max(most, n)
	}
	if c.Top = number(most); most == 0 {
		c.Empty = "No run has a finding."
	}
	c.stack(runs, findings, func(history.Run) int { return most })
	return c
}

// quantiles of the handshake times that are shown.
var quantiles = []struct {
	class, name string
	of          func(history.Times) float64
}{
	{"q1", "95% within", func(t history.Times) float64 { return t.P95 }},
	{"q0", "median", func(t history.Times) float64 { return t.P50 }},
}

// timeChart is the handshake times of each run, over all its links.
func timeChart(runs []history.Run) chart {
	c := newChart(runs, "Handshake time", "First SYN to the client's Finished, over all links, where there were enough of them; those of reused verdicts are an older run's and left out.")
	values := make([][]float64, len(quantiles))
	for k, q := range quantiles {
		for _, r := range runs {
			v := float64(unknown)
			if r.Times != nil && q.of(*r.Times) > 0 {
				v = q.of(*r.Times)
			}
			values[k] = append(values[k], v)
		}
	}
	low, high, ok := extent(slices.Concat(values...)...)
	if !ok {
		c.Empty = "No run measured often enough."
		return c
	}
	low, high = low/1.25, high*1.25
	c.Top = fmt.Sprintf("%s to %s, logarithmic", millis(low), millis(high))
	for k, q := range quantiles {
		lines, dots := curve(values[k], logarithmic(low, high), q.class, func(i int) string {
			return fmt.Sprintf("%s: %s %s", runs[i].Started.UTC().Format("2 Jan 2006"), q.name, millis(values[k][i]))
		})
		now := ""
		if v := values[k][len(runs)-1]; v != unknown {
			now = millis(v)
		}
		c.Lines, c.Dots, c.Legend = append(c.Lines, lines...), append(c.Dots, dots...), append(c.Legend, legendRow{q.class, "", q.name, now})
	}
	return c
}
