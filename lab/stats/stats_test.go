package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestRanks against figures worked out elsewhere.
func TestRanks(t *testing.T) {
	for _, c := range []struct {
		n         int
		q         float64
		low, high int
	}{
		{1000, 0.5, 469, 532}, {1000, 0.95, 936, 964}, {1000, 0.99, 983, 997},
		{5000, 0.95, 4719, 4781}, {5000, 0.99, 4936, 4964},
		{6, 0.5, 1, 6}, {5, 0.5, 0, 6},
	} {
		if low, high := ranks(c.n, c.q); low != c.low || high != c.high {
			t.Errorf("p%g of %d: [%d, %d], want [%d, %d]", 100*c.q, c.n, low, high, c.low, c.high)
		}
	}
}

// TestNeed: one sample fewer gives no interval.
func TestNeed(t *testing.T) {
	for _, c := range []struct {
		q    float64
		want int
	}{{0.5, 6}, {0.9, 36}, {0.95, 72}, {0.99, 368}} {
		if got := Need(c.q); got != c.want {
			t.Errorf("p%g needs %d, want %d", 100*c.q, got, c.want)
		}
		sample := times(rand.New(rand.NewPCG(0, 0)), c.want, 1)
		if _, ok := Quantile(sample, c.q); !ok {
			t.Errorf("p%g of %d has no interval", 100*c.q, c.want)
		}
		if i, ok := Quantile(sample[1:], c.q); ok {
			t.Errorf("p%g of %d is %+v", 100*c.q, c.want-1, i)
		}
	}
	if _, ok := Quantile(nil, 0.5); ok {
		t.Error("nothing has a median")
	}
}

func TestQuantile(t *testing.T) {
	var sample []float64
	for i := 1000; i > 0; i-- {
		sample = append(sample, float64(i))
	}
	if i, ok := Quantile(sample, 0.95); !ok || i != (Interval{950, 936, 964}) {
		t.Errorf("%+v, %t", i, ok)
	}
	if sample[0] != 1000 {
		t.Error("the caller's sample was sorted")
	}
}

// times are n handshakes: a spread about the scale, one in twenty with a
// retransmission.
func times(random *rand.Rand, n int, scale float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = scale * math.Exp(0.3*random.NormFloat64())
		if random.IntN(20) == 0 {
			out[i] += 5 * scale
		}
	}
	return out
}

// group makes cells of different speed; after is slower by the factor.
func group(random *rand.Rand, cells, samples int, slower float64) Group {
	var g Group
	for i := range cells {
		scale := 1 + float64(i%7)
		g = append(g, Pair{times(random, samples, scale), times(random, samples, scale*slower)})
	}
	return g
}

// TestNothingChanged: where nothing changed, one comparison in twenty or
// fewer says otherwise, in few large cells and in many small ones.
func TestNothingChanged(t *testing.T) {
	const trials = 100
	for _, shape := range []struct{ cells, samples int }{{1, 100}, {4, 50}, {150, 1}, {40, 3}} {
		random := rand.New(rand.NewPCG(3, uint64(shape.cells)))
		wrong := 0
		for range trials {
			for _, s := range Shifts([]Group{group(random, shape.cells, shape.samples, 1)})[0] {
				if s.Real {
					wrong++
					break
				}
			}
		}
		// 13 of 100 is what a true rate of 5 % exceeds once in a thousand.
		t.Logf("%d cells of %d: %d of %d", shape.cells, shape.samples, wrong, trials)
		if wrong > 13 {
			t.Errorf("%d cells of %d samples: %d of %d comparisons saw a shift where there is none", shape.cells, shape.samples, wrong, trials)
		}
	}
}

// TestShifts: a shift is seen, also among groups without one, and its
// interval holds it.
func TestShifts(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	groups := []Group{group(random, 4, 50, 1), group(random, 4, 50, 1.3), group(random, 150, 1, 2), group(random, 4, 100, 1)}
	for i := range groups[3][0].After { // only the tail of the last one grew
		for c := range groups[3] {
			if i%14 == 0 {
				groups[3][c].After[i] += 40
			}
		}
	}
	got := Shifts(groups)
	for i, median := range []bool{false, true, true, false} {
		for k, s := range got[i] {
			if tail := i == 3 && k == 1; k == 0 && s.Real != median || tail && !s.Real {
				t.Errorf("group %d, p%g: %+v", i, 100*s.Quantile, s)
			}
			if s.Need == 0 && (s.Change.Low > s.Change.Value || s.Change.High < s.Change.Value) {
				t.Errorf("group %d, p%g: %+v", i, 100*s.Quantile, s)
			}
		}
	}
	if s := got[1][0]; s.Change.Low <= 0 || s.Samples != 200 || s.After <= s.Before {
		t.Errorf("%+v", s)
	}
	if s := got[0][2]; s.Need != 368 || s.P != 0 || s.Real {
		t.Errorf("p99 of 200 samples: %+v", s)
	}
}

// TestTooSmall: what cannot be shown is not tested, and how much it would
// take is said.
func TestTooSmall(t *testing.T) {
	slow := Pair{[]float64{1, 1.1, 1.2}, []float64{9, 9.1, 9.2}}
	for _, tt := range []struct {
		groups []Group
		need   int
	}{
		{[]Group{{slow}}, 4},
		{[]Group{{slow}, {slow}, {slow}}, 4},
		{[]Group{{}}, 4},
		{[]Group{{{Before: []float64{1, 2, 3, 4, 5}}}}, 4},
	} {
		for _, shifts := range Shifts(tt.groups) {
			if s := shifts[0]; s.Need != tt.need || s.Real {
				t.Errorf("%d groups: %+v, want a need of %d", len(tt.groups), s, tt.need)
			}
		}
	}
	if s := Shifts([]Group{{slow, slow}})[0][0]; s.Need != 0 || !s.Real || s.Samples != 6 {
		t.Errorf("six against six, all slower: %+v", s)
	}
}

func TestHolm(t *testing.T) {
	// 0.05/4 = 0.0125, 0.05/3 = 0.0167, 0.05/2 = 0.025: the third fails, and
	// with it the fourth.
	all := [][]Shift{{{P: 0.03}, {P: 0.01}}, {{P: 0.016}, {P: 0.04}, {P: 0.0001, Need: 7}}}
	holm(all)
	for i, want := range [][]bool{{false, true}, {true, false, false}} {
		for k := range want {
			if all[i][k].Real != want[k] {
				t.Errorf("P %g: real is %t", all[i][k].P, all[i][k].Real)
			}
		}
	}
}

func BenchmarkShifts(b *testing.B) {
	random := rand.New(rand.NewPCG(7, 8))
	var groups []Group
	for range 40 {
		groups = append(groups, group(random, 50, 10, 1))
	}
	for b.Loop() {
		Shifts(groups)
	}
}
