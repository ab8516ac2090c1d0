package rig

import (
	"context"
	"sync/atomic"
	"time"
)

// A cell claims nothing about time, and blames nobody for silence, when this
// process was starved of CPU while it ran. A plain ticker tells: time that
// its ticks come late is time nothing here could run in.
const (
	pressureTick = 5 * time.Millisecond
	// What must be lost before it counts: a share of the cell's time, and
	// more than a scheduler's slice or two.
	lostShare = 10
	lostLeast = 50 * time.Millisecond

	lateMost = 20 * time.Millisecond // lateness of the engine's own schedule that voids timing claims
)

// pressure adds up the time lost.
type pressure struct{ lost atomic.Int64 }

// watch runs until ctx ends.
func (p *pressure) watch(ctx context.Context) {
	tick := time.NewTicker(pressureTick)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			now := time.Now()
			p.note(now.Sub(last))
			last = now
		}
	}
}

// note takes the time between two ticks.
func (p *pressure) note(gap time.Duration) {
	if gap > 2*pressureTick {
		p.lost.Add(int64(gap - pressureTick))
	}
}

// since begins to look; the function it returns says whether too much of the
// time until then was lost.
func (p *pressure) since(began time.Time) func(now time.Time) bool {
	before := p.lost.Load()
	return func(now time.Time) bool {
		lost := time.Duration(p.lost.Load() - before)
		return lost > lostLeast && lost*lostShare > now.Sub(began)
	}
}

// tokens bound how many cells work at once. Many more may be in flight: a
// cell that has not come to an end soon waits for a timer, not for a CPU, and
// gives its token back. Without the bound, hundreds of handshakes would queue
// for two processors and each look slow.
type tokens chan struct{}

// working is how long a cell may hold its token.
const working = 250 * time.Millisecond

// take waits for a token; release may be called once the cell is over.
func (t tokens) take(ctx context.Context) (release func(), err error) {
	select {
	case t <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var given atomic.Bool
	give := func() {
		if given.CompareAndSwap(false, true) {
			<-t
		}
	}
	timer := time.AfterFunc(working, give)
	return func() { timer.Stop(); give() }, nil
}
