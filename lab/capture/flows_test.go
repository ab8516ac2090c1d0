package capture_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
)

const (
	up   = capture.ToServer
	down = capture.ToClient
)

// text is n bytes that differ from their neighbours.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func flowsOf(t *testing.T, packets []capture.Packet, side capture.Side) []capture.Flow {
	t.Helper()
	flows, err := capture.Flows(packets, side)
	if err != nil {
		t.Fatalf("Flows(%s): %v", side, err)
	}
	return flows
}

func oneFlow(t *testing.T, p *capturetest.Path, side capture.Side) capture.Flow {
	t.Helper()
	flows := flowsOf(t, p.Packets, side)
	if len(flows) != 1 {
		t.Fatalf("%s: %d flows, want 1", side, len(flows))
	}
	return flows[0]
}

func TestFlowOfAWholeConnection(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		p := capturetest.New(v6)
		p.Open()
		p.Send(up, text(3000))
		p.Send(down, text(5000))
		p.Close(up)
		for _, side := range []capture.Side{capture.ClientSide, capture.ServerSide} {
			f := oneFlow(t, p, side)
			if f.Client != p.Client[side] || f.Server != p.Server[side] {
				t.Errorf("%s: %s to %s, want %s to %s", side, f.Client, f.Server, p.Client[side], p.Server[side])
			}
			if !f.Established {
				t.Errorf("%s: not established", side)
			}
			for dir, want := range map[capture.Direction]int{up: 3000, down: 5000} {
				s := f.Streams[dir]
				if !bytes.Equal(s.Data, text(want)) {
					t.Errorf("%s %s: %d bytes differ from the %d sent", side, dir, len(s.Data), want)
				}
				if s.Dir != dir || s.Gap || s.RST || !s.FIN || !s.SYN || s.ISN != p.ISN[dir] || s.MSS != p.MSS[dir] {
					t.Errorf("%s %s: %+v", side, dir, s)
				}
				if s.Acked != uint64(want) || s.Unseen != 0 {
					t.Errorf("%s %s: acked %d, unseen %d, want %d and 0", side, dir, s.Acked, s.Unseen, want)
				}
				if slices.ContainsFunc(s.Segments, func(x capture.Segment) bool { return x.Retransmit }) {
					t.Errorf("%s %s: a retransmission where there was none", side, dir)
				}
			}
		}
		f := oneFlow(t, p, capture.ClientSide)
		if f.SYN != time.Millisecond {
			t.Errorf("SYN at %s, want 1ms", f.SYN)
		}
		if c, s := f.Streams[up].Closed, f.Streams[down].Closed; c.Packet >= s.Packet {
			t.Errorf("client's FIN is packet %d, server's %d: the client's came first", c.Packet, s.Packet)
		}
	}
}

func TestSegmentsSayWhatTheyCarried(t *testing.T) {
	p := capturetest.New(false)
	p.Open()
	p.Send(up, text(3000)) // 1460 + 1460 + 80
	s := oneFlow(t, p, capture.ClientSide).Streams[up]
	for _, c := range []struct {
		from, to uint64
		want     int
	}{{0, 3000, 3}, {0, 1460, 1}, {0, 1461, 2}, {1459, 1460, 1}, {2920, 3000, 1}, {3000, 4000, 0}} {
		if got := len(s.Carried(c.from, c.to)); got != c.want {
			t.Errorf("bytes %d to %d came in %d segments, want %d", c.from, c.to, got, c.want)
		}
	}
	// Each segment crosses in 1 ms: SYN, SYN-ACK, ACK, then data.
	if at, ok := s.At(1460); !ok || at != 5*time.Millisecond {
		t.Errorf("byte 1460 came at %s (%t), want 5ms", at, ok)
	}
	if at, ok := s.At(3000); ok {
		t.Errorf("byte 3000 came at %s and was never sent", at)
	}
}

func TestWrappingSequenceNumbers(t *testing.T) {
	// At every distance from the wrap, in order and out of order.
	for before := range uint32(4) {
		for _, swap := range []bool{false, true} {
			p := capturetest.New(false)
			p.ISN = [2]uint32{math.MaxUint32 - before*1460, math.MaxUint32 - before}
			p.Open()
			segs := p.Cut(up, text(6000), 1460)
			if swap {
				segs[0], segs[2] = segs[2], segs[0]
				segs[1], segs[3] = segs[3], segs[1]
			}
			for _, s := range segs {
				p.Put(s)
			}
			p.Acknowledge(up)
			s := oneFlow(t, p, capture.ServerSide).Streams[up]
			if !bytes.Equal(s.Data, text(6000)) || s.Acked != 6000 || s.Gap {
				t.Errorf("%d segments before the wrap, swapped %t: %d bytes, acked %d, gap %t", before, swap, len(s.Data), s.Acked, s.Gap)
			}
		}
	}
}

func TestNewConnectionFromTheSamePort(t *testing.T) {
	p := capturetest.New(false)
	p.Open()
	p.Send(up, []byte("first"))
	p.Reset(down)
	again := capturetest.New(false)
	again.Packets, again.Now = p.Packets, p.Now
	again.ISN = [2]uint32{77777, 88888}
	again.Open()
	again.Send(up, []byte("second"))
	flows := flowsOf(t, again.Packets, capture.ServerSide)
	if len(flows) != 2 {
		t.Fatalf("%d flows, want 2", len(flows))
	}
	for i, want := range []string{"first", "second"} {
		if got := string(flows[i].Streams[up].Data); got != want {
			t.Errorf("flow %d carried %q, want %q", i, got, want)
		}
	}
	if !flows[0].Streams[down].RST || flows[1].Streams[down].RST {
		t.Error("the reset belongs to the first connection only")
	}
}

