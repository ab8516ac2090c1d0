// Package capturetest makes captures for tests: packets of TCP connections as
// the path engine would record them, built from bytes and independent of the
// decoder they test.
package capturetest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"hybridlab/lab/capture"
)

// Path is one connection across the engine. Addresses differ between the two
// sides, as behind any NAT; sequence numbers do not.
type Path struct {
	Packets []capture.Packet
	Client  [2]netip.AddrPort // by capture.Side
	Server  [2]netip.AddrPort
	ISN     [2]uint32 // by capture.Direction: the client's, the server's
	MSS     [2]uint16 // by capture.Direction: announced by the client, by the server; also where Send cuts
	Now     time.Duration
	sent    [2]uint64
}

// New returns a path with fixed addresses, sequence numbers and an MSS that
// suits a link of 1,500 bytes.
func New(v6 bool) *Path {
	p := &Path{ISN: [2]uint32{1000, 2000000000}, MSS: [2]uint16{1460, 1460}}
	hosts := [4]string{"172.20.0.4", "198.18.0.7", "198.19.0.7", "172.20.1.3"}
	if v6 {
		hosts = [4]string{"fd00::4", "2001:2:0:18::7", "2001:2:0:19::7", "fd01::3"}
		p.MSS = [2]uint16{1440, 1440}
	}
	for s := range 2 {
		p.Client[s] = netip.AddrPortFrom(netip.MustParseAddr(hosts[2*s]), 40001)
		p.Server[s] = netip.AddrPortFrom(netip.MustParseAddr(hosts[2*s+1]), 4433)
	}
	return p
}

// Segment is a TCP segment and its fate.
type Segment struct {
	Dir     capture.Direction
	Flags   capture.Flags
	Seq     uint64 // relative to the byte after the SYN
	Ack     uint64 // relative too
	Payload []byte
	Options []byte        // of the TCP header, padded by the caller
	Drop    string        // reason: it is captured only where it enters
	Corrupt int           // flip a bit of this payload byte, counted from 1, where it leaves
	Delay   time.Duration // between the sides; 0: 100 µs
	Pieces  int           // IP fragments it leaves in; 0: whole
}

// Put captures a segment where it enters the engine and, if it is not
// dropped, where it leaves it. Packets are in the order of Put.
func (p *Path) Put(s Segment) {
	p.Now += time.Millisecond
	in, out := capture.ClientSide, capture.ServerSide
	if s.Dir == capture.ToClient {
		in, out = out, in
	}
	id := uint64(len(p.Packets) + 1)
	p.Packets = append(p.Packets, capture.Packet{At: p.Now, Side: in, Dir: s.Dir, Data: p.Packet(in, s), Drop: s.Drop, ID: id})
	if s.Drop != "" {
		return
	}
	if s.Delay == 0 {
		s.Delay = 100 * time.Microsecond
	}
	whole := capture.Packet{At: p.Now + s.Delay, Side: out, Dir: s.Dir, Data: p.Packet(out, s), ID: id}
	if s.Corrupt > 0 {
		whole.Data[len(whole.Data)-len(s.Payload)+s.Corrupt-1] ^= 0x10
		whole.Note = fmt.Sprintf("corrupted byte %d", s.Corrupt)
	}
	if s.Pieces == 0 {
		p.Packets = append(p.Packets, whole)
		return
	}
	for i, piece := range Fragment(whole.Data, s.Pieces) {
		f := whole
		f.Data, f.Note = piece, fmt.Sprintf("fragment %d/%d", i+1, s.Pieces)
		p.Packets = append(p.Packets, f)
	}
}

// Open is the three-way handshake.
func (p *Path) Open() {
	p.Put(Segment{Dir: capture.ToServer, Flags: capture.SYN, Options: mss(p.MSS[0])})
	p.Put(Segment{Dir: capture.ToClient, Flags: capture.SYN | capture.ACK, Options: mss(p.MSS[1])})
	p.Put(Segment{Dir: capture.ToServer, Flags: capture.ACK})
}

// Send sends data in segments cut at the receiver's MSS; the other end
// acknowledges the last of them.
func (p *Path) Send(dir capture.Direction, data []byte) {
	for _, s := range p.Cut(dir, data, int(p.MSS[1-dir])) {
		p.Put(s)
	}
	p.Acknowledge(dir)
}

// Cut returns the segments for data and counts them as sent.
func (p *Path) Cut(dir capture.Direction, data []byte, size int) []Segment {
	var out []Segment
	for len(data) > 0 {
		n := min(size, len(data))
		out = append(out, Segment{
			Dir: dir, Flags: capture.ACK | capture.PSH, Seq: p.sent[dir], Ack: p.sent[1-dir], Payload: data[:n],
		})
		p.sent[dir] += uint64(n)
		data = data[n:]
	}
	return out
}

