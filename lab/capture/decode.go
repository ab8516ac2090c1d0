package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Flags are the control bits of a TCP header that say something about the
// life of a connection, with their values on the wire (RFC 9293 section 3.1).
type Flags uint8

const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Has reports whether all of want are set.
func (f Flags) Has(want Flags) bool { return f&want == want }

// String is the tcpdump form: "S.", "P.", ".".
func (f Flags) String() string {
	var b []byte
	for i, c := range []byte("FSRP.") {
		if f&(1<<i) != 0 {
			b = append(b, c)
		}
	}
	return string(b)
}

// tcpPacket is what the judge needs of one TCP segment.
type tcpPacket struct {
	src, dst netip.AddrPort
	seq, ack uint32
	flags    Flags
	mss      uint16 // of a SYN that announces one
	payload  []byte
}

// decoder reads IP packets down to TCP. gopacket can be made to panic, so it
// is given exactly the layers below, and its parser turns panics into errors.
type decoder struct {
	v4, v6, l4 *gopacket.DecodingLayerParser
	ip4        layers.IPv4
	ip6        layers.IPv6
	ext        layers.IPv6ExtensionSkipper
	frag6      fragmentHeader
	tcp        layers.TCP
	icmp4      layers.ICMPv4
	icmp6      layers.ICMPv6
	decoded    []gopacket.LayerType
	fragments  fragments
}

func newDecoder() *decoder {
	d := &decoder{fragments: fragments{}}
	// The skipper claims the fragment header too, and would read the middle
	// of a datagram as its start: frag6 comes after it and takes that back.
	d.v4 = restricted(layers.LayerTypeIPv4, &d.ip4, &d.tcp, &d.icmp4)
	d.v6 = restricted(layers.LayerTypeIPv6, &d.ip6, &d.ext, &d.frag6, &d.tcp, &d.icmp6)
	d.l4 = restricted(layers.LayerTypeTCP, &d.tcp)
	return d
}

func restricted(first gopacket.LayerType, ls ...gopacket.DecodingLayer) *gopacket.DecodingLayerParser {
	p := gopacket.NewDecodingLayerParser(first)
	set := gopacket.DecodingLayerContainer(gopacket.DecodingLayerSparse(nil))
	for _, l := range ls {
		set = set.Put(l)
	}
	p.SetDecodingLayerContainer(set)
	p.IgnoreUnsupported = true
	return p
}

// decode reads one IP packet. ok is false for what is no TCP segment: other
// protocols, tunnels, and fragments of a datagram that is not complete yet.
//
// A packet that leaves the engine damaged (a corrupting link did it) is
// discarded as its receiver would discard it. On the way in checksums are not
// looked at: there a wrong one means an end left it to its network card.
func (d *decoder) decode(data []byte, leaving bool) (p tcpPacket, ok bool, err error) {
	defer func() {
		if leaving {
			err = nil
		}
	}()
	src, dst, payload, err := d.network(data)
	if err != nil || payload == nil {
		return p, false, err
	}
	if leaving && !intact(data, src, dst, payload) {
		return p, false, nil
	}
	p = tcpPacket{
		src: netip.AddrPortFrom(src, uint16(d.tcp.SrcPort)),
		dst: netip.AddrPortFrom(dst, uint16(d.tcp.DstPort)),
		seq: d.tcp.Seq, ack: d.tcp.Ack,
		flags:   Flags(payload[13]) & (FIN | SYN | RST | PSH | ACK),
		payload: d.tcp.Payload,
	}
	if p.flags.Has(SYN) {
		p.mss = mss(d.tcp.Options)
	}
	return p, true, nil
}

