package reports

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"hybridlab/lab"
)

// summary is what the renderers keep of the verdicts: counts, groups and the
// values of each axis. It does not depend on the order of the verdicts.
type summary struct {
	total  int
	known  int            // cells that a known deviation explains
	reused map[string]int // cells whose verdict is another run's, by that run
	counts map[lab.Outcome]int
	groups map[groupKey]*group // everything that is neither a pass nor unsupported
	axes   axes
}

// groupKey is what makes cells one finding to a reader.
type groupKey struct {
	outcome lab.Outcome
	cause   lab.Cause
	blame   string
	known   string // name of the known deviation that explains it
}

// group is the cells that share a groupKey.
type group struct {
	groupKey
	count    int
	axes     axes
	examples []example // the first by cell id
}

// example stands for its group.
type example struct {
	Cell, Why, Traced, Remedy, Again string
}

const maxExamples = 3

// axes counts the cells at each value of each axis.
type axes struct{ clients, servers, pairings, paths map[string]int }

func newAxes() axes {
	return axes{map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}}
}

func (a axes) add(v lab.Verdict) {
	a.clients[name(v.Client)]++
	a.servers[name(v.Server)]++
	a.pairings[name(groups(v))]++
	a.paths[path(v)]++
}

func newSummary() *summary {
	return &summary{reused: map[string]int{}, counts: map[lab.Outcome]int{}, groups: map[groupKey]*group{}, axes: newAxes()}
}

// summarize reads all verdicts once; extra, if any, sees each of them too.
func summarize(rep lab.Report, verdicts Verdicts, extra ...func(lab.Verdict)) (*summary, error) {
	s := newSummary()
	err := each(verdicts, func(v lab.Verdict) error {
		s.add(rep, v)
		for _, f := range extra {
			f(v)
		}
		return nil
	})
	return s, err
}

func (s *summary) add(rep lab.Report, v lab.Verdict) {
	s.total++
	s.counts[v.Outcome]++
	s.axes.add(v)
	if v.Reused != "" {
		s.reused[name(v.Reused)]++
	}
	if v.Outcome.Pass() || v.Outcome == lab.Unsupported {
		return
	}
	if v.Known != "" && v.Outcome.Finding() {
		s.known++
	}
	k := groupKey{v.Outcome, v.Cause, v.Blame, v.Known}
	g := s.groups[k]
	if g == nil {
		g = &group{groupKey: k, axes: newAxes()}
		s.groups[k] = g
	}
	g.add(rep, v)
}

func (g *group) add(rep lab.Report, v lab.Verdict) {
	g.count++
	g.axes.add(v)
	cell := name(v.Cell)
	if len(g.examples) == maxExamples && cell >= g.examples[maxExamples-1].Cell {
		return
	}
	g.examples = append(g.examples, example{cell, text(v.Why), text(v.Traced), text(v.Remedy), again(rep, v)})
	slices.SortStableFunc(g.examples, func(a, b example) int { return strings.Compare(a.Cell, b.Cell) })
	g.examples = g.examples[:min(len(g.examples), maxExamples)]
}

// findings are the groups to look at, the worst first: in report order of the
// outcome, and the larger before the smaller.
func (s *summary) findings() []*group {
	return s.sorted(func(k groupKey) bool { return k.known == "" && k.outcome.Finding() })
}

// expected are the groups that a known deviation explains.
func (s *summary) expected() []*group {
	return s.sorted(func(k groupKey) bool { return k.known != "" })
}

// undecided are the groups that say nothing about a peer: inconclusive, flaky, fault.
func (s *summary) undecided() []*group {
	return s.sorted(func(k groupKey) bool { return k.known == "" && !k.outcome.Finding() })
}

func (s *summary) sorted(keep func(groupKey) bool) []*group {
	gs := slices.DeleteFunc(slices.Collect(maps.Values(s.groups)), func(g *group) bool { return !keep(g.groupKey) })
	slices.SortFunc(gs, func(a, b *group) int {
		return cmp.Or(
			cmp.Compare(rank(a.outcome), rank(b.outcome)), cmp.Compare(b.count, a.count),
			cmp.Compare(a.cause, b.cause), cmp.Compare(a.blame, b.blame), cmp.Compare(a.known, b.known))
	})
	return gs
}

// unexpected is how many cells somebody has to look at.
func (s *summary) unexpected() (n int) {
	for k, g := range s.groups {
		if k.known == "" && (k.outcome.Finding() || k.outcome == lab.Flaky) {
			n += g.count
		}
	}
	return n
}

// rank is the place of an outcome in report order; one we do not know is last.
func rank(o lab.Outcome) int {
	if i := slices.Index(lab.Outcomes, o); i >= 0 {
		return i
	}
	return len(lab.Outcomes)
}

// sum adds up the counts of the outcomes that keep selects.
func (s *summary) sum(keep func(lab.Outcome) bool) int {
	n := 0
	for o, k := range s.counts {
		if keep(o) {
			n += k
		}
	}
	return n
}

// present are the outcomes that occurred, in report order.
func (s *summary) present() []lab.Outcome {
	return slices.SortedFunc(maps.Keys(s.counts), func(a, b lab.Outcome) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}

// neither is what is no pass and no finding.
func neither(o lab.Outcome) bool { return !o.Pass() && !o.Finding() }

// values are the values of one axis in reading order: what is plain first
// ("clean", "default"), then by name.
func values(axis map[string]int) []string {
	return slices.SortedFunc(maps.Keys(axis), plainFirst)
}

func plainFirst(a, b string) int {
	plain := func(s string) int {
		if s == "clean" || s == "default" {
			return 0
		}
		return 1
	}
	return cmp.Or(plain(a)-plain(b), strings.Compare(a, b))
}

// reason is a reason for leaving cells out, with how many it applies to.
type reason struct {
	Why   string
	Count int
	Cells []string // the first few
}

// reasons groups the exclusions, the most frequent reason first.
func reasons(excluded []lab.Exclusion) []reason {
	const most = 20
	byWhy := map[string]*reason{}
	for _, e := range excluded {
		why := text(e.Reason)
		r := byWhy[why]
		if r == nil {
			r = &reason{Why: why}
			byWhy[why] = r
		}
		if r.Count++; len(r.Cells) < most {
			r.Cells = append(r.Cells, name(e.Cell))
		}
	}
	out := make([]reason, 0, len(byWhy))
	for _, r := range byWhy {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Why, b.Why))
	})
	return out
}