// Acknowledge acknowledges all that was sent in a direction.
func (p *Path) Acknowledge(dir capture.Direction) {
	p.Put(Segment{Dir: 1 - dir, Flags: capture.ACK, Seq: p.sent[1-dir], Ack: p.sent[dir]})
}

// Close ends the connection from one end: FIN, FIN, ACK.
func (p *Path) Close(dir capture.Direction) {
	p.Put(Segment{Dir: dir, Flags: capture.FIN | capture.ACK, Seq: p.sent[dir], Ack: p.sent[1-dir]})
	p.Put(Segment{Dir: 1 - dir, Flags: capture.FIN | capture.ACK, Seq: p.sent[1-dir], Ack: p.sent[dir] + 1})
	p.Put(Segment{Dir: dir, Flags: capture.ACK, Seq: p.sent[dir] + 1, Ack: p.sent[1-dir] + 1})
}

// Reset ends it with a RST.
func (p *Path) Reset(dir capture.Direction) {
	p.Put(Segment{Dir: dir, Flags: capture.RST | capture.ACK, Seq: p.sent[dir], Ack: p.sent[1-dir]})
}

func mss(n uint16) []byte {
	if n == 0 {
		return nil
	}
	return []byte{2, 4, byte(n >> 8), byte(n)}
}

// Packet builds a segment as an IP packet with the addresses of one side.
func (p *Path) Packet(side capture.Side, s Segment) []byte {
	src, dst := p.Client[side], p.Server[side]
	if s.Dir == capture.ToClient {
		src, dst = dst, src
	}
	seq := p.ISN[s.Dir] + 1 + uint32(s.Seq)
	if s.Flags.Has(capture.SYN) {
		seq--
	}
	var ack uint32
	if s.Flags.Has(capture.ACK) {
		ack = p.ISN[1-s.Dir] + 1 + uint32(s.Ack)
	}
	t := binary.BigEndian.AppendUint16(nil, src.Port())
	t = binary.BigEndian.AppendUint16(t, dst.Port())
	t = binary.BigEndian.AppendUint32(t, seq)
	t = binary.BigEndian.AppendUint32(t, ack)
	t = append(t, byte(5+len(s.Options)/4)<<4, byte(s.Flags), 0xff, 0xff, 0, 0, 0, 0)
	t = append(append(t, s.Options...), s.Payload...)
	return IP(src.Addr(), dst.Addr(), 6, t)
}

// IP puts an IPv4 or IPv6 header before a payload; with protocol 6 it fills
// in the TCP checksum.
func IP(src, dst netip.Addr, proto byte, payload []byte) []byte {
	if proto == 6 {
		pseudo := append(append(src.AsSlice(), dst.AsSlice()...), 0, proto, byte(len(payload)>>8), byte(len(payload)))
		binary.BigEndian.PutUint16(payload[16:], checksum(append(pseudo, payload...)))
	}
	var h []byte
	if src.Is4() {
		h = []byte{0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, proto, 0, 0}
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
		h = append(append(h, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(h[10:], checksum(h))
	} else {
		h = []byte{0x60, 0, 0, 0, 0, 0, proto, 64}
		binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
		h = append(append(h, src.AsSlice()...), dst.AsSlice()...)
	}
	return append(h, payload...)
}

// Fragment cuts an IP packet into n fragments.
func Fragment(packet []byte, n int) [][]byte {
	head := 20
	if packet[0]>>4 == 6 {
		head = 40
	}
	payload := packet[head:]
	size := (len(payload)/n + 7) &^ 7
	var out [][]byte
	for at := 0; at < len(payload); at += size {
		end := min(at+size, len(payload))
		out = append(out, fragment(packet[:head], payload[at:end], at, end < len(payload)))
	}
	return out
}

func fragment(header, part []byte, at int, more bool) []byte {
	h := append([]byte(nil), header...)
	if h[0]>>4 == 4 {
		word := uint16(at / 8)
		if more {
			word |= 0x2000
		}
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(part)))
		binary.BigEndian.PutUint16(h[6:], word)
		h[10], h[11] = 0, 0
		binary.BigEndian.PutUint16(h[10:], checksum(h))
		return append(h, part...)
	}
	word := uint16(at)
	if more {
		word |= 1
	}
	binary.BigEndian.PutUint16(h[4:], uint16(8+len(part)))
	ext := []byte{h[6], 0, byte(word >> 8), byte(word), 0, 0, 0, 7}
	h[6] = 44
	return append(append(h, ext...), part...)
}

// checksum is the Internet checksum, the plain way.
func checksum(b []byte) uint16 {
	var s uint32
	for i, x := range b {
		s += uint32(x) << (8 * (1 - i%2))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}
