package netem

import (
	"encoding/binary"
	"fmt"

	"hybridlab/netem/host"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// fit deals with packets larger than the MTU.
func fit(c *cell, p *packet) bool {
	s := &p.lane.shape
	if len(p.data) <= s.MTU {
		return true
	}
	why := fmt.Sprintf("%d bytes, MTU %d", len(p.data), s.MTU)
	switch {
	case p.l.mayBeCut || s.TooBig == Fragment:
		c.fragment(p, why)
	case s.TooBig == EatICMP:
		c.drop(p, "mtu-icmp-eaten", why)
	case quotedPacket(p.data, p.l) != nil || p.l.later:
		c.drop(p, "mtu-icmp-eaten", why+", and no ICMP error about ICMP errors or later fragments (RFC 1122 section 3.2.2)")
	default:
		c.drop(p, "mtu-icmp-sent", why)
		c.sendTooBig(p, s.MTU)
	}
	return false
}

// fragment sends a packet on in pieces.
func (c *cell) fragment(p *packet, why string) {
	if p.lane.shape.Fragments == DropFragments {
		c.drop(p, "fragment-dropped", why+", so it had to be fragmented")
		return
	}
	c.fragID++
	cut := fragments4
	if p.l.v6 {
		cut = fragments6
	}
	pieces := cut(p.data, p.l, p.lane.shape.MTU, c.fragID)
	if len(pieces) == 0 {
		c.drop(p, "mtu-icmp-eaten", why+", and its headers leave no room for data")
		return
	}
	c.trace.Made += len(pieces) - 1
	for i, b := range pieces {
		q := *p
		q.data, q.owned, q.piece = b, true, i
		q.l, _ = locate(q.data)
		q.note = join(p.note, fmt.Sprintf("fragment %d/%d of %s", i+1, len(pieces), why))
		c.run(&q)
	}
}

// fragments4 cuts an IPv4 packet (RFC 791 section 3.2). What had "don't
// fragment" set has an ID that means nothing (RFC 6864) and gets one; the
// bit is cleared, as nobody behind the tunnel's end must stumble over it.
func fragments4(b []byte, l layout, mtu int, id uint32) [][]byte {
	hdr, data := b[:l.transport], b[l.transport:]
	room := (mtu - len(hdr)) &^ 7
	if room <= 0 {
		return nil
	}
	var pieces [][]byte
	for off := 0; off < len(data); off += room {
		n := min(room, len(data)-off)
		piece := append(append(make([]byte, 0, len(hdr)+n), hdr...), data[off:off+n]...)
		h := header.IPv4(piece)
		if off > 0 {
			blankUncopied(piece[header.IPv4MinimumSize:len(hdr)])
		}
		if !l.mayBeCut {
			h.SetID(uint16(id))
		}
		flags := uint8(0)
		if l.more || off+n < len(data) {
			flags = header.IPv4FlagMoreFragments
		}
		h.SetFlagsFragmentOffset(flags, uint16(l.fragOff+off))
		h.SetTotalLength(uint16(len(piece)))
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
		pieces = append(pieces, piece)
	}
	return pieces
}

// blankUncopied turns the options that belong into the first fragment only
// (those without the "copied" bit) into no-operations.
func blankUncopied(opts []byte) {
	for len(opts) > 0 && opts[0] != 0 {
		n := 1
		if opts[0] != 1 {
			if len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts) {
				return
			}
			n = int(opts[1])
		}
		if opts[0]&0x80 == 0 {
			for i := range opts[:n] {
				opts[i] = 1
			}
		}
		opts = opts[n:]
	}
}

// fragments6 cuts an IPv6 packet with fragment headers (RFC 8200 section
// 4.5), which no router may do to a packet it forwards: it stands for a
// tunnel whose far end gives the packet on in the pieces it came in.
func fragments6(b []byte, l layout, mtu int, id uint32) [][]byte {
	hdr, data, kind := b[:l.fragAt], b[l.fragAt:], b[l.fragField]
	if l.fragment { // one more cut through an end's fragment
		old := header.IPv6Fragment(data)
		id, kind = old.ID(), old.NextHeader()
		data = data[header.IPv6FragmentHeaderSize:]
	}
	room := (mtu - len(hdr) - header.IPv6FragmentHeaderSize) &^ 7
	if room <= 0 {
		return nil
	}
	var pieces [][]byte
	for off := 0; off < len(data); off += room {
		n := min(room, len(data)-off)
		piece := append(make([]byte, 0, len(hdr)+header.IPv6FragmentHeaderSize+n), hdr...)
		piece = append(piece, kind, 0)
		place := uint16(l.fragOff + off)
		if l.more || off+n < len(data) {
			place |= 1
		}
		piece = binary.BigEndian.AppendUint16(piece, place)
		piece = binary.BigEndian.AppendUint32(piece, id)
		piece = append(piece, data[off:off+n]...)
		piece[l.fragField] = fragmentHdr
		header.IPv6(piece).SetPayloadLength(uint16(len(piece) - header.IPv6MinimumSize))
		pieces = append(pieces, piece)
	}
	return pieces
}

