package netem

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab/capture"
)

// conversation is a connection as its packets are seen on the path: SYN,
// SYN-ACK, ACK, then data and acknowledgements both ways.
func conversation(isn, peer uint32, segments int) []segment {
	s := []segment{
		{dir: capture.ToServer, seq: isn, flags: syn},
		{dir: capture.ToClient, seq: peer, ack: isn + 1, flags: synAck},
		{dir: capture.ToServer, seq: isn + 1, ack: peer + 1, flags: ack},
	}
	up, down := isn+1, peer+1
	for range segments {
		s = append(s,
			segment{dir: capture.ToServer, seq: up, ack: down, flags: ack, payload: zeros(100)},
			segment{dir: capture.ToClient, seq: down, ack: up + 100, flags: ack},
			segment{dir: capture.ToClient, seq: down, ack: up + 100, flags: ack, payload: zeros(50)},
			segment{dir: capture.ToServer, seq: up + 100, ack: down + 50, flags: ack},
		)
		up, down = up+100, down+50
	}
	return s
}

// drops runs segments through the open cell and says what became of each:
// the drop's reason, "" for what arrived, "dup" for what arrived twice.
func (b *bench) fates(t testing.TB, segs []segment) []string {
	t.Helper()
	for _, s := range segs {
		b.Input(b.bytes(s))
	}
	return fatesOf(b.close(t))
}

// fatesOf reads the fates from a trace: the records of one packet follow one another.
func fatesOf(tr Trace) []string {
	var fates []string
	for _, p := range tr.Packets {
		entry := (p.Side == capture.ClientSide) == (p.Dir == capture.ToServer)
		switch {
		case entry:
			fates = append(fates, p.Drop)
		case strings.Contains(p.Note, "duplicate"):
			fates[len(fates)-1] = "dup"
		case strings.Contains(p.Note, "corrupted"):
			fates[len(fates)-1] = "corrupt"
		}
	}
	return fates
}

func TestLoseNth(t *testing.T) {
	b := open(t, Link{
		Up:   Shape{Loss: Loss{Nth: []int{1, 3}}},
		Down: Shape{Loss: Loss{NthData: []int{2}}},
	})
	segs := conversation(1000, 2000, 3)
	segs = append(segs, segs[9]) // the lost one again
	got := b.fates(t, segs)
	for i, f := range got {
		want := ""
		switch i {
		case 0, 3: // the first and third packet up
			want = "loss-nth"
		case 9: // the second with data down
			want = "loss-nth"
		}
		if f != want {
			t.Errorf("packet %d: %q, want %q", i, f, want)
		}
	}
}

func TestDuplicate(t *testing.T) {
	b := open(t, Link{Up: Shape{Duplicate: 1}})
	b.Input(b.bytes(segment{seq: 1, flags: ack, payload: []byte("twice")}))
	first, second := b.next(t), b.next(t)
	if !bytes.Equal(first, second) {
		t.Error("the copies differ")
	}
	checkSums(t, second)
	tr := b.close(t)
	if tr.Made != 1 || tr.Delivered != 2 || tr.Packets[1].Note != "" || tr.Packets[2].Note != "duplicate" {
		t.Errorf("%d made, %d delivered, notes %q and %q", tr.Made, tr.Delivered, tr.Packets[1].Note, tr.Packets[2].Note)
	}
}

// TestDuplicateOfChanged: a packet already changed is copied as it is.
func TestDuplicateOfChanged(t *testing.T) {
	b := open(t, Link{Up: Shape{Duplicate: 1, Corrupt: Corrupt{Rate: 1}, MTU: 1280, TooBig: Fragment}})
	b.Input(b.bytes(segment{seq: 1, flags: ack, payload: zeros(1300)}))
	tr := b.close(t)
	if tr.Delivered != 4 || tr.Made != 3 {
		t.Fatalf("%d delivered, %d made", tr.Delivered, tr.Made)
	}
	var p [4][]byte
	for i := range p {
		p[i] = b.next(t)
	}
	if !bytes.Equal(p[0], p[1]) || !bytes.Equal(p[2], p[3]) || bytes.Equal(p[0], p[2]) {
		t.Error("copies differ")
	}
}

func TestCorrupt(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		for _, c := range []struct {
			name    string
			sum     Checksum
			payload []byte
			changed int // bytes of the payload
			right   bool
		}{
			{"wrong", "", []byte("a payload"), 1, false},
			{"wrong, odd place and length", WrongChecksum, []byte("abc"), 1, false},
			{"wrong, no payload", WrongChecksum, nil, 0, false},
			{"fixed", FixedChecksum, []byte("a payload"), 1, true},
			{"fixed, no payload", FixedChecksum, nil, 0, true},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := open(t, Link{Family: fam, Up: Shape{Corrupt: Corrupt{Rate: 1, Checksum: c.sum}}})
				for seq := range uint32(200) {
					b.Input(b.bytes(segment{seq: seq, flags: ack, payload: c.payload}))
					got := b.next(t)
					l, _ := locate(got)
					if transportSumOK(got, l) != c.right {
						t.Fatalf("packet %d: checksum right is %t", seq, !c.right)
					}
					changed := 0
					for i, x := range got[len(got)-len(c.payload):] {
						if x != c.payload[i] {
							changed++
						}
					}
					if changed != c.changed {
						t.Fatalf("packet %d: %d bytes of payload changed", seq, changed)
					}
				}
				touched := c.payload != nil || c.sum != FixedChecksum
				if p := b.close(t).Packets[1]; strings.HasPrefix(p.Note, "corrupted byte ") != touched {
					t.Errorf("note %q", p.Note)
				}
			})
		}
	})
}

