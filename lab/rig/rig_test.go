package rig

import (
	"context"
	"testing"
	"time"

	"hybridlab/netem"
)

func TestSlotsAreNotReused(t *testing.T) {
	s := newSlots()
	for _, jumbo := range []bool{false, true} {
		seen := map[uint16]bool{}
		first, last := ends(jumbo)
		for range int(last) - int(first) + 1 {
			slot, err := s.take(jumbo)
			if err != nil || seen[slot] || slot < first || slot > last {
				t.Fatalf("slot %d after %d: seen before %t, %v", slot, len(seen), seen[slot], err)
			}
			seen[slot] = true
			s.give(slot)
		}
		if slot, err := s.take(jumbo); err != nil || slot != first {
			t.Errorf("after all of them slot %d, %v; want the first again", slot, err)
		}
	}
}

func ends(jumbo bool) (first, last uint16) {
	if jumbo {
		return netem.FirstJumbo, netem.LastSlot
	}
	return netem.FirstSlot, netem.FirstJumbo - 1
}

func TestSlotsInUse(t *testing.T) {
	s := newSlots()
	for first, last := ends(false); first <= last; first++ {
		if _, err := s.take(false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.take(false); err == nil {
		t.Error("a slot was given out twice")
	}
	s.give(77)
	if slot, err := s.take(false); err != nil || slot != 77 {
		t.Errorf("slot %d, %v; want the one that was given back", slot, err)
	}
}

func TestPatienceFollowsTheLink(t *testing.T) {
	ls, err := NewLinks(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for slower, faster := range map[string]string{"rtt100": "clean", "satellite": "rtt100", "slow256k": "clean", "loss1": "clean", "mobile": "mtu1280"} {
		if patience(ls[slower]) <= patience(ls[faster]) {
			t.Errorf("%s is given %v, %s %v", slower, patience(ls[slower]), faster, patience(ls[faster]))
		}
	}
	for _, l := range ls {
		if budget(l) < slack || patience(l) < 2*budget(l) {
			t.Errorf("%s: budget %v, patience %v", l.Name, budget(l), patience(l))
		}
	}
}

func TestCleanLinkOfTheFamily(t *testing.T) {
	ls, err := NewLinks(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range ls {
		c, err := ls.Lookup(ls.Clean(name))
		if err != nil || c.V6() != l.V6() {
			t.Errorf("the control of %s is %q, %v", name, c.Name, err)
		}
	}
}

func TestPressure(t *testing.T) {
	var p pressure
	began := time.Unix(1000, 0)
	p.note(time.Second, false) // before the cell: not its own
	starved := p.since(began)
	for range 100 {
		p.note(pressureTick+time.Millisecond, false) // as late as timers are
	}
	if starved(began.Add(time.Second)) {
		t.Error("ordinary lateness counts as starvation")
	}
	p.note(pressureTick+80*time.Millisecond, false)
	if starved(began.Add(5 * time.Second)) {
		t.Error("80 ms of 5 s count as starvation")
	}
	if !starved(began.Add(500 * time.Millisecond)) {
		t.Error("80 ms of half a second do not count")
	}
	var q pressure
	starved = q.since(began)
	for range 20 {
		q.note(pressureTick, true)
	}
	if !starved(began.Add(200 * time.Millisecond)) {
		t.Error("half of the time too many tasks wanted to run, and it does not count")
	}
}

func TestTokens(t *testing.T) {
	tk := make(tokens, 1)
	release, err := tk.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tk.take(ctx); err == nil {
		t.Error("two tokens out of one")
	}
	release()
	if _, err = tk.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Never released by hand: it comes back by itself.
	if _, err := tk.take(t.Context()); err != nil {
		t.Error(err)
	}
}