// sendTooBig tells the sender what fits. The router stands at the sender's
// end of the link, and goes by the address the sender was talking to: any
// other would need a route of its own.
func (c *cell) sendTooBig(p *packet, mtu int) {
	if p.made {
		c.tellBox(p, mtu)
		return
	}
	n := p.nat()
	b := tooBig(p.l, c.trace.Packets[p.rec].Data, n.oldDst, n.oldSrc, mtu)
	c.trace.ICMP++
	c.record(p.at, p.lane.entry, 1-p.lane.dir, b, fmt.Sprintf("made by the path: too big, MTU %d", mtu))
	c.outbox = append(c.outbox, parcel{data: b})
}

// tellBox does the same for what a box with a host sent, and no capture sees
// it. What a box put between other packets has no host that could listen.
func (c *cell) tellBox(p *packet, mtu int) {
	var host *host.Host // none: the device leads to it
	switch {
	case p.from != nil:
		host = p.from.front
	case !p.outside:
		return
	}
	c.trace.ICMP++
	src, dst := p.data[p.l.src:p.l.src+p.l.size], p.data[p.l.dst:p.l.dst+p.l.size]
	c.outbox = append(c.outbox, parcel{tooBig(p.l, p.data, dst, src, mtu), host})
}

// tooBig says what fits, from one address to another.
func tooBig(l layout, quoted, from, to []byte, mtu int) []byte {
	if l.v6 {
		return tooBig6(quoted, from, to, mtu)
	}
	return fragNeeded4(quoted, from, to, mtu)
}

// fragNeeded4 is "fragmentation needed and DF set" (RFC 1191 section 4) with
// as much of the packet as RFC 1812 section 4.3.2.3 wants.
func fragNeeded4(quoted, from, to []byte, mtu int) []byte {
	const limit = 576
	const head = header.IPv4MinimumSize + header.ICMPv4MinimumSize
	quoted = quoted[:min(len(quoted), limit-head)]
	b := append(make([]byte, head, head+len(quoted)), quoted...)
	ip, icmp := header.IPv4(b), header.ICMPv4(b[header.IPv4MinimumSize:])
	b[0], b[8], b[9] = 0x45, 64, protoICMP
	ip.SetTotalLength(uint16(len(b)))
	copy(b[12:], from)
	copy(b[16:], to)
	ip.SetChecksum(^ip.CalculateChecksum())
	icmp.SetType(header.ICMPv4DstUnreachable)
	icmp.SetCode(header.ICMPv4FragmentationNeeded)
	icmp.SetMTU(uint16(mtu))
	icmp.SetChecksum(^checksum.Checksum(icmp, 0))
	return b
}

// tooBig6 is "packet too big" (RFC 4443 section 3.2).
func tooBig6(quoted, from, to []byte, mtu int) []byte {
	const head = header.IPv6MinimumSize + header.ICMPv6PacketTooBigMinimumSize
	quoted = quoted[:min(len(quoted), header.IPv6MinimumMTU-head)]
	b := append(make([]byte, head, head+len(quoted)), quoted...)
	icmp := header.ICMPv6(b[header.IPv6MinimumSize:])
	b[0], b[6], b[7] = 0x60, protoICMPv6, 64
	header.IPv6(b).SetPayloadLength(uint16(len(icmp)))
	copy(b[8:], from)
	copy(b[24:], to)
	icmp.SetType(header.ICMPv6PacketTooBig)
	icmp.SetMTU(uint32(mtu))
	sum := checksum.Checksum(b[8:header.IPv6MinimumSize], 0)
	sum = checksum.Combine(sum, checksum.Combine(uint16(len(icmp)), protoICMPv6))
	icmp.SetChecksum(^checksum.Checksum(icmp, sum))
	return b
}
