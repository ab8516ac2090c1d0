package netem

import "time"

// agenda holds things to be done at a time: by time, and in the order they
// came for equal times, so that there is one order only.
type agenda[T any] struct {
	items []entry[T] // a binary heap
	count uint64
}

type entry[T any] struct {
	due time.Duration
	num uint64
	v   T
}

func (e *entry[T]) before(f *entry[T]) bool {
	return e.due < f.due || (e.due == f.due && e.num < f.num)
}

func (a *agenda[T]) len() int { return len(a.items) }

// due is the time of the first entry; there must be one.
func (a *agenda[T]) due() time.Duration { return a.items[0].due }

func (a *agenda[T]) push(due time.Duration, v T) {
	a.items = append(a.items, entry[T]{due, a.count, v})
	a.count++
	h := a.items
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

// pop takes the first entry; there must be one.
func (a *agenda[T]) pop() entry[T] {
	h := a.items
	first, n := h[0], len(h)-1
	h[0], h[n] = h[n], entry[T]{} // let go of what it points to
	a.items = h[:n]
	for i := 0; ; {
		least := i
		for _, kid := range [2]int{2*i + 1, 2*i + 2} {
			if kid < n && h[kid].before(&h[least]) {
				least = kid
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
