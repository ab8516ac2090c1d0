package netem

import (
	"encoding/binary"
	"slices"

	"hybridlab/lab/capture"
	"hybridlab/netem/box"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// BoxDeed is something a box did, and the packets it did it to.
type BoxDeed struct {
	Box     string // its name, as the cell gives it
	Action  string // "RST(client)"
	Packets []int  // indexes into Trace.Packets of those it dropped, changed or made; the first mostDeedPackets
	Times   int
}

const mostDeedPackets = 16

// boxStage is the i-th box of the path, seen from the client, as one of the
// stages a packet passes. Both directions pass the same box.
func boxStage(i int) stage {
	return func(c *cell, p *packet) bool {
		p.flow.stamp(p)
		return c.obey(i, p, p.flow.box(c, i).See(p.at, p.seen()))
	}
}

// box is the connection as the i-th box knows it.
func (f *flow) box(c *cell, i int) *box.Flow {
	if f.boxes == nil {
		f.boxes = make([]*box.Flow, len(c.boxes))
	}
	if f.boxes[i] == nil {
		draw := c.key.draw(forBox, &c.lanes[capture.ToServer], identity{flow: f.num}, i)
		f.boxes[i] = c.boxes[i].NewFlow(f.ports.server, func(seed uint64) float64 { return unit(mix(draw ^ seed)) })
	}
	return f.boxes[i]
}

// seen is the packet as a box sees it: of a fragment, and of what is not TCP,
// nothing but the size.
func (p *packet) seen() box.Seen {
	s := box.Seen{Dir: p.lane.dir, Size: len(p.data), Fragment: p.l.fragment}
	if t, ok := p.l.tcp(p.data); ok && !p.l.fragment {
		s.TCP, s.Flags, s.Seq, s.Ack, s.Payload = true, capture.Flags(t.Flags()), t.SequenceNumber(), t.AckNumber(), t.Payload()
	}
	return s
}

// obey does what the i-th box rules, and reports whether the packet goes on.
func (c *cell) obey(i int, p *packet, r box.Ruling) bool {
	for _, d := range r.Deeds {
		c.deed(i, d, -1)
	}
	if r.Payload != nil {
		c.patch(i, p, r)
	}
	if r.Drop != "" {
		c.deed(i, r.Drop, p.rec)
		c.drop(p, dropBox, c.boxNote(i, r.Drop))
	}
	for _, m := range r.Send {
		c.add(i, p, m)
	}
	switch {
	case r.Drop != "":
		return false
	case r.Hold > 0:
		c.deed(i, r.Delay, p.rec)
		p.note, p.held = join(p.note, c.boxNote(i, r.Delay)), true
		c.hold(p.at+r.Hold, p)
		return false
	}
	return true
}

// dropBox is the reason of what a box drops; the note has its name.
const dropBox = "box"

func (c *cell) boxNote(i int, what string) string { return "box " + c.boxes[i].Name() + ": " + what }

// deed books an action of a box and returns its index; rec is the record of
// the packet it was done to, or -1.
func (c *cell) deed(i int, what string, rec int) int {
	name := c.boxes[i].Name()
	at := slices.IndexFunc(c.trace.Boxes, func(d BoxDeed) bool { return d.Box == name && d.Action == what })
	if at < 0 {
		at = len(c.trace.Boxes)
		c.trace.Boxes = append(c.trace.Boxes, BoxDeed{Box: name, Action: what})
	}
	c.trace.Boxes[at].Times++
	c.trace.Boxes[at].did(rec)
	return at
}

func (d *BoxDeed) did(rec int) {
	if rec >= 0 && len(d.Packets) < mostDeedPackets && !slices.Contains(d.Packets, rec) {
		d.Packets = append(d.Packets, rec)
	}
}

// patch writes the box's payload over the packet's, and makes the checksum
// right.
func (c *cell) patch(i int, p *packet, r box.Ruling) {
	c.own(p)
	t, _ := p.l.tcp(p.data)
	before := checksum.Checksum(t, 0)
	copy(t.Payload(), r.Payload)
	adjust(t[header.TCPChecksumOffset:], checksum.Combine(checksum.Checksum(t, 0), ^before))
	c.deed(i, r.Patch, p.rec)
	p.note = join(p.note, c.boxNote(i, r.Patch))
}

// clock is the last TCP timestamp of one end (RFC 7323). A packet made on the
// path without one would not be believed.
type clock struct {
	on  bool
	val uint32
}

func (f *flow) stamp(p *packet) {
	if t, ok := p.l.tcp(p.data); ok {
		if o := header.ParseTCPOptions(t.Options()); o.TS {
			f.clocks[p.lane.dir] = clock{true, o.TSVal}
		}
	}
}

// add sends a packet that the i-th box made on its way from where the box
// stands: one for the client passes the boxes on that side, and the link.
func (c *cell) add(i int, cause *packet, m box.Made) {
	if c.full {
		return
	}
	ln := &c.lanes[m.Dir]
	c.trace.Made++
	q := packet{lane: ln, flow: cause.flow, made: true, rec: -1, stage: ln.boxes[i] + 1, owned: true, at: cause.at, leg: cause.leg, hop: cause.hop}
	q.data = c.store.keep(c.build(q.nat(), cause.flow, m))
	q.l, _ = locate(q.data)
	t, _ := q.l.tcp(q.data)
	q.id = q.flow.identify(ln, t)
	q.note = c.boxNote(i, m.Why)
	q.deed = c.deed(i, m.Why, -1)
	c.run(&q)
}

// build makes the bytes of a TCP packet on its way, before the translation at
// its end.
func (c *cell) build(n *nat, f *flow, m box.Made) []byte {
	src, dst := f.ports.client, f.ports.server
	if m.Dir == capture.ToClient {
		src, dst = dst, src
	}
	var opts []byte
	if mine, theirs := f.clocks[m.Dir], f.clocks[1-m.Dir]; mine.on && theirs.on {
		opts = binary.BigEndian.AppendUint32([]byte{header.TCPOptionNOP, header.TCPOptionNOP, header.TCPOptionTS, header.TCPOptionTSLength}, mine.val)
		opts = binary.BigEndian.AppendUint32(opts, theirs.val)
	}
	t := header.TCP(make([]byte, header.TCPMinimumSize+len(opts)+len(m.Payload)))
	t.Encode(&header.TCPFields{SrcPort: src, DstPort: dst, SeqNum: m.Seq, AckNum: m.Ack,
		DataOffset: uint8(header.TCPMinimumSize + len(opts)), Flags: header.TCPFlags(m.Flags), WindowSize: m.Window})
	copy(t[header.TCPMinimumSize:], opts)
	copy(t[header.TCPMinimumSize+len(opts):], m.Payload)
	from, to := tcpip.AddrFromSlice(n.oldSrc), tcpip.AddrFromSlice(n.oldDst)
	t.SetChecksum(^checksum.Checksum(t, header.PseudoHeaderChecksum(header.TCPProtocolNumber, from, to, uint16(len(t)))))
	return append(ipFor(from, to, len(t)), t...)
}

// ipFor is the IP header of a TCP packet with n bytes behind it.
func ipFor(from, to tcpip.Address, n int) []byte {
	if from.Len() == header.IPv6AddressSize {
		b := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+n)
		header.IPv6(b).Encode(&header.IPv6Fields{PayloadLength: uint16(n), TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: from, DstAddr: to})
		return b
	}
	b := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+n)
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(b) + n), TTL: 64, Protocol: protoTCP, Flags: header.IPv4FlagDontFragment, SrcAddr: from, DstAddr: to})
	ip.SetChecksum(^ip.CalculateChecksum())
	return b
}
