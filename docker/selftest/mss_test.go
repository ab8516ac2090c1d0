package selftest

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"hybridlab/lab/capture"
)

// segment is as much of a TCP packet as this test needs. It has its own
// reader, to share no mistake with the engine's or the judge's.
type segment struct {
	from, to [18]byte // address and port
	syn      bool
	mss      int // announced in a SYN; 0: not
	payload  int
	seq      uint32
}

// readSegment reads an IPv4 or IPv6 packet without extension headers. It is
// false for what is not a whole TCP packet of that kind.
func readSegment(pkt []byte) (s segment, ok bool) {
	var tcp []byte
	switch {
	case len(pkt) >= 20 && pkt[0]>>4 == 4 && pkt[9] == 6:
		head := int(pkt[0]&15) * 4
		if head < 20 || len(pkt) < head {
			return s, false
		}
		copy(s.from[:], pkt[12:16])
		copy(s.to[:], pkt[16:20])
		tcp = pkt[head:]
	case len(pkt) >= 40 && pkt[0]>>4 == 6 && pkt[6] == 6:
		copy(s.from[:], pkt[8:24])
		copy(s.to[:], pkt[24:40])
		tcp = pkt[40:]
	}
	if len(tcp) < 20 {
		return s, false
	}
	head := int(tcp[12]>>4) * 4
	if head < 20 || len(tcp) < head {
		return s, false
	}
	copy(s.from[16:], tcp[0:2])
	copy(s.to[16:], tcp[2:4])
	s.syn, s.payload, s.seq = tcp[13]&2 != 0, len(tcp)-head, binary.BigEndian.Uint32(tcp[4:])
	for opt := tcp[20:head]; s.syn && len(opt) >= 4 && opt[0] != 0; {
		switch {
		case opt[0] == 1:
			opt = opt[1:]
			continue
		case opt[0] == 2 && opt[1] == 4:
			s.mss = int(binary.BigEndian.Uint16(opt[2:]))
		}
		opt = opt[min(max(2, int(opt[1])), len(opt)):]
	}
	return s, true
}

// oversized lists the segments with more payload than their receiver said it
// takes, and those of which that is not known. A wire carries neither; a veth
// with offloads does.
func oversized(packets []capture.Packet) (faults []string, segments int) {
	type end struct {
		side capture.Side
		addr [18]byte
	}
	limit := map[end]int{}
	for i, p := range packets {
		s, ok := readSegment(p.Data)
		if !ok {
			continue
		}
		segments++
		if s.syn && s.mss > 0 {
			limit[end{p.Side, s.from}] = s.mss
		}
		if most := limit[end{p.Side, s.to}]; s.payload > most {
			faults = append(faults, fmt.Sprintf("packet %d (%s, %s): %d bytes of payload, the receiver takes %d", i+1, p.Side, p.Dir, s.payload, most))
		}
	}
	return faults, segments
}

// tcp4 makes an IPv4 TCP packet; mss 0 makes one that is no SYN.
func tcp4(from, to byte, mss uint16, payload int) []byte {
	pkt := make([]byte, 44+payload)
	pkt[0], pkt[9], pkt[12], pkt[16] = 0x45, 6, from, to
	pkt[32] = 6 << 4
	pkt[40], pkt[41], pkt[42], pkt[43] = 1, 1, 1, 1
	if mss > 0 {
		pkt[33], pkt[40], pkt[41] = 2, 2, 4
		binary.BigEndian.PutUint16(pkt[42:], mss)
	}
	return pkt
}

func TestOversizedSeesWhatItShould(t *testing.T) {
	syn := capture.Packet{Data: tcp4(1, 2, 1460, 0)}
	synack := capture.Packet{Data: tcp4(2, 1, 536, 0)}
	for _, tc := range []struct {
		name    string
		packets []capture.Packet
		say     string
	}{
		{"as large as allowed", []capture.Packet{syn, synack, {Data: tcp4(1, 2, 0, 536)}, {Data: tcp4(2, 1, 0, 1460)}}, ""},
		{"one byte more", []capture.Packet{syn, synack, {Data: tcp4(1, 2, 0, 537)}}, "packet 3 (client side, to server): 537 bytes of payload, the receiver takes 536"},
		{"a super-packet", []capture.Packet{syn, synack, {Data: tcp4(2, 1, 0, 14600)}}, "14600 bytes"},
		{"limit of the other side of the path", []capture.Packet{syn, synack, {Data: tcp4(1, 2, 0, 100), Side: capture.ServerSide}}, "takes 0"},
	} {
		faults, n := oversized(tc.packets)
		if got := strings.Join(faults, "; "); n != len(tc.packets) || (got == "") != (tc.say == "") || !strings.Contains(got, tc.say) {
			t.Errorf("%s: %q from %d segments, want %q", tc.name, got, n, tc.say)
		}
	}
}

func FuzzReadSegment(f *testing.F) {
	f.Add(tcp4(1, 2, 1460, 5))
	f.Add([]byte{0x60, 6: 6, 59: 0})
	f.Fuzz(func(t *testing.T, pkt []byte) {
		if s, ok := readSegment(pkt); ok && s.payload > len(pkt)-40 {
			t.Errorf("%d bytes of payload in a packet of %d", s.payload, len(pkt))
		}
	})
}
