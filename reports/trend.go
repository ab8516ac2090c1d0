package reports

import (
	"bufio"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/history"
)

//go:embed templates/trend.html
var trendHTML string

var (
	trendCSS  = joined("base.css", "trend.css", "media.css")
	trendPage = template.Must(template.New("trend").Funcs(template.FuncMap{"number": number, "count": count}).Parse(trendHTML))
)

// The trend page shows this many runs, the latest of the history, and of these
// the latest changes one by one.
const (
	mostRuns    = 90
	mostChanges = 30
	mostListed  = 12 // findings of one change
)

// Trend writes the history of runs, which is in order of time, as one
// self-contained page, without scripts.
func Trend(w io.Writer, runs []history.Run) error {
	b := bufio.NewWriter(w)
	if err := trendPage.Execute(b, newTrend(runs)); err != nil {
		return fmt.Errorf("render trend: %w", err)
	}
	return b.Flush()
}

// trend is what the template shows; all text in it is clean.
type trend struct {
	Answer, Span string
	Warning      string
	Older        int // runs that are not shown
	Last         []fact
	Charts       []chart
	Shares       []shareGroup
	Changes      []changeRow
	Quiet        int // runs shown in which nothing changed
	Runs         []runRow

	Style     template.CSS
	StyleHash string
}

// shareGroup is the peers of the last run in one role.
type shareGroup struct {
	Role string
	Rows []shareRow
}

// shareRow is how often a peer's sessions came out hybrid, over time.
type shareRow struct {
	Peer, Version string
	Now, Change   string
	Lines         []line
	Dots          []dot
}

// changeRow is a run in which something was new or gone.
type changeRow struct {
	When, Run, Note string
	New, Gone       []findingRow
	MoreNew         int
	MoreGone        int
	Peers           []string
}

type findingRow struct{ Class, Letter, Outcome, Words, Cells, Example string }

// runRow is a line of the table.
type runRow struct {
	When, Run, Tool, Plan, Took                 string
	Cells, Reused, Hybrid, Unexpected, P50, P95 string
	Incomplete                                  bool
}

func newTrend(runs []history.Run) trend {
	t := trend{Style: template.CSS(trendCSS), StyleHash: source(trendCSS)}
	if len(runs) == 0 {
		t.Answer = "There is no run in the history."
		return t
	}
	t.Older = max(0, len(runs)-mostRuns)
	before := runs[max(0, t.Older-1):max(1, t.Older)] // what the first shown is compared with
	shown := runs[t.Older:]
	last := shown[len(shown)-1]
	t.Answer, t.Span = trendAnswer(runs), span(shown)
	if last.Judged < last.Cells {
		t.Warning = fmt.Sprintf("The last run is incomplete: %s of %s have a verdict.", number(last.Judged), count(last.Cells, "cell"))
	}
	t.Last = lastFacts(last)
	t.Charts = []chart{outcomeChart(shown), findingChart(shown), timeChart(shown)}
	t.Shares = shareGroups(shown)
	for i := len(shown) - 1; i >= 0; i-- {
		t.Runs = append(t.Runs, newRunRow(shown[i]))
		previous := before
		if i > 0 {
			previous = shown[i-1 : i]
		}
		if i == 0 && t.Older == 0 {
			continue // the first of all is compared with nothing
		}
		c, something := newChangeRow(shown[i], previous[0])
		if !something {
			t.Quiet++
		} else if len(t.Changes) < mostChanges {
			t.Changes = append(t.Changes, c)
		}
	}
	return t
}

// trendAnswer is what is new since the last time.
func trendAnswer(runs []history.Run) string {
	if len(runs) == 1 {
		return "One run so far: from the next on, this page says what changed."
	}
	c := runs[len(runs)-1].Since(runs[len(runs)-2])
	var parts []string
	if n := len(c.New); n > 0 {
		parts = append(parts, count(n, "new finding"))
	}
	if n := len(c.Gone); n > 0 {
		parts = append(parts, number(n)+" gone")
	}
	if len(parts) == 0 {
		return "Nothing new in the last run, and nothing is gone."
	}
	return capital(strings.Join(parts, ", ")) + " in the last run."
}

