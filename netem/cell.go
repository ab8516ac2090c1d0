package netem

import (
	"context"
	"slices"
	"sync"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/netem/box"
	"hybridlab/netem/host"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// cell is an open Path.
type cell struct {
	engine *Engine
	path   Path
	key    key
	opened time.Duration   // on the engine's clock
	lanes  [2]lane         // by direction
	boxes  []*box.Machine  // client to server; guarded by mu, those that end TCP by themselves
	relays []*relay        // by box; nil for one that does not end TCP
	ending []int           // the boxes that end TCP
	beyond []int           // those of them that are outside
	slots  []uint16        // of the legs, then of the boxes that packets are routed through
	away   []*away         // by box; nil for one that packets are not routed through
	life   context.Context // ends when the cell is closed
	die    context.CancelFunc

	mu       sync.Mutex // guards everything below
	closed   bool
	trace    Trace
	store    arena
	full     bool // maxCapture is reached; the packet that did it is the last on record
	flows    map[flowKey]*flow
	lastKey  flowKey // the flow of the last packet, as it is mostly the next one's
	lastFlow *flow
	numFlows [2]uint32 // TCP apart: a stray ping must not renumber the connections
	fragID   uint32    // of the last packet the path fragmented
	pending  agenda[packet]
	armed    time.Duration   // when the timer will call, 0: not at all
	outbox   []parcel        // to be handed over, in order
	spare    []parcel        // outbox's other buffer
	ends     []host.Endpoint // connections of boxes
	took     []int           // records of what the client sent to a box that ends TCP
	claims   []int           // by box: the deed that its next packet shows, or -1
	served   []uint32        // by box: connections so far
	flushing bool            // someone is at it
	flushed  sync.Cond       // on mu: no longer
}

// lane is one direction of a cell.
type lane struct {
	dir    capture.Direction
	entry  capture.Side
	shape  Shape
	back   Shape // the other direction's
	nats   []nat // by leg, of which there is one more than boxes outside
	stages []stage
	boxes  []int // index among the stages of each box of the path
	shaper shaper
	count  int // packets received
}

// parcel is a packet to be handed over.
type parcel struct {
	data []byte
	to   *host.Host // of a box; nil: the device
}

// packet is one packet on its way through a cell.
type packet struct {
	data       []byte // as received until own is called
	l          layout
	lane       *lane
	flow       *flow
	id         identity
	nth        int           // of its lane, from 1
	rec        int           // index of its record in the trace; -1: the record was not kept
	stage      int           // next stage to pass
	piece      int           // number of the fragment the path cut it into, from 0
	owned      bool          // data is ours to change
	twin       bool          // the second copy of a duplicated packet
	made       bool          // by a box: it never arrived
	held       bool          // by a box that delays it
	deed       int           // of a packet made by a box, the index of its BoxDeed, or -1
	from       *relay        // whose host made it; nil: no host did
	outside    bool          // the host of a box outside made it
	leg        int           // boxes that end TCP between the client and its connection
	hop        int           // those outside among them
	translated bool          // it has the addresses it leaves with
	note       string        // what was done to it
	at         time.Duration // when it came to where it is
}

// maxCapture bounds what one cell records of received packets, in bytes. A
// handshake is some 10 kB; a peer gone mad must not take the lab with it.
const maxCapture = 64 << 20

func newCell(e *Engine, p Path) *cell {
	c := &cell{engine: e, path: p, slots: p.everySlot(), key: newKey(p.Seed, p.Name), opened: e.now(), flows: map[flowKey]*flow{}}
	c.flushed.L = &c.mu
	c.trace.Packets = make([]capture.Packet, 0, 32)
	up, down := p.nats()
	c.lanes[capture.ToServer] = newLane(capture.ToServer, capture.ClientSide, p.Link.Up, p.Link.Down, up)
	c.lanes[capture.ToClient] = newLane(capture.ToClient, capture.ServerSide, p.Link.Down, p.Link.Up, down)
	for i := range c.lanes {
		c.lanes[i].place(p.Boxes)
	}
	return c
}

// stand puts the boxes up.
func (c *cell) stand() error {
	n := len(c.path.Boxes)
	c.relays, c.claims, c.served = make([]*relay, n), make([]int, n), make([]uint32, n)
	c.away = make([]*away, n)
	for i, program := range c.path.Boxes {
		if program.Layer == box.Routed {
			c.away[i] = c.path.routedAway(i, c.path.routedBefore(i))
		}
		c.boxes, c.claims[i] = append(c.boxes, box.NewMachine(program)), -1
		if !program.EndsTCP() {
			continue
		}
		if program.Layer == box.Outside {
			c.beyond = append(c.beyond, i)
		} else {
			var err error
			if c.relays[i], err = c.engine.relays.get(c.engine, len(c.ending)); err != nil {
				return err
			}
		}
		c.ending = append(c.ending, i)
	}
	c.life, c.die = context.WithCancel(context.Background())
	return nil
}

func newLane(dir capture.Direction, entry capture.Side, shape, back Shape, nats []nat) lane {
	return lane{dir: dir, entry: entry, shape: shape, back: back, nats: nats, stages: chain(shape, back)}
}

// place puts boxes between link and server.
func (ln *lane) place(programs []box.Program) {
	n := len(programs)
	ln.boxes = make([]int, n)
	var boxes []stage
	for at := range n {
		i, before := at, len(ln.stages)
		if ln.dir == capture.ToClient {
			i, before = n-1-at, 0
		}
		stand := boxStage
		switch {
		case programs[i].Layer == box.Outside:
			stand = outsideStage
		case programs[i].Layer == box.Routed:
			stand = routedStage
		case programs[i].EndsTCP():
			stand = relayStage
		}
		boxes = append(boxes, stand(i))
		ln.boxes[i] = before + at
	}
	if ln.dir == capture.ToClient {
		ln.stages = slices.Concat(boxes, ln.stages)
	} else {
		ln.stages = slices.Concat(ln.stages, boxes)
	}
}

// now is the time since the cell was opened.
func (c *cell) now() time.Duration { return c.engine.now() - c.opened }

// input takes a packet addressed to the cell, by the slot of one of its legs.
func (c *cell) input(slot uint16, dir capture.Direction, b []byte, l layout) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		c.engine.stray("cell-closed")
		return
	}
	ln, hop := &c.lanes[dir], slices.Index(c.slots, slot)
	switch n := hop - len(ln.nats); {
	case n >= 0:
		c.returned(c.routed(n), dir, b, l)
	case c.full || !l.holds(b, ln.nats[hop].oldSrc, ln.nats[hop].oldDst):
		c.stranger(ln, b, l)
	default:
		p := packet{l: l, lane: ln, hop: hop}
		if i, out := c.emerged(dir, hop); out {
			c.emerge(i, p, b)
			break
		}
		p = c.receive(ln, b, l)
		if p.hop = hop; dir == capture.ToClient {
			p.leg = len(c.ending)
		}
		if c.full {
			c.drop(&p, "capture-full", "")
			break
		}
		c.identify(&p)
		c.run(&p)
	}
	c.flush()
}

