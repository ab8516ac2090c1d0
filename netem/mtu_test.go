package netem

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab/capture"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// TestTooBig sends one packet that fits exactly and one that is a byte too
// long, both ways.
func TestTooBig(t *testing.T) {
	for _, c := range []struct {
		tooBig  TooBig
		allowed bool // IPv4 without "don't fragment"
		drop    string
		out     int // packets that reach the other end
		icmp    int
	}{
		{"", false, "mtu-icmp-sent", 0, 1},
		{SendICMP, false, "mtu-icmp-sent", 0, 1},
		{EatICMP, false, "mtu-icmp-eaten", 0, 0},
		{Fragment, false, "", 2, 0},
		{SendICMP, true, "", 2, 0},
		{EatICMP, true, "", 2, 0},
	} {
		t.Run(fmt.Sprintf("%s allowed=%t", c.tooBig, c.allowed), func(t *testing.T) {
			both(t, func(t *testing.T, fam Family) {
				if c.allowed && fam == IPv6 {
					return // there is no such permission in IPv6
				}
				shape := Shape{MTU: 1280, TooBig: c.tooBig}
				for _, dir := range []capture.Direction{capture.ToServer, capture.ToClient} {
					b := open(t, Link{Family: fam, Up: shape, Down: shape})
					room := 1280 - ipHeader(fam == IPv6) - header.TCPMinimumSize
					fits := b.bytes(segment{dir: dir, seq: 1, flags: ack, payload: zeros(room), mayBeCut: c.allowed})
					b.Input(fits)
					if got := b.next(t); len(got) != 1280 {
						t.Fatalf("what fits arrived with %d bytes", len(got))
					}
					b.Input(b.bytes(segment{dir: dir, seq: 1, flags: ack, payload: zeros(room + 1), mayBeCut: c.allowed}))
					tr := b.close(t)
					if got := tr.Delivered - 1; got != c.out || tr.ICMP != c.icmp || tr.Packets[2].Drop != c.drop {
						t.Errorf("%s: %d arrived, %d ICMP, drop %q", dir, got, tr.ICMP, tr.Packets[2].Drop)
					}
					if c.drop != "" && !strings.Contains(tr.Packets[2].Note, "1281 bytes, MTU 1280") {
						t.Errorf("note %q", tr.Packets[2].Note)
					}
				}
			})
		})
	}
}

// TestICMPTooBig reads the message as its receiver would.
func TestICMPTooBig(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		shape := Shape{MTU: 1300}
		for _, dir := range []capture.Direction{capture.ToServer, capture.ToClient} {
			b := open(t, Link{Family: fam, Up: shape, Down: shape})
			sent := b.bytes(segment{dir: dir, seq: 1, flags: ack, payload: zeros(1400)})
			b.Input(sent)
			got := b.next(t)
			checkSums(t, got)
			src, dst := addrsOf(got)
			wantDst, wantSrc := b.addrs(dir)
			if src != wantSrc || dst != wantDst {
				t.Errorf("%s: from %s to %s, want %s to %s", dir, src, dst, wantSrc, wantDst)
			}
			l, _ := locate(got)
			m := got[l.transport:]
			if fam == IPv6 {
				if m[0] != 2 || m[1] != 0 || binary.BigEndian.Uint32(m[4:]) != 1300 || len(got) != 1280 {
					t.Errorf("ICMPv6 % x, %d bytes", m[:8], len(got))
				}
			} else if m[0] != 3 || m[1] != 4 || binary.BigEndian.Uint16(m[6:]) != 1300 || len(got) != 576 {
				t.Errorf("ICMP % x, %d bytes", m[:8], len(got))
			}
			if !bytes.Equal(m[8:], sent[:len(m)-8]) {
				t.Error("quotes another packet than the one sent")
			}
			tr := b.close(t)
			if p := tr.Packets[1]; p.Side != tr.Packets[0].Side || p.Dir == dir || p.Drop != "" || p.Note == "" {
				t.Errorf("recorded as %s %s, note %q", p.Side, p.Dir, p.Note)
			}
		}
	})
}

