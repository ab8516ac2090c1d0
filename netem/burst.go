package netem

// burstKey names one chain of the Gilbert-Elliott model: the packets of one
// class of a direction that are sent for the k-th time. A retransmission
// has a chain of its own: in the first one's it would meet the same bad
// state for ever.
type burstKey struct {
	class class
	times uint32
}

// burstState is how far a chain was followed.
type burstState struct {
	ordinal uint32
	bad     bool
}

func (b Burst) on() bool { return b.Enter > 0 || b.Good > 0 }

// lossWhenBad is the loss in the bad state: all packets unless the link says.
func (b Burst) lossWhenBad() Chance {
	if b.Bad == 0 {
		return 1
	}
	return b.Bad
}

// loseBurst drops by the Gilbert-Elliott model. The chain steps from one
// ordinal to the next, not from one arrival to the next, so that it is the
// same in every run.
func loseBurst(c *cell, p *packet) bool {
	b := &p.lane.shape.Loss.Burst
	chance := b.Good
	if c.burstState(p) {
		chance = b.lossWhenBad()
	}
	lost := chance.happens(p.draw(c, forBurstLoss))
	if lost {
		c.drop(p, "loss-burst", "")
	}
	return !lost
}

// burstState is the state of the packet's chain at its ordinal.
func (c *cell) burstState(p *packet) (bad bool) {
	t := &p.flow.tracks[p.lane.dir]
	if t.bursts == nil {
		t.bursts = map[burstKey]burstState{}
	}
	k, id := burstKey{p.id.class, p.id.times}, p.id
	s, ok := t.bursts[k]
	if !ok || s.ordinal > p.id.ordinal || p.id.ordinal-s.ordinal > maxStarts {
		s = c.burstStart(p)
	}
	for b := &p.lane.shape.Loss.Burst; s.ordinal < p.id.ordinal; {
		s.ordinal++
		id.ordinal = s.ordinal
		s.bad = b.step(s.bad, unit(c.key.draw(forBurstStep, p.lane, id, 0)))
	}
	t.bursts[k] = s
	return s.bad
}

// burstStart is the state of a chain at its first packet, drawn from the
// model's long-run shares: a short connection is as likely to begin in a
// burst as any moment is. A chain that jumps (see maxStarts) starts anew.
func (c *cell) burstStart(p *packet) burstState {
	id := p.id
	if id.ordinal <= maxStarts {
		id.ordinal = 0
	}
	b := &p.lane.shape.Loss.Burst
	share := float64(b.Enter) / float64(b.Enter+b.Leave)
	return burstState{id.ordinal, unit(c.key.draw(forBurstStep, p.lane, id, 0)) < share}
}

func (b *Burst) step(bad bool, u float64) bool {
	if bad {
		return u >= float64(b.Leave)
	}
	return u < float64(b.Enter)
}
