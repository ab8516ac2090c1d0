package netem

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/netem/box"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func routed(name string) box.Program { return box.Program{Name: name, Layer: box.Routed} }

// hop forwards a packet as a router does.
func hop(pkt []byte) [][]byte {
	if pkt[0]>>4 == 6 {
		pkt[7]--
		return [][]byte{pkt}
	}
	ip := header.IPv4(pkt)
	ip.SetTTL(ip.TTL() - 1)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	return [][]byte{pkt}
}

// through asks over a path with these boxes, and returns what came of it.
func (w *town) through(slot uint16, l Link, wait time.Duration, boxes ...box.Program) ([]byte, Trace, error) {
	w.t.Helper()
	v6 := l.V6()
	p := endsOf(slot, l).path
	p.Boxes = boxes
	for n := range p.routedBefore(len(boxes)) {
		p.Routed = append(p.Routed, Routed{Via: realMiddle[0][v6], Slot: slot + 1 + uint16(n)})
	}
	port := uint16(443)
	if p.outsideBefore(len(boxes)) > 0 {
		o := Outside{Addr: realMiddle[1][v6], Slot: slot + 8}
		p.Outside, port = []Outside{o}, 2000+slot
		w.listen(o.Addr, port, w.proxy(o.Addr, netip.AddrPortFrom(TargetAddr(o.Slot, v6), 443)))
	}
	if err := w.Open(p); err != nil {
		w.t.Fatal(err)
	}
	c, err := w.dial(realClient[v6], netip.AddrPortFrom(TargetAddr(slot, v6), port))
	var got []byte
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(wait))
		if _, err = c.Write(question); err == nil {
			c.CloseWrite()
			got, err = io.ReadAll(c)
		}
	}
	tr, closeErr := w.Close(slot)
	if closeErr != nil {
		w.t.Fatal(closeErr)
	}
	books(w.t, tr)
	return got, tr, err
}

// TestRouted: what is routed through a middlebox is one connection from end to
// end, alone and in chains; no packet is the box's.
func TestRouted(t *testing.T) {
	passes, err := box.Box{Name: "relay", Layer: box.Stream, When: "ch>60000", Do: "RST(client)"}.Program("relay", nil)
	if err != nil {
		t.Fatal(err)
	}
	looks := rule(t, "looks", "ch>60000", "RST(client)")
	slot := uint16(100)
	for _, l := range []Link{{}, {Family: IPv6}, {Up: Shape{Delay: time.Millisecond}, Down: Shape{MTU: 1280}}} {
		v6 := l.V6()
		w := newTown(t, v6)
		w.router = hop
		w.listen(realServer[v6], 443, answering)
		for name, chain := range map[string][]box.Program{
			"alone":               {routed("ips@1")},
			"two":                 {routed("ips@1"), routed("ips@1")},
			"among packet boxes":  {looks, routed("ips@1"), looks},
			"between two relays":  {passes, routed("ips@1"), passes},
			"before a real proxy": {routed("ips@1"), outside("real@1")},
			"behind a real proxy": {outside("real@1"), routed("ips@1")},
		} {
			got, tr, err := w.through(slot, l, 10*time.Second, chain...)
			slot += 10
			if err != nil || !bytes.Equal(got, reply) {
				t.Errorf("%s: answer of %d bytes, %v", name, len(got), err)
			}
			up, _, near := streamsOf(t, tr, capture.ClientSide)
			upFar, downFar, far := streamsOf(t, tr, capture.ServerSide)
			one := !slices.ContainsFunc(chain, box.Program.EndsTCP)
			if !bytes.Equal(up, question) || !bytes.Equal(upFar, question) || !bytes.Equal(downFar, reply) || (near == far) != one {
				t.Errorf("%s: client's side %d bytes, server's %d and %d; one connection: %t", name, len(up), len(upFar), len(downFar), near == far)
			}
			if one && tr.Made != 0 || len(tr.Boxes) != 0 {
				t.Errorf("%s: %d packets made, deeds %+v", name, tr.Made, tr.Boxes)
			}
			for i, p := range tr.Packets {
				l, b, err := parse(p.Data)
				if err != nil || strings.HasPrefix(p.Note, "made by the path") {
					continue
				}
				if l.proto == protoTCP && l.checksumAt(b) != 0 && sumOf(b, l) != 0xffff {
					t.Fatalf("%s: packet %d has a wrong checksum", name, i)
				}
			}
		}
	}
}

