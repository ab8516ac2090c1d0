package netem

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
)

// nat is the change of addresses in one direction.
//
// All checksums are updated by the difference (RFC 1624), so one that was
// wrong stays wrong: the path must not repair what it did not break.
type nat struct {
	oldSrc, oldDst []byte
	src, dst       []byte // the new addresses
	delta          uint16 // what the change adds to a ones' complement sum
}

func newNAT(oldSrc, oldDst, newSrc, newDst netip.Addr) nat {
	n := nat{oldSrc: oldSrc.AsSlice(), oldDst: oldDst.AsSlice(), src: newSrc.AsSlice(), dst: newDst.AsSlice()}
	before := checksum.Checksum(n.oldDst, checksum.Checksum(n.oldSrc, 0))
	after := checksum.Checksum(n.dst, checksum.Checksum(n.src, 0))
	n.delta = checksum.Combine(after, ^before)
	return n
}

// holds says whether a packet goes from src to dst.
func (l layout) holds(b, src, dst []byte) bool {
	return bytes.Equal(b[l.src:l.src+l.size], src) && bytes.Equal(b[l.dst:l.dst+l.size], dst)
}

// apply translates a packet in place.
func (n *nat) apply(b []byte, l layout) {
	n.readdress(b, l, n.src, n.dst)
	if quoted := quotedPacket(b, l); quoted != nil {
		n.applyQuoted(b[l.transport:], quoted)
	}
}

// readdress writes the addresses and updates the checksums that cover them.
func (n *nat) readdress(b []byte, l layout, src, dst []byte) {
	copy(b[l.src:], src)
	copy(b[l.dst:], dst)
	if !l.v6 {
		adjust(b[10:], n.delta)
	}
	if at := l.checksumAt(b); at != 0 {
		adjust(b[at:], n.delta)
		if l.proto == protoUDP && b[at] == 0 && b[at+1] == 0 {
			b[at], b[at+1] = 0xff, 0xff // RFC 768: zero would mean "no checksum"
		}
	}
}

// applyQuoted translates the packet quoted in an ICMP error. It travelled
// the other way, so it holds this direction's addresses swapped, and by the
// same token the change of its sums is this direction's.
func (n *nat) applyQuoted(icmp, quoted []byte) {
	l, err := locate(quoted)
	if err != nil || l.size != len(n.src) {
		return
	}
	if !l.holds(quoted, n.oldDst, n.oldSrc) {
		return
	}
	before := checksum.Checksum(icmp, 0)
	n.readdress(quoted, l, n.dst, n.src)
	adjust(icmp[2:], checksum.Combine(checksum.Checksum(icmp, 0), ^before))
}

// quotedPacket is the start of the packet an ICMP error is about; nil when b
// is not an ICMP error.
func quotedPacket(b []byte, l layout) []byte {
	if l.fragment || len(b) < l.transport+8 {
		return nil
	}
	kind := b[l.transport]
	switch {
	case l.proto == protoICMP && !l.v6:
		switch kind {
		case 3, 4, 5, 11, 12: // RFC 792: the messages that quote a packet
			return b[l.transport+8:]
		}
	case l.proto == protoICMPv6 && l.v6 && kind < 128: // RFC 4443 section 2.1: errors
		return b[l.transport+8:]
	}
	return nil
}

// adjust adds delta to the sum behind the checksum in the first two bytes.
func adjust(field []byte, delta uint16) {
	sum := checksum.Combine(^binary.BigEndian.Uint16(field), delta)
	binary.BigEndian.PutUint16(field, ^sum)
}
