package netem

import (
	"bytes"
	"encoding/gob"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"hybridlab/lab/capture"
)

func TestVirtualAddresses(t *testing.T) {
	for _, c := range []struct {
		slot             uint16
		v6               bool
		target, apparent string
	}{
		{1, false, "198.18.0.1", "198.19.0.1"},
		{0x1234, false, "198.18.18.52", "198.19.18.52"},
		{0x1234, true, "2001:2:0:18::1234", "2001:2:0:19::1234"},
		{LastSlot, true, "2001:2:0:18::fffe", "2001:2:0:19::fffe"},
	} {
		target, apparent := TargetAddr(c.slot, c.v6), ApparentAddr(c.slot, c.v6)
		if target.String() != c.target || apparent.String() != c.apparent {
			t.Errorf("slot %#x: %s and %s, want %s and %s", c.slot, target, apparent, c.target, c.apparent)
		}
		if slot, toServer, ok := slotOf(target.AsSlice()); slot != c.slot || !toServer || !ok {
			t.Errorf("%s is read as slot %#x, to server %t, %t", target, slot, toServer, ok)
		}
		if slot, toServer, ok := slotOf(apparent.AsSlice()); slot != c.slot || toServer || !ok {
			t.Errorf("%s is read as slot %#x, to server %t, %t", apparent, slot, toServer, ok)
		}
	}
	for _, a := range []string{"198.20.0.1", "8.8.8.8", "2001:2:0:17::1", "2001:2:0:18:1::1"} {
		if _, _, ok := slotOf(netip.MustParseAddr(a).AsSlice()); ok {
			t.Errorf("%s is taken for a cell's", a)
		}
	}
}

// TestForward sends a segment each way over a path that does nothing.
func TestForward(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		b := open(t, Link{Family: fam})
		for _, dir := range []capture.Direction{capture.ToServer, capture.ToClient} {
			sent := b.bytes(segment{dir: dir, seq: 1, flags: ack, payload: []byte("hello")})
			b.Input(sent)
			got := b.next(t)
			checkSums(t, got)
			src, dst := addrsOf(got)
			if wantSrc, wantDst := b.arrived(dir); src != wantSrc || dst != wantDst {
				t.Errorf("%s: arrives %s > %s, want %s > %s", dir, src, dst, wantSrc, wantDst)
			}
			if l, _ := locate(got); !bytes.Equal(got[len(got)-5:], []byte("hello")) || l.proto != protoTCP {
				t.Errorf("%s: payload changed: % x", dir, got)
			}
		}
		tr := b.close(t)
		if tr.Received != 2 || tr.Delivered != 2 || len(tr.Packets) != 4 || tr.MaxLate != 0 {
			t.Errorf("trace: %+v", tr)
		}
		sides := []capture.Side{capture.ClientSide, capture.ServerSide, capture.ServerSide, capture.ClientSide}
		for i, p := range tr.Packets {
			if p.Side != sides[i] || int(p.Dir) != i/2 || p.Drop != "" || p.Note != "" || p.At <= 0 {
				t.Errorf("packet %d: %s, %s, drop %q, note %q, at %s", i, p.Side, p.Dir, p.Drop, p.Note, p.At)
			}
		}
	})
}

// TestWrongChecksumStaysWrong: the path must not repair what arrives broken.
func TestWrongChecksumStaysWrong(t *testing.T) {
	both(t, func(t *testing.T, fam Family) {
		b := open(t, Link{Family: fam})
		sent := b.bytes(segment{seq: 1, flags: ack, payload: []byte("hello")})
		sent[len(sent)-1] ^= 1
		b.Input(sent)
		got := b.next(t)
		if l, _ := locate(got); transportSumOK(got, l) {
			t.Error("a wrong checksum came out right")
		}
	})
}

