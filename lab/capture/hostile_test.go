package capture_test

import (
	"bytes"
	"crypto/tls"
	"math/rand/v2"
	"runtime"
	"testing"

	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
)

// handshake is a real TLS handshake with data and close as a capture.
func handshake(t testing.TB, v6 bool) (*capturetest.Path, []byte) {
	t.Helper()
	flights, keylog, err := capturetest.Talk(&tls.Config{}, &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := capturetest.New(v6)
	p.Open()
	p.Play(flights)
	p.Close(up)
	return p, keylog
}

// A capture that ends early gives the beginning of what the whole one gives.
func TestEveryPrefixOfACapture(t *testing.T) {
	p, _ := handshake(t, false)
	whole := oneFlow(t, p, capture.ServerSide)
	for n := range p.Packets {
		for _, f := range flowsOf(t, p.Packets[:n], capture.ServerSide) {
			for d := range f.Streams {
				if !bytes.HasPrefix(whole.Streams[d].Data, f.Streams[d].Data) {
					t.Fatalf("%d packets: stream %d is no prefix", n, d)
				}
			}
		}
	}
}

// Every cut of a packet's bytes is an error where it enters the engine and
// nothing at all where it leaves: its receiver would not see it.
func TestEveryPrefixOfAPacket(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		p, _ := handshake(t, v6)
		whole := p.Packets[6].Data // the ClientHello's first segment
		for n := range whole {
			in := capture.Packet{Side: capture.ClientSide, Dir: up, Data: whole[:n]}
			if flows, err := capture.Flows([]capture.Packet{in}, capture.ClientSide); err == nil || len(flows) > 0 {
				t.Fatalf("v6 %t, %d bytes in: %d flows, error %v", v6, n, len(flows), err)
			}
			out := capture.Packet{Side: capture.ServerSide, Dir: up, Data: whole[:n]}
			if flows, err := capture.Flows([]capture.Packet{out}, capture.ServerSide); err != nil || len(flows) > 0 {
				t.Fatalf("v6 %t, %d bytes out: %d flows, error %v", v6, n, len(flows), err)
			}
		}
	}
}

// One bit wrong anywhere in a packet that leaves the engine: the receiver
// discards it. The bits it does not check (IPv6 has no header checksum) may
// stay wrong, so there the bytes must still be the right ones.
func TestEveryFlippedBit(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		p := capturetest.New(v6)
		p.Open()
		p.Put(capturetest.Segment{Flags: capture.ACK, Payload: text(64)})
		last := &p.Packets[len(p.Packets)-1]
		for bit := range 8 * len(last.Data) {
			last.Data[bit/8] ^= 1 << (bit % 8)
			for _, f := range flowsOf(t, p.Packets, capture.ServerSide) {
				if d := f.Streams[up].Data; len(d) > 0 && (!v6 || !bytes.Equal(d, text(64))) {
					t.Fatalf("v6 %t, bit %d: %d bytes got through", v6, bit, len(d))
				}
			}
			last.Data[bit/8] ^= 1 << (bit % 8)
		}
		if f := oneFlow(t, p, capture.ServerSide); !bytes.Equal(f.Streams[up].Data, text(64)) {
			t.Errorf("v6 %t: the undamaged packet did not get through", v6)
		}
	}
}

// TCP options cannot make the decoder do anything but refuse.
func TestHostileOptions(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		opts := make([]byte, 4*rng.IntN(11))
		for i := range opts {
			opts[i] = byte(rng.IntN(256) >> rng.IntN(8))
		}
		p := capturetest.New(false)
		p.Put(capturetest.Segment{Flags: capture.SYN, Options: opts})
		flows, err := capture.Flows(p.Packets, capture.ClientSide)
		if (err == nil) != (len(flows) == 1) {
			t.Fatalf("options %x: %d flows, error %v", opts, len(flows), err)
		}
	}
}

