package netem

import "time"

// shaper is the timing state of one direction. Times are the cell's.
type shaper struct {
	free  time.Duration   // when the wire has sent all it was given
	sent  []time.Duration // when each packet in the queue will have been sent, in order
	first int             // sent before this index are history
	last  time.Duration   // when the last packet in order leaves
}

// timed says whether packets leave in order at times of their own.
func (s *Shape) timed() bool { return s.Delay > 0 || s.Jitter > 0 || s.Rate > 0 }

// schedule holds a packet until its time: the wire is free and has sent it,
// then the delay, then the jitter, but never before its predecessor; and
// a reordered one longer, so that those behind it overtake.
func schedule(c *cell, p *packet) bool {
	s, sh := &p.lane.shape, &p.lane.shaper
	due, ok := sh.transmit(p.at, len(p.data), s)
	if !ok {
		c.drop(p, "queue-full", "")
		return false
	}
	due += s.Delay + time.Duration(unit(p.draw(c, forJitter))*float64(s.Jitter))
	due = max(due, sh.last)
	sh.last = due
	late := s.Reorder.Rate > 0 && s.Reorder.Rate.happens(p.draw(c, forReorder))
	if late {
		due += s.Reorder.by()
		p.note = join(p.note, "held back to be overtaken")
	}
	if !late && !s.timed() {
		return true
	}
	c.hold(due, p)
	return false
}

func (r Reorder) by() time.Duration {
	if r.By == 0 {
		return DefaultReorder
	}
	return r.By
}

func (s *Shape) queue() int {
	if s.Queue == 0 {
		return DefaultQueue
	}
	return s.Queue
}

// transmit is when the wire has sent n more bytes; false: the queue is full.
// The packet on the wire counts as in the queue.
func (sh *shaper) transmit(now time.Duration, n int, s *Shape) (time.Duration, bool) {
	if s.Rate == 0 {
		return now, true
	}
	for sh.first < len(sh.sent) && sh.sent[sh.first] <= now {
		sh.first++
	}
	if len(sh.sent)-sh.first >= s.queue() {
		return 0, false
	}
	if sh.first > 64 && sh.first > len(sh.sent)/2 {
		sh.sent = append(sh.sent[:0], sh.sent[sh.first:]...)
		sh.first = 0
	}
	sh.free = max(sh.free, now) + time.Duration(float64(n)*8/float64(s.Rate)*float64(time.Second))
	sh.sent = append(sh.sent, sh.free)
	return sh.free, true
}

// hold keeps a packet until due.
func (c *cell) hold(due time.Duration, p *packet) {
	due = max(due, 1) // 0 means unarmed
	c.pending.push(due, *p)
	if c.armed == 0 || due < c.armed {
		c.arm(due)
	}
}

func (c *cell) arm(due time.Duration) {
	c.armed = due
	c.engine.timer.at(c.opened+due, c)
}

// fire delivers what is due; the timer calls it at the time the cell asked for.
func (c *cell) fire(at time.Duration) {
	c.mu.Lock()
	if c.closed || c.armed == 0 || c.opened+c.armed != at {
		c.mu.Unlock() // an earlier call was asked for meanwhile
		return
	}
	for c.pending.len() > 0 {
		now := c.now()
		if c.pending.due() > now {
			break
		}
		f := c.pending.pop()
		c.trace.MaxLate = max(c.trace.MaxLate, now-f.due)
		f.v.at, f.v.held = f.due, false
		c.run(&f.v)
	}
	c.armed = 0
	if c.pending.len() > 0 {
		c.arm(c.pending.due())
	}
	c.flush()
}