// A SYN that is repeated with its own number is the same connection.
func TestRepeatedSYN(t *testing.T) {
	p := capturetest.New(false)
	p.Put(capturetest.Segment{Flags: capture.SYN, Options: []byte{2, 4, 2, 0}, Drop: "loss"})
	p.MSS[up] = 0 // some stacks leave options out when they try again
	p.Open()
	p.Send(up, []byte("hello"))
	client, server := oneFlow(t, p, capture.ClientSide), oneFlow(t, p, capture.ServerSide)
	if got := client.Streams[up].Segments; got[0].Retransmit || !got[1].Retransmit {
		t.Errorf("client side: first SYN retransmit %t, second %t", got[0].Retransmit, got[1].Retransmit)
	}
	if server.Streams[up].Segments[0].Retransmit {
		t.Error("server side: it saw one SYN, and that is no retransmission")
	}
	if client.SYN != time.Millisecond {
		t.Errorf("SYN at %s, want that of the first, 1ms", client.SYN)
	}
	if c, s := client.Streams[up].MSS, server.Streams[up].MSS; c != 512 || s != 0 {
		t.Errorf("MSS %d on the client side, %d on the server side; want 512 and none", c, s)
	}
}

// What the engine dropped on its way out was not received.
func TestDroppedWhereItLeaves(t *testing.T) {
	p := capturetest.New(false)
	p.Open()
	p.Send(up, text(500))
	last := &p.Packets[len(p.Packets)-3] // the data, leaving; then its acknowledgement, twice
	if last.Side != capture.ServerSide || len(last.Data) != 540 {
		t.Fatalf("packet of %d bytes on the %s", len(last.Data), last.Side)
	}
	last.Drop = "cell-closed"
	if got := oneFlow(t, p, capture.ServerSide).Streams[up]; len(got.Data) != 0 || got.Unseen != 500 {
		t.Errorf("%d bytes received, %d unseen", len(got.Data), got.Unseen)
	}
}

func TestResets(t *testing.T) {
	p := capturetest.New(false)
	p.Open()
	segs := p.Cut(up, text(2000), 1000)
	p.Put(segs[0])
	// A box forges a reset in the client's name; the client goes on.
	p.Packets = append(p.Packets, capture.Packet{At: p.Now, Side: capture.ServerSide, Data: p.Packet(capture.ServerSide,
		capturetest.Segment{Flags: capture.RST | capture.ACK, Seq: 123456, Ack: 99999, Payload: []byte("go away")})})
	p.Put(segs[1])
	client, server := oneFlow(t, p, capture.ClientSide).Streams[up], oneFlow(t, p, capture.ServerSide).Streams[up]
	if client.RST || !server.RST {
		t.Errorf("RST on the client side %t, on the server side %t; want only the server side", client.RST, server.RST)
	}
	if !bytes.Equal(server.Data, text(2000)) || server.Gap {
		t.Errorf("after the reset %d bytes, gap %t; want 2000", len(server.Data), server.Gap)
	}
	if s := oneFlow(t, p, capture.ServerSide).Streams[down]; s.Acked != 0 || s.Unseen != 0 {
		t.Errorf("a forged reset acknowledged %d bytes of the server's", s.Acked)
	}
	if !server.Closed.Flags.Has(capture.RST) || server.Closed.Seq != 123456 {
		t.Errorf("closed by %+v", server.Closed)
	}
}

func TestTunnelsAndOthersAreIgnored(t *testing.T) {
	p := capturetest.New(false)
	p.Open()
	inner := p.Packets[0].Data
	src, dst := p.Client[0].Addr(), p.Server[0].Addr()
	p.Packets = append(p.Packets,
		capture.Packet{Data: capturetest.IP(src, dst, 4, inner)},          // IP in IP
		capture.Packet{Data: capturetest.IP(src, dst, 17, text(20))},      // UDP
		capture.Packet{Data: capturetest.IP(src, dst, 1, text(8))},        // ICMP
		capture.Packet{Data: capturetest.IP(src, dst, 6, inner[20:])[:0]}, // nothing
	)
	flows, err := capture.Flows(p.Packets, capture.ClientSide)
	if len(flows) != 1 || len(flows[0].Streams[up].Segments) != 2 {
		t.Errorf("flows: %+v", flows)
	}
	if err == nil || !strings.Contains(err.Error(), "packet 10, client side, to server: decode IP packet of 0 bytes") {
		t.Errorf("error for the empty packet: %v", err)
	}
}

func TestUnreadablePacketsAreReportedTogether(t *testing.T) {
	p := capturetest.New(false)
	p.Open()
	whole := p.Packets[0].Data
	for _, cut := range []int{1, 19, 39} {
		p.Packets = append(p.Packets, capture.Packet{Data: whole[:cut]})
	}
	flows, err := capture.Flows(p.Packets, capture.ClientSide)
	if len(flows) != 1 || !flows[0].Established {
		t.Errorf("the readable packets gave %d flows", len(flows))
	}
	if err == nil || !strings.Contains(err.Error(), "packet 7,") || !strings.Contains(err.Error(), "2 more packets") {
		t.Errorf("error: %v", err)
	}
}
