package triage

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestFlips(t *testing.T) {
	for _, fan := range []int{1, 2, 8, 32} {
		for range 200 {
			var at []int // where it changes, at most one change between two points of the grid
			for n := 200; n < 17000; n += 1000 {
				if rand.IntN(3) == 0 {
					at = append(at, n+1+rand.IntN(1000))
				}
			}
			asked := 0
			got := Flips(Grid(200, 17200, 17), fan, func(ns []int) []int {
				out := make([]int, len(ns))
				for i, n := range ns {
					asked++
					for _, a := range at {
						if n >= a {
							out[i]++
						}
					}
				}
				return out
			})
			var want []Flip[int]
			for i, a := range at {
				want = append(want, Flip[int]{a, i, i + 1})
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("fan %d: %v, want %v", fan, got, want)
			}
			if most := 18 + len(at)*(fan*11); asked > most {
				t.Errorf("fan %d: asked %d times for %d flips", fan, asked, len(at))
			}
		}
	}
}

// TestFlipsOfAnIsland: what breaks and works again is two flips.
func TestFlipsOfAnIsland(t *testing.T) {
	breaks := func(ns []int) []bool {
		var out []bool
		for _, n := range ns {
			out = append(out, n >= 256 && n <= 511)
		}
		return out
	}
	want := []Flip[bool]{{256, false, true}, {512, true, false}}
	if got := Flips(Grid(0, 1000, 10), 4, breaks); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := Flips([]int{0, 1000}, 4, breaks); got != nil {
		t.Errorf("%v between two points that agree", got)
	}
	if got := Flips([]int{5}, 4, breaks); got != nil {
		t.Errorf("%v at one point", got)
	}
}

func TestGrid(t *testing.T) {
	if got := Grid(10, 20, 5); !reflect.DeepEqual(got, []int{10, 12, 14, 16, 18, 20}) {
		t.Errorf("%v", got)
	}
	if got := Grid(1, 4, 10); !reflect.DeepEqual(got, []int{1, 2, 3, 4}) {
		t.Errorf("%v", got)
	}
}
