package triage

import (
	"fmt"
	"math"
	"slices"

	"hybridlab/lab"
)

// search finds the numbers at which a trial changes its fate. Of the runs it
// takes, those next to such a number go on record.
func (x *explorer) search(points []int, at func(int) Trial) []Flip[fate] {
	before := len(x.done)
	flips := x.flips(points, at)
	telling := map[string]bool{}
	for _, f := range flips {
		telling[at(f.At-1).Cell.ID], telling[at(f.At).Cell.ID] = true, true
	}
	searched := slices.DeleteFunc(slices.Clone(x.done[before:]), func(t lab.Trial) bool { return !telling[t.Cell] })
	x.done = append(x.done[:before], searched...)
	return flips
}

func (x *explorer) flips(points []int, at func(int) Trial) []Flip[fate] {
	return Flips(points, x.fan, func(ns []int) []fate {
		trials := make([]Trial, len(ns))
		for i, n := range ns {
			trials[i] = at(n)
		}
		x.run(trials...)
		fates := make([]fate, len(ns))
		for i, t := range trials {
			fates[i] = x.fate(t)
		}
		return fates
	})
}

// rises is the smallest number from which on, up to hi, the trial breaks; ok
// is false where it does not break at hi, breaks at lo, or does not say.
func (x *explorer) rises(lo, hi int, at func(int) Trial) (n int, ok bool) {
	flips := x.search([]int{lo, hi}, at)
	if len(flips) == 0 {
		return 0, false
	}
	last := flips[len(flips)-1]
	return last.At, last.Before == gone && last.After == same
}

// usualSizes are where buffers end.
var usualSizes = []int{512, 1024, 1400, 1500, 2048, 4096, 8192, 16384}

// threshold is the smallest hello of the small kind, padded, that breaks; up
// to the finding's own size all larger ones do.
func (x *explorer) threshold() (n int, ok bool) {
	lo, hi := x.helloOf(x.little()).Bytes, x.bytes()
	points := []int{lo, hi}
	for _, n := range usualSizes {
		if lo < n && n < hi {
			points = append(points, n)
		}
	}
	flips := x.search(points, func(n int) Trial {
		if n == lo {
			return x.little()
		}
		return x.little(padded(n))
	})
	if len(flips) != 1 || flips[0].Before != gone || flips[0].After != same {
		return 0, false
	}
	// Padding takes four bytes at least: ask the wire, not the wish.
	return x.helloOf(x.little(padded(flips[0].At))).Bytes, true
}

// gaps is the shortest pause that breaks, in milliseconds as measured on the
// wire: a sleep always takes a little longer than it was to.
func (x *explorer) gaps() (ms int, say string) {
	paused := func(ms int) Trial {
		if ms == 0 {
			return x.without("gap")
		}
		return x.mimic.with(gapOf(ms)).trial("the imitation, the rest %d ms later", ms)
	}
	if _, ok := x.rises(0, testGap, paused); !ok {
		return 0, ""
	}
	breaks, passes := math.Inf(1), 0.0
	for ms := range testGap + 1 {
		t := paused(ms)
		if _, ran := x.seen[lab.TrialKey(t.Cell.ID, 0)]; !ran {
			continue
		}
		switch took := x.helloOf(t).GapMS; x.fate(t) {
		case same:
			breaks = min(breaks, took)
		case gone:
			passes = max(passes, took)
		}
	}
	if breaks <= passes {
		return 0, "" // the machine was too busy to tell
	}
	return int(breaks), fmt.Sprintf("%.1f ms are enough, %.1f ms are not", breaks, passes)
}

// schemes is the smallest number of signature schemes that breaks.
func (x *explorer) schemes() (n int, say string) {
	i := slices.IndexFunc(x.mimic.set, func(s lab.Setting) bool { return s.Key == "schemes" })
	var most int
	fmt.Sscan(x.mimic.set[i].Value, &most)
	more, ok := x.rises(0, most, func(n int) Trial {
		if n == 0 {
			return x.without("schemes")
		}
		return x.mimic.with(number("schemes", n)).trial("the imitation with %d more signature schemes", n)
	})
	if !ok {
		return 0, ""
	}
	n = x.helloOf(x.mimic.with(number("schemes", more)).trial("")).Schemes
	return n, fmt.Sprintf("%d are too many, %d are not", n, n-1)
}