// sumOf is the ones' complement sum that a right TCP checksum makes 0xffff.
func sumOf(b []byte, l layout) uint16 {
	sum := checksum.Checksum(b[l.src:l.src+2*l.size], 0)
	sum = checksum.Combine(sum, checksum.Combine(uint16(len(b)-l.transport), protoTCP))
	return checksum.Checksum(b[l.transport:], sum)
}

// TestRoutedActs: what the box eats, changes and makes is on record.
func TestRoutedActs(t *testing.T) {
	big := func(pkt []byte) bool { return len(pkt) > 1000 }
	for _, tt := range []struct {
		deed   string
		router func([]byte) [][]byte
		err    func(error) bool
	}{
		{"drop", func(pkt []byte) [][]byte {
			if big(pkt) {
				return nil
			}
			return hop(pkt)
		}, func(err error) bool { return err != nil }},
		{"changed it", func(pkt []byte) [][]byte {
			if l, _ := locate(pkt); big(pkt) {
				before := checksum.Checksum(pkt[len(pkt)-2:], 0)
				pkt[len(pkt)-2] ^= 0x20
				adjust(pkt[l.checksumAt(pkt):], checksum.Combine(checksum.Checksum(pkt[len(pkt)-2:], 0), ^before))
			}
			return hop(pkt)
		}, func(err error) bool { return err == nil }},
		{"RST(client)", func(pkt []byte) [][]byte {
			l, b, err := parse(pkt)
			tcp, ok := l.tcp(b)
			if !ok || err != nil || len(tcp.Payload()) == 0 || len(b) < 1000 {
				return hop(pkt)
			}
			back := bytes.Clone(b[:l.transport+header.TCPMinimumSize])
			ip, answer := header.IPv4(back), header.TCP(back[l.transport:])
			copy(back[l.src:], b[l.dst:l.dst+4])
			copy(back[l.dst:], b[l.src:l.src+4])
			answer.Encode(&header.TCPFields{SrcPort: tcp.DestinationPort(), DstPort: tcp.SourcePort(), SeqNum: tcp.AckNumber(), AckNum: tcp.SequenceNumber() + uint32(len(tcp.Payload())),
				DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagRst | header.TCPFlagAck})
			ip.SetTotalLength(uint16(len(back)))
			ip.SetChecksum(0)
			ip.SetChecksum(^ip.CalculateChecksum())
			answer.SetChecksum(0)
			answer.SetChecksum(^sumOf(back, l))
			return [][]byte{back}
		}, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
	} {
		w := newTown(t, false)
		w.router = tt.router
		w.listen(realServer[false], 443, answering)
		_, tr, err := w.through(10, Link{}, eaten+200*time.Millisecond, routed("ips@1"))
		if !tt.err(err) {
			t.Errorf("%s: %v", tt.deed, err)
		}
		i := slices.IndexFunc(tr.Boxes, func(d BoxDeed) bool { return d.Box == "ips@1" && d.Action == tt.deed && len(d.Packets) > 0 })
		if i < 0 {
			t.Errorf("%s: deeds %+v", tt.deed, tr.Boxes)
			continue
		}
		p := tr.Packets[tr.Boxes[i].Packets[0]]
		if dropped := p.Drop == dropBox; dropped != (tt.deed == "drop") || dropped && !strings.Contains(p.Note, "box ips@1: drop") {
			t.Errorf("%s: done to a packet with drop %q, note %q", tt.deed, p.Drop, p.Note)
		}
	}
}

func TestOpenRefusesRoutes(t *testing.T) {
	e := NewEngine(func([]byte) {})
	t.Cleanup(e.Shutdown)
	via := realMiddle[0][false]
	for _, tt := range []struct {
		want   string
		boxes  []box.Program
		routed []Routed
	}{
		{"1 boxes are routed through and 0 of them", []box.Program{routed("a")}, nil},
		{"slot 7 is that of two legs", []box.Program{routed("a")}, []Routed{{via, 7}}},
		{"does not fit link", []box.Program{routed("a")}, []Routed{{realMiddle[0][true], 8}}},
	} {
		p := endsOf(7, Link{}).path
		p.Boxes, p.Routed = tt.boxes, tt.routed
		if err := e.Open(p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want %q: %v", tt.want, err)
		}
	}
}
