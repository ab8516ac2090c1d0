package capture

import (
	"cmp"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

const (
	maxDatagram  = 65535 // bytes an IP datagram can carry
	maxDatagrams = 256   // datagrams waiting for fragments; more of them, and all are forgotten
)

// datagramID is what the fragments of one IP datagram have in common (RFC 791
// section 3.2, RFC 8200 section 4.5).
type datagramID struct {
	src, dst netip.Addr
	proto    uint8
	id       uint32
}

type fragment struct {
	at   int
	data []byte
}

// pending are the fragments of a datagram so far, by offset.
type pending struct {
	parts []fragment
	bytes int
	end   int // length of the datagram, -1 until its last fragment came
}

type fragments map[datagramID]*pending

// add returns the whole datagram once data was its last missing part.
//
// A fragment that came before is ignored, a datagram with parts that overlap
// in any other way is forgotten: RFC 5722 demands it for IPv6, and stacks do
// the same for IPv4.
func (f fragments) add(id datagramID, at int, more bool, data []byte) []byte {
	p := f[id]
	if p == nil {
		if len(f) >= maxDatagrams {
			clear(f)
		}
		p = &pending{end: -1}
		f[id] = p
	}
	if !p.insert(at, more, data) {
		delete(f, id)
		return nil
	}
	if p.bytes != p.end {
		return nil
	}
	delete(f, id)
	whole := make([]byte, 0, p.end)
	for _, part := range p.parts {
		whole = append(whole, part.data...)
	}
	return whole
}

// insert reports whether the datagram still makes sense.
func (p *pending) insert(at int, more bool, data []byte) bool {
	end := at + len(data)
	if end > maxDatagram || len(data) == 0 || p.end >= 0 && end > p.end {
		return false
	}
	if !more {
		if p.end >= 0 && p.end != end {
			return false
		}
		p.end = end
	}
	i, found := slices.BinarySearchFunc(p.parts, at, func(f fragment, at int) int { return cmp.Compare(f.at, at) })
	switch {
	case found:
		return len(p.parts[i].data) == len(data)
	case i > 0 && p.parts[i-1].at+len(p.parts[i-1].data) > at:
		return false
	case i < len(p.parts) && (end > p.parts[i].at || !more):
		return false
	}
	p.parts = slices.Insert(p.parts, i, fragment{at, data})
	p.bytes += len(data)
	return true
}

// fragmentHeader is the IPv6 fragment header as a layer that stops there:
// gopacket decodes it only with its general, allocating decoder.
type fragmentHeader struct {
	layers.BaseLayer
	next   layers.IPProtocol
	offset int // bytes
	more   bool
	id     uint32
}

func (h *fragmentHeader) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	if len(data) < 8 {
		df.SetTruncated()
		return errors.New("IPv6 fragment header is cut short")
	}
	word := binary.BigEndian.Uint16(data[2:])
	h.BaseLayer = layers.BaseLayer{Contents: data[:8], Payload: data[8:]}
	h.next = layers.IPProtocol(data[0])
	h.offset, h.more = int(word&^7), word&1 != 0
	h.id = binary.BigEndian.Uint32(data[4:])
	return nil
}

func (h *fragmentHeader) CanDecode() gopacket.LayerClass { return layers.LayerTypeIPv6Fragment }

// NextLayerType stops an incomplete datagram here; one that is whole although
// it has the header (RFC 6946) is read on.
func (h *fragmentHeader) NextLayerType() gopacket.LayerType {
	if h.offset != 0 || h.more {
		return gopacket.LayerTypeFragment
	}
	return h.next.LayerType()
}
