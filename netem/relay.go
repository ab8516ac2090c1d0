package netem

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"hybridlab/lab/capture"
	"hybridlab/netem/box"
	"hybridlab/netem/host"
)

// relay is what boxes that end TCP stand on, one for each place in a chain: a
// host that answers in the server's name, and one that connects in the
// client's. Cells share it, since all their addresses differ.
//
// What a packet does at such a box: it is handed to the host, which is the end
// of its connection. What the hosts send enters the cell behind the box, as
// packets that the box made.
type relay struct {
	engine      *Engine
	place       int // among the boxes of a path that end TCP, from the client
	front, back *host.Host
}

// relays are made when a path first needs them.
type relays struct {
	mu    sync.Mutex
	all   [MaxBoxes]*relay
	ended bool
}

// get returns the relay at a place.
func (rs *relays) get(e *Engine, place int) (*relay, error) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.ended {
		return nil, fmt.Errorf("the engine is shut down")
	}
	if rs.all[place] == nil {
		r, err := newRelay(e, place)
		if err != nil {
			return nil, fmt.Errorf("start the hosts of a box: %w", err)
		}
		rs.all[place] = r
	}
	return rs.all[place], nil
}

func (rs *relays) stop() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.ended = true
	for _, r := range rs.all {
		if r != nil {
			r.front.Close()
			r.back.Close()
		}
	}
}

func newRelay(e *Engine, place int) (*relay, error) {
	r := &relay{engine: e, place: place}
	config := host.Config{Any: true, MTU: EthernetMTU, Wide: JumboRanges(), WideMTU: JumboMTU}
	config.Send = func(pkt []byte) { r.sent(pkt, capture.ToClient) }
	var err error
	if r.front, err = host.New(config); err != nil {
		return nil, err
	}
	config.Send = func(pkt []byte) { r.sent(pkt, capture.ToServer) }
	if r.back, err = host.New(config); err != nil {
		r.front.Close()
		return nil, err
	}
	r.front.Forward(r.serve)
	return r, nil
}

// sent takes a packet of one of the hosts, which is between the client's
// address and the target's, whichever way it goes.
func (r *relay) sent(pkt []byte, dir capture.Direction) {
	l, b, err := parse(pkt)
	if err != nil {
		r.engine.stray("malformed")
		return
	}
	target := l.dst
	if dir == capture.ToClient {
		target = l.src
	}
	if slot, _, ok := slotOf(b[target : target+l.size]); ok {
		if c := r.engine.cells[slot].Load(); c != nil {
			c.relayed(r.place, dir, b, l)
		}
	}
}

// serve runs the box on one connection.
func (r *relay) serve(from, to netip.AddrPort, accept func(func(host.Endpoint) bool) (*host.Conn, error)) {
	slot, _, ok := slotOf(to.Addr().AsSlice())
	if !ok {
		return
	}
	c := r.engine.cells[slot].Load()
	if c == nil || r.place >= len(c.ending) {
		return
	}
	client, err := accept(c.adopt)
	if err != nil {
		return
	}
	i := c.ending[r.place]
	port := to.Port()
	c.boxes[i].Serve(c.life, client, box.Site{
		Port: port,
		Now:  c.now,
		Luck: c.luck(i),
		Deed: func(what string) { c.claim(i, what) },
		TLS:  c.path.TLS,
		Dial: func(ctx context.Context, decoy bool) (box.Conn, error) {
			if decoy {
				port = c.path.decoy(c.path.outsideBefore(i))
			}
			server, err := r.back.Dial(ctx, host.Dialed{From: from, To: netip.AddrPortFrom(to.Addr(), port)}, c.adopt)
			if err != nil {
				return nil, err // and not a box.Conn that holds nil
			}
			return server, nil
		},
	})
}

// relayStage hands a packet to the host it is for.
func relayStage(i int) stage {
	return func(c *cell, p *packet) bool {
		if !mayEnd(p) {
			c.drop(p, dropBox, c.boxNote(i, "ends TCP, and this is none"))
			return false
		}
		r := c.relays[i]
		to := r.front
		if p.lane.dir == capture.ToClient {
			to = r.back
			c.translate(p)
		}
		c.take(p)
		c.outbox = append(c.outbox, parcel{p.data, to})
		return false
	}
}

// mayEnd reports whether a packet is one for the host of a box that ends TCP.
func mayEnd(p *packet) bool {
	return p.l.proto == protoTCP || p.l.proto == protoICMP || p.l.proto == protoICMPv6
}

// take books a packet as arrived at a box that ends TCP, which is an end.
func (c *cell) take(p *packet) {
	if t, ok := p.l.tcp(p.data); ok && p.lane.dir == capture.ToServer && len(t.Payload()) > 0 && p.rec >= 0 && len(c.took) < mostDeedPackets {
		c.took = append(c.took, p.rec)
	}
	c.trace.Delivered++
}

// relayed sends a packet that a host of a box made on its way.
func (c *cell) relayed(place int, dir capture.Direction, b []byte, l layout) {
	c.mu.Lock()
	if c.closed || place >= len(c.ending) || c.full {
		c.mu.Unlock()
		return
	}
	i := c.ending[place]
	ln := &c.lanes[dir]
	c.full = c.store.size+len(b) > maxCapture
	c.trace.Made++
	p := packet{data: c.store.keep(b), l: l, lane: ln, made: true, deed: -1, rec: -1, stage: ln.boxes[i] + 1, owned: true, at: c.now(),
		translated: dir == capture.ToClient, leg: place, hop: c.path.outsideBefore(i), from: c.relays[i]}
	if dir == capture.ToServer {
		p.leg++
	}
	p.note = c.boxNote(i, "its own packet")
	if claimed := c.claims[i]; claimed >= 0 {
		p.deed, c.claims[i] = claimed, -1
		p.note = c.boxNote(i, c.trace.Boxes[claimed].Action)
	}
	c.identify(&p)
	c.run(&p)
	c.flush()
}

// claim books an action of a box that ends TCP: it was done to what the client
// had sent by then, and the box's next packet shows it.
func (c *cell) claim(i int, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if box.Quiet(what) {
		c.deed(i, what, -1)
		return
	}
	c.claims[i] = c.deedToHello(i, what)
}

// deedToHello books what a box that ends TCP did to what the client had sent
// by then.
func (c *cell) deedToHello(i int, what string) int {
	d := c.deed(i, what, -1)
	for _, rec := range c.took {
		c.trace.Boxes[d].did(rec)
	}
	return d
}

// adopt notes a connection of a box as one of the cell's; false: the cell is
// closed.
func (c *cell) adopt(ep host.Endpoint) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.ends = append(c.ends, ep)
	}
	return !c.closed
}

// luck draws for the next connection through the i-th box; see flow.box.
func (c *cell) luck(i int) func(uint64) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	draw := c.key.draw(forBox, &c.lanes[capture.ToServer], identity{flow: c.served[i]}, i)
	c.served[i]++
	return func(seed uint64) float64 { return unit(mix(draw ^ seed)) }
}
