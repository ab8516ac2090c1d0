package netem

import (
	"encoding/binary"
	"fmt"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// stage is one thing that happens to a packet. It returns true to let it go
// on to the next stage; after false it has dropped it (cell.drop), holds it,
// or has run others in its place. It may change the packet's data after
// cell.own, and what it remembers of a connection belongs into the flow.
type stage func(c *cell, p *packet) bool

// chain is what the link does in one direction, in order; a shape that does
// nothing has an empty chain.
//
// Boxes stand between the link and the server: client, link, boxes, server.
// So a box sees what the link made of the hello, its segments and the time
// between them, as the box in front of a server farm or at the far end of an
// access line does; and what a box sends back has the whole link before it.
func chain(s, back Shape) []stage {
	var stages []stage
	add := func(wanted bool, st stage) {
		if wanted {
			stages = append(stages, st)
		}
	}
	add(s.Fragments == DropFragments, dropFragment)
	add(len(s.Loss.Nth)+len(s.Loss.NthData) > 0, loseNth)
	add(s.Loss.Rate > 0, lose)
	add(s.Loss.Burst.on(), loseBurst)
	add(back.ClampMSS || back.MSS > 0, clampMSS)
	add(s.Corrupt.on(), corrupt)
	add(s.MTU > 0, fit)
	add(s.Duplicate > 0, duplicate)
	add(s.timed() || s.Reorder.Rate > 0, schedule)
	return stages
}

// dropFragment drops IP fragments, as many firewalls do.
func dropFragment(c *cell, p *packet) bool {
	if p.l.fragment {
		c.drop(p, "fragment-dropped", "")
	}
	return !p.l.fragment
}

// draw decides about this packet.
func (p *packet) draw(c *cell, why purpose) uint64 {
	return c.key.draw(why, p.lane, p.id, p.piece)
}

func lose(c *cell, p *packet) bool {
	lost := p.lane.shape.Loss.Rate.happens(p.draw(c, forLoss))
	if lost {
		c.drop(p, "loss", "")
	}
	return !lost
}

func loseNth(c *cell, p *packet) bool {
	loss := &p.lane.shape.Loss
	lost := p.among(loss.Nth, loss.NthData)
	if lost {
		c.drop(p, "loss-nth", "")
	}
	return !lost
}

// among says whether the packet is one of those chosen by number.
func (p *packet) among(nth, nthData []int) bool {
	if slices.Contains(nth, p.nth) {
		return true
	}
	return p.id.payload && p.id.times == 0 && slices.Contains(nthData, int(p.id.ordinal)+1)
}

// clampMSS lowers the MSS a SYN announces to what the way back can carry, as
// routers in front of narrow links do (RFC 4459 section 3.2). It never raises it.
func clampMSS(c *cell, p *packet) bool {
	t, ok := p.l.tcp(p.data)
	if !ok || !t.Flags().Intersects(header.TCPFlagSyn) {
		return true
	}
	at := mssOption(t)
	limit := p.lane.back.mostMSS(p.l.v6)
	if at == 0 || int(binary.BigEndian.Uint16(t[at:])) <= limit {
		return true
	}
	c.own(p)
	t = p.data[p.l.transport:]
	hdr := t[:t.DataOffset()]
	p.note = join(p.note, fmt.Sprintf("MSS %d clamped to %d", binary.BigEndian.Uint16(t[at:]), limit))
	before := checksum.Checksum(hdr, 0)
	binary.BigEndian.PutUint16(t[at:], uint16(limit))
	adjust(t[header.TCPChecksumOffset:], checksum.Combine(checksum.Checksum(hdr, 0), ^before))
	return true
}

// mostMSS is what may be announced to those who send through the shape.
func (s *Shape) mostMSS(v6 bool) int {
	limit := maxMTU
	if s.MSS > 0 {
		limit = s.MSS
	}
	if s.ClampMSS {
		limit = min(limit, s.MTU-header.TCPMinimumSize-ipHeader(v6))
	}
	return limit
}

// mssOption is the offset of the MSS value in a TCP header; 0: there is none.
func mssOption(t header.TCP) int {
	for at, end := header.TCPMinimumSize, int(t.DataOffset()); at < end; {
		switch kind := t[at]; {
		case kind == header.TCPOptionEOL:
			return 0
		case kind == header.TCPOptionNOP:
			at++
		case at+1 >= end || t[at+1] < 2 || at+int(t[at+1]) > end:
			return 0
		case kind == header.TCPOptionMSS && t[at+1] == header.TCPOptionMSSLength:
			return at + 2
		default:
			at += int(t[at+1])
		}
	}
	return 0
}

// ipHeader is the size of an IP header without options.
func ipHeader(v6 bool) int {
	if v6 {
		return header.IPv6MinimumSize
	}
	return header.IPv4MinimumSize
}

// corrupt changes one byte: of the payload where there is one, else of the
// transport header.
func corrupt(c *cell, p *packet) bool {
	k := &p.lane.shape.Corrupt
	if !p.among(k.Nth, k.NthData) && !k.Rate.happens(p.draw(c, forCorrupt)) {
		return true
	}
	body, ok := p.body()
	sum := p.l.checksumAt(p.data)
	fixed := k.Checksum == FixedChecksum
	if (fixed && (!ok || sum == 0)) || body >= len(p.data) {
		return true // nothing that could be changed unnoticed
	}
	c.own(p)
	d := p.draw(c, forCorruptByte)
	at := body + int(d>>16)%(len(p.data)-body)
	covered := p.data[p.l.transport:]
	before, was := checksum.Checksum(covered, 0), p.data[at]
	p.data[at] ^= byte(d%255) + 1
	verdict := "checksum left wrong"
	if fixed {
		adjust(p.data[sum:], checksum.Combine(checksum.Checksum(covered, 0), ^before))
		verdict = "checksum made right"
	}
	p.note = join(p.note, fmt.Sprintf("corrupted byte %d: %#02x became %#02x, %s", at, was, p.data[at], verdict))
	return true
}

// body is the offset of the payload, and whether it is a whole TCP or UDP
// packet's; otherwise of whatever follows the IP header.
func (p *packet) body() (int, bool) {
	if t, ok := p.l.tcp(p.data); ok && len(t.Payload()) > 0 {
		return p.l.transport + int(t.DataOffset()), !p.l.fragment
	}
	if p.l.proto == protoUDP && !p.l.later && len(p.data) > p.l.transport+header.UDPMinimumSize {
		return p.l.transport + header.UDPMinimumSize, !p.l.fragment
	}
	return p.l.transport, false
}

// duplicate sends a second copy right behind the first.
func duplicate(c *cell, p *packet) bool {
	if !p.lane.shape.Duplicate.happens(p.draw(c, forDuplicate)) {
		return true
	}
	twin := *p
	twin.twin, twin.note = true, join(p.note, "duplicate")
	if twin.owned {
		twin.data = c.store.keep(p.data)
	}
	c.trace.Made++
	c.run(p)
	c.run(&twin)
	return false
}
