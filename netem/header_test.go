package netem

import (
	"bytes"
	"encoding/binary"
	"testing"

	"hybridlab/lab/capture"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// withExtensions puts IPv6 extension headers between the IP header and the
// transport header.
func withExtensions(b []byte, kinds ...byte) []byte {
	next := b[6]
	var ext []byte
	for i, k := range kinds {
		following := next
		if i+1 < len(kinds) {
			following = kinds[i+1]
		}
		h := make([]byte, 8)
		if k == routing { // a longer one
			h = make([]byte, 16)
			h[1] = 1
		}
		h[0] = following
		ext = append(ext, h...)
	}
	out := append(append(bytes.Clone(b[:40]), ext...), b[40:]...)
	out[6] = kinds[0]
	header.IPv6(out).SetPayloadLength(uint16(len(out) - 40))
	return out
}

func TestLocateIPv6Extensions(t *testing.T) {
	plain := endsOf(7, Link{Family: IPv6}).bytes(segment{seq: 9, flags: ack, payload: []byte("data")})
	for _, c := range []struct {
		name                         string
		kinds                        []byte
		transport, fragAt, fragField int
	}{
		{"none", nil, 40, 40, 6},
		{"hop by hop", []byte{hopByHop}, 48, 48, 40},
		{"destination options stay behind the cut", []byte{destOptions}, 48, 40, 6},
		{"those before a routing header do not", []byte{destOptions, routing}, 64, 64, 48},
		{"all", []byte{hopByHop, destOptions, routing, destOptions}, 80, 72, 56},
	} {
		b := plain
		if c.kinds != nil {
			b = withExtensions(plain, c.kinds...)
		}
		l, _, err := parse(b)
		if err != nil || l.transport != c.transport || l.fragAt != c.fragAt || l.fragField != c.fragField || l.fragment {
			t.Errorf("%s: %+v, %v", c.name, l, err)
		}
		if h, ok := l.tcp(b); !ok || h.SequenceNumber() != 9 {
			t.Errorf("%s: TCP not found", c.name)
		}
	}
	b := withExtensions(plain, hopByHop, fragmentHdr)
	binary.BigEndian.PutUint16(b[50:], 1232|1)
	l, _, err := parse(b)
	if err != nil || !l.fragment || !l.later || !l.more || l.fragOff != 1232 || l.fragAt != 48 || l.fragField != 40 {
		t.Errorf("later fragment: %+v, %v", l, err)
	}
}

// TestEveryPrefix: a packet cut off anywhere is malformed, and harmless.
func TestEveryPrefix(t *testing.T) {
	for name, whole := range samples() {
		b := open(t, Link{Family: familyOf(whole), Up: everything, Down: everything})
		for n := range whole {
			if _, _, err := parse(whole[:n]); err == nil {
				t.Errorf("%s: the first %d bytes pass for a packet", name, n)
			}
			b.Input(whole[:n])
			locate(whole[:n])
		}
		if _, cut, err := parse(append(bytes.Clone(whole), 0, 0)); err != nil || len(cut) != len(whole) {
			t.Errorf("%s: padding not cut off: %v", name, err)
		}
	}
}

func familyOf(b []byte) Family {
	if b[0]>>4 == 6 {
		return IPv6
	}
	return IPv4
}

// everything is a shape with all stages.
var everything = Shape{
	Jitter: 1, Loss: Loss{Rate: 0.1, Burst: Burst{Enter: 0.1, Leave: 0.5}, Nth: []int{3}, NthData: []int{3}},
	Duplicate: 0.2, Reorder: Reorder{Rate: 0.2, By: 1}, Corrupt: Corrupt{Rate: 0.3, Checksum: FixedChecksum},
	Rate: 1e12, MTU: 1280, TooBig: Fragment, ClampMSS: true,
}

// samples are packets of all the kinds the path looks into.
func samples() map[string][]byte {
	v4, v6 := endsOf(7, Link{}), endsOf(7, Link{Family: IPv6})
	data := segment{seq: 1, ack: 1, flags: ack, payload: zeros(300)}
	mss := segment{seq: 1, flags: syn, opts: []byte{1, 2, 4, 5, 180, 1, 1, 0}}
	return map[string][]byte{
		"tcp4":       v4.bytes(data),
		"tcp6":       v6.bytes(data),
		"syn4":       v4.bytes(mss),
		"syn6":       v6.bytes(mss),
		"udp4":       v4.udp(capture.ToServer, zeros(100)),
		"udp6":       v6.udp(capture.ToClient, zeros(100)),
		"extensions": withExtensions(v6.bytes(data), hopByHop, destOptions, routing, destOptions),
		"fragment":   withExtensions(v6.bytes(data), fragmentHdr),
		"icmp4":      icmpError(v4, capture.ToServer, v4.bytesAsArrived(segment{dir: capture.ToClient, seq: 1, flags: ack})),
		"icmp6":      icmpError(v6, capture.ToServer, v6.bytesAsArrived(segment{dir: capture.ToClient, seq: 1, flags: ack})),
	}
}

// bytesAsArrived is a segment as its receiver sees it.
func (e ends) bytesAsArrived(s segment) []byte {
	b := e.bytes(s)
	l, _ := locate(b)
	src, dst := e.arrived(s.dir)
	t := bytes.Clone(b[l.transport:])
	return ipPacket(src, dst, protoTCP, t, header.TCPChecksumOffset, true)
}

// icmpError is a "too big" sent in dir by the end itself about a packet it received.
func icmpError(e ends, dir capture.Direction, quoted []byte) []byte {
	src, dst := e.addrs(dir)
	m := append(make([]byte, 8), quoted...)
	proto := byte(protoICMP)
	m[0], m[1] = 3, 4
	if src.Is6() {
		proto, m[0], m[1] = protoICMPv6, 2, 0
	}
	return ipPacket(src, dst, proto, m, 2, false)
}

// TestICMPErrorIsTranslated: the packet quoted in an error must be the one
// its sender knows, checksums included.
func TestICMPErrorIsTranslated(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		for _, dir := range []capture.Direction{capture.ToServer, capture.ToClient} {
			b := open(t, Link{Family: fam})
			about := segment{dir: 1 - dir, seq: 77, flags: ack, payload: zeros(1200)}
			for _, n := range []int{1 << 16, 60, 48, 28} { // whole, and cut as short as routers cut
				arrived := b.bytesAsArrived(about)
				arrived = arrived[:min(n, len(arrived))]
				if fam == IPv6 && n < 48 {
					continue
				}
				b.Input(icmpError(b.ends, dir, arrived))
				got := b.next(t)
				checkSums(t, got)
				l, _ := locate(got)
				quoted, original := got[l.transport+8:], b.bytes(about)
				if !bytes.Equal(quoted, original[:len(quoted)]) {
					t.Errorf("%s, %d bytes quoted:\n got % x\nwant % x", dir, len(quoted), quoted, original[:len(quoted)])
				}
			}
		}
	})
}