// TestNoICMPAboutICMP: RFC 1122 section 3.2.2.
func TestNoICMPAboutICMP(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		b := open(t, Link{Family: fam, Up: Shape{MTU: 1280}})
		err := icmpError(b.ends, capture.ToServer, b.bytesAsArrived(segment{dir: capture.ToClient, seq: 1, flags: ack, payload: zeros(1300)}))
		if fam == IPv4 {
			header.IPv4(err).SetFlagsFragmentOffset(header.IPv4FlagDontFragment, 0)
		}
		b.Input(err)
		if tr := b.close(t); tr.ICMP != 0 || tr.Packets[0].Drop != "mtu-icmp-eaten" {
			t.Errorf("%d ICMP, drop %q", tr.ICMP, tr.Packets[0].Drop)
		}
	})
}

// TestFragmentsReassemble puts the pieces together again, as a receiver
// would, for many sizes.
func TestFragmentsReassemble(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		for _, size := range []int{1261, 1300, 2500, 2513, 5000, 9000, 60000} {
			b := open(t, Link{Family: fam, Up: Shape{MTU: 1280, TooBig: Fragment}})
			payload := zeros(size)
			for i := range payload {
				payload[i] = byte(i * 7 >> 3)
			}
			b.Input(b.bytes(segment{seq: 5, flags: ack, payload: payload}))
			tr := b.close(t)
			var pieces [][]byte
			for range tr.Delivered {
				pieces = append(pieces, b.next(t))
			}
			if tr.Made != tr.Delivered-1 || len(pieces) < 2 {
				t.Errorf("%d bytes: %d delivered, %d made", size, tr.Delivered, tr.Made)
			}
			checkWhole(t, pieces, payload)
		}
	})
}

func checkWhole(t *testing.T, pieces [][]byte, payload []byte) {
	t.Helper()
	for _, p := range pieces {
		if l, _ := locate(p); len(p) > 1280 || !l.fragment {
			t.Errorf("a piece of %d bytes, fragment %t", len(p), l.fragment)
		}
	}
	whole := reassemble(t, pieces)
	checkSums(t, whole)
	l, _ := locate(whole)
	h, ok := l.tcp(whole)
	if !ok || h.SequenceNumber() != 5 || !bytes.Equal(h.Payload(), payload) {
		t.Errorf("%d pieces make another packet", len(pieces))
	}
}

// reassemble is RFC 791 and RFC 8200 section 4.5, for pieces without gaps.
func reassemble(t *testing.T, pieces [][]byte) []byte {
	t.Helper()
	slices.SortFunc(pieces, func(a, b []byte) int {
		la, _ := locate(a)
		lb, _ := locate(b)
		return la.fragOff - lb.fragOff
	})
	var whole []byte
	id := -1
	for i, p := range pieces {
		l, p, err := parse(p)
		if err != nil {
			t.Fatal(err)
		}
		this := int(binary.BigEndian.Uint16(p[4:]))
		if l.v6 {
			this = int(header.IPv6Fragment(p[l.fragAt:]).ID())
		} else if !header.IPv4(p).IsChecksumValid() {
			t.Error("a piece's IP checksum is wrong")
		}
		if id >= 0 && this != id || this == 0 {
			t.Errorf("piece %d has ID %d, the one before %d", i, this, id)
		}
		id = this
		if i == 0 && l.v6 {
			whole = append(whole, p[:l.fragAt]...)
			whole[l.fragField] = p[l.fragAt]
			whole = append(whole, p[l.transport:]...)
			continue
		} else if i == 0 {
			whole = append(whole, p...)
			continue
		}
		head := ipHeader(l.v6)
		if l.fragOff != len(whole)-head || l.more != (i < len(pieces)-1) {
			t.Errorf("piece %d belongs to %d, there are %d bytes; more %t", i, l.fragOff, len(whole)-head, l.more)
		}
		whole = append(whole, p[l.transport:]...)
	}
	if l, _ := locate(whole); l.v6 {
		header.IPv6(whole).SetPayloadLength(uint16(len(whole) - header.IPv6MinimumSize))
	} else {
		h := header.IPv4(whole)
		h.SetFlagsFragmentOffset(0, 0)
		h.SetTotalLength(uint16(len(whole)))
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
	}
	return whole
}

