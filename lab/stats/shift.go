package stats

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/perf/benchmath"
)

// Pair is one cell's samples before and after. Cells are of different speed,
// so each is compared with itself.
type Pair struct{ Before, After []float64 }

// Group is the cells whose times are compared together.
type Group []Pair

// Quantiles at which groups are compared.
var Quantiles = []float64{0.5, 0.95, 0.99}

// Shift is what became of one quantile of one group.
type Shift struct {
	Quantile float64 `json:"quantile"`
	Samples  int     `json:"samples"` // on either side, the same number of each cell
	// Need is how many samples a side would have to have; 0: it has enough,
	// and only then the fields below say something.
	Need   int     `json:"need,omitempty"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	// Change is after minus before, with its confidence interval by bootstrap.
	Change Interval `json:"change"`
	P      float64  `json:"p"`    // chance of such a difference where there is none
	Real   bool     `json:"real"` // P survives Holm's correction over all groups and quantiles
}

// Shifts compares every group at every quantile, in order. Random numbers
// come from a fixed seed: the same samples give the same answer.
func Shifts(groups []Group) [][]Shift {
	even := make([]Group, len(groups))
	out := make([][]Shift, len(groups))
	for i, g := range groups {
		even[i] = g.even()
		out[i] = make([]Shift, len(Quantiles))
		for k, q := range Quantiles {
			out[i][k] = Shift{Quantile: q, Samples: even[i].samples()}
		}
	}
	tests := enough(out)
	var wg sync.WaitGroup
	busy := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, g := range even {
		wg.Go(func() {
			busy <- struct{}{}
			defer func() { <-busy }()
			g.measure(out[i], tests)
		})
	}
	wg.Wait()
	holm(out)
	return out
}

// even keeps as many samples of a cell on one side as on the other, the first
// ones, so that a slow cell weighs the same on both.
func (g Group) even() Group {
	var out Group
	for _, p := range g {
		if n := min(len(p.Before), len(p.After)); n > 0 {
			out = append(out, Pair{p.Before[:n], p.After[:n]})
		}
	}
	return out
}

func (g Group) samples() (n int) {
	for _, p := range g {
		n += len(p.Before)
	}
	return n
}

// enough sets Need where a sample cannot show a shift whatever it holds, and
// returns how many tests remain. It looks at numbers of samples only.
func enough(all [][]Shift) (tests int) {
	var location []*Shift
	for i := range all {
		for k := range all[i] {
			s := &all[i][k]
			switch need := Need(s.Quantile); {
			case s.Quantile == 0.5:
				location = append(location, s)
			case s.Samples < need:
				s.Need = need
			default:
				tests++
			}
		}
	}
	// The U test's least P falls with the sample, Holm's limit with the number
	// of tests: of the largest samples, take as many as can all be shown.
	slices.SortStableFunc(location, func(a, b *Shift) int { return b.Samples - a.Samples })
	k := len(location)
	for k > 0 && leastP(location[k-1].Samples) > Alpha/float64(k+tests) {
		k--
	}
	need := 1
	for leastP(need) > Alpha/float64(k+1+tests) {
		need++
	}
	for _, s := range location[k:] {
		s.Need = need
	}
	return k + tests
}

// leastP is the least P that the U test can give two samples of n without
// ties: all of one before all of the other, either way.
func leastP(n int) float64 {
	if n == 0 {
		return 1
	}
	a, _ := math.Lgamma(float64(2*n + 1))
	b, _ := math.Lgamma(float64(n + 1))
	return 2 * math.Exp(2*b-a)
}

// measure fills in the shifts of one group that have samples enough.
func (g Group) measure(shifts []Shift, tests int) {
	var before, after []float64
	for _, p := range g {
		before, after = append(before, p.Before...), append(after, p.After...)
	}
	if len(before) == 0 {
		return
	}
	changes := g.bootstrap(resamples(tests))
	sortedBefore, sortedAfter := slices.Sorted(slices.Values(before)), slices.Sorted(slices.Values(after))
	for k := range shifts {
		s := &shifts[k]
		if s.Need > 0 {
			continue
		}
		at := rank(len(before), s.Quantile)
		s.Before, s.After = sortedBefore[at], sortedAfter[at]
		s.Change = Interval{s.After - s.Before, changes[k][rank(len(changes[k]), Alpha/2)], changes[k][rank(len(changes[k]), 1-Alpha/2)]}
		if s.Quantile == 0.5 {
			s.P = uTest(before, after)
		} else {
			s.P = twoSided(changes[k])
		}
	}
}

// uTest is the P of the Mann-Whitney U test.
func uTest(before, after []float64) float64 {
	t := benchmath.Thresholds{CompareAlpha: Alpha}
	return benchmath.AssumeNothing.Compare(benchmath.NewSample(before, &t), benchmath.NewSample(after, &t)).P
}

// resamples is how often to draw: enough for a P that survives Holm's
// correction, and for an interval.
func resamples(tests int) int { return max(2000, 100*tests) }

// twoSided is the P of a difference of zero by its bootstrap distribution.
func twoSided(changes []float64) float64 {
	below, above := 1, 1
	for _, c := range changes {
		if c <= 0 {
			below++
		}
		if c >= 0 {
			above++
		}
	}
	return min(1, 2*float64(min(below, above))/float64(len(changes)+1))
}

// holm decides which shifts are real: the smallest P against Alpha divided by
// the number of tests, the next against one fewer, until one fails.
func holm(all [][]Shift) {
	var tested []*Shift
	for i := range all {
		for k := range all[i] {
			if all[i][k].Need == 0 {
				tested = append(tested, &all[i][k])
			}
		}
	}
	slices.SortStableFunc(tested, func(a, b *Shift) int {
		switch {
		case a.P < b.P:
			return -1
		case a.P > b.P:
			return 1
		}
		return 0
	})
	for i, s := range tested {
		if s.P > Alpha/float64(len(tested)-i) {
			return
		}
		s.Real = true
	}
}

// leastStratum is how many samples each cell must have for the bootstrap to
// draw within cells. With fewer, a cell's own spread is not known, and cells
// are drawn instead, each with both its sides.
const leastStratum = 20

// bootstrap draws the group anew n times and returns the change of each
// quantile, sorted.
func (g Group) bootstrap(n int) [][]float64 {
	random := rand.New(rand.NewPCG(1, 2))
	before, after := newSide(g, func(p Pair) []float64 { return p.Before }), newSide(g, func(p Pair) []float64 { return p.After })
	strata := !slices.ContainsFunc(g, func(p Pair) bool { return len(p.Before) < leastStratum })
	changes := make([][]float64, len(Quantiles))
	for range n {
		for i := range g {
			if strata {
				before.draw(random, i)
				after.draw(random, i)
				continue
			}
			cell := random.IntN(len(g))
			before.take(cell)
			after.take(cell)
		}
		b, a := before.quantiles(), after.quantiles()
		for k := range Quantiles {
			changes[k] = append(changes[k], a[k]-b[k])
		}
	}
	for _, c := range changes {
		slices.Sort(c)
	}
	return changes
}

// side is one side of a group, ready to be drawn from: values are known by
// their place in the sorted whole, so that a drawn sample is sorted by
// counting.
type side struct {
	sorted []float64
	cells  [][]int // places of each cell's values
	drawn  []int   // how often each place was drawn
	size   int
}

func newSide(g Group, of func(Pair) []float64) *side {
	type at struct {
		value float64
		cell  int
	}
	var all []at
	for i, p := range g {
		for _, v := range of(p) {
			all = append(all, at{v, i})
		}
	}
	slices.SortStableFunc(all, func(a, b at) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		}
		return 0
	})
	s := &side{cells: make([][]int, len(g)), drawn: make([]int, len(all))}
	for place, a := range all {
		s.sorted = append(s.sorted, a.value)
		s.cells[a.cell] = append(s.cells[a.cell], place)
	}
	return s
}

// draw takes as many values of the cell as it has, each any of them.
func (s *side) draw(random *rand.Rand, cell int) {
	places := s.cells[cell]
	for range places {
		s.drawn[places[random.IntN(len(places))]]++
	}
	s.size += len(places)
}

// take takes the cell's values as they are.
func (s *side) take(cell int) {
	for _, place := range s.cells[cell] {
		s.drawn[place]++
	}
	s.size += len(s.cells[cell])
}

// quantiles of what was drawn, which is then put back.
func (s *side) quantiles() (out [3]float64) {
	k, seen := 0, 0
	for place, times := range s.drawn {
		seen += times
		s.drawn[place] = 0
		for k < len(Quantiles) && seen > rank(s.size, Quantiles[k]) {
			out[k] = s.sorted[place]
			k++
		}
	}
	s.size = 0
	return out
}
