package fidelity

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/netem"
)

// TestStats: what is counted of an order of arrivals.
func TestStats(t *testing.T) {
	for _, c := range []struct {
		name  string
		order []uint32
		want  Stats
	}{
		{"all in order", []uint32{0, 1, 2, 3, 4, 5}, Stats{}},
		{"nothing came", nil, Stats{Lost: 6, Bursts: []int{6}}},
		{"two bursts", []uint32{1, 4, 5}, Stats{Lost: 3, Bursts: []int{1, 2}}},
		{"the last is lost", []uint32{0, 1, 2, 3, 4}, Stats{Lost: 1, Bursts: []int{1}}},
		{"one twice", []uint32{0, 1, 1, 2, 3, 4, 5}, Stats{Doubled: 1}},
		{"one late: it alone was overtaken", []uint32{1, 2, 3, 0, 4, 5}, Stats{Overtaken: 1}},
		{"two late", []uint32{2, 0, 1, 3, 4, 5}, Stats{Overtaken: 2}},
		{"a copy is not overtaken", []uint32{0, 1, 2, 0, 3, 4, 5}, Stats{Doubled: 1}},
	} {
		var got Stats
		var arrivals []arrival
		for _, seq := range c.order {
			arrivals = append(arrivals, arrival{seq: seq})
		}
		got.add(Case{Packets: 6}, arrivals)
		if got.Sent != 6 || got.Lost != c.want.Lost || got.Doubled != c.want.Doubled || got.Overtaken != c.want.Overtaken || !slices.Equal(got.Bursts, c.want.Bursts) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestSpacing: one late packet does not change it.
func TestSpacing(t *testing.T) {
	var got []arrival
	for i := range 100 {
		got = append(got, arrival{at: time.Duration(i) * 5 * ms})
	}
	got[50].at += 4 * ms
	if s := spacing(got); s != 5*ms {
		t.Errorf("%v", s)
	}
}

// sample is n delays from low, uniform over width, each late by so much.
func sample(seed uint64, n int, low, width, late time.Duration) Stats {
	random := rand.New(rand.NewPCG(seed, 0))
	s := Stats{Sent: n}
	for range n {
		s.Delays = append(s.Delays, low+time.Duration(random.Float64()*float64(width))+late)
	}
	return s
}

// TestDelaysAreTold: links apart that are not the same, and lateness from a
// difference.
func TestDelaysAreTold(t *testing.T) {
	c := Case{Name: "c", Shape: netem.Shape{Delay: 20 * ms, Jitter: 100 * ms}}
	asked := sample(1, 640, 20*ms, 100*ms, 0)
	stalled := asked
	stalled.Stalled = 0.3
	for _, tt := range []struct {
		name string
		k, e Stats
		want Verdict
	}{
		{"the same", asked, sample(2, 640, 20*ms, 100*ms, 0), Alike},
		{"late by what is allowed", asked, sample(2, 640, 20*ms, 100*ms, allowed), Alike},
		{"jitter both ways", asked, sample(2, 640, -80*ms, 200*ms, 0), Differs},
		{"half the jitter", asked, sample(2, 640, 20*ms, 50*ms, 0), Differs},
		{"the middle only", asked, sample(2, 640, 70*ms, 0, 0), Differs},
		{"no time on the machine", stalled, sample(2, 640, 20*ms, 100*ms, 0), Inconclusive},
		{"no time on the machine, and another link", stalled, sample(2, 640, 0, 10*ms, 0), Inconclusive},
	} {
		for _, k := range []bool{false, true} {
			a, b := tt.k, tt.e
			if k {
				a, b = b, a
			}
			if r := distribution(c, a, b); r.Verdict != tt.want {
				t.Errorf("%s: %+v, want %s", tt.name, r, tt.want)
			}
		}
	}
	fixed := Case{Name: "c", Shape: netem.Shape{Delay: 200 * ms}}
	for late, want := range map[time.Duration]Verdict{0: Alike, allowed: Alike, allowed + ms: Differs} {
		if r := median(fixed, sample(1, 500, 200*ms, 0, late), sample(2, 500, 200*ms, 0, 0)); r.Verdict != want {
			t.Errorf("%v late: %+v, want %s", late, r, want)
		}
	}
}

// TestSharesAreTold: the bound is the one of 99.99 %, and wider where a fate
// says something about the next.
func TestSharesAreTold(t *testing.T) {
	n := 10_000
	is := func(k, e int, memory float64) Verdict {
		return share("", 0, memory, k, e, Stats{Sent: n}, Stats{Sent: n}).Verdict
	}
	// Around 5 % of 10,000 the difference has a deviation of 0.308 points.
	for _, c := range []struct {
		k, e   int
		memory float64
		want   Verdict
	}{
		{500, 500, 0, Alike}, {500, 615, 0, Alike}, {500, 640, 0, Differs}, {640, 500, 0, Differs},
		{500, 640, 0.5, Alike}, {500, 800, 0.5, Differs}, {0, 0, 0, Alike}, {0, 20, 0, Differs},
	} {
		if got := is(c.k, c.e, c.memory); got != c.want {
			t.Errorf("%d and %d with memory %g: %s, want %s", c.k, c.e, c.memory, got, c.want)
		}
	}
}

// TestOtherRows: the ones that are arithmetic.
func TestOtherRows(t *testing.T) {
	full := Case{Name: "c", Size: 1250, Packets: 100, Shape: netem.Shape{Rate: 2_000_000, Queue: 20}}
	at := func(d time.Duration) Stats { return Stats{Spacing: d} }
	dropped := func(n int, sending time.Duration) Stats { return Stats{Lost: n, Sending: sending} }
	runs := func(n, length int) Stats {
		return Stats{Bursts: slices.Repeat([]int{length, length + 1, length + 2}, n)}
	}
	burst := Case{Shape: netem.Shape{Loss: netem.Loss{Burst: netem.Burst{Enter: 0.01, Leave: 0.25}}}}
	for name, c := range map[string]struct {
		row  Row
		want Verdict
	}{
		"the same rate":           {rate(full, at(5*ms), at(5*ms)), Alike},
		"2 % slower":              {rate(full, at(51*ms/10), at(5*ms)), Differs},
		"the device's header":     {rate(full, at(5*ms*1264/1250), at(5*ms)), Differs},
		"rate, no time":           {rate(full, at(5*ms), Stats{Spacing: 5 * ms, Stalled: 1}), Inconclusive},
		"the same queue":          {queue(full, dropped(80, ms), dropped(80, ms)), Alike},
		"one more":                {queue(full, dropped(79, ms), dropped(80, ms)), Differs},
		"one more, sent slowly":   {queue(full, dropped(79, 6*ms), dropped(80, ms)), Alike},
		"in order":                {inOrder(full, Stats{}, Stats{}), Alike},
		"one out of order":        {inOrder(full, Stats{Overtaken: 1}, Stats{}), Differs},
		"bursts of the same kind": {burstLength(burst, runs(50, 3), runs(60, 3)), Alike},
		"longer bursts":           {burstLength(burst, runs(50, 3), runs(50, 4)), Differs},
	} {
		if c.row.Verdict != c.want {
			t.Errorf("%s: %+v, want %s", name, c.row, c.want)
		}
	}
}

// TestEngineDoesWhatIsAsked, where chance decides; seeds are fixed.
func TestEngineDoesWhatIsAsked(t *testing.T) {
	looked := 0
	for _, c := range Cases(1) {
		if c.longest() > 0 {
			continue // takes its time
		}
		s, err := Engine(c)
		if err != nil {
			t.Fatal(err)
		}
		l := c.Shape.Loss
		asked, got := float64(l.Rate+c.Shape.Duplicate), float64(s.Lost+s.Doubled)/float64(s.Sent)
		if l.Burst.Enter > 0 {
			asked = float64(l.Burst.Enter / (l.Burst.Enter + l.Burst.Leave))
		}
		if math.Abs(got-asked) > 0.01 || s.Sent != c.Packets {
			t.Errorf("%s: %.4f, want %.4f", c.Name, got, asked)
		}
		looked++
	}
	if looked < 5 {
		t.Errorf("%d cases", looked)
	}
}

func TestCasesCanBeTranslated(t *testing.T) {
	for _, c := range Cases(1) {
		link := netem.Link{Name: "x", Up: c.Shape}
		if err := link.Validate(); err != nil || c.Lanes < 1 || c.Size < small || len(c.measures) == 0 {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	if err := WriteTable(&b, []Row{{"delay", "1 ms", "2 ms", "3 ms", "-1 ms", "5 ms", Alike}}); err != nil {
		t.Fatal(err)
	}
	want := "WHAT   ASKED  KERNEL  ENGINE  DIFFERENCE  BOUND  VERDICT\ndelay  1 ms   2 ms    3 ms    -1 ms       5 ms   alike\n"
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}

// TestWatch: a thread that is held up is noticed. Nothing is said of how late
// this machine is without.
func TestWatch(t *testing.T) {
	late := watch()
	wait(20 * ms)
	if share := late(); share < 0 || share > 1 {
		t.Errorf("late for %g of the time", share)
	}
}
