package tc

import (
	"math"
	"slices"
	"time"

	"hybridlab/netem"
)

const (
	// inFlight is the limit of a qdisc that is no queue but a length of wire.
	inFlight = 100_000
	// inOrder is a rate (1 Tbit/s) at which a packet takes no time, but
	// leaves after the one before it all the same.
	inOrder = 125_000_000_000
	// unit is what an entry of a delay distribution is a fraction of
	// (NETEM_DIST_SCALE), and maxTable how many there may be (NETEM_DIST_MAX).
	unit     = 8192
	maxTable = 16384
	// maxSpread is the largest jitter the kernel keeps, in a signed 32-bit
	// number of nanoseconds.
	maxSpread = math.MaxInt32 * time.Nanosecond
)

// Translate is what the kernel has to do for one direction of a link. The
// error is a Refusal.
func Translate(s netem.Shape) (Tree, error) {
	if r := refuse(s); len(r) > 0 {
		return nil, r
	}
	t := timing(s)
	if len(t) == 0 {
		if !fateful(s) {
			return nil, nil
		}
		t = Tree{{Limit: inFlight}}
	}
	t[0].Loss, t[0].Burst = losses(s.Loss)
	t[0].Duplicate, t[0].Corrupt = chance(s.Duplicate), chance(s.Corrupt.Rate)
	return t, nil
}

// Seeded is the tree with random numbers that come again. Each qdisc has its
// own; 0 leaves them to the kernel.
func (t Tree) Seeded(seed uint64) Tree {
	out := slices.Clone(t)
	for i := range out {
		if seed > 0 {
			out[i].Seed = seed + uint64(i)
		}
	}
	return out
}

// fateful says whether chance decides about the packets.
func fateful(s netem.Shape) bool {
	return s.Loss.Rate > 0 || bursts(s.Loss.Burst) || s.Duplicate > 0 || s.Corrupt.Rate > 0
}

// timing is the qdiscs that hold packets back, in the order in which the link
// does it: the wire, the way, and those overtaken on it.
func timing(s netem.Shape) Tree {
	var t Tree
	if s.Rate > 0 {
		queue := s.Queue
		if queue == 0 {
			queue = netem.DefaultQueue
		}
		t = append(t, Qdisc{Limit: uint32(queue), Rate: uint64(math.Round(float64(s.Rate) / 8))})
	}
	way := Qdisc{Limit: inFlight, Delay: s.Delay}
	if s.Jitter > 0 {
		half := s.Jitter / 2
		way.Delay, way.Jitter, way.Rate = s.Delay+half, half, inOrder
	}
	if s.Reorder.Rate > 0 {
		if s.Jitter > 0 {
			t = append(t, way)
			way = Qdisc{Limit: inFlight}
		}
		way.Jitter, way.Table = heldBack(s.Reorder), twoPoints(s.Reorder.Rate)
	}
	if way.Delay > 0 || way.Jitter > 0 {
		t = append(t, way)
	}
	return t
}

func heldBack(r netem.Reorder) time.Duration {
	if r.By == 0 {
		return netem.DefaultReorder
	}
	return r.By
}

// twoPoints is the delay distribution that is one with probability p and
// else zero: the smallest table that has p exactly, or the nearest.
func twoPoints(p netem.Chance) []int16 {
	n, k := nearest(float64(p))
	return slices.Concat(slices.Repeat([]int16{unit}, k), make([]int16, n-k))
}

// nearest is the fraction k/n nearest to p that a table can hold, k > 0.
func nearest(p float64) (n, k int) {
	best := math.Inf(1)
	for i := 1; i <= maxTable && best > 1e-9; i++ {
		j := max(1, int(math.Round(p*float64(i))))
		if off := math.Abs(float64(j)/float64(i) - p); off < best {
			best, n, k = off, i, j
		}
	}
	return n, k
}

func bursts(b netem.Burst) bool { return b.Enter > 0 || b.Good > 0 }

// losses is both kinds of loss as the one that a qdisc can have. Loss by
// itself beside bursts is a chance more in either state.
func losses(l netem.Loss) (uint32, Burst) {
	b := l.Burst
	if !bursts(b) {
		return chance(l.Rate), Burst{}
	}
	if b.Bad == 0 {
		b.Bad = 1
	}
	either := func(p netem.Chance) netem.Chance { return 1 - (1-p)*(1-l.Rate) }
	return 0, Burst{P: chance(b.Enter), R: chance(b.Leave), H: chance(1 - either(b.Bad)), K1: chance(either(b.Good))}
}
