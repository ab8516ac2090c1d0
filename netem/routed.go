package netem

import (
	"bytes"
	"net/netip"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/netem/box"
)

// Routed is where a real middlebox of the path is through which packets are
// routed, an inline IPS. It ends no connection, so the path has no further leg;
// but while a packet is with it, it is between addresses of their own:
//
//	client --> Target(slot):  Apparent(its slot) --> Target(its slot)
//	client <-- Target(slot):  Apparent(its slot) <-- Target(its slot)
//
// Whoever feeds the engine sends what goes to either of these to the middlebox,
// which routes it back. It is then the packet it was, under its old addresses,
// and goes on behind the box. What comes that was never sent is the box's own;
// what does not come back, the box ate.
type Routed struct {
	Via  netip.Addr // the middlebox's real address, of the link's family
	Slot uint16
}

// away are the packets of a cell that are with a routed box.
type away struct {
	box     int         // which box it is
	client  []byte      // the client's address there
	server  []byte      // the server's
	packets [2][]absent // by direction, the oldest first
}

// absent is a packet that is with a box.
type absent struct {
	p        packet
	sent     []byte // as it left
	since    time.Duration
	src, dst []byte // as it was
}

// eaten is how long a packet has to be away before the box is said to have
// eaten it. One that came later is still on its way when the cell is closed.
const eaten = time.Second

// everySlot are those of the legs and those of the boxes that packets are
// routed through.
func (p Path) everySlot() []uint16 {
	out := p.slots()
	for _, r := range p.Routed {
		out = append(out, r.Slot)
	}
	return out
}

// routedAway makes what is needed for the i-th box, the n-th routed one.
func (p Path) routedAway(i, n int) *away {
	slot, v6 := p.Routed[n].Slot, p.Link.V6()
	return &away{box: i, client: ApparentAddr(slot, v6).AsSlice(), server: TargetAddr(slot, v6).AsSlice()}
}

// pair are source and destination while a packet is away.
func (a *away) pair(dir capture.Direction) (src, dst []byte) {
	if dir == capture.ToServer {
		return a.client, a.server
	}
	return a.server, a.client
}

// routedStage hands a packet to the routed box that is the i-th box.
func routedStage(i int) stage {
	return func(c *cell, p *packet) bool {
		a := c.away[i]
		c.own(p)
		e := absent{since: c.now(), src: bytes.Clone(p.data[p.l.src : p.l.src+p.l.size]), dst: bytes.Clone(p.data[p.l.dst : p.l.dst+p.l.size])}
		src, dst := a.pair(p.lane.dir)
		readdressed(p.data, p.l, src, dst)
		e.p, e.sent = *p, p.data
		a.packets[p.lane.dir] = append(a.packets[p.lane.dir], e)
		c.outbox = append(c.outbox, parcel{data: p.data})
		return false
	}
}

// readdressed gives a packet other addresses, whatever it has.
func readdressed(b []byte, l layout, src, dst []byte) {
	addr := func(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b); return a }
	n := newNAT(addr(b[l.src:l.src+l.size]), addr(b[l.dst:l.dst+l.size]), addr(src), addr(dst))
	n.apply(b, l)
}

// returned takes a packet that comes from a routed box: one that was sent there,
// or one of the box's own.
func (c *cell) returned(a *away, dir capture.Direction, b []byte, l layout) {
	if src, dst := a.pair(dir); c.full || !l.holds(b, src, dst) {
		c.stranger(&c.lanes[dir], b, l)
		return
	}
	data := c.store.keep(b)
	if e, ok := a.take(dir, data, l); ok {
		p := e.p
		if !bytes.Equal(data[l.transport:], e.sent[p.l.transport:]) {
			p.note = join(p.note, c.boxNote(a.box, "changed it"))
			c.deed(a.box, "changed it", p.rec)
		}
		p.data, p.l, p.owned, p.at = data, l, true, c.now()
		readdressed(p.data, p.l, e.src, e.dst)
		c.run(&p)
		return
	}
	hop := c.path.outsideBefore(a.box)
	p := packet{l: l, lane: &c.lanes[dir], hop: hop, leg: c.legAt(a.box)}
	readdressed(data, l, p.nat().oldSrc, p.nat().oldDst)
	c.made(a.box, p, data)
}

// take finds the packet that came back and takes it off the list: the same
// bytes, or else the same place in the same stream.
func (a *away) take(dir capture.Direction, b []byte, l layout) (absent, bool) {
	list := a.packets[dir]
	at := -1
	for i, e := range list {
		if bytes.Equal(b[l.transport:], e.sent[e.p.l.transport:]) {
			at = i
			break
		}
		if at < 0 && sameSegment(b, l, e.sent, e.p.l) {
			at = i
		}
	}
	if at < 0 {
		return absent{}, false
	}
	e := list[at]
	a.packets[dir] = append(list[:at:at], list[at+1:]...)
	return e, true
}

// sameSegment reports whether two packets are one TCP segment, whatever
// somebody has done to its payload or its options.
func sameSegment(a []byte, la layout, b []byte, lb layout) bool {
	x, okA := la.tcp(a)
	y, okB := lb.tcp(b)
	return okA && okB && !la.fragment && !lb.fragment && x.SourcePort() == y.SourcePort() && x.DestinationPort() == y.DestinationPort() &&
		x.SequenceNumber() == y.SequenceNumber() && x.Flags() == y.Flags() && len(x.Payload()) == len(y.Payload())
}

// missed drops what never came back.
func (c *cell) missed() {
	for _, a := range c.away {
		if a == nil {
			continue
		}
		for dir := range a.packets {
			for _, e := range a.packets[dir] {
				reason, note := "cell-closed", "still with the box"
				if c.now()-e.since >= eaten {
					reason, note = dropBox, c.boxNote(a.box, "drop")
					c.deed(a.box, "drop", e.p.rec)
				}
				e.p.data = c.store.keep(e.sent)
				readdressed(e.p.data, e.p.l, e.src, e.dst)
				c.drop(&e.p, reason, note)
			}
			a.packets[dir] = nil
		}
	}
}

// legAt counts the boxes that end TCP before the i-th.
func (c *cell) legAt(i int) int {
	n := 0
	for _, at := range c.ending {
		if at < i {
			n++
		}
	}
	return n
}

// routedBefore counts the routed boxes among the first n.
func (p Path) routedBefore(n int) int {
	count := 0
	for _, b := range p.Boxes[:n] {
		if b.Layer == box.Routed {
			count++
		}
	}
	return count
}