// TestStrangers are packets that belong to no open cell, or not to the ends
// of the one they name.
func TestStrangers(t *testing.T) {
	b := open(t, Link{})
	good := b.bytes(segment{seq: 1, flags: syn})
	other := endsOf(8, Link{}).bytes(segment{seq: 1, flags: syn})
	outside := bytes.Clone(good)
	copy(outside[16:], []byte{8, 8, 8, 8})
	v6 := endsOf(7, Link{Family: IPv6}).bytes(segment{seq: 1, flags: syn})
	forged := bytes.Clone(good)
	copy(forged[12:], []byte{172, 20, 0, 5})

	b.Input(nil)
	b.Input(good[:19])
	b.Input(good[:39]) // shorter than its length says
	b.Input(other)
	b.Input(outside)
	b.Input(v6)
	b.Input(forged)
	tr := b.close(t)
	b.Input(good)

	want := map[string]int{"malformed": 3, "no-cell": 2, "cell-closed": 2}
	if got := b.Strays(); !reflect.DeepEqual(got, want) {
		t.Errorf("strays %v, want %v", got, want)
	}
	if tr.Received != 1 || tr.Dropped != 1 || tr.Packets[0].Drop != "wrong-source" {
		t.Errorf("forged packet: %+v", tr)
	}
	if len(b.out) != 0 {
		t.Errorf("%d packets came out", len(b.out))
	}
}

func TestOpenErrors(t *testing.T) {
	b := open(t, Link{})
	for _, c := range []struct {
		change func(*Path)
		want   string
	}{
		{func(p *Path) { p.Slot = 0 }, "slot 0 is outside 1 to 65534"},
		{func(p *Path) { p.Slot = 7 }, "slot 7 is in use"},
		{func(p *Path) { p.Link.Up.MTU = 20 }, "up.mtu: 20 is outside 68 to 65535 bytes"},
		{func(p *Path) { p.Link.Family = IPv6 }, `address 172.20.0.4 does not fit link "test", which is ipv6`},
		{func(p *Path) { p.Server = netip.Addr{} }, `address invalid IP does not fit link "test", which is ipv4`},
	} {
		p := endsOf(9, Link{}).path
		c.change(&p)
		if err := b.Open(p); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `open cell "cell": `) {
			t.Errorf("got error %v, want %q", err, c.want)
		}
	}
	if err := b.Open(endsOf(9, Link{}).path); err != nil {
		t.Errorf("the control: %v", err)
	}
	if _, err := b.Close(10); err == nil {
		t.Error("closed a slot that was not open")
	}
	b.Shutdown()
	if err := b.Open(endsOf(11, Link{}).path); err == nil {
		t.Error("opened a cell on an engine that is shut down")
	}
}

// TestReopen: a slot may be used again, and starts from nothing.
func TestReopen(t *testing.T) {
	b := open(t, Link{})
	b.Input(b.bytes(segment{seq: 1, flags: syn}))
	b.close(t)
	if err := b.Open(b.path); err != nil {
		t.Fatal(err)
	}
	if tr := b.close(t); tr.Received != 0 || len(tr.Packets) != 0 {
		t.Errorf("a new cell begins with %+v", tr)
	}
}

// TestCloseInFlight: what is still on its way is dropped, and counted.
func TestCloseInFlight(t *testing.T) {
	b := open(t, Link{Up: Shape{Delay: maxDelay}})
	for i := range 3 {
		b.Input(b.bytes(segment{seq: uint32(i), flags: ack, payload: zeros(100)}))
	}
	tr := b.close(t)
	if tr.Dropped != 3 || tr.Packets[2].Drop != "cell-closed" {
		t.Errorf("%+v", tr)
	}
}

// TestCaptureLimit: a peer that floods the path fills no more than its share
// of memory, and is told by drops that have a reason.
func TestCaptureLimit(t *testing.T) {
	b := open(t, Link{Up: Shape{Loss: Loss{Rate: 1}}})
	big := b.bytes(segment{seq: 1, flags: ack, payload: zeros(60_000)})
	n := maxCapture/len(big) + 10
	for range n {
		b.Input(big)
	}
	tr := b.close(t)
	if tr.Received != n || tr.Dropped != n || len(tr.Packets) != maxCapture/len(big)+1 {
		t.Errorf("received %d, dropped %d, recorded %d of %d", tr.Received, tr.Dropped, len(tr.Packets), n)
	}
	if last := tr.Packets[len(tr.Packets)-1]; last.Drop != "capture-full" {
		t.Errorf("the last record says %q", last.Drop)
	}
}