// TestFragmentOfFragment cuts an end's own fragments once more.
func TestFragmentOfFragment(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		payload := zeros(4000)
		for i := range payload {
			payload[i] = byte(i * 11 >> 2)
		}
		b := open(t, Link{Family: fam, Up: Shape{MTU: 1280, TooBig: Fragment}})
		whole := b.bytes(segment{seq: 5, flags: ack, payload: payload})
		l, _ := locate(whole)
		cut := fragments4
		if l.v6 {
			cut = fragments6
		}
		for _, p := range cut(whole, l, 2000, 99) {
			b.Input(p)
		}
		tr := b.close(t)
		var pieces [][]byte
		for range tr.Delivered {
			pieces = append(pieces, b.next(t))
		}
		if len(pieces) != 5 { // 2+2+1
			t.Errorf("%d pieces", len(pieces))
		}
		checkWhole(t, pieces, payload)
	})
}

// TestFragmentOptions: an option without the "copied" bit is in the first
// fragment only, one with it in all (RFC 791 section 3.1).
func TestFragmentOptions(t *testing.T) {
	plain := endsOf(7, Link{}).bytes(segment{seq: 5, flags: ack, payload: zeros(2000), mayBeCut: true})
	opts := []byte{0x07, 4, 4, 0 /* record route, not copied */, 0x94, 4, 0, 0 /* router alert, copied */}
	b := append(append(bytes.Clone(plain[:20]), opts...), plain[20:]...)
	b[0] = 0x47
	header.IPv4(b).SetTotalLength(uint16(len(b)))
	l, _ := locate(b)
	pieces := fragments4(b, l, 1280, 1)
	if len(pieces) != 2 || !bytes.Equal(pieces[0][20:28], opts) {
		t.Fatalf("%d pieces, the first has options % x", len(pieces), pieces[0][20:28])
	}
	if want := []byte{1, 1, 1, 1, 0x94, 4, 0, 0}; !bytes.Equal(pieces[1][20:28], want) {
		t.Errorf("the second has options % x, want % x", pieces[1][20:28], want)
	}
	if id := header.IPv4(pieces[1]).ID(); id != 7 {
		t.Errorf("ID %d, the sender's was 7", id)
	}
}

// TestDropFragments: those an end made and those the path would make, and
// nothing else.
func TestDropFragments(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		b := open(t, Link{Family: fam, Up: Shape{MTU: 1280, TooBig: Fragment, Fragments: DropFragments}})
		small := b.bytes(segment{seq: 1, flags: ack, payload: zeros(600)})
		l, _ := locate(small)
		cut := fragments4
		if l.v6 {
			cut = fragments6
		}
		b.Input(small)
		for _, p := range cut(small, l, 400, 1) {
			b.Input(p)
		}
		b.Input(b.bytes(segment{seq: 1, flags: ack, payload: zeros(1400)}))
		tr := b.close(t)
		if tr.Delivered != 1 || tr.Dropped != tr.Received-1 || tr.Received < 4 {
			t.Errorf("%d received, %d delivered, %d dropped", tr.Received, tr.Delivered, tr.Dropped)
		}
		for _, p := range tr.Packets[2:] {
			if p.Drop != "fragment-dropped" {
				t.Errorf("dropped as %q", p.Drop)
			}
		}
	})
}