// routed is the n-th box that packets are routed through.
func (c *cell) routed(n int) *away {
	for _, a := range c.away {
		if a == nil {
			continue
		}
		if n == 0 {
			return a
		}
		n--
	}
	return nil
}

// stranger books a packet that is not let in.
func (c *cell) stranger(ln *lane, b []byte, l layout) {
	p := c.receive(ln, b, l)
	if c.full {
		c.drop(&p, "capture-full", "")
		return
	}
	c.drop(&p, "wrong-source", "neither end of the cell sent this")
}

// nat is the translation at the end of the packet's leg.
func (p *packet) nat() *nat { return &p.lane.nats[p.hop] }

// receive books a packet and records it.
func (c *cell) receive(ln *lane, b []byte, l layout) packet {
	c.trace.Received++
	ln.count++
	p := packet{l: l, lane: ln, nth: ln.count, at: c.now(), rec: -1}
	if !c.full {
		c.full = c.store.size+len(b) > maxCapture
		p.data = c.store.keep(b)
		p.rec = c.record(p.at, ln.entry, ln.dir, p.data, "")
		c.trace.Packets[p.rec].ID = p.number()
	}
	return p
}

func (c *cell) record(at time.Duration, side capture.Side, dir capture.Direction, b []byte, note string) int {
	c.trace.Packets = append(c.trace.Packets, capture.Packet{At: at, Side: side, Dir: dir, Data: b, Note: note})
	return len(c.trace.Packets) - 1
}

// number is the packet's capture.Packet.ID: the number of the record of its
// arrival.
func (p *packet) number() uint64 { return uint64(p.rec + 1) }

// identify finds the packet's flow and names the packet in it.
func (c *cell) identify(p *packet) {
	src, dst := p.l.ports(p.data)
	k := flowKey{p.l.proto, uint8(p.leg), src, dst}
	if p.l.later {
		k.proto = 0 // no ports: whose it is cannot be known
	}
	if p.lane.dir == capture.ToClient {
		k.client, k.server = dst, src
	}
	t, isTCP := p.l.tcp(p.data)
	f := c.flow(k)
	if isTCP && p.lane.dir == capture.ToServer && t.Flags()&(header.TCPFlagSyn|header.TCPFlagAck) == header.TCPFlagSyn {
		if us := &f.tracks[p.lane.dir]; us.begun && us.isn != t.SequenceNumber() {
			f = c.newFlow(k) // the ports are used again
		}
	}
	p.flow = f
	switch {
	case p.l.fragment:
		p.id = f.tracks[p.lane.dir].count(identity{flow: f.num}, classFragment)
	case isTCP:
		p.id = f.identify(p.lane, t)
	default:
		p.id = f.tracks[p.lane.dir].count(identity{flow: f.num}, classOther)
	}
}