// TestICMPErrorAboutOthers is left as it is: the control of the test above.
func TestICMPErrorAboutOthers(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		b := open(t, Link{Family: fam})
		quoted := b.bytes(segment{seq: 77, flags: ack}) // not as it arrives
		b.Input(icmpError(b.ends, capture.ToServer, quoted))
		got := b.next(t)
		checkSums(t, got)
		l, _ := locate(got)
		if !bytes.Equal(got[l.transport+8:], quoted) {
			t.Error("the quoted packet was changed")
		}
	})
}

// TestUDPChecksum: zero means "none" in IPv4 and must be neither touched nor
// produced.
func TestUDPChecksum(t *testing.T) {
	b := open(t, Link{})
	without := b.udp(capture.ToServer, []byte("x"))
	without[26], without[27] = 0, 0
	b.Input(without)
	if got := b.next(t); got[26] != 0 || got[27] != 0 {
		t.Errorf("no checksum became % x", got[26:28])
	}
	for i := range 1 << 16 { // some payload gives the sum zero
		b.Input(b.udp(capture.ToServer, binary.BigEndian.AppendUint16(nil, uint16(i))))
		got := b.next(t)
		if got[26] == 0 && got[27] == 0 {
			t.Fatalf("payload %#x: checksum became \"none\"", i)
		}
		if l, _ := locate(got); !transportSumOK(got, l) {
			t.Fatalf("payload %#x: checksum wrong", i)
		}
	}
}

// TestNATDelta compares the update by difference with sums made anew.
func TestNATDelta(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		for slot := uint16(1); slot < 5000; slot += 7 {
			e := endsOf(slot, Link{Family: fam})
			oldSrc, oldDst := e.addrs(capture.ToServer)
			newSrc, newDst := e.arrived(capture.ToServer)
			n := newNAT(oldSrc, oldDst, newSrc, newDst)
			b := e.bytes(segment{seq: uint32(slot), flags: ack, payload: []byte{1, 2, 3}})
			l, b, _ := parse(b)
			n.apply(b, l)
			if !transportSumOK(b, l) || (!l.v6 && checksum.Checksum(b[:20], 0) != 0xffff) {
				t.Fatalf("slot %d: wrong sums", slot)
			}
		}
	})
}

// FuzzInput throws packets at a path with every stage: nothing may panic,
// and the books must balance.
func FuzzInput(f *testing.F) {
	for _, b := range samples() {
		f.Add(b, byte(0))
		f.Add(b, byte(255))
	}
	e := NewEngine(func([]byte) {})
	defer e.Shutdown()
	f.Fuzz(func(t *testing.T, pkt []byte, kind byte) {
		shape := everything
		shape.TooBig = []TooBig{SendICMP, EatICMP, Fragment}[kind%3]
		shape.Loss = Loss{}
		if kind&4 != 0 {
			shape.Corrupt.Checksum = WrongChecksum
		}
		if kind&8 != 0 {
			shape.Fragments = DropFragments
		}
		l := Link{Up: shape, Down: shape}
		if len(pkt) > 0 {
			l.Family = familyOf(pkt)
		}
		b := &bench{Engine: e, ends: endsOf(7, l)}
		if err := e.Open(b.path); err != nil {
			t.Fatal(err)
		}
		if loc, cut, err := parse(pkt); err == nil && kind&16 != 0 { // get past the address check
			src, dst := b.addrs(capture.Direction(kind >> 7))
			copy(cut[loc.src:], src.AsSlice())
			copy(cut[loc.dst:], dst.AsSlice())
		}
		for range 3 {
			b.Input(pkt)
		}
		b.close(t)
	})
}
