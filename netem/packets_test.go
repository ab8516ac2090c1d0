package netem

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"hybridlab/lab/capture"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// segment is a TCP segment to be made into bytes.
type segment struct {
	dir      capture.Direction
	seq, ack uint32
	flags    header.TCPFlags
	opts     []byte
	payload  []byte
	mayBeCut bool // IPv4 without "don't fragment"
	ping     bool // not TCP at all, but an ICMP echo request (IPv4)
}

const (
	syn    = header.TCPFlagSyn
	ack    = header.TCPFlagAck
	fin    = header.TCPFlagFin
	rst    = header.TCPFlagRst
	synAck = syn | ack
)

// ends are the addresses and ports of a cell under test, as its ends use them.
type ends struct {
	path                   Path
	clientPort, serverPort uint16
}

var (
	realClient = map[bool]netip.Addr{false: netip.MustParseAddr("172.20.0.4"), true: netip.MustParseAddr("fd00::c")}
	realServer = map[bool]netip.Addr{false: netip.MustParseAddr("172.21.0.3"), true: netip.MustParseAddr("fd01::5")}
)

func endsOf(slot uint16, l Link) ends {
	if l.Name == "" {
		l.Name = "test"
	}
	return ends{Path{Slot: slot, Name: "cell", Seed: 1, Link: l, Client: realClient[l.V6()], Server: realServer[l.V6()]}, 40000, 443}
}

// addrs are the source and destination a packet in dir is sent with.
func (e ends) addrs(dir capture.Direction) (src, dst netip.Addr) {
	v6 := e.path.Link.V6()
	if dir == capture.ToServer {
		return e.path.Client, TargetAddr(e.path.Slot, v6)
	}
	return e.path.Server, ApparentAddr(e.path.Slot, v6)
}

// arrived are the source and destination a packet in dir arrives with.
func (e ends) arrived(dir capture.Direction) (src, dst netip.Addr) {
	v6 := e.path.Link.V6()
	if dir == capture.ToServer {
		return ApparentAddr(e.path.Slot, v6), e.path.Server
	}
	return TargetAddr(e.path.Slot, v6), e.path.Client
}

// bytes is the segment as its sender sends it.
func (e ends) bytes(s segment) []byte {
	src, dst := e.addrs(s.dir)
	if s.ping {
		return ipPacket(src, dst, protoICMP, []byte{8, 0, 0, 0, 0, 1, 0, 1}, 2, false)
	}
	sp, dp := e.clientPort, e.serverPort
	if s.dir == capture.ToClient {
		sp, dp = dp, sp
	}
	t := make([]byte, header.TCPMinimumSize+len(s.opts)+len(s.payload))
	header.TCP(t).Encode(&header.TCPFields{SrcPort: sp, DstPort: dp, SeqNum: s.seq, AckNum: s.ack,
		DataOffset: uint8(header.TCPMinimumSize + len(s.opts)), Flags: s.flags, WindowSize: 65535})
	copy(t[header.TCPMinimumSize:], s.opts)
	copy(t[header.TCPMinimumSize+len(s.opts):], s.payload)
	return ipPacket(src, dst, protoTCP, t, header.TCPChecksumOffset, !s.mayBeCut)
}

// ipPacket puts an IP header before a transport packet and fills in its
// checksum.
func ipPacket(src, dst netip.Addr, proto uint8, transport []byte, sumAt int, df bool) []byte {
	binary.BigEndian.PutUint16(transport[sumAt:], 0)
	sum := uint16(0)
	if proto != protoICMP {
		sum = header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(proto),
			tcpip.AddrFromSlice(src.AsSlice()), tcpip.AddrFromSlice(dst.AsSlice()), uint16(len(transport)))
	}
	sum = ^checksum.Checksum(transport, sum)
	if proto == protoUDP && sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(transport[sumAt:], sum)
	if src.Is6() {
		b := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(transport))
		header.IPv6(b).Encode(&header.IPv6Fields{PayloadLength: uint16(len(transport)), TransportProtocol: tcpip.TransportProtocolNumber(proto),
			HopLimit: 64, SrcAddr: tcpip.AddrFromSlice(src.AsSlice()), DstAddr: tcpip.AddrFromSlice(dst.AsSlice())})
		return append(b, transport...)
	}
	b := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(transport))
	flags := uint8(0)
	if df {
		flags = header.IPv4FlagDontFragment
	}
	header.IPv4(b).Encode(&header.IPv4Fields{TotalLength: uint16(len(b) + len(transport)), TTL: 64, Protocol: proto, Flags: flags, ID: 7,
		SrcAddr: tcpip.AddrFromSlice(src.AsSlice()), DstAddr: tcpip.AddrFromSlice(dst.AsSlice())})
	header.IPv4(b).SetChecksum(^header.IPv4(b).CalculateChecksum())
	return append(b, transport...)
}

