// Package fidelity holds the path engine against the kernel: the same stream
// of packets through the same link, once in the engine of this process, once
// in the tc-netem of a kernel (netem/tc), and the same statistics of both.
// The kernel is one of Debian's user-mode Linux, booted in a container, so
// that it can be had on a machine whose own kernel has no sch_netem:
//
//	make fidelity
//
// # What is compared
//
// Shares (loss, bursts, duplicates, packets overtaken) by the difference of
// two proportions, mean burst lengths by the difference of two means, delays
// as whole distributions, rates and queues by arithmetic. Both sides' random
// numbers have a fixed seed, so what does not depend on time comes out the
// same whenever it is run; bounds are those of 99.99 %.
//
// # Time
//
// Neither clock can be stopped, and either side may have to wait for a
// processor. So while packets are on their way a thread looks how late the
// machine is, and the comparison of delays allows each side to be late by so
// much and no more. Times are chosen long enough for that to be little; where
// the machine was so late that a difference could hide behind it, the verdict
// is "inconclusive".
package fidelity

import (
	"time"

	"hybridlab/netem"
)

// Case is a stream of packets over one direction of a link.
type Case struct {
	Name    string
	Shape   netem.Shape
	Lanes   int           // links like this, side by side; each has a stream of its own
	Packets int           // of each stream
	Size    int           // of each packet, bytes of IP
	Gap     time.Duration // between packets of a stream; 0: as fast as they can be sent
	Timed   bool          // the delays matter

	measures []measure
}

const (
	ms    = time.Millisecond
	small = 60 // bytes; enough for headers and stamps
)

// Cases are what is measured, the same list on both sides, with so many times
// the packets where chance decides.
func Cases(times int) []Case {
	one := Case{Lanes: 1, Size: small}
	var cases []Case
	add := func(name string, s netem.Shape, c Case, measures ...measure) {
		c.Name, c.Shape, c.measures = name, s, measures
		cases = append(cases, c)
	}
	add("delay", netem.Shape{Delay: 200 * ms}, one.timed(500, ms), median, distribution)
	// Further apart than the jitter, so that no packet waits for another;
	// side by side, so that there are enough of them.
	many := one.timed(40, 100*ms)
	many.Lanes = 16
	add("jitter", netem.Shape{Delay: 20 * ms, Jitter: 100 * ms}, many, median, distribution)
	add("jitter, dense", netem.Shape{Delay: 20 * ms, Jitter: 100 * ms}, one.timed(500, ms), inOrder)
	for _, p := range []netem.Chance{0.01, 0.05, 0.20} {
		add("loss "+p.String(), lossy(p), one.of(10_000*times), lost)
	}
	add("bursts", netem.Shape{Loss: netem.Loss{Burst: netem.Burst{Enter: 0.01, Leave: 0.25}}}, one.of(30_000*times), lostInBursts, burstLength)
	add("duplicate", netem.Shape{Duplicate: 0.02}, one.of(10_000*times), doubled)
	add("reorder", netem.Shape{Delay: 20 * ms, Reorder: netem.Reorder{Rate: 0.05, By: 200 * ms}}, one.timed(2000, ms/2), overtaken, distribution)
	full := Case{Lanes: 1, Size: 1250}
	add("rate", netem.Shape{Rate: 2_000_000, Queue: 400}, full.of(400), rate)
	add("queue", netem.Shape{Delay: 20 * ms, Rate: 256_000, Queue: 20}, full.of(100), queue)
	return cases
}

// of is a case of so many packets, sent as fast as they can be.
func (c Case) of(packets int) Case {
	c.Packets = packets
	return c
}

// timed is a case of packets that far apart, whose delays matter.
func (c Case) timed(packets int, gap time.Duration) Case {
	c.Packets, c.Gap, c.Timed = packets, gap, true
	return c
}

func lossy(p netem.Chance) netem.Shape { return netem.Shape{Loss: netem.Loss{Rate: p}} }

// Stats is what became of the packets of a case, of all its streams.
type Stats struct {
	Sent      int
	Lost      int
	Doubled   int             // arrived twice
	Overtaken int             // arrived after one that was sent later (RFC 4737, type-P-reordered)
	Bursts    []int           // lengths of the runs of lost packets
	Delays    []time.Duration // of each arrival, where they matter
	Sending   time.Duration   // from the first sent to the last
	Spacing   time.Duration   // between arrivals, of a median packet
	Stalled   float64         // share of the time in which the machine was later than allowed
}

// arrival is a packet that came through.
type arrival struct {
	seq      uint32
	sent, at time.Duration // on one clock
}

// add takes what arrived of one stream of n packets, in order.
func (s *Stats) add(c Case, got []arrival) {
	times := make([]int, c.Packets)
	next := uint32(0)
	for _, a := range got {
		times[a.seq]++
		switch {
		case times[a.seq] > 1:
			s.Doubled++
		case a.seq < next:
			s.Overtaken++
		default:
			next = a.seq + 1
		}
		if c.Timed {
			s.Delays = append(s.Delays, a.at-a.sent)
		}
	}
	run := 0
	for _, t := range append(times, 1) {
		if t == 0 {
			run++
			continue
		}
		if run > 0 {
			s.Bursts = append(s.Bursts, run)
		}
		s.Lost += run
		run = 0
	}
	s.Sent += c.Packets
	s.Spacing = spacing(got)
}

// spacing is the median time between arrivals. Over ten of them, because one
// that is late brings the next that much nearer.
func spacing(got []arrival) time.Duration {
	const stride = 10
	var steps []time.Duration
	for i := stride; i < len(got); i++ {
		steps = append(steps, (got[i].at-got[i-stride].at)/stride)
	}
	return quantile(steps, 0.5)
}
