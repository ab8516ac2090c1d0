package triage

import (
	"context"
	"sync"

	"hybridlab/lab"
)

// SideBySide is a Try that runs all trials of a batch at once. One that fails,
// as all do once ctx has ended, is left out and says nothing.
func SideBySide(ctx context.Context, run func(context.Context, lab.Cell, uint64, bool) (lab.Observation, error)) Try {
	return func(trials []Trial) []lab.Observation {
		out := make([]lab.Observation, len(trials))
		var wg sync.WaitGroup
		for i, t := range trials {
			wg.Go(func() {
				if o, err := run(ctx, t.Cell, t.Seed, t.Patient); err == nil {
					out[i] = o
				}
			})
		}
		wg.Wait()
		return out
	}
}
