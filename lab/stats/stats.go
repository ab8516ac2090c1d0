// Package stats says what samples of handshake times support, and no more.
//
// Handshake times are a mixture of steps (a round trip, a retransmission at
// 200 ms, another at 1 s), so nothing here assumes a distribution and nothing
// compares means. A quantile comes with a confidence interval from order
// statistics. Two samples are compared at the median by the Mann-Whitney U
// test and at p95 and p99 by a bootstrap of the quantile's difference, because
// a rank test does not see a change in the tail alone. A sample too small to
// show anything says so: it has no number.
//
// Many comparisons at once are one family (Holm 1979): the chance that any
// shift called real is none stays below Alpha, however many there are.
package stats

import (
	"math"
	"slices"

	binomial "github.com/aclements/go-moremath/stats"
)

// Alpha is the chance of a false claim: of an interval to miss, of one or
// more shifts in a comparison to be none.
const Alpha = 0.05

// Interval is a quantile of a sample with its two-sided confidence interval,
// in the sample's unit.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Quantile is the q-quantile of the sample, which need not be sorted; ok is
// false where the sample is too small for an interval (see Need).
func Quantile(sample []float64, q float64) (i Interval, ok bool) {
	n := len(sample)
	low, high := ranks(n, q)
	if low < 1 || high > n {
		return Interval{}, false
	}
	s := slices.Sorted(slices.Values(sample))
	return Interval{s[rank(n, q)], s[low-1], s[high-1]}, true
}

// rank is the index of the q-quantile in a sorted sample of n: the smallest
// value that at least q of the sample do not exceed.
func rank(n int, q float64) int {
	return min(max(int(math.Ceil(q*float64(n)))-1, 0), n-1)
}

// ranks are the order statistics, from 1, that bound the q-quantile of a
// sample of n; below 1 or above n: there is none. How many of the sample are
// below the quantile is binomial.
func ranks(n int, q float64) (low, high int) {
	below := binomial.BinomialDist{N: n, P: q}
	for low < n && below.CDF(float64(low)) <= Alpha/2 {
		low++
	}
	high = n + 1
	for high > 1 && 1-below.CDF(float64(high-2)) <= Alpha/2 {
		high--
	}
	return low, high
}

// Need is the least sample that gives a q-quantile, from 0.5 up, an interval.
func Need(q float64) int {
	return int(math.Ceil(math.Log(Alpha/2) / math.Log(q)))
}
