package fidelity

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"hybridlab/netem"
)

// seed is that of both sides' random numbers.
const seed = 1

var (
	client = netip.MustParseAddr("172.16.0.4")
	server = netip.MustParseAddr("172.16.0.3")
)

// bench is an engine and what it delivered, by lane.
type bench struct {
	engine *netem.Engine
	began  time.Time

	mu  sync.Mutex
	got [][]arrival
}

// Engine sends the packets of a case through the path engine.
func Engine(c Case) (Stats, error) {
	b := &bench{began: time.Now(), got: make([][]arrival, c.Lanes)}
	b.engine = netem.NewEngine(b.take)
	defer b.engine.Shutdown()
	for lane := range c.Lanes {
		p := netem.Path{Slot: slot(lane), Name: fmt.Sprintf("%s/%d", c.Name, lane), Seed: seed, Client: client, Server: server,
			Link: netem.Link{Name: "fidelity", Up: c.Shape}}
		if err := b.engine.Open(p); err != nil {
			return Stats{}, err
		}
	}
	return b.measure(c)
}

func slot(lane int) uint16 { return netem.FirstSlot + uint16(lane) }

// take is the engine's device.
func (b *bench) take(pkt []byte) {
	lane, a := stamped(pkt, time.Since(b.began))
	b.mu.Lock()
	b.got[lane] = append(b.got[lane], a)
	b.mu.Unlock()
}

// settle waits until all packets have come, or until no more do for longer
// than any machine is late. A link without time needs no waiting.
func (b *bench) settle(c Case) {
	const look, enough = 50 * ms, 3 * time.Second
	if c.longest() == 0 {
		return
	}
	wait(c.longest())
	for seen, quiet := 0, time.Duration(0); quiet < enough; quiet += look {
		n := b.count()
		switch {
		case n == c.Lanes*c.Packets:
			return
		case n > seen:
			seen, quiet = n, 0
		}
		wait(look)
	}
}

// count is how many packets have come.
func (b *bench) count() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, got := range b.got {
		n += len(got)
	}
	return n
}

// longest is how long the link holds a packet at most.
func (c Case) longest() time.Duration {
	s := c.Shape
	d := s.Delay + s.Jitter + s.Reorder.By
	if s.Rate > 0 {
		d += time.Duration(float64(s.Queue*c.Size*8) / float64(s.Rate) * float64(time.Second))
	}
	return d
}

func (b *bench) measure(c Case) (s Stats, err error) {
	pkts := make([][]byte, c.Lanes)
	for lane := range pkts {
		pkts[lane] = packet(client, netem.TargetAddr(slot(lane), false), c.Size, lane)
	}
	late := watch()
	s.Sending, err = pace(c, func(lane int, seq uint32) error {
		stamp(pkts[lane], seq, time.Since(b.began))
		b.engine.Input(pkts[lane])
		return nil
	})
	b.settle(c)
	s.Stalled = late()
	if err != nil {
		return s, err
	}
	for lane := range c.Lanes {
		trace, err := b.engine.Close(slot(lane))
		if err != nil {
			return s, err
		}
		if len(b.got[lane]) != trace.Delivered || trace.Uncounted != 0 {
			return s, fmt.Errorf("case %q: %d packets came out of the engine, which says %d, and %d uncounted", c.Name, len(b.got[lane]), trace.Delivered, trace.Uncounted)
		}
		for _, p := range trace.Packets {
			if p.Drop == "cell-closed" {
				return s, fmt.Errorf("case %q: a packet was still on its way", c.Name)
			}
		}
		s.add(c, b.got[lane])
	}
	return s, nil
}
