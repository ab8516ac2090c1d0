package netem

import (
	"net/netip"
	"slices"

	"hybridlab/lab/capture"
	"hybridlab/netem/box"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Outside is where a real middlebox of the path is: a program on a host of its
// own, which the device leads to. It parts the path into two legs, each with
// virtual addresses of its own, and to those who talk over a leg the leg is a
// path like any other:
//
//	client --> Target(slot) --> sees Apparent(slot): MIDDLEBOX
//	           MIDDLEBOX --> Target(its slot) --> sees Apparent(its slot): server
//
// What a packet does at such a box: it leaves by the device, and that is its
// end. What the middlebox sends enters the cell behind the box, as packets that
// the box made. So the cell has one clock and one trace, with the middlebox's
// front on the client's side and its back on the server's.
type Outside struct {
	Addr netip.Addr // its real address, of the link's family
	Slot uint16     // of the leg behind it
	// Decoy is the port at which it takes what is meant for the other server,
	// for boxes before it that misroute; 0: there is none.
	Decoy uint16
}

// slots are those of the path's legs, from the client.
func (p Path) slots() []uint16 {
	out := []uint16{p.Slot}
	for _, o := range p.Outside {
		out = append(out, o.Slot)
	}
	return out
}

// outsideBefore counts the boxes outside among the first n: it is the number
// of the leg that the n-th stands on, or behind.
func (p Path) outsideBefore(n int) int {
	count := 0
	for _, b := range p.Boxes[:n] {
		if b.Layer == box.Outside {
			count++
		}
	}
	return count
}

// decoy is the port of the other server, as who stands on a leg dials it.
func (p Path) decoy(leg int) uint16 {
	if leg < len(p.Outside) {
		return p.Outside[leg].Decoy
	}
	return p.Decoy
}

// nats are the translations of every leg, in both directions.
func (p Path) nats() (up, down []nat) {
	v6, from := p.Link.V6(), p.Client
	for i, slot := range p.slots() {
		to := p.Server
		if i < len(p.Outside) {
			to = p.Outside[i].Addr
		}
		target, apparent := TargetAddr(slot, v6), ApparentAddr(slot, v6)
		up = append(up, newNAT(from, target, apparent, to))
		down = append(down, newNAT(to, apparent, target, from))
		from = to
	}
	return up, down
}

// outsideStage hands a packet to the middlebox that is the i-th box.
func outsideStage(i int) stage {
	return func(c *cell, p *packet) bool {
		if !mayEnd(p) {
			c.drop(p, dropBox, c.boxNote(i, "ends TCP, and this is none"))
			return false
		}
		c.translate(p)
		c.take(p)
		c.outbox = append(c.outbox, parcel{data: p.data})
		return false
	}
}

// emerged is the box outside that a packet comes from which enters by a leg;
// out is false where it comes from an end of the cell.
func (c *cell) emerged(dir capture.Direction, hop int) (i int, out bool) {
	if dir == capture.ToServer {
		hop--
	}
	if hop < 0 || hop >= len(c.beyond) {
		return 0, false
	}
	return c.beyond[hop], true
}

// emerge sends a packet of the middlebox that is the i-th box on its way. p
// says which way that is.
func (c *cell) emerge(i int, p packet, b []byte) {
	if p.leg = slices.Index(c.ending, i); p.lane.dir == capture.ToServer {
		p.leg++
	}
	p.outside = true
	c.made(i, p, c.store.keep(b))
}

// made sends a packet that the i-th box made, a real one, on its way from
// behind it.
func (c *cell) made(i int, p packet, data []byte) {
	c.full = c.full || c.store.size > maxCapture
	c.trace.Made++
	p.data, p.owned, p.made = data, true, true
	p.rec, p.deed, p.at, p.stage = -1, -1, c.now(), p.lane.boxes[i]+1
	what := "its own packet"
	if deed := c.deedOf(&p); deed != "" {
		what, p.deed = deed, c.deedToHello(i, deed)
	}
	p.note = c.boxNote(i, what)
	c.identify(&p)
	c.run(&p)
}

// deedOf names what a middlebox's packet shows of what it does, as the rules
// of boxes would have it; empty: nothing.
func (c *cell) deedOf(p *packet) string {
	t, ok := p.l.tcp(p.data)
	if !ok {
		return ""
	}
	_, port := p.l.ports(p.data)
	switch {
	case t.Flags().Contains(header.TCPFlagRst) && p.lane.dir == capture.ToClient:
		return "RST(client)"
	case t.Flags().Contains(header.TCPFlagRst):
		return "RST(server)"
	case p.lane.dir == capture.ToServer && t.Flags()&(header.TCPFlagSyn|header.TCPFlagAck) == header.TCPFlagSyn && port == c.path.decoy(p.hop) && port != 0:
		return "misroute"
	}
	return ""
}