func (c *cell) flow(k flowKey) *flow {
	if c.lastFlow != nil && c.lastKey == k {
		return c.lastFlow
	}
	f := c.flows[k]
	if f == nil {
		return c.newFlow(k)
	}
	c.lastKey, c.lastFlow = k, f
	return f
}

func (c *cell) newFlow(k flowKey) *flow {
	n := &c.numFlows[0]
	if k.proto == protoTCP {
		n = &c.numFlows[1]
	}
	f := &flow{num: *n, ports: k}
	*n++
	c.flows[k] = f
	c.lastKey, c.lastFlow = k, f
	return f
}

// run takes a packet through the rest of its stages and out.
func (c *cell) run(p *packet) {
	for p.stage < len(p.lane.stages) {
		s := p.lane.stages[p.stage]
		p.stage++
		if !s(c, p) {
			return
		}
	}
	c.deliver(p)
}

// deliver translates a packet, records it on the far side and hands it over.
func (c *cell) deliver(p *packet) {
	c.translate(p)
	c.trace.Delivered++
	c.leave(p, "")
	c.outbox = append(c.outbox, parcel{data: p.data})
}

// translate gives a packet the addresses of whoever it is handed to.
func (c *cell) translate(p *packet) {
	c.own(p)
	if !p.translated {
		p.nat().apply(p.data, p.l)
	}
}

// leave records a packet on the side it leaves by, or would have left by.
func (c *cell) leave(p *packet, drop string) {
	i := c.record(c.now(), 1-p.lane.entry, p.lane.dir, p.data, p.note)
	r := &c.trace.Packets[i]
	r.ID, r.Drop = p.number(), drop
	if p.made {
		r.ID = uint64(i + 1)
		if p.deed >= 0 {
			c.trace.Boxes[p.deed].did(i)
		}
	}
}

// drop ends a packet. The reason stands at the record of its arrival, except
// for a second copy, as the first may well arrive.
func (c *cell) drop(p *packet, reason, note string) {
	c.trace.Dropped++
	if p.made {
		p.note = join(p.note, note)
		c.leave(p, reason)
		return
	}
	if p.rec < 0 {
		return
	}
	r := &c.trace.Packets[p.rec]
	if p.twin {
		r.Note = join(r.Note, "its duplicate was dropped: "+reason)
		return
	}
	r.Drop, r.Note = reason, join(r.Note, join(p.note, note))
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// own makes a packet's bytes ours to change; those of the record are not.
func (c *cell) own(p *packet) {
	if !p.owned {
		p.data, p.owned = c.store.keep(p.data), true
	}
}

// flush hands over what is in the outbox and unlocks the cell. The device is
// written to without the lock, because it may answer at once through Input;
// by one goroutine at a time, because packets must stay in order.
func (c *cell) flush() {
	if c.flushing {
		c.mu.Unlock()
		return
	}
	c.flushing = true
	for len(c.outbox) > 0 {
		batch := c.outbox
		c.outbox = c.spare[:0]
		c.mu.Unlock()
		for _, b := range batch {
			if b.to != nil {
				b.to.Inject(b.data)
			} else {
				c.engine.out(b.data)
			}
		}
		c.mu.Lock()
		c.spare = batch
	}
	c.flushing = false
	c.flushed.Broadcast()
	c.mu.Unlock()
}

// close ends the cell and balances its books. Nothing comes out after it.
func (c *cell) close() Trace {
	trace, ends := c.end()
	c.die()
	for _, ep := range ends { // without the lock: they may be sending to us
		ep.Abort()
	}
	return trace
}

func (c *cell) end() (Trace, []host.Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.pending.len() > 0 {
		p := c.pending.pop().v
		reason := "cell-closed"
		if p.held {
			reason = dropBox // it was on its way for as long as anybody waited
		}
		c.drop(&p, reason, "still on its way")
	}
	c.missed()
	for c.flushing {
		c.flushed.Wait()
	}
	t := &c.trace
	t.Uncounted = t.Received + t.Made - t.Delivered - t.Dropped
	return *t, c.ends
}

// arena keeps the bytes of many packets in few allocations.
type arena struct {
	free []byte
	next int // size of the next block
	size int // bytes kept
}

func (a *arena) keep(b []byte) []byte {
	if len(b) > len(a.free) {
		a.next = min(max(2*a.next, 8<<10), 64<<10)
		a.free = make([]byte, max(a.next, len(b)))
	}
	kept := a.free[:len(b):len(b)]
	a.free = a.free[len(b):]
	a.size += len(b)
	copy(kept, b)
	return kept
}
