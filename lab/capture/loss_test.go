package capture_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
)

// transfer sends 6,000 bytes up in segments of 1,000 after edit had its way
// with them.
func transfer(v6 bool, edit func([]capturetest.Segment) []capturetest.Segment) *capturetest.Path {
	p := capturetest.New(v6)
	p.Open()
	for _, s := range edit(p.Cut(up, text(6000), 1000)) {
		p.Put(s)
	}
	return p
}

// part is bytes from up to end as a segment.
func part(from, end int) capturetest.Segment {
	return capturetest.Segment{Flags: capture.ACK, Seq: uint64(from), Payload: text(6000)[from:end]}
}

func TestWhatThePathDidToTheSegments(t *testing.T) {
	type segs = []capturetest.Segment
	insert := func(at int, x ...capturetest.Segment) func(segs) segs {
		return func(s segs) segs { return slices.Insert(s, at, x...) }
	}
	for _, c := range []struct {
		name        string
		edit        func(segs) segs
		sent, got   int // bytes in order on the client side, on the server side
		gap         bool
		retransmits int // sent
		carriers    int // segments that carried the bytes to the server
	}{
		{"nothing", func(s segs) segs { return s }, 6000, 6000, false, 0, 6},
		{"backwards", func(s segs) segs { slices.Reverse(s); return s }, 6000, 6000, false, 0, 6},
		{"one lost", func(s segs) segs { s[1].Drop = "loss"; return s }, 6000, 1000, true, 0, 5},
		{"one lost and sent again", func(s segs) segs { s[1].Drop = "loss"; return append(s, part(1000, 2000)) }, 6000, 6000, false, 1, 6},
		{"last lost", func(s segs) segs { s[5].Drop = "loss"; return s }, 6000, 5000, false, 0, 5},
		{"first lost", func(s segs) segs { s[0].Drop = "loss"; return s }, 6000, 0, true, 0, 5},
		{"sent twice", insert(3, part(2000, 3000)), 6000, 6000, false, 1, 6},
		{"sent again with more", insert(1, part(0, 1500)), 6000, 6000, false, 2, 7},
		{"sent again across a hole", func(s segs) segs { s[1].Drop = "loss"; return append(s, part(500, 3500)) }, 6000, 6000, false, 1, 6},
		{"sent again smaller", func(s segs) segs {
			for i := range s {
				s[i].Drop = "mtu-icmp-sent"
			}
			for at := 0; at < 6000; at += 500 {
				s = append(s, part(at, at+500))
			}
			return s
		}, 6000, 6000, false, 12, 12},
		{"corrupted", func(s segs) segs { s[2].Corrupt = 7; return s }, 6000, 2000, true, 0, 5},
		{"corrupted and sent again", func(s segs) segs { s[2].Corrupt = 7; return append(s, part(2000, 3000)) }, 6000, 6000, false, 1, 6},
		{"in IP fragments", func(s segs) segs { s[0].Pieces, s[3].Pieces = 2, 3; return s }, 6000, 6000, false, 0, 6},
	} {
		for _, v6 := range []bool{false, true} {
			p := transfer(v6, c.edit)
			sent, got := oneFlow(t, p, capture.ClientSide).Streams[up], oneFlow(t, p, capture.ServerSide).Streams[up]
			if !bytes.Equal(sent.Data, text(6000)[:c.sent]) || sent.Gap {
				t.Errorf("%s: client side: %d bytes, gap %t; want %d", c.name, len(sent.Data), sent.Gap, c.sent)
			}
			if !bytes.Equal(got.Data, text(6000)[:c.got]) || got.Gap != c.gap {
				t.Errorf("%s: server side: %d bytes, gap %t; want %d, %t", c.name, len(got.Data), got.Gap, c.got, c.gap)
			}
			n := 0
			for _, s := range sent.Segments {
				if s.Retransmit {
					n++
				}
			}
			if n != c.retransmits {
				t.Errorf("%s: %d retransmissions, want %d", c.name, n, c.retransmits)
			}
			if n := len(got.Carried(0, 6000)); n != c.carriers {
				t.Errorf("%s: carried to the server by %d segments, want %d", c.name, n, c.carriers)
			}
		}
	}
}

// Bytes that are acknowledged on a side where they were never captured mean
// the capture is incomplete.
func TestUnseen(t *testing.T) {
	p := transfer(false, func(s []capturetest.Segment) []capturetest.Segment { return s })
	p.Acknowledge(up)
	p.Close(up)
	hide := func(side capture.Side, seq uint64) []capture.Packet {
		flows := flowsOf(t, p.Packets, side)
		for _, s := range flows[0].Streams[up].Segments {
			if s.Seq == seq && s.Len > 0 {
				return slices.Delete(slices.Clone(p.Packets), s.Packet, s.Packet+1)
			}
		}
		t.Fatalf("no segment at %d", seq)
		return nil
	}
	for _, side := range []capture.Side{capture.ClientSide, capture.ServerSide} {
		if s := oneFlow(t, p, side).Streams[up]; s.Unseen != 0 || s.Acked != 6000 {
			t.Errorf("%s, all there: unseen %d, acked %d", side, s.Unseen, s.Acked)
		}
		for _, seq := range []uint64{0, 3000, 5000} {
			s := flowsOf(t, hide(side, seq), side)[0].Streams[up]
			if s.Unseen != 1000 || s.Acked != 6000 {
				t.Errorf("%s, without the segment at %d: unseen %d, acked %d; want 1000, 6000", side, seq, s.Unseen, s.Acked)
			}
		}
	}
}

func TestKeepAliveIsNoData(t *testing.T) {
	p := capturetest.New(false)
	p.Open()
	probe := p.Packet(capture.ClientSide, capturetest.Segment{Flags: capture.ACK, Payload: []byte{0}})
	probe[27]-- // the number before the first byte
	p.Packets = append(p.Packets, capture.Packet{Data: probe})
	p.Send(up, text(100))
	if s := oneFlow(t, p, capture.ClientSide).Streams[up]; !bytes.Equal(s.Data, text(100)) {
		t.Errorf("stream is %d bytes: %x", len(s.Data), s.Data[:min(4, len(s.Data))])
	}
}

// The bytes in order are the same however segments are cut, repeated and
// shuffled.
func TestAnyOrderGivesTheSameBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		p := capturetest.New(round%2 == 0)
		p.ISN[up] = rng.Uint32()
		p.Open()
		var segs []capturetest.Segment
		for at := 0; at < 6000; {
			end := min(6000, at+1+rng.IntN(1400))
			segs = append(segs, part(at, end))
			at = end - rng.IntN(min(end-at, 20)) // overlaps
			if end == 6000 {
				break
			}
		}
		segs = append(segs, segs[rng.IntN(len(segs))])
		rng.Shuffle(len(segs), func(i, j int) { segs[i], segs[j] = segs[j], segs[i] })
		for _, s := range segs {
			s.Delay = time.Duration(1 + rng.IntN(1000))
			p.Put(s)
		}
		s := oneFlow(t, p, capture.ServerSide).Streams[up]
		if !bytes.Equal(s.Data, text(6000)) || s.Gap {
			t.Fatalf("round %d: %d segments gave %d bytes, gap %t", round, len(segs), len(s.Data), s.Gap)
		}
		fresh := 0
		for _, x := range s.Segments {
			fresh += x.Fresh
		}
		if fresh != 6000 {
			t.Fatalf("round %d: %d fresh bytes, want 6000", round, fresh)
		}
	}
}