// TestClampMSS: lowered on its way, never raised, and only in SYNs.
func TestClampMSS(t *testing.T) {
	option := func(mss uint16) []byte { return []byte{1, 2, 4, byte(mss >> 8), byte(mss), 1, 1, 0} }
	both(t, func(t *testing.T, fam Family) {
		limit := uint16(1280 - 20 - ipHeader(fam == IPv6))
		for _, c := range []struct {
			name      string
			dir       capture.Direction
			flags     header.TCPFlags
			opts      []byte
			want, mss uint16
		}{
			{"SYN lowered", capture.ToServer, syn, option(1460), limit, 1460},
			{"SYN-ACK lowered", capture.ToClient, synAck, option(1460), limit, 1460},
			{"not raised", capture.ToServer, syn, option(536), 536, 536},
			{"only SYNs", capture.ToServer, ack, option(1460), 1460, 1460},
		} {
			shape := Shape{MTU: 1280, ClampMSS: true}
			b := open(t, Link{Family: fam, Up: shape, Down: shape})
			b.Input(b.bytes(segment{dir: c.dir, seq: 1, flags: c.flags, opts: c.opts}))
			got := b.next(t)
			checkSums(t, got)
			l, _ := locate(got)
			h, _ := l.tcp(got)
			if mss := binary.BigEndian.Uint16(h[mssOption(h):]); mss != c.want {
				t.Errorf("%s: MSS %d, want %d", c.name, mss, c.want)
			}
			if note := b.close(t).Packets[1].Note; (note != "") != (c.want != c.mss) {
				t.Errorf("%s: note %q", c.name, note)
			}
		}
	})
}

// TestClampIsPerDirection: what is clamped is what the SYN's sender will be
// sent, so the MTU that counts is the way back's.
func TestClampIsPerDirection(t *testing.T) {
	for name, s := range map[string]Shape{"the MTU's": {MTU: 1280, ClampMSS: true}, "its own": {MSS: 1240}, "the lower": {MTU: 1400, ClampMSS: true, MSS: 1240}} {
		t.Run(name, func(t *testing.T) { clampsOneWay(t, Link{Down: s}) })
	}
}

// clampsOneWay wants an MSS of 1240 announced to the server.
func clampsOneWay(t *testing.T, l Link) {
	b := open(t, l)
	mss := func(dir capture.Direction, flags header.TCPFlags) uint16 {
		b.Input(b.bytes(segment{dir: dir, seq: 1, flags: flags, opts: []byte{2, 4, 5, 180}}))
		got := b.next(t)
		l, _ := locate(got)
		h, _ := l.tcp(got)
		return binary.BigEndian.Uint16(h[22:])
	}
	if got := mss(capture.ToServer, syn); got != 1240 {
		t.Errorf("the client's SYN says %d, want 1240", got)
	}
	if got := mss(capture.ToClient, synAck); got != 1460 {
		t.Errorf("the server's SYN-ACK says %d, want 1460", got)
	}
}

// TestMSSOption walks hostile option lists.
func TestMSSOption(t *testing.T) {
	for _, c := range []struct {
		opts []byte
		want int
	}{
		{[]byte{2, 4, 5, 180}, 22},
		{[]byte{3, 3, 7, 1, 2, 4, 5, 180}, 26},
		{[]byte{0, 2, 4, 5, 180, 0, 0, 0}, 0}, // after the end of the list
		{[]byte{2, 3, 5, 180}, 0},             // wrong length
		{[]byte{1, 1, 1, 2}, 0},               // cut off
		{[]byte{9, 0, 2, 4}, 0},               // a length that goes nowhere
		{[]byte{9, 40, 2, 4}, 0},              // a length beyond the header
		{nil, 0},
	} {
		h := make([]byte, 20+len(c.opts))
		copy(h[20:], c.opts)
		h[12] = byte(len(h) / 4 << 4)
		if got := mssOption(h); got != c.want {
			t.Errorf("% x: %d, want %d", c.opts, got, c.want)
		}
	}
}
