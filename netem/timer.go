package netem

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// timer calls cells at the times they asked for, all from one thread.
//
// Go's own timers overshoot by a millisecond, which is a link of its own. A
// thread in a precise sleep overshoots by some 50 to 200 microseconds, so it
// wakes a little early and spins for the rest. Spinning takes a core that
// the peers need too: it may use a fifth of the time and no more.
//
// When every core is busy the thread may wait for one for many milliseconds,
// but then packets keep coming in: whoever brings one helps out (see help).
type timer struct {
	now    func() time.Duration
	nap    napper
	next   atomic.Int64 // when the first call is due, or never
	naps   atomic.Bool  // the thread sleeps, or is about to
	helped atomic.Bool  // somebody helps out

	mu      sync.Mutex
	agenda  agenda[*cell]
	running bool
	stopped bool
	done    chan struct{}

	credit  time.Duration // spinning time left; the thread's own
	credits time.Duration // when credit was last counted
}

const (
	never     = math.MaxInt64
	spinFor   = 100 * time.Microsecond // how early to wake
	spinShare = 5                      // one in so many nanoseconds may be spent spinning
	spinMost  = 10 * time.Millisecond  // saved up at most
)

func newTimer(now func() time.Duration) *timer {
	t := &timer{now: now, done: make(chan struct{})}
	t.next.Store(never)
	return t
}

// at asks for c.fire(due). The thread starts with the first call.
func (t *timer) at(due time.Duration, c *cell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if !t.running {
		t.running = true
		t.nap.open()
		go t.run()
	}
	t.agenda.push(due, c)
	if int64(due) < t.next.Load() {
		t.next.Store(int64(due))
		t.wake()
	}
}

// wake ends the nap of the thread if it takes one. The thread says that it
// naps before it looks at next for the last time, so one of the two notices.
func (t *timer) wake() {
	if t.naps.Load() {
		t.nap.wake()
	}
}

// stop ends the thread and waits for it.
func (t *timer) stop() {
	t.mu.Lock()
	running := t.running && !t.stopped
	t.stopped = true
	t.next.Store(0)
	t.wake()
	t.mu.Unlock()
	if running {
		<-t.done
		t.nap.close()
	}
}

func (t *timer) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	defer close(t.done)
	t.nap.prepare()
	for {
		t.sleep()
		due, c, ok := t.take()
		if !ok {
			return
		}
		if c != nil {
			c.fire(due)
		}
	}
}

// help makes the calls that are overdue, unless somebody else is at it.
func (t *timer) help() {
	if t.left() > 0 || !t.helped.CompareAndSwap(false, true) {
		return
	}
	defer t.helped.Store(false)
	for {
		due, c, _ := t.take()
		if c == nil {
			return
		}
		c.fire(due)
	}
}

// take pops the first call if it is due; false: the timer was stopped.
func (t *timer) take() (time.Duration, *cell, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return 0, nil, false
	}
	if t.agenda.len() == 0 || t.agenda.due() > t.now() {
		return 0, nil, true
	}
	e := t.agenda.pop()
	if t.agenda.len() > 0 {
		t.next.Store(int64(t.agenda.due()))
	} else {
		t.next.Store(never)
	}
	return e.due, e.v, true
}

// sleep returns when the first call is due, more or less: the caller looks.
func (t *timer) sleep() {
	t.naps.Store(true)
	left := t.left()
	if left != never {
		left -= t.margin()
	}
	if left > 0 {
		t.nap.sleep(left)
	}
	t.naps.Store(false)
	began := t.now()
	if left = t.left(); left <= 0 || left > spinFor {
		return
	}
	for t.left() > 0 {
		// A call due earlier may be asked for at any moment.
	}
	t.credit -= t.now() - began
}

func (t *timer) left() time.Duration {
	next := t.next.Load()
	if next == never {
		return never
	}
	return time.Duration(next) - t.now()
}

// margin is how much earlier than needed to wake: nothing when spinning has
// used up its share.
func (t *timer) margin() time.Duration {
	now := t.now()
	t.credit = min(t.credit+(now-t.credits)/spinShare, spinMost)
	t.credits = now
	if t.credit < spinFor {
		return 0
	}
	return spinFor
}