// network decodes the IP headers, joins fragments and decodes the TCP header
// into d.tcp. payload is the TCP segment from its header on, nil if the
// packet did not complete one.
func (d *decoder) network(data []byte) (src, dst netip.Addr, payload []byte, err error) {
	data, err = trim(data)
	if err != nil {
		return src, dst, nil, err
	}
	v4 := data[0]>>4 == 4
	parser := d.v6
	if v4 {
		parser = d.v4
	}
	if err := parser.DecodeLayers(data, &d.decoded); err != nil {
		return src, dst, nil, fmt.Errorf("decode IP packet: %w", err)
	}
	for _, t := range d.decoded[1:] {
		if t == layers.LayerTypeIPv4 || t == layers.LayerTypeIPv6 {
			return src, dst, nil, nil // a tunnel: what is inside is not this cell's
		}
	}
	id, at, more, part := d.fragment(v4)
	src, dst = id.src, id.dst
	if at != 0 || more {
		whole := d.fragments.add(id, at, more, part)
		if whole == nil || layers.IPProtocol(id.proto) != layers.IPProtocolTCP {
			return src, dst, nil, nil
		}
		if err := d.l4.DecodeLayers(whole, &d.decoded); err != nil {
			return src, dst, nil, fmt.Errorf("decode TCP header after reassembly of IP fragments: %w", err)
		}
		return src, dst, whole, nil
	}
	if d.decoded[len(d.decoded)-1] != layers.LayerTypeTCP {
		return src, dst, nil, nil
	}
	return src, dst, part, nil
}

// fragment says which part of which datagram was just decoded: a whole one
// begins at 0 and has no more to come.
func (d *decoder) fragment(v4 bool) (id datagramID, at int, more bool, part []byte) {
	if v4 {
		id.src, id.dst = addr(d.ip4.SrcIP), addr(d.ip4.DstIP)
		id.proto, id.id = uint8(d.ip4.Protocol), uint32(d.ip4.Id)
		return id, int(d.ip4.FragOffset) * 8, d.ip4.Flags&layers.IPv4MoreFragments != 0, d.ip4.Payload
	}
	id.src, id.dst = addr(d.ip6.SrcIP), addr(d.ip6.DstIP)
	part = d.ip6.Payload
	for _, t := range d.decoded {
		switch {
		case t == layers.LayerTypeIPv6Fragment:
			id.proto, id.id = uint8(d.frag6.next), d.frag6.id
			at, more, part = d.frag6.offset, d.frag6.more, d.frag6.Payload
		case layers.LayerClassIPv6Extension.Contains(t):
			part = d.ext.Payload
		}
	}
	return id, at, more, part
}

func addr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

var errNoIP = errors.New("neither IPv4 nor IPv6")

// trim checks the packet against the length its header claims and cuts off
// what follows, which no receiver looks at.
func trim(data []byte) ([]byte, error) {
	var n int
	switch {
	case len(data) >= 20 && data[0]>>4 == 4:
		n = int(binary.BigEndian.Uint16(data[2:]))
	case len(data) >= 40 && data[0]>>4 == 6:
		n = 40 + int(binary.BigEndian.Uint16(data[4:]))
	default:
		return nil, fmt.Errorf("decode IP packet of %d bytes: %w", len(data), errNoIP)
	}
	if n > len(data) {
		return nil, fmt.Errorf("decode IP packet: header says %d bytes, captured %d", n, len(data))
	}
	if n < 20 {
		return nil, fmt.Errorf("decode IP packet: header says %d bytes, less than itself", n)
	}
	return data[:n], nil
}

// mss finds the Maximum Segment Size option (RFC 9293 section 3.7.1).
func mss(options []layers.TCPOption) uint16 {
	for _, o := range options {
		if o.OptionType == layers.TCPOptionKindMSS && len(o.OptionData) == 2 {
			return binary.BigEndian.Uint16(o.OptionData)
		}
	}
	return 0
}

// intact verifies the checksums a receiver verifies: the IPv4 header's and
// TCP's (RFC 9293 section 3.1, pseudo-headers of RFC 791 and RFC 8200 section
// 8.1). data is the last packet, payload the TCP segment it completed.
func intact(data []byte, src, dst netip.Addr, payload []byte) bool {
	if data[0]>>4 == 4 && fold(sum(data[:int(data[0]&15)*4], 0)) != 0xffff {
		return false
	}
	s := sum(payload, uint64(len(payload))+uint64(layers.IPProtocolTCP))
	return fold(sum(dst.AsSlice(), sum(src.AsSlice(), s))) == 0xffff
}

// sum adds b to the one's complement sum s (RFC 1071), 32 bits at a time.
func sum(b []byte, s uint64) uint64 {
	for ; len(b) >= 4; b = b[4:] {
		s += uint64(binary.BigEndian.Uint32(b))
	}
	var tail [4]byte
	copy(tail[:], b)
	return s + uint64(binary.BigEndian.Uint32(tail[:]))
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
