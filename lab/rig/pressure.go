package rig

import (
	"context"
	"sync"
	"time"
)

// A cell claims nothing about time when this process was starved while it
// ran: a timer that fires late says so, whatever the reason.
const (
	pressureTick = 25 * time.Millisecond
	pressureMost = 200 * time.Millisecond // lateness that voids timing claims
	lateMost     = 20 * time.Millisecond  // the same for the engine's own schedule
)

// pressure watches how late a plain timer fires.
type pressure struct {
	mu   sync.Mutex
	late []moment // when it was too late, newest last
}

type moment struct{ from, to time.Time }

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
			if now.Sub(last) > pressureTick+pressureMost {
				p.note(moment{last, now})
			}
			last = now
		}
	}
}

// remembered bounds the list; older starvation lies before any running cell.
const remembered = 256

func (p *pressure) note(m moment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.late = append(p.late, m); len(p.late) > remembered {
		p.late = p.late[1:]
	}
}

// during reports whether the process was starved at any time since.
func (p *pressure) during(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.late) > 0 && p.late[len(p.late)-1].to.After(since)
}
