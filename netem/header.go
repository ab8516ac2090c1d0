package netem

import (
	"encoding/binary"
	"errors"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// IP protocol numbers the path looks into.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// errMalformed is what a packet is that no router could forward.
var errMalformed = errors.New("malformed IP packet")

// layout says where things are in one IP packet. Nothing beyond what it
// names has been checked.
type layout struct {
	v6        bool
	proto     uint8 // transport protocol
	transport int   // offset of the transport header, or of the data of a later fragment
	src, dst  int   // offsets of the addresses
	size      int   // bytes of one address

	fragment  bool // an IP fragment, the first one included
	later     bool // a fragment without the transport header
	more      bool // more fragments follow
	fragOff   int  // where its data belongs, bytes
	mayBeCut  bool // IPv4 without "don't fragment"
	fragAt    int  // IPv6: offset of the fragment header, or of where one would go
	fragField int  // IPv6: offset of the "next header" byte that names it
}

// parse checks one packet from outside and cuts off what lies beyond its
// stated length.
func parse(b []byte) (layout, []byte, error) {
	l, err := locate(b)
	if err != nil {
		return l, b, err
	}
	total := header.IPv6MinimumSize
	if l.v6 {
		total += int(header.IPv6(b).PayloadLength())
	} else {
		total = int(header.IPv4(b).TotalLength())
	}
	if total > len(b) || total < l.transport {
		return l, b, errMalformed
	}
	return l, b[:total], nil
}

// locate reads the headers only: the packet quoted in an ICMP error is cut
// off somewhere behind them.
func locate(b []byte) (layout, error) {
	if len(b) == 0 {
		return layout{}, errMalformed
	}
	switch b[0] >> 4 {
	case 4:
		return locate4(b)
	case 6:
		return locate6(b)
	}
	return layout{}, errMalformed
}

func locate4(b []byte) (layout, error) {
	h := header.IPv4(b)
	if len(b) < header.IPv4MinimumSize {
		return layout{}, errMalformed
	}
	hlen := int(h.HeaderLength())
	if hlen < header.IPv4MinimumSize || hlen > len(b) {
		return layout{}, errMalformed
	}
	l := layout{proto: h.Protocol(), transport: hlen, src: 12, dst: 16, size: 4}
	l.more, l.fragOff = h.More(), int(h.FragmentOffset())
	l.later = l.fragOff != 0
	l.fragment = l.more || l.later
	l.mayBeCut = h.Flags()&header.IPv4FlagDontFragment == 0
	return l, nil
}

// IPv6 extension headers that a router steps over (RFC 8200 section 4).
const (
	hopByHop    = 0
	routing     = 43
	fragmentHdr = 44
	destOptions = 60
)

func locate6(b []byte) (layout, error) {
	if len(b) < header.IPv6MinimumSize {
		return layout{}, errMalformed
	}
	l := layout{v6: true, transport: header.IPv6MinimumSize, src: 8, dst: 24, size: 16,
		fragAt: header.IPv6MinimumSize, fragField: 6}
	next, field := b[6], 6
	for {
		start, kind, size := l.transport, next, 0
		rest := b[start:]
		switch kind {
		case hopByHop, routing, destOptions:
			if len(rest) < 8 {
				return l, errMalformed
			}
			size = (int(rest[1]) + 1) * 8
		case fragmentHdr:
			if len(rest) < header.IPv6FragmentHeaderSize {
				return l, errMalformed
			}
			f := header.IPv6Fragment(rest)
			l.fragment, l.more, l.fragOff = true, f.More(), int(f.FragmentOffset())*8
			l.fragAt, l.fragField = start, field
			size = header.IPv6FragmentHeaderSize
		default:
			l.proto = kind
			return l, nil
		}
		if size > len(rest) {
			return l, errMalformed
		}
		field, next, l.transport = start, rest[0], start+size
		switch kind {
		case fragmentHdr:
			// What follows is data of the fragment, and of a later one
			// no header at all.
			l.proto, l.later = next, l.fragOff != 0
			return l, nil
		case hopByHop, routing:
			// Everything up to here is in every fragment (RFC 8200 section 4.5).
			l.fragAt, l.fragField = l.transport, start
		}
	}
}

// tcp is the TCP header and payload of a packet that holds them.
func (l layout) tcp(b []byte) (header.TCP, bool) {
	if l.proto != protoTCP || l.later || len(b)-l.transport < header.TCPMinimumSize {
		return nil, false
	}
	t := header.TCP(b[l.transport:])
	if off := int(t.DataOffset()); off < header.TCPMinimumSize || off > len(t) {
		return nil, false
	}
	return t, true
}

// ports are the first four bytes of TCP and UDP, source first.
func (l layout) ports(b []byte) (src, dst uint16) {
	if l.later || (l.proto != protoTCP && l.proto != protoUDP) || len(b) < l.transport+4 {
		return 0, 0
	}
	return binary.BigEndian.Uint16(b[l.transport:]), binary.BigEndian.Uint16(b[l.transport+2:])
}

// checksumAt is the offset of the transport checksum that covers the
// addresses; 0: there is none here.
func (l layout) checksumAt(b []byte) int {
	at := 0
	switch {
	case l.later:
		return 0
	case l.proto == protoTCP:
		at = l.transport + header.TCPChecksumOffset
	case l.proto == protoUDP:
		at = l.transport + 6
	case l.proto == protoICMPv6 && l.v6:
		at = l.transport + 2
	}
	if at == 0 || at+2 > len(b) {
		return 0
	}
	if l.proto == protoUDP && !l.v6 && b[at] == 0 && b[at+1] == 0 {
		return 0 // RFC 768: the sender made none
	}
	return at
}
