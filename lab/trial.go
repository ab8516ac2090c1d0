package lab

import (
	"context"
	"fmt"
)

// Triage runs cells that nobody planned, to see whether a finding stays when
// one thing is changed. They are observed like any other, marked as trials.
// That a trial does not break is seen at once; that it breaks by silence takes
// a wait, which need only be long enough for what works on such a path.

type hurry struct{}

// Hurry marks work that is not to wait longer for an answer than one that
// comes at all could take.
func Hurry(ctx context.Context) context.Context { return context.WithValue(ctx, hurry{}, true) }

// Hurried reports whether Hurry was asked for.
func Hurried(ctx context.Context) bool { return ctx.Value(hurry{}) != nil }

// Trial runs a cell for triage, with the run's seed where seed is 0, in a hurry
// unless patient; asked again it returns the same observation. Where the lab
// was short of CPU or failed, it is run again, without hurry, and the last time
// counts.
func (r *Runner) Trial(ctx context.Context, c Cell, seed uint64, patient bool) (Observation, error) {
	return remember(r, &r.trials, fmt.Sprint(TrialKey(c.ID, seed), patient), func() (Observation, error) {
		how := Hurry(ctx)
		if patient {
			how = ctx
		}
		o, err := r.trial(how, c, seed)
		for range trialsAgain {
			if err != nil || Judge(r.Known, o).Outcome.Telling() {
				break
			}
			o, err = r.trial(ctx, c, seed)
		}
		return o, err
	})
}

// trialsAgain is how often a trial is run again that says nothing.
const trialsAgain = 2

// TrialKey tells trials apart.
func TrialKey(cell string, seed uint64) string { return fmt.Sprint(cell, " ", seed) }

func (r *Runner) trial(ctx context.Context, c Cell, seed uint64) (Observation, error) {
	if ctx.Err() != nil {
		return Observation{}, context.Cause(ctx)
	}
	used := seed
	if seed == 0 {
		used = r.Seed
	}
	e, err := r.Fabric.Run(ctx, c, used)
	if ctx.Err() != nil {
		return Observation{}, context.Cause(ctx)
	}
	o := Observe(c, 1, e, err)
	o.Trial, o.Seed = true, seed
	if _, err := r.Sink.Observed(o, Judge(r.Known, o), Evidence{}); err != nil { // its packets can be had again
		return o, fmt.Errorf("store trial %q: %w", c.ID, err)
	}
	return o, nil
}