func span(runs []history.Run) string {
	first, last := day(runs[0].Started), day(runs[len(runs)-1].Started)
	if first == last {
		return count(len(runs), "run") + ", " + last
	}
	return fmt.Sprintf("%s, %s to %s", count(len(runs), "run"), first, last)
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

func lastFacts(r history.Run) []fact {
	row := newRunRow(r)
	var out []fact
	for _, f := range []fact{
		{"Last run", row.When, row.Run}, {"Cells", row.Cells, ""}, {"Hybrid", row.Hybrid, "of sessions not refused"}, {"Unexpected", row.Unexpected, "findings and flaky cells"},
		{"Handshake, median", row.P50, ""}, {"Handshake, 95%", row.P95, ""}, {"Plan", row.Plan, "hybridlab " + row.Tool},
	} {
		if f.Value != "" {
			out = append(out, f)
		}
	}
	return out
}

func newRunRow(r history.Run) runRow {
	row := runRow{
		When: r.Started.UTC().Format("2 Jan 2006, 15:04"), Run: name(r.ID), Tool: name(r.Tool), Plan: strings.TrimSpace(name(r.Level) + " " + name(r.Fabric)),
		Cells: number(r.Judged), Unexpected: number(r.Unexpected), Incomplete: r.Judged < r.Cells,
	}
	if r.Seconds > 0 {
		row.Took = (time.Duration(r.Seconds) * time.Second).String()
	}
	if r.Judged < r.Cells {
		row.Cells += " of " + number(r.Cells)
	}
	if r.Reused > 0 {
		row.Reused = number(r.Reused)
	}
	if s, ok := history.Share(r.Sessions(func(history.Pair) bool { return true })); ok {
		row.Hybrid = percent(s)
	}
	if r.Times != nil {
		row.P50, row.P95 = millis(r.Times.P50), millis(r.Times.P95)
	}
	return row
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

// millis leaves out what is not known.
func millis(ms float64) string {
	switch {
	case ms <= 0:
		return ""
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return number(int(ms+.5)) + " ms"
}

func newChangeRow(r, before history.Run) (row changeRow, something bool) {
	c := r.Since(before)
	row = changeRow{When: r.Started.UTC().Format("2 Jan 2006, 15:04"), Run: name(r.ID)}
	row.New, row.MoreNew = findingRows(c.New)
	row.Gone, row.MoreGone = findingRows(c.Gone)
	for _, p := range c.Peers {
		row.Peers = append(row.Peers, fmt.Sprintf("%s is %s now; it was %s.", name(p.After.ID), cmp.Or(name(p.After.Version), "unknown"), cmp.Or(name(p.Before.Version), "unknown")))
	}
	if c.Plan {
		row.Note = "Another plan than the run before: what is new here may only be newly looked for."
	}
	return row, len(c.New)+len(c.Gone)+len(c.Peers) > 0 || c.Plan
}

func findingRows(fs []history.Finding) (rows []findingRow, more int) {
	for _, f := range fs[:min(len(fs), mostListed)] {
		words := name(f.Client) + " → " + name(f.Server)
		if f.Cause != "" {
			words += ": " + because(f.Cause)
		}
		if f.Known != "" {
			words += " (known as " + name(f.Known) + ")"
		}
		rows = append(rows, findingRow{class(f.Outcome), f.Outcome.Letter(), name(f.Outcome), words, count(f.Cells, "cell"), name(f.Example)})
	}
	return rows, max(0, len(fs)-mostListed)
}

// shareGroups are the peers of the last run as clients and as servers.
func shareGroups(runs []history.Run) []shareGroup {
	last := runs[len(runs)-1]
	var out []shareGroup
	for _, r := range []struct {
		role string
		of   func(history.Pair) lab.PeerID
	}{{"client", func(p history.Pair) lab.PeerID { return p.Client }}, {"server", func(p history.Pair) lab.PeerID { return p.Server }}} {
		peers := map[lab.PeerID]bool{}
		for _, p := range last.Pairs {
			peers[r.of(p)] = true
		}
		g := shareGroup{Role: r.role}
		for _, id := range slices.Sorted(maps.Keys(peers)) {
			g.Rows = append(g.Rows, newShareRow(runs, id, func(p history.Pair) bool { return r.of(p) == id }))
		}
		out = append(out, g)
	}
	return out
}

// leastRoom is the least that a share's picture spans: what chance moves
// should look small.
const leastRoom = 0.1

func newShareRow(runs []history.Run, id lab.PeerID, keep func(history.Pair) bool) shareRow {
	row := shareRow{Peer: name(id)}
	shares := make([]float64, len(runs))
	for i, r := range runs {
		shares[i] = unknown
		if s, ok := history.Share(r.Sessions(keep)); ok {
			shares[i] = s
		}
	}
	last := len(runs) - 1
	if i := slices.IndexFunc(runs[last].Peers, func(p history.Peer) bool { return p.ID == id }); i >= 0 {
		row.Version = name(runs[last].Peers[i].Version)
	}
	low, high, ok := extent(shares...)
	if !ok {
		return row
	}
	more := max(0, leastRoom-(high-low)) / 2
	row.Lines, row.Dots = curve(shares, between(low-more, high+more), "o-hybrid", func(i int) string { return runs[i].Started.UTC().Format("2 Jan 2006") + ": " + percent(shares[i]) })
	if shares[last] != unknown {
		row.Now = percent(shares[last])
	}
	if last > 0 && shares[last] != unknown && shares[last-1] != unknown {
		if d := 100 * (shares[last] - shares[last-1]); math.Abs(d) >= 0.05 {
			row.Change = fmt.Sprintf("%+.1f points", d)
		}
	}
	return row
}
