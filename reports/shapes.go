package reports

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	wrap "github.com/jedib0t/go-pretty/v6/text"

	"hybridlab/lab"
)

// shapes are the cells of a run in which one client sends hellos of many shapes
// over many paths to one server: a line per shape, a column per path, and in
// each cell a letter per pairing.
type shapes struct {
	base, server string
	lines        map[string]*grid // by the client's settings; empty: none
	pairings     []string
	paths        []string
}

// fewestShapes is how many there must be for a table of their own.
const fewestShapes = 3

// mostPairings is how many letters a cell may have and still be read.
const mostPairings = 6

// shapes finds them; ok is false where the run is of another kind.
func (m *matrix) shapes() (s shapes, ok bool) {
	s.lines = map[string]*grid{}
	pairings, paths := map[string]int{}, map[string]int{}
	for k, g := range m.pairs {
		base, settings, err := lab.SplitSettings(k.client)
		if err != nil || s.base != "" && (s.base != base || s.server != k.server) {
			return s, false
		}
		var parts []string
		for _, one := range settings {
			parts = append(parts, one.String())
		}
		s.base, s.server = base, k.server
		s.lines[strings.Join(parts, ",")] = g
		maps.Copy(pairings, counted(g.rows))
		maps.Copy(paths, g.paths)
	}
	s.pairings, s.paths = slices.SortedFunc(maps.Keys(pairings), byLength), values(paths)
	return s, len(s.lines) >= fewestShapes && len(s.paths) > 1 && len(s.pairings) <= mostPairings
}

func byLength(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// shapeTable prints them, as many paths side by side as fit.
func (t *terminal) shapeTable(s shapes) {
	t.heading(s.base + " -> " + s.server + ", by the shape of the ClientHello")
	t.para("  ", "In each cell, in this order: "+strings.Join(s.pairings, ", "))
	most := 0
	for line := range s.lines {
		most = max(most, len(line))
	}
	column := max(2, len(s.pairings)) + 2
	fit := max(1, (t.width-min(most, 36)-2)/column)
	blocks := (len(s.paths) + fit - 1) / fit
	fit = (len(s.paths) + blocks - 1) / blocks // as wide as each other
	for at := 0; at < len(s.paths); at += fit {
		t.shapeColumns(s, at, min(at+fit, len(s.paths)))
	}
	t.key(s.paths)
}

func (t *terminal) shapeColumns(s shapes, from, to int) {
	heads := make([]string, to-from)
	for i := range heads {
		heads[i] = strconv.Itoa(from + i + 1)
	}
	tw := t.table(len(heads), wrap.AlignCenter)
	tw.AppendHeader(row("", heads))
	for _, line := range slices.SortedFunc(maps.Keys(s.lines), natural) {
		cells := make([]string, len(heads))
		for i := range cells {
			cells[i] = t.shapeCell(s, line, s.paths[from+i])
		}
		label := line
		if label == "" {
			label = "as it is"
		}
		tw.AppendRow(row(wrap.Snip(label, 36, "…"), cells))
	}
	t.line("%s", tw.Render())
}

func (t *terminal) shapeCell(s shapes, line, path string) string {
	var b strings.Builder
	for _, p := range s.pairings {
		if o, ok := s.lines[line].rows[p][path]; ok {
			b.WriteString(t.outcome(o, o.Letter()))
		} else {
			b.WriteString(" ")
		}
	}
	return b.String()
}

// natural compares texts as readers do: numbers in them by their value.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, restA := chunk(a)
		y, restB := chunk(b)
		n, errN := strconv.Atoi(x)
		m, errM := strconv.Atoi(y)
		if errN == nil && errM == nil && n != m {
			return n - m
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
		a, b = restA, restB
	}
	return len(a) - len(b)
}

// chunk cuts off the leading number, or what comes before the next one.
func chunk(s string) (first, rest string) {
	digits := unicode.IsDigit(rune(s[0]))
	end := strings.IndexFunc(s, func(r rune) bool { return unicode.IsDigit(r) != digits })
	if end < 0 {
		return s, ""
	}
	return s[:end], s[end:]
}
