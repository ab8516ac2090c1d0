package reports

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	wrap "github.com/jedib0t/go-pretty/v6/text"

	"hybridlab/lab"
)

// matrix keeps one outcome per cell, by pair of peers, pairing and path.
type matrix struct{ pairs map[pair]*grid }

type pair struct{ client, server string }

type grid struct {
	rows   map[string]map[string]lab.Outcome // pairing -> path
	paths  map[string]int
	counts map[lab.Outcome]int
}

func newMatrix() *matrix { return &matrix{map[pair]*grid{}} }

func (m *matrix) add(v lab.Verdict) {
	k := pair{name(v.Client), name(v.Server)}
	g := m.pairs[k]
	if g == nil {
		g = &grid{map[string]map[string]lab.Outcome{}, map[string]int{}, map[lab.Outcome]int{}}
		m.pairs[k] = g
	}
	row, column := name(groups(v)), path(v)
	if g.rows[row] == nil {
		g.rows[row] = map[string]lab.Outcome{}
	}
	g.rows[row][column] = v.Outcome
	g.paths[column]++
	g.counts[v.Outcome]++
}

func (m *matrix) sorted() []pair {
	return slices.SortedFunc(maps.Keys(m.pairs), func(a, b pair) int {
		return cmp.Or(strings.Compare(a.client, b.client), strings.Compare(a.server, b.server))
	})
}

func (m *matrix) rowCount() int {
	n := 0
	for _, g := range m.pairs {
		n += len(g.rows)
	}
	return n
}

// maxRows is the longest matrix that is printed cell by cell: two or three
// screens. Beyond it a line per pair says more.
const maxRows = 100

func (t *terminal) matrix(m *matrix, s *summary) {
	lines, ofShapes := m.shapes()
	switch {
	case s.total == 0:
		return
	case ofShapes:
		t.shapeTable(lines)
	case m.rowCount() > maxRows:
		t.pairTable(m, s)
	default:
		for _, k := range m.sorted() {
			t.heading(k.client + " -> " + k.server)
			t.grid(m.pairs[k])
		}
	}
	t.legend(s)
}

// grid prints a pair's cells: by full path names where they fit, by numbered
// columns where those fit, else as counts.
func (t *terminal) grid(g *grid) {
	paths := values(g.paths)
	numbers := make([]string, len(paths))
	for i := range paths {
		numbers[i] = strconv.Itoa(i + 1)
	}
	for _, heads := range [][]string{paths, numbers} {
		out := t.cells(g, paths, heads)
		if wrap.LongestLineLen(out) > t.width {
			continue
		}
		t.line("%s", out)
		if len(paths) > 0 && heads[0] != paths[0] {
			t.key(paths)
		}
		return
	}
	t.line("%s", t.rowCounts(g))
}

func (t *terminal) cells(g *grid, paths, heads []string) string {
	tw := t.table(len(heads), wrap.AlignCenter)
	tw.AppendHeader(row("offer:accept", heads))
	for _, r := range values(counted(g.rows)) {
		letters := make([]string, len(paths))
		for i, p := range paths {
			if o, ok := g.rows[r][p]; ok {
				letters[i] = t.outcome(o, o.Letter())
			}
		}
		tw.AppendRow(row(t.rowLabel(r), letters))
	}
	return tw.Render()
}

// rowLabel folds a long pairing after the offer.
func (t *terminal) rowLabel(s string) string {
	const most = 36
	if offer, accept, ok := strings.Cut(s, ":"); ok && len(s) > most {
		return wrap.Snip(offer, most, "…") + "\n  :" + wrap.Snip(accept, most-3, "…")
	}
	return wrap.Snip(s, most, "…")
}

// key names the numbered columns.
func (t *terminal) key(paths []string) {
	parts := make([]string, len(paths))
	for i, p := range paths {
		parts[i] = strconv.Itoa(i+1) + " " + p
	}
	t.para("  ", strings.Join(parts, ", "))
}

// rowCounts is the grid where no column per path fits: counts by outcome.
func (t *terminal) rowCounts(g *grid) string {
	outcomes := (&summary{counts: g.counts}).present()
	tw := t.table(len(outcomes), wrap.AlignRight)
	tw.AppendHeader(row("offer:accept", t.letters(outcomes)))
	for _, r := range values(counted(g.rows)) {
		counts := map[lab.Outcome]int{}
		for _, o := range g.rows[r] {
			counts[o]++
		}
		tw.AppendRow(row(t.rowLabel(r), t.numbers(outcomes, counts)))
	}
	return tw.Render()
}

// pairTable is the matrix of a large run: a line per pair of peers.
func (t *terminal) pairTable(m *matrix, s *summary) {
	t.heading("Client -> server, cells by outcome")
	outcomes, pairs := s.present(), m.sorted()
	if quiet := func(k pair) bool { return !m.pairs[k].notable() }; len(pairs) > maxRows {
		all := len(pairs)
		pairs = slices.DeleteFunc(pairs, quiet)
		t.line("  %d of %d pairs had only what was predicted and are not listed", all-len(pairs), all)
	}
	tw := t.table(len(outcomes), wrap.AlignRight)
	tw.AppendHeader(row("", t.letters(outcomes)))
	most, client := max(16, t.width-2-5*len(outcomes)), ""
	for _, k := range pairs[:min(len(pairs), maxRows)] {
		if k.client != client {
			client = k.client
			tw.AppendRow(row(wrap.Snip(client, most, "…"), nil))
		}
		tw.AppendRow(row(wrap.Snip("  -> "+k.server, most, "…"), t.numbers(outcomes, m.pairs[k].counts)))
	}
	t.line("%s", tw.Render())
	if more := len(pairs) - maxRows; more > 0 {
		t.line("  ... and %s more", count(more, "pair"))
	}
}

func (g *grid) notable() bool {
	for o := range g.counts {
		if !o.Pass() && o != lab.Unsupported {
			return true
		}
	}
	return false
}

func (t *terminal) letters(outcomes []lab.Outcome) []string {
	out := make([]string, len(outcomes))
	for i, o := range outcomes {
		out[i] = t.outcome(o, o.Letter())
	}
	return out
}

func (t *terminal) numbers(outcomes []lab.Outcome, counts map[lab.Outcome]int) []string {
	out := make([]string, len(outcomes))
	for i, o := range outcomes {
		if out[i] = t.faint("."); counts[o] > 0 {
			out[i] = t.outcome(o, strconv.Itoa(counts[o]))
		}
	}
	return out
}

func (t *terminal) legend(s *summary) {
	var parts []string
	for _, o := range s.present() {
		parts = append(parts, t.outcome(o, o.Letter())+" "+label(o))
	}
	t.para("  ", strings.Join(parts, ", "))
}

// table is a borderless table with one wide column and n narrow ones.
func (t *terminal) table(n int, align wrap.Align) table.Writer {
	tw := table.NewWriter()
	style := table.StyleDefault
	style.Box.PaddingLeft, style.Box.PaddingRight = " ", " "
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format = table.FormatOptions{}
	tw.SetStyle(style)
	tw.SuppressTrailingSpaces()
	configs := make([]table.ColumnConfig, n)
	for i := range configs {
		configs[i] = table.ColumnConfig{Number: i + 2, Align: align, AlignHeader: align}
	}
	tw.SetColumnConfigs(configs)
	return tw
}

func row(first string, rest []string) table.Row {
	r := table.Row{first}
	for _, s := range rest {
		r = append(r, s)
	}
	return r
}

func counted[V any](m map[string]V) map[string]int {
	n := make(map[string]int, len(m))
	for k := range m {
		n[k]++
	}
	return n
}