// TestReentrantDevice: a device that answers each packet at once, from
// within out, neither deadlocks nor changes the order.
func TestReentrantDevice(t *testing.T) {
	var e *Engine
	x := endsOf(7, Link{})
	var got []uint32
	e = NewEngine(func(p []byte) {
		_, dst := addrsOf(p)
		seq := seqOf(p)
		got = append(got, seq)
		if dst == x.path.Server && seq < 100 {
			e.Input(x.bytes(segment{dir: capture.ToClient, seq: seq + 1000, flags: ack}))
			e.Input(x.bytes(segment{dir: capture.ToServer, seq: seq + 1, flags: ack}))
		}
	})
	defer e.Shutdown()
	if err := e.Open(x.path); err != nil {
		t.Fatal(err)
	}
	e.Input(x.bytes(segment{seq: 1, flags: ack}))
	for i, s := range got {
		if want := uint32(i/2+1) + uint32(i%2)*1000; s != want {
			t.Fatalf("packet %d out has number %d, want %d", i, s, want)
		}
	}
	if len(got) != 199 {
		t.Errorf("%d packets came out, want 199", len(got))
	}
}

func seqOf(b []byte) uint32 {
	l, _ := locate(b)
	h, _ := l.tcp(b)
	return h.SequenceNumber()
}

// TestParallelCells runs many cells, with and without delay, from many
// goroutines; the race detector has the rest to say.
func TestParallelCells(t *testing.T) {
	const cells, packets = 64, 200
	var mu sync.Mutex
	out := map[netip.Addr]int{}
	e := NewEngine(func(p []byte) {
		src, _ := addrsOf(p)
		mu.Lock()
		out[src]++
		mu.Unlock()
	})
	defer e.Shutdown()
	var wg sync.WaitGroup
	for i := range cells {
		shape := Shape{Loss: Loss{Rate: 0.1}, Duplicate: 0.1}
		if i%2 == 1 {
			shape.Delay, shape.Jitter, shape.Reorder.Rate = 200*time.Microsecond, 300*time.Microsecond, 0.1
		}
		x := endsOf(uint16(i+1), Link{Up: shape, Down: shape})
		if err := e.Open(x.path); err != nil {
			t.Fatal(err)
		}
		var senders sync.WaitGroup
		for dir := range capture.Direction(2) {
			senders.Go(func() {
				for n := range packets {
					e.Input(x.bytes(segment{dir: dir, seq: uint32(n * 100), flags: ack, payload: zeros(100)}))
				}
			})
		}
		wg.Go(func() {
			senders.Wait()
			tr, err := e.Close(x.path.Slot)
			if err != nil || tr.Uncounted != 0 || tr.Received != 2*packets {
				t.Errorf("slot %d: %v, %d received, %d uncounted", x.path.Slot, err, tr.Received, tr.Uncounted)
			}
		})
	}
	wg.Wait()
	if len(out) == 0 {
		t.Error("nothing came out")
	}
}

// TestGob: what a Carrier in another process takes and gives.
func TestGob(t *testing.T) {
	for _, l := range Links() {
		p := endsOf(3, l).path
		var got Path
		recode(t, p, &got)
		if !reflect.DeepEqual(p, got) {
			t.Errorf("%s: %+v became %+v", l.Name, p, got)
		}
	}
	b := open(t, Link{})
	b.Input(b.bytes(segment{seq: 1, flags: syn}))
	tr := b.close(t)
	var got Trace
	recode(t, tr, &got)
	if !reflect.DeepEqual(tr, got) {
		t.Errorf("%+v became %+v", tr, got)
	}
}

func recode(t *testing.T, in, out any) {
	t.Helper()
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(in); err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(&buf).Decode(out); err != nil {
		t.Fatal(err)
	}
}

// TestTimerThread: the timer's goroutine is gone after Shutdown, and
// there is none before a link needs it.
func TestTimerThread(t *testing.T) {
	b := open(t, Link{Down: Shape{Delay: time.Millisecond}})
	b.Input(b.bytes(segment{seq: 1, flags: syn}))
	b.next(t)
	if b.timer.running {
		t.Error("a packet without delay started the timer thread")
	}
	b.Input(b.bytes(segment{dir: capture.ToClient, seq: 1, flags: synAck}))
	b.next(t)
	if !b.timer.running {
		t.Error("a packet with delay did not start the timer thread")
	}
	b.Shutdown()
	select {
	case <-b.timer.done:
	default:
		t.Error("the thread outlives Shutdown")
	}
	b.Shutdown() // twice does no harm
}
