package lab

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// A verdict is worth keeping as long as everything it was made from is what it
// was. Each carries a fingerprint of that, its Inputs; a run that is given an
// old one takes over the verdicts whose inputs have not changed, with
// observations and captures, and runs the rest.
//
// What passed and what was found is taken over: a finding has been repeated,
// held against its controls and traced, and would be again. What decided
// nothing (inconclusive, flaky, the lab's fault, a peer that could not) is
// always run again: the next time may. So is what passed after an attempt that
// decided nothing: as a control it would count by that attempt for ever.

// ErrReuse says that an old run cannot be reused, because of what it is.
var ErrReuse = errors.New("reuse run")

// Reuse is what came of reusing an old run.
type Reuse struct {
	Cells int            // taken over
	Rest  map[string]int // cells that are run, by the reason
}

// Why a cell is run although there is an old run.
const (
	restNew       = "not in the old run"
	restUndecided = "undecided then"
	restUnnamed   = "without a fingerprint" // of an older hybridlab, or of one that no commit names
	restChanged   = "changed since"
	restControl   = "whose control is run again"
)

// Reuse takes over from an old run what it can of the cells, so that asking
// for them gives their verdict at once. It is called before any cell is run.
func (r *Runner) Reuse(rec *Recorder, old *RunDir, cells []Cell) (Reuse, error) {
	keep, reuse, err := r.reusable(old, cells)
	if err == nil {
		err = r.adopt(rec, old, keep)
	}
	if err != nil {
		return reuse, fmt.Errorf("%w %q: %w", ErrReuse, old.Dir, err)
	}
	for _, id := range slices.Sorted(maps.Keys(keep)) {
		v := keep[id]
		v.Reused = cmp.Or(v.Reused, old.Report.Run)
		if err := rec.Judged(v); err != nil {
			return reuse, err
		}
		preset(&r.settled, id, v)
	}
	return reuse, nil
}

// reusable are the old verdicts that still count.
func (r *Runner) reusable(old *RunDir, cells []Cell) (map[string]Verdict, Reuse, error) {
	rest := map[string]string{} // why a cell is run, by its id
	planned := map[string]Cell{}
	for _, c := range cells {
		planned[c.ID], rest[c.ID] = c, restNew
	}
	keep := map[string]Verdict{}
	for v, err := range old.Verdicts() {
		if err != nil {
			return nil, Reuse{}, err
		}
		c, ok := planned[v.Cell]
		if !ok {
			continue
		}
		if rest[c.ID] = r.stale(c, v); rest[c.ID] == "" {
			delete(rest, c.ID)
			keep[c.ID] = v
		}
	}
	uncontrolled(keep, rest)
	reuse := Reuse{Cells: len(keep), Rest: map[string]int{}}
	for _, why := range rest {
		reuse.Rest[why]++
	}
	return keep, reuse, nil
}

// stale says why an old verdict does not count any more; empty: it does.
func (r *Runner) stale(c Cell, v Verdict) string {
	switch {
	case !v.Outcome.Telling(), slices.ContainsFunc(v.Attempts, func(a Attempt) bool { return !a.Outcome.Telling() }):
		return restUndecided
	case v.Inputs == "":
		return restUnnamed
	case v.Inputs != r.inputs(c, v.Control):
		return restChanged
	}
	return ""
}

// inputs is the fingerprint of a verdict on c that was held against controls.
func (r *Runner) inputs(c Cell, controls []ControlTaken) string {
	if r.Inputs == nil {
		return ""
	}
	return r.Inputs(c, controls)
}

// uncontrolled takes findings out of keep whose control is itself run again:
// what a run says of a cell, it says once.
func uncontrolled(keep map[string]Verdict, rest map[string]string) {
	for again := true; again; {
		again = false
		for id, v := range keep {
			if slices.ContainsFunc(v.Control, func(k ControlTaken) bool { return rest[k.Cell] != "" }) {
				delete(keep, id)
				rest[id], again = restControl, true
			}
		}
	}
}

// adopt copies what the old run saw of the cells to be kept, of their controls
// and, where a finding among them was traced, of the trials; and remembers the
// first attempts, for findings yet to come and for triage.
func (r *Runner) adopt(rec *Recorder, old *RunDir, keep map[string]Verdict) error {
	want, traced := map[string]bool{}, false
	for id, v := range keep {
		want[id], traced = true, traced || len(v.Triage) > 0
		for _, k := range v.Control {
			want[k.Cell] = true
		}
	}
	for o, err := range old.Observations() {
		switch {
		case err != nil:
			return err
		case o.Trial && !traced, !o.Trial && !want[o.Cell.ID]:
			continue
		}
		if err := rec.adopt(o, old.Dir); err != nil {
			return err
		}
		if !o.Trial && o.Attempt == 1 {
			r.recall(o)
		}
	}
	return nil
}

// recall remembers the first attempt at a cell as if it had been made now.
func (r *Runner) recall(o Observation) {
	f := first{o, judgeOne(r.Known, o, nil)}
	f.v.Capture = o.Capture
	if !f.v.Outcome.Disputed() {
		f.o = Observation{}
	}
	preset(&r.firsts, o.Cell.ID, f)
}

// preset makes a memo that is there already.
func preset[T any](memos *map[string]*memo[T], id string, val T) {
	if *memos == nil {
		*memos = map[string]*memo[T]{}
	}
	m := &memo[T]{val: val}
	m.once.Do(func() {})
	(*memos)[id] = m
}

// adopt stores an attempt of another run, with its capture.
func (r *Recorder) adopt(o Observation, from string) error {
	if o.Capture != "" {
		if err := copyCapture(from, r.Dir, o); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trigger(o)
	return r.observations.add(o)
}
