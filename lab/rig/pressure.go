package rig

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

// A cell claims nothing about time, and blames nobody for silence, when this
// process or the peers got too little CPU while it ran. Two things tell. A
// plain ticker: time that its ticks come late is time nothing here could run
// in. And the number of runnable tasks: the lab sleeps most of the time and
// wakes up first, while the peers' processes queue behind everybody else's.
const (
	pressureTick = 5 * time.Millisecond
	// What must be lost before it counts: a share of the cell's time, and
	// more than a scheduler's slice or two.
	lostShare = 10
	lostLeast = 50 * time.Millisecond

	// crowd is how many runnable tasks a processor may have: a handshake
	// between two fresh processes, some 30 ms of work, then takes 0.2 s.
	crowd = 6

	lateMost = 20 * time.Millisecond // lateness of the engine's own schedule that voids timing claims
)

// pressure adds up the time lost.
type pressure struct {
	lost   atomic.Int64
	ticked atomic.Int64 // when the last tick was noted, in Unix nanoseconds; 0: never
}

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
			p.note(now.Sub(last), crowded())
			p.ticked.Store(now.UnixNano())
			last = now
		}
	}
}

// note takes the time between two ticks, and whether too many tasks wanted
// to run at its end.
func (p *pressure) note(gap time.Duration, crowded bool) {
	switch {
	case crowded:
		p.lost.Add(int64(gap))
	case gap > 2*pressureTick:
		p.lost.Add(int64(gap - pressureTick))
	}
}

// crowded looks at the runnable tasks of the machine ("0.20 0.18 0.12 3/506
// 11206": three of 506). Where there is no such file nothing is known.
func crowded() bool {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return false
	}
	fields := bytes.Fields(b)
	if len(fields) < 4 {
		return false
	}
	running, _, _ := bytes.Cut(fields[3], []byte("/"))
	n, err := strconv.Atoi(string(running))
	return err == nil && n > crowd*runtime.NumCPU()
}

// since begins to look; the function it returns says whether too much of the
// time until then was lost.
func (p *pressure) since(began time.Time) func(now time.Time) bool {
	before := p.lost.Load()
	return func(now time.Time) bool {
		lost := time.Duration(p.lost.Load()-before) + min(p.pending(now), now.Sub(began))
		return lost > lostLeast && lost*lostShare > now.Sub(began)
	}
}

// pending is the time lost since the last tick: what ends because of it may
// well be looked at before the next tick comes.
func (p *pressure) pending(now time.Time) time.Duration {
	ticked := p.ticked.Load()
	if gap := now.Sub(time.Unix(0, ticked)); ticked != 0 && gap > 2*pressureTick {
		return gap - pressureTick
	}
	return 0
}

// tokens bound how many cells work at once. Many more may be in flight: a
// cell that has not come to an end soon waits for a timer, not for a CPU, and
// gives its token back. Without the bound, hundreds of handshakes would queue
// for two processors and each look slow.
type tokens chan struct{}

// working is how long a cell may hold its token.
const working = 100 * time.Millisecond

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
