package netem

import (
	"math"
	"slices"
	"testing"
	"time"

	"hybridlab/lab/capture"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// lossy does something random to a good share of packets.
var lossy = Shape{
	Loss:      Loss{Rate: 0.15, Burst: Burst{Enter: 0.1, Leave: 0.4}},
	Duplicate: 0.1, Corrupt: Corrupt{Rate: 0.1},
}

func lossyCell(t *testing.T, change func(*ends)) *bench {
	b := &bench{ends: endsOf(7, Link{Up: lossy, Down: lossy}), out: make(chan []byte, 1<<16)}
	change(&b.ends)
	b.Engine = NewEngine(func(p []byte) { b.out <- p })
	t.Cleanup(b.Shutdown)
	if err := b.Open(b.path); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSameSeedSameFates: what differs between two runs of a cell must not
// decide over its packets, and what makes it another cell must.
func TestSameSeedSameFates(t *testing.T) {
	const n = 150
	plain := conversation(1000, 2000, n)
	want := lossyCell(t, func(*ends) {}).fates(t, plain)
	if count(want, "") == len(want) || count(want, "") < len(want)/3 {
		t.Fatalf("%d of %d unharmed: this test shows nothing", count(want, ""), len(want))
	}
	same := map[string]struct {
		change func(*ends)
		segs   []segment
	}{
		"again":                {func(*ends) {}, plain},
		"another slot":         {func(e *ends) { e.path.Slot = 4711 }, plain},
		"other ports":          {func(e *ends) { e.clientPort, e.serverPort = 55555, 8443 }, plain},
		"other addresses":      {func(e *ends) { e.path.Client = realServer[false] }, plain},
		"other ISNs":           {func(*ends) {}, conversation(0xffffff00, 0x80000000, n)},
		"a link by other name": {func(e *ends) { e.path.Link.Name = "other" }, plain},
	}
	for name, c := range same {
		if got := lossyCell(t, c.change).fates(t, c.segs); !slices.Equal(got, want) {
			t.Errorf("%s: %d of %d fates differ", name, differ(got, want), len(want))
		}
	}
	other := map[string]func(*ends){
		"another seed": func(e *ends) { e.path.Seed = 2 },
		"another name": func(e *ends) { e.path.Name = "another" },
	}
	for name, change := range other {
		if got := lossyCell(t, change).fates(t, plain); slices.Equal(got, want) {
			t.Errorf("%s: the same fates", name)
		}
	}
}

func count(fates []string, f string) (n int) {
	for _, g := range fates {
		if g == f {
			n++
		}
	}
	return n
}

func differ(a, b []string) (n int) {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// TestOnePacketMore: a packet more or a byte more moves nobody else's fate.
func TestOnePacketMore(t *testing.T) {
	const n = 150
	plain := conversation(1000, 2000, n)
	want := lossyCell(t, func(*ends) {}).fates(t, plain)

	insert := func(at int, extra segment) func([]segment) []segment {
		return func(s []segment) []segment { return slices.Insert(slices.Clone(s), at, extra) }
	}
	for _, c := range []struct {
		name   string
		change func([]segment) []segment
		at     int // where the packet more is, -1: none
	}{
		{"a retransmission", insert(20, plain[7]), 20},
		{"a repeated acknowledgement", insert(50, plain[48]), 50},
		{"a reset", insert(30, segment{dir: capture.ToClient, seq: 9, flags: rst}), 30},
		{"a ping before everything", func(s []segment) []segment { return slices.Insert(slices.Clone(s), 0, segment{ping: true}) }, 0},
		{"a longer signature", func(s []segment) []segment { return longer(s, 5, 2) }, -1},
		{"a shorter signature", func(s []segment) []segment { return longer(s, 5, -1) }, -1},
	} {
		got := lossyCell(t, func(*ends) {}).fates(t, c.change(plain))
		if c.at >= 0 {
			got = slices.Delete(got, c.at, c.at+1)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d of %d fates differ", c.name, differ(got, want), len(want))
		}
	}
}

// longer makes the packet at index i longer by d bytes, and moves the
// sequence numbers that follow.
func longer(segs []segment, i, d int) []segment {
	out := slices.Clone(segs)
	dir, end := out[i].dir, out[i].seq+uint32(len(out[i].payload))
	out[i].payload = zeros(len(out[i].payload) + d)
	for j := range out {
		s := &out[j]
		if s.dir == dir && s.seq >= end {
			s.seq += uint32(d)
		}
		if s.dir != dir && s.ack >= end {
			s.ack += uint32(d)
		}
	}
	return out
}

// TestRetransmissionHasItsOwnFate: or a lost packet would be lost for ever.
func TestRetransmissionHasItsOwnFate(t *testing.T) {
	for _, shape := range []Shape{{Loss: Loss{Rate: 0.5}}, {Loss: Loss{Burst: Burst{Enter: 0.5, Leave: 0.5}}}} {
		b := open(t, Link{Up: shape})
		var segs []segment
		for range 64 {
			segs = append(segs, segment{seq: 1, flags: ack, payload: zeros(10)})
		}
		fates := b.fates(t, segs)
		if ok := count(fates, ""); ok < 16 || ok > 48 {
			t.Errorf("%d of 64 transmissions arrive", ok)
		}
	}
}

// TestConnectionsDiffer: the second connection of a cell, on the same ports
// or on others, is another one.
func TestConnectionsDiffer(t *testing.T) {
	b := lossyCell(t, func(*ends) {})
	first := conversation(1000, 2000, 100)
	fates := b.fates(t, slices.Concat(first, conversation(5_000_000, 6_000_000, 100)))
	if slices.Equal(fates[:len(first)], fates[len(first):]) {
		t.Error("the second connection has the first one's fates")
	}
}

// within fails unless k of n is as probable as five standard deviations
// allow. Seeds are fixed, so it passes always or never.
func within(t *testing.T, what string, k, n int, p float64) {
	t.Helper()
	mean, dev := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
	if math.Abs(float64(k)-mean) > 5*dev {
		t.Errorf("%s: %d of %d, want %.0f +- %.0f", what, k, n, mean, 5*dev)
	}
}

// TestRates: each chance happens as often as it should, over many packets
// of one connection and over the first packets of many cells.
func TestRates(t *testing.T) {
	const n = 20_000
	k := newKey(1, "rates")
	for _, p := range []Chance{0.001, 0.01, 0.05, 0.5, 0.99} {
		for why := forLoss; why <= forCorruptByte; why++ {
			hits := 0
			for i := range uint32(n) {
				if p.happens(k.draw(why, &lane{}, identity{class: classSegment, ordinal: i}, 0)) {
					hits++
				}
			}
			within(t, p.String()+" over ordinals", hits, n, float64(p))
		}
		hits := 0
		for i := range uint64(n) {
			if p.happens(newKey(i, "rates").draw(forLoss, &lane{dir: 1}, identity{}, 0)) {
				hits++
			}
		}
		within(t, p.String()+" over seeds", hits, n, float64(p))
	}
}

// TestDrawsAreIndependent: of purpose, direction, class, times, piece.
func TestDrawsAreIndependent(t *testing.T) {
	const n = 20_000
	k := newKey(1, "pairs")
	id := identity{class: classSegment}
	variants := map[string]func(id identity) uint64{
		"purpose":   func(id identity) uint64 { return k.draw(forDuplicate, &lane{}, id, 0) },
		"direction": func(id identity) uint64 { return k.draw(forLoss, &lane{dir: 1}, id, 0) },
		"class":     func(id identity) uint64 { id.class = classACK; return k.draw(forLoss, &lane{}, id, 0) },
		"times":     func(id identity) uint64 { id.times = 1; return k.draw(forLoss, &lane{}, id, 0) },
		"flow":      func(id identity) uint64 { id.flow = 1; return k.draw(forLoss, &lane{}, id, 0) },
		"piece":     func(id identity) uint64 { return k.draw(forLoss, &lane{}, id, 1) },
		"neighbour": func(id identity) uint64 { id.ordinal++; return k.draw(forLoss, &lane{}, id, 0) },
	}
	for name, draw := range variants {
		together := 0
		for i := range uint32(n) {
			id.ordinal = i
			if Chance(0.1).happens(k.draw(forLoss, &lane{}, id, 0)) && Chance(0.1).happens(draw(id)) {
				together++
			}
		}
		within(t, "both happen, "+name, together, n, 0.01)
	}
}

// TestLossThroughEngine: the rate as a whole connection meets it.
func TestLossThroughEngine(t *testing.T) {
	const n = 5000
	b := open(t, Link{Up: Shape{Loss: Loss{Rate: 0.05}}, Down: Shape{Duplicate: 0.02}})
	fates := b.fates(t, conversation(1, 1, n))
	within(t, "loss up", count(fates, "loss"), 2*n+2, 0.05)
	within(t, "duplicates down", count(fates, "dup"), 2*n+1, 0.02)
}

// TestBurst: the share of packets lost and the length of bursts, which is
// what distinguishes the model from independent loss of the same rate.
func TestBurst(t *testing.T) {
	const n = 60_000
	model := Burst{Enter: 0.01, Leave: 0.25}
	b := open(t, Link{Up: Shape{Loss: Loss{Burst: model}}})
	var segs []segment
	for i := range uint32(n) {
		segs = append(segs, segment{seq: 1 + i*10, flags: ack, payload: zeros(10)})
	}
	fates := b.fates(t, segs)
	lost, bursts := count(fates, "loss-burst"), 0
	for i, f := range fates {
		if f != "" && (i == 0 || fates[i-1] == "") {
			bursts++
		}
	}
	// A burst has 4 packets on average, so losses vary as if there were
	// fewer packets; 5 deviations of that.
	share := float64(lost) / n
	if want := 0.01 / 0.26; math.Abs(share-want) > 0.005 {
		t.Errorf("%.4f of the packets lost, want %.4f", share, want)
	}
	if mean := float64(lost) / float64(bursts); math.Abs(mean-4) > 0.4 {
		t.Errorf("bursts of %.2f packets, want 4", mean)
	}
	starts := 0 // and short connections begin in a burst as often as not
	for i := range 3000 {
		c := &cell{key: newKey(uint64(i), "start")}
		l := &lane{shape: Shape{Loss: Loss{Burst: model}}}
		if c.burstState(&packet{lane: l, flow: &flow{}, id: identity{class: classSYN}}) {
			starts++
		}
	}
	within(t, "beginning in a burst", starts, 3000, 0.01/0.26)
}

// TestBurstChainIsRandomAccess: the state at an ordinal is the same whether
// those before were asked for or not.
func TestBurstChainIsRandomAccess(t *testing.T) {
	l := &lane{shape: Shape{Loss: Loss{Burst: Burst{Enter: 0.2, Leave: 0.3}}}}
	c := &cell{key: newKey(1, "chain")}
	inOrder := &flow{}
	for i := range uint32(500) {
		p := packet{lane: l, flow: inOrder, id: identity{class: classSegment, ordinal: i}}
		q := p
		q.flow = &flow{}
		if c.burstState(&p) != c.burstState(&q) {
			t.Fatalf("ordinal %d depends on the way there", i)
		}
	}
	far := packet{lane: l, flow: inOrder, id: identity{class: classSegment, ordinal: math.MaxUint32}}
	c.burstState(&far) // must not walk four thousand million steps
}

// TestJitterIsUniform: mean and spread of the further delay.
func TestJitterIsUniform(t *testing.T) {
	const n = 20_000
	k := newKey(1, "jitter")
	var sum, sq float64
	for i := range uint32(n) {
		u := unit(k.draw(forJitter, &lane{}, identity{ordinal: i}, 0))
		if u < 0 || u >= 1 {
			t.Fatalf("draw %g", u)
		}
		sum, sq = sum+u, sq+u*u
	}
	mean := sum / n
	if dev := math.Sqrt(sq/n - mean*mean); math.Abs(mean-0.5) > 0.01 || math.Abs(dev-math.Sqrt(1./12)) > 0.01 {
		t.Errorf("mean %g, deviation %g", mean, dev)
	}
}

// TestReorderRate through the engine, by the notes it leaves.
func TestReorderRate(t *testing.T) {
	const n = 5000
	b := open(t, Link{Up: Shape{Reorder: Reorder{Rate: 0.05, By: time.Microsecond}}})
	for i := range uint32(n) {
		b.Input(b.bytes(segment{seq: 1 + i, flags: ack, payload: zeros(1)}))
	}
	held := 0
	for range n {
		b.next(t)
	}
	for _, p := range b.close(t).Packets {
		if p.Note != "" {
			held++
		}
	}
	within(t, "held back", held, n, 0.05)
}

// TestIdentify names the packets of a connection.
func TestIdentify(t *testing.T) {
	b := open(t, Link{})
	c := b.cells[7].Load()
	for i, w := range []struct {
		s    segment
		want identity
	}{
		{segment{seq: 100, flags: syn}, identity{0, classSYN, 0, 0, false}},
		{segment{seq: 100, flags: syn}, identity{0, classSYN, 1, 0, false}},
		{segment{dir: 1, seq: 900, ack: 101, flags: synAck}, identity{0, classSYN, 0, 0, false}},
		{segment{seq: 101, ack: 901, flags: ack}, identity{0, classACK, 0, 0, false}},
		{segment{seq: 101, ack: 901, flags: ack, payload: zeros(50)}, identity{0, classSegment, 0, 0, true}},
		{segment{seq: 151, ack: 901, flags: ack, payload: zeros(50)}, identity{0, classSegment, 1, 0, true}},
		{segment{seq: 101, ack: 901, flags: ack, payload: zeros(50)}, identity{0, classSegment, 0, 1, true}},
		{segment{seq: 126, ack: 901, flags: ack, payload: zeros(25)}, identity{0, classSegment, 2, 0, true}}, // cut anew
		{segment{dir: 1, seq: 901, ack: 151, flags: ack}, identity{0, classACK, 2, 0, false}},
		{segment{dir: 1, seq: 901, ack: 201, flags: ack}, identity{0, classACK, 3, 0, false}},
		{segment{dir: 1, seq: 901, ack: 201, flags: ack}, identity{0, classACK, 3, 1, false}},
		{segment{seq: 201, ack: 901, flags: ack | fin}, identity{0, classSegment, 3, 0, false}},
		{segment{seq: 202, ack: 901, flags: rst}, identity{0, classRST, 0, 0, false}},
		{segment{seq: 7000, flags: syn}, identity{1, classSYN, 0, 0, false}}, // the same ports again
		{segment{seq: 7001, ack: 1, flags: ack, payload: zeros(1)}, identity{1, classSegment, 0, 0, true}},
	} {
		pkt := b.bytes(w.s)
		l, pkt, err := parse(pkt)
		if err != nil {
			t.Fatal(err)
		}
		p := packet{data: pkt, l: l, lane: &c.lanes[w.s.dir]}
		if c.identify(&p); p.id != w.want {
			t.Errorf("packet %d: %+v, want %+v", i, p.id, w.want)
		}
	}
}

// TestIdentityIsBounded: a hostile flow costs no more than its share.
func TestIdentityIsBounded(t *testing.T) {
	var f flow
	l := &lane{}
	h := header.TCP(make([]byte, 21))
	h.SetDataOffset(20)
	for i := range uint32(maxStarts + 1000) {
		h.SetSequenceNumber(i * 2654435761) // all over the place
		f.identify(l, h)
	}
	if n := len(f.tracks[0].starts); n != maxStarts {
		t.Errorf("%d starts kept, want %d", n, maxStarts)
	}
	if !slices.IsSortedFunc(f.tracks[0].starts, func(a, b start) int { return int(int64(a.seq) - int64(b.seq)) }) {
		t.Error("starts out of order")
	}
}
