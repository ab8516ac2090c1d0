package netem

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestTransmit is arithmetic: when a wire of 1 Mbit/s has sent what.
func TestTransmit(t *testing.T) {
	const ms = time.Millisecond
	var sh shaper
	s := &Shape{Rate: 1_000_000, Queue: 3}
	for i, c := range []struct {
		at    time.Duration
		bytes int
		sent  time.Duration
		ok    bool
	}{
		{0, 1250, 10 * ms, true},
		{0, 1250, 20 * ms, true}, // waits for the first
		{1 * ms, 125, 21 * ms, true},
		{2 * ms, 125, 0, false},        // three are in the queue
		{10 * ms, 125, 22 * ms, true},  // one has left
		{60 * ms, 125, 61 * ms, true},  // the wire was idle
		{60 * ms, 125, 62 * ms, true},  //
		{60 * ms, 125, 63 * ms, true},  //
		{60 * ms, 125, 0, false},       //
		{61 * ms, 1250, 73 * ms, true}, //
	} {
		if sent, ok := sh.transmit(c.at, c.bytes, s); sent != c.sent || ok != c.ok {
			t.Errorf("packet %d: sent at %s, %t; want %s, %t", i, sent, ok, c.sent, c.ok)
		}
	}
}

// TestTransmitForgets: the queue's history does not grow with the flow.
func TestTransmitForgets(t *testing.T) {
	var sh shaper
	s := &Shape{Rate: 1_000_000}
	for i := range 10_000 {
		if _, ok := sh.transmit(time.Duration(i)*time.Millisecond, 125, s); !ok {
			t.Fatal("dropped below the rate")
		}
	}
	if len(sh.sent) > 200 {
		t.Errorf("%d entries kept", len(sh.sent))
	}
}

// TestQueueDrops counts tail drops in the engine.
func TestQueueDrops(t *testing.T) {
	b := open(t, Link{Up: Shape{Rate: 1000, Queue: 5}})
	for i := range uint32(12) {
		b.Input(b.bytes(segment{seq: i, flags: ack, payload: zeros(1)}))
	}
	full, closed := 0, 0
	for _, p := range b.close(t).Packets {
		switch p.Drop {
		case "queue-full":
			full++
		case "cell-closed":
			closed++
		}
	}
	if full != 7 || closed != 5 {
		t.Errorf("%d dropped at the queue's end, %d waiting; want 7 and 5", full, closed)
	}
}

// TestAgenda against a stable sort.
func TestAgenda(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var a agenda[int]
	var want []entry[int]
	for i := range 1000 {
		due := time.Duration(rng.IntN(100))
		a.push(due, i)
		want = append(want, entry[int]{due, uint64(i), i})
	}
	slices.SortStableFunc(want, func(x, y entry[int]) int { return int(x.due - y.due) })
	for i, w := range want {
		if a.due() != w.due {
			t.Fatalf("entry %d is due at %d, want %d", i, a.due(), w.due)
		}
		if got := a.pop(); got != w {
			t.Fatalf("entry %d: %v, want %v", i, got, w)
		}
	}
	if a.len() != 0 {
		t.Error("entries left")
	}
}

// TestEarlierCall: a call due before the one the thread waits for wakes it.
func TestEarlierCall(t *testing.T) {
	slow := open(t, Link{Up: Shape{Delay: maxDelay}})
	slow.Input(slow.bytes(segment{seq: 1, flags: syn}))
	x := endsOf(8, Link{Up: Shape{Delay: time.Millisecond}})
	if err := slow.Open(x.path); err != nil {
		t.Fatal(err)
	}
	slow.Input(x.bytes(segment{seq: 2, flags: syn}))
	if got := seqOf(slow.next(t)); got != 2 {
		t.Errorf("packet %d came first", got)
	}
	// And within a cell: a reordered packet is due after the one behind it.
	r := open(t, Link{Up: Shape{Delay: time.Millisecond, Reorder: Reorder{Rate: 1, By: maxDelay}}, Down: Shape{Delay: time.Millisecond}})
	r.Input(r.bytes(segment{seq: 1, flags: syn}))
	r.Input(r.bytes(segment{dir: 1, seq: 2, flags: synAck}))
	if got := seqOf(r.next(t)); got != 2 {
		t.Errorf("packet %d came first", got)
	}
}

// TestSpinBudget: spinning stops when its share is used up and comes back
// with time.
func TestSpinBudget(t *testing.T) {
	now := time.Duration(0)
	tm := newTimer(func() time.Duration { return now })
	if tm.margin() != 0 {
		t.Error("spins before it has saved anything")
	}
	now = spinShare * spinFor
	if tm.margin() != spinFor {
		t.Error("does not spin with its share saved")
	}
	tm.credit -= spinFor
	if tm.margin() != 0 {
		t.Error("spins beyond its share")
	}
	now = time.Hour
	if tm.margin(); tm.credit != spinMost {
		t.Errorf("saved up %s", tm.credit)
	}
}
