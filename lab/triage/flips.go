package triage

import "slices"

// Flip is a number at which something changes: at At it is After, at the
// number before it was Before.
type Flip[T comparable] struct {
	At            int
	Before, After T
}

// Flips finds where along the numbers the answer changes: it asks at the given
// points, and between any two neighbours that differ it narrows the change
// down to one step, asking at most fan numbers at a time for each. An island
// that lies wholly between two points that agree is not seen; nothing else is
// assumed, least of all that there is one change. It is pure.
func Flips[T comparable](points []int, fan int, ask func([]int) []T) []Flip[T] {
	known := map[int]T{}
	learn := func(at []int) {
		for i, v := range ask(at) {
			known[at[i]] = v
		}
	}
	points = slices.Compact(slices.Sorted(slices.Values(points)))
	learn(points)
	for {
		var more []int
		for i := 1; i < len(points); i++ {
			if lo, hi := points[i-1], points[i]; known[lo] != known[hi] {
				more = append(more, between(lo, hi, fan)...)
			}
		}
		if len(more) == 0 {
			break
		}
		learn(more)
		points = slices.Sorted(slices.Values(append(points, more...)))
	}
	var out []Flip[T]
	for i := 1; i < len(points); i++ {
		if a, b := known[points[i-1]], known[points[i]]; a != b {
			out = append(out, Flip[T]{points[i], a, b})
		}
	}
	return out
}

// between are up to n numbers that divide lo to hi evenly, without the two.
func between(lo, hi, n int) []int {
	n = min(n, hi-lo-1)
	var out []int
	for i := 1; i <= n; i++ {
		out = append(out, lo+i*(hi-lo)/(n+1))
	}
	return out
}

// Grid are n+1 numbers from lo to hi, evenly spaced.
func Grid(lo, hi, n int) []int {
	return slices.Concat([]int{lo}, between(lo, hi, n-1), []int{hi})
}