// Gaps that are never filled must not hold memory without limit, and one
// capture must not show in the next.
func TestGapsWithoutEnd(t *testing.T) {
	p := capturetest.New(false)
	p.Open()
	for i := range 30000 {
		p.Packets = append(p.Packets, capture.Packet{Side: capture.ClientSide, Data: p.Packet(capture.ClientSide,
			capturetest.Segment{Flags: capture.ACK, Seq: uint64(2*i + 1), Payload: []byte{1}})})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	flows := flowsOf(t, p.Packets, capture.ClientSide)
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 50 {
		t.Errorf("allocated %d MiB, a page of 2 kB for each would be 60", used)
	}
	s := flows[0].Streams[up]
	if len(s.Data) != 0 || !s.Gap {
		t.Errorf("%d bytes in order, gap %t; the first byte was never sent", len(s.Data), s.Gap)
	}
	for range 20 {
		small := capturetest.New(false)
		small.Open()
		small.Send(up, text(3000))
		if s := oneFlow(t, small, capture.ClientSide).Streams[up]; !bytes.Equal(s.Data, text(3000)) {
			t.Fatal("a capture after a hostile one came out wrong")
		}
	}
}

// pack and unpack turn packets into bytes a fuzzer can change.
func pack(packets []capture.Packet) []byte {
	var b []byte
	for _, p := range packets {
		b = append(b, byte(p.Side)|byte(p.Dir)<<1, byte(len(p.Data)>>8), byte(len(p.Data)))
		b = append(b, p.Data...)
	}
	return b
}

func unpack(b []byte) []capture.Packet {
	var out []capture.Packet
	for len(b) >= 3 {
		p := capture.Packet{Side: capture.Side(b[0] & 1), Dir: capture.Direction(b[0] >> 1 & 3)}
		n := min(int(b[1])<<8|int(b[2]), len(b)-3)
		p.Data, b = b[3:3+n], b[3+n:]
		out = append(out, p)
	}
	return out
}

func FuzzFlows(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		p, _ := handshake(f, v6)
		p.Put(capturetest.Segment{Flags: capture.ACK, Seq: 9999, Payload: text(900), Pieces: 3})
		f.Add(pack(p.Packets[:12]))
		f.Add(pack(p.Packets[len(p.Packets)-4:]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		packets := unpack(b)
		for _, side := range []capture.Side{capture.ClientSide, capture.ServerSide} {
			flows, err := capture.Flows(packets, side)
			if err != nil && bytes.Contains([]byte(err.Error()), []byte("reassemble")) {
				t.Fatal(err)
			}
			for i := range flows {
				for d := range flows[i].Streams {
					sane(t, &flows[i].Streams[d], len(b))
				}
			}
		}
	})
}

// sane is what must hold for any stream.
func sane(t *testing.T, s *capture.Stream, most int) {
	t.Helper()
	fresh := 0
	for _, seg := range s.Segments {
		fresh += seg.Fresh
		if seg.Fresh > seg.Len || seg.Retransmit && seg.Len > 0 && seg.Fresh == seg.Len && seg.Flags&(capture.SYN|capture.FIN) == 0 {
			t.Fatalf("segment %+v", seg)
		}
	}
	if len(s.Data) > most || len(s.Data) > fresh {
		t.Fatalf("%d bytes in order from %d captured", len(s.Data), fresh)
	}
	if s.Gap != (fresh > len(s.Data)) {
		t.Fatalf("gap %t with %d of %d bytes in order", s.Gap, len(s.Data), fresh)
	}
	if s.Unseen > s.Acked {
		t.Fatalf("unseen %d of %d acknowledged bytes", s.Unseen, s.Acked)
	}
}

func BenchmarkFlows(b *testing.B) {
	p, _ := handshake(b, false)
	b.ReportMetric(float64(len(p.Packets)), "packets")
	b.ReportAllocs()
	for b.Loop() {
		for _, side := range []capture.Side{capture.ClientSide, capture.ServerSide} {
			if _, err := capture.Flows(p.Packets, side); err != nil {
				b.Fatal(err)
			}
		}
	}
}