// TestCorruptKeepsRecord: the record of the arrival shows what arrived.
func TestCorruptKeepsRecord(t *testing.T) {
	b := open(t, Link{Up: Shape{Corrupt: Corrupt{Rate: 1}}})
	sent := b.bytes(segment{seq: 1, flags: ack, payload: []byte("hello")})
	b.Input(sent)
	if tr := b.close(t); !bytes.Equal(tr.Packets[0].Data, sent) {
		t.Error("the record was changed with the packet")
	}
}

// TestConservation sends all kinds of packets through all stages and counts
// what came out independently of the engine's books.
func TestConservation(t *testing.T) {
	for _, tooBig := range []TooBig{SendICMP, EatICMP, Fragment} {
		both(t, func(t *testing.T, fam Family) {
			shape := everything
			shape.TooBig, shape.Queue, shape.Rate = tooBig, 50, 10_000_000_000
			b := open(t, Link{Family: fam, Up: shape, Down: shape})
			const n = 2000
			for i := range uint32(n) {
				d := capture.Direction(i % 2)
				b.Input(b.bytes(segment{dir: d, seq: i * 90, ack: i * 90, flags: ack, payload: zeros(int(i) % 1600)}))
			}
			tr := b.close(t)
			drops, exits, icmp, dups, pieces := 0, 0, 0, 0, 0
			for _, p := range tr.Packets {
				entry := (p.Side == capture.ClientSide) == (p.Dir == capture.ToServer)
				switch {
				case strings.HasPrefix(p.Note, "made by the path"):
					icmp++
				case entry && p.Drop != "":
					drops++
				case !entry:
					exits++
					if strings.HasSuffix(p.Note, "duplicate") {
						dups++
					}
					if strings.Contains(p.Note, "fragment ") {
						pieces++
					}
				}
			}
			if tr.Received != n || tr.Delivered != exits || tr.ICMP != icmp || len(b.out) != exits+icmp {
				t.Errorf("%d received, %d delivered (%d recorded), %d ICMP (%d recorded), %d came out",
					tr.Received, tr.Delivered, exits, tr.ICMP, icmp, len(b.out))
			}
			if tr.Dropped < drops || drops == 0 || dups == 0 || (tooBig == Fragment) != (pieces > 0) {
				t.Errorf("%d dropped (%d recorded), %d duplicates, %d pieces", tr.Dropped, drops, dups, pieces)
			}
		})
	}
}

// TestOnePacketOneID: what leaves names the packet it was, whatever the path
// did to it, and no two packets share a name.
func TestOnePacketOneID(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		shape := everything
		shape.TooBig = Fragment
		b := open(t, Link{Family: fam, Up: shape, Down: shape})
		for i := range uint32(200) {
			b.Input(b.bytes(segment{dir: capture.Direction(i % 2), seq: i * 90, flags: ack, payload: zeros(int(i*17) % 1600)}))
		}
		entered, left := map[uint64]capture.Packet{}, 0
		for i, p := range b.close(t).Packets {
			in, known := entered[p.ID]
			switch entry := (p.Side == capture.ClientSide) == (p.Dir == capture.ToServer); {
			case entry && known:
				t.Errorf("packet %d has the ID of another, %d", i+1, p.ID)
			case entry:
				entered[p.ID] = p
			case !known || in.Dir != p.Dir || p.At < in.At:
				t.Errorf("packet %d left with ID %d, which is %+v", i+1, p.ID, in)
			default:
				left++
			}
		}
		// How many are lost to the queue depends on how fast they came.
		if len(entered) != 200 || left < 100 {
			t.Errorf("%d packets entered, %d left", len(entered), left)
		}
	})
}

// TestDelay: nothing arrives early, and how late it is is known.
func TestDelay(t *testing.T) {
	const delay, jitter, n = 3 * time.Millisecond, 2 * time.Millisecond, 200
	b := open(t, Link{Up: Shape{Delay: delay, Jitter: jitter}})
	for i := range uint32(n) {
		b.Input(b.bytes(segment{seq: i, flags: ack, payload: zeros(1)}))
	}
	for i := range uint32(n) {
		if got := seqOf(b.next(t)); got != i {
			t.Fatalf("packet %d arrives as number %d: jitter must keep the order", got, i)
		}
	}
	tr := b.close(t)
	sent := map[uint32]time.Duration{}
	for _, p := range tr.Packets {
		seq := seqOf(p.Data)
		if p.Side == capture.ClientSide {
			sent[seq] = p.At
			continue
		}
		if d := p.At - sent[seq]; d < delay || d > delay+jitter+tr.MaxLate+time.Second {
			t.Errorf("packet %d took %s", seq, d)
		}
	}
	if tr.MaxLate <= 0 {
		t.Error("no lateness was measured")
	}
}

// TestReorder: packets held back are overtaken, others are not.
func TestReorder(t *testing.T) {
	const n = 300
	b := open(t, Link{Up: Shape{Reorder: Reorder{Rate: 0.1, By: time.Millisecond}}})
	for i := range uint32(n) {
		b.Input(b.bytes(segment{seq: i, flags: ack, payload: zeros(1)}))
	}
	var order []uint32
	for range n {
		order = append(order, seqOf(b.next(t)))
	}
	tr := b.close(t)
	held := 0
	for _, p := range tr.Packets {
		if p.Note == "held back to be overtaken" {
			held++
		}
	}
	if held < 10 || slices.IsSorted(order) {
		t.Errorf("%d of %d held back, in order %t", held, n, slices.IsSorted(order))
	}
}