// udp is a datagram in dir.
func (e ends) udp(dir capture.Direction, payload []byte) []byte {
	src, dst := e.addrs(dir)
	u := make([]byte, header.UDPMinimumSize, header.UDPMinimumSize+len(payload))
	header.UDP(u).Encode(&header.UDPFields{SrcPort: e.clientPort, DstPort: e.serverPort, Length: uint16(len(u) + len(payload))})
	return ipPacket(src, dst, protoUDP, append(u, payload...), 6, true)
}

// checkSums fails unless all checksums of a packet are right.
func checkSums(t *testing.T, b []byte) {
	t.Helper()
	l, b, err := parse(b)
	if err != nil {
		t.Fatalf("%v: % x", err, b)
	}
	if !l.v6 && !header.IPv4(b).IsChecksumValid() {
		t.Errorf("IP checksum wrong: % x", b[:l.transport])
	}
	if !transportSumOK(b, l) {
		t.Errorf("transport checksum wrong: % x", b)
	}
}

func transportSumOK(b []byte, l layout) bool {
	sum := uint16(0)
	if l.proto != protoICMP {
		sum = header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(l.proto),
			tcpip.AddrFromSlice(b[l.src:l.src+l.size]), tcpip.AddrFromSlice(b[l.dst:l.dst+l.size]), uint16(len(b)-l.transport))
	}
	return checksum.Checksum(b[l.transport:], sum) == 0xffff
}

// addrsOf are the addresses in a packet.
func addrsOf(b []byte) (src, dst netip.Addr) {
	l, _ := locate(b)
	src, _ = netip.AddrFromSlice(b[l.src : l.src+l.size])
	dst, _ = netip.AddrFromSlice(b[l.dst : l.dst+l.size])
	return src, dst
}

// bench is an engine with one open cell and what came out of it.
type bench struct {
	*Engine
	ends
	out chan []byte
}

func open(t testing.TB, l Link) *bench {
	t.Helper()
	b := &bench{ends: endsOf(7, l), out: make(chan []byte, 1<<16)}
	b.Engine = NewEngine(func(p []byte) { b.out <- p })
	t.Cleanup(b.Shutdown)
	if err := b.Open(b.path); err != nil {
		t.Fatal(err)
	}
	return b
}

// close closes the cell and checks its books.
func (b *bench) close(t testing.TB) Trace {
	t.Helper()
	tr, err := b.Close(b.path.Slot)
	if err != nil {
		t.Fatal(err)
	}
	if tr.Uncounted != 0 || tr.Received+tr.Made != tr.Delivered+tr.Dropped {
		t.Errorf("books do not balance: %d received + %d made, %d delivered + %d dropped", tr.Received, tr.Made, tr.Delivered, tr.Dropped)
	}
	return tr
}

// next is the next packet that came out; the test fails when there is none.
func (b *bench) next(t testing.TB) []byte {
	t.Helper()
	select {
	case p := <-b.out:
		return p
	case <-t.Context().Done():
		t.Fatal("nothing came out")
		return nil
	}
}

// both runs a test over both families.
func both(t *testing.T, f func(t *testing.T, family Family)) {
	for _, fam := range []Family{IPv4, IPv6} {
		t.Run(string(fam), func(t *testing.T) { f(t, fam) })
	}
}

// zeros is a payload.
func zeros(n int) []byte { return make([]byte, n) }
