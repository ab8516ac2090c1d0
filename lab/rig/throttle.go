package rig

import (
	"context"
	"time"

	"hybridlab/lab"
)

// A container can be short of CPU on a machine that has plenty: a limit of its
// own keeps it from running. The kernel counts that time, and the agent reads
// the count.

// throttleTick is how often it is asked for.
const throttleTick = 200 * time.Millisecond

// throttle adds up what a station's container lost to its limit.
type throttle struct {
	pressure
	seen time.Duration // of the kernel's count; one goroutine's at a time
	turn chan struct{} // whose turn it is to look
}

func newThrottle() *throttle { return &throttle{turn: make(chan struct{}, 1)} }

// watch looks until ctx ends or the agent is gone.
func (s *station) watch(ctx context.Context) {
	tick := time.NewTicker(throttleTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.agent.Gone():
			return
		case <-tick.C:
			s.look(ctx)
		}
	}
}

// look notes what was lost since the last look. An agent that does not answer
// is others' business.
func (s *station) look(ctx context.Context) {
	t := s.throttle
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return
	}
	if all, err := s.agent.Throttled(ctx); err == nil {
		t.lost.Add(int64(all - t.seen))
		t.seen = all
	}
}

// throttled begins to look at two stations; the function it returns marks the
// evidence of a cell during which either was kept from running.
func throttled(ctx context.Context, ends ...*station) func(*lab.Evidence) {
	began := time.Now()
	var lost []func(time.Time) bool
	for _, s := range ends {
		lost = append(lost, s.throttle.since(began))
	}
	return func(e *lab.Evidence) {
		doubt := !e.Client.Done || time.Since(began) > throttleTick
		for i, s := range ends {
			if doubt {
				s.look(ctx) // what befell it just now counts
			}
			if lost[i](time.Now()) {
				e.Path.Late, e.Path.Starved = true, true
			}
		}
	}
}
