package tc

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/netem"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const ms = time.Millisecond

// TestTranslate: each key by itself, and those that need each other.
func TestTranslate(t *testing.T) {
	for _, c := range []struct {
		name  string
		shape netem.Shape
		want  Tree
	}{
		{"nothing", netem.Shape{}, nil},
		{"delay", netem.Shape{Delay: 20 * ms}, Tree{{Limit: inFlight, Delay: 20 * ms}}},
		{"jitter is about the middle and keeps the order", netem.Shape{Delay: 20 * ms, Jitter: 10 * ms},
			Tree{{Limit: inFlight, Delay: 25 * ms, Jitter: 5 * ms, Rate: inOrder}}},
		{"loss", netem.Shape{Loss: netem.Loss{Rate: 0.5}}, Tree{{Limit: inFlight, Loss: 1 << 31}}},
		{"all are lost", netem.Shape{Loss: netem.Loss{Rate: 1}}, Tree{{Limit: inFlight, Loss: math.MaxUint32}}},
		{"bursts of all", netem.Shape{Loss: netem.Loss{Burst: netem.Burst{Enter: 0.5, Leave: 1}}},
			Tree{{Limit: inFlight, Burst: Burst{P: 1 << 31, R: math.MaxUint32}}}},
		{"bursts of some", netem.Shape{Loss: netem.Loss{Burst: netem.Burst{Enter: 0.5, Leave: 1, Bad: 0.5, Good: 0.5}}},
			Tree{{Limit: inFlight, Burst: Burst{P: 1 << 31, R: math.MaxUint32, H: 1 << 31, K1: 1 << 31}}}},
		{"loss in the good state only", netem.Shape{Loss: netem.Loss{Burst: netem.Burst{Good: 0.5}}},
			Tree{{Limit: inFlight, Burst: Burst{K1: 1 << 31}}}},
		{"bursts beside loss", netem.Shape{Loss: netem.Loss{Rate: 0.5, Burst: netem.Burst{Enter: 0.5, Leave: 1, Bad: 0.5}}},
			Tree{{Limit: inFlight, Burst: Burst{P: 1 << 31, R: math.MaxUint32, H: 1 << 30, K1: 1 << 31}}}},
		{"duplicate", netem.Shape{Duplicate: 0.5}, Tree{{Limit: inFlight, Duplicate: 1 << 31}}},
		{"corrupt", netem.Shape{Corrupt: netem.Corrupt{Rate: 0.5}}, Tree{{Limit: inFlight, Corrupt: 1 << 31}}},
		{"a rate has a queue", netem.Shape{Rate: 256_000}, Tree{{Limit: netem.DefaultQueue, Rate: 32_000}}},
		{"the queue holds what waits for the rate, not for the delay", netem.Shape{Rate: 256_000, Queue: 20, Delay: 20 * ms, Loss: netem.Loss{Rate: 0.5}},
			Tree{{Limit: 20, Rate: 32_000, Loss: 1 << 31}, {Limit: inFlight, Delay: 20 * ms}}},
		{"a held back packet is the rare point of a distribution", netem.Shape{Delay: 5 * ms, Reorder: netem.Reorder{Rate: 0.25, By: 2 * ms}},
			Tree{{Limit: inFlight, Delay: 5 * ms, Jitter: 2 * ms, Table: []int16{unit, 0, 0, 0}}}},
		{"with the default time", netem.Shape{Reorder: netem.Reorder{Rate: 0.5}},
			Tree{{Limit: inFlight, Jitter: netem.DefaultReorder, Table: []int16{unit, 0}}}},
		{"jitter in order, then overtaken", netem.Shape{Jitter: 10 * ms, Reorder: netem.Reorder{Rate: 0.5}},
			Tree{{Limit: inFlight, Delay: 5 * ms, Jitter: 5 * ms, Rate: inOrder}, {Limit: inFlight, Jitter: netem.DefaultReorder, Table: []int16{unit, 0}}}},
		{"everything that can be together", netem.Shape{Rate: 8000, Jitter: 10 * ms, Reorder: netem.Reorder{Rate: 1}, Loss: netem.Loss{Rate: 0.5}},
			Tree{{Limit: 100, Rate: 1000, Loss: 1 << 31}, {Limit: inFlight, Delay: 5 * ms, Jitter: 5 * ms, Rate: inOrder}, {Limit: inFlight, Jitter: netem.DefaultReorder, Table: []int16{unit}}}},
	} {
		if got, err := Translate(c.shape); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.name, got, err, c.want)
		}
	}
}

// TestRefuse: what the kernel cannot do is refused by its key, and what is
// next to it is not.
func TestRefuse(t *testing.T) {
	for key, shape := range map[string]netem.Shape{
		"loss.nth":          {Loss: netem.Loss{Nth: []int{1}}},
		"loss.nth_data":     {Loss: netem.Loss{NthData: []int{1}}},
		"corrupt.nth":       {Corrupt: netem.Corrupt{Nth: []int{1}}},
		"corrupt.nth_data":  {Corrupt: netem.Corrupt{NthData: []int{1}}},
		"corrupt.checksum":  {Corrupt: netem.Corrupt{Rate: 0.1, Checksum: netem.FixedChecksum}},
		"mtu":               {MTU: 1280},
		"too_big: eat":      {MTU: 1280, TooBig: netem.EatICMP},
		"too_big: fragment": {MTU: 1280, TooBig: netem.Fragment},
		"mss":               {MSS: 536},
		"fragments: drop":   {Fragments: netem.DropFragments},
		"jitter":            {Jitter: 5 * time.Second},
		"reorder.by":        {Reorder: netem.Reorder{Rate: 0.1, By: 3 * time.Second}},
		"reorder.rate":      {Reorder: netem.Reorder{Rate: 0.00001}},
		"duplicate":         {Duplicate: 0.1, Rate: 8000, Delay: ms},
	} {
		tree, err := Translate(shape)
		var r Refusal
		if !errors.As(err, &r) || len(r) != 1 || r[0].Key != key || tree != nil {
			t.Errorf("%s: %v, %v", key, tree, err)
			continue
		}
		if text := err.Error(); !strings.Contains(text, key+": ") || r[0].Instead == "" {
			t.Errorf("%s: %q names no way out", key, text)
		}
	}
	_, err := Translate(netem.Shape{MTU: 1280, ClampMSS: true, Loss: netem.Loss{Nth: []int{1}}})
	if r := (Refusal{}); !errors.As(err, &r) || len(r) != 3 {
		t.Errorf("three reasons: %v", err)
	}
	for _, s := range []netem.Shape{
		{Fragments: netem.PassFragments}, {Duplicate: 0.1, Rate: 8000}, {Duplicate: 0.1, Delay: ms, Reorder: netem.Reorder{Rate: 0.1}},
		{Corrupt: netem.Corrupt{Rate: 0.1, Checksum: netem.WrongChecksum}}, {Jitter: 4 * time.Second}, {Reorder: netem.Reorder{Rate: 0.0001}},
	} {
		if _, err := Translate(s); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// TestWithout: each reason to refuse can be left out, and what hangs on it
// goes with it: the rest is a link that makes sense.
func TestWithout(t *testing.T) {
	for _, l := range netem.Links() {
		for _, s := range []netem.Shape{l.Up, l.Down} {
			_, err := Translate(s)
			var r Refusal
			if !errors.As(err, &r) {
				continue
			}
			for _, why := range r {
				key, _, _ := strings.Cut(strings.Replace(why.Key, "too_big", "mtu", 1), ":")
				key, _, _ = strings.Cut(key, ".")
				if s, err = Without(s, key); err != nil {
					t.Errorf("%s: %v", l.Name, err)
				}
			}
			if err := (netem.Link{Name: "rest", Up: s}).Validate(); err != nil {
				t.Errorf("%s: %v", l.Name, err)
			}
			if _, err := Translate(s); err != nil {
				t.Errorf("%s: %v", l.Name, err)
			}
		}
	}
	full := netem.Shape{Delay: ms, Jitter: ms, MTU: 1280, TooBig: netem.EatICMP, ClampMSS: true}
	if got, err := Without(full, "mtu"); err != nil || !reflect.DeepEqual(got, netem.Shape{Delay: ms, Jitter: ms}) || full.MTU == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Without(full, "delay"); err == nil || !strings.Contains(err.Error(), "clamp_mss, corrupt") {
		t.Errorf("a key that need not be left out: %v", err)
	}
}

func TestDifferences(t *testing.T) {
	for _, c := range []struct {
		shape netem.Shape
		want  []string
	}{
		{netem.Shape{Delay: ms, Loss: netem.Loss{Rate: 0.1}}, nil},
		{netem.Shape{Corrupt: netem.Corrupt{Rate: 0.1}}, []string{"corrupt: "}},
		{netem.Shape{Duplicate: 0.1}, nil},
		{netem.Shape{Duplicate: 0.1, Loss: netem.Loss{Rate: 0.1}, Rate: 8000}, []string{"duplicate: ", "duplicate: "}},
	} {
		got := Differences(c.shape)
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("%+v: %q", c.shape, got)
		}
	}
}

// TestLibrary: each link of the library, each direction, is translated or
// refused with its reasons.
func TestLibrary(t *testing.T) {
	var b strings.Builder
	for _, l := range netem.Links() {
		for _, d := range []struct {
			name  string
			shape netem.Shape
		}{{"up", l.Up}, {"down", l.Down}} {
			fmt.Fprintf(&b, "%s %s\n", l.Name, d.name)
			tree, err := Translate(d.shape)
			var r Refusal
			if err != nil && !errors.As(err, &r) {
				t.Errorf("%s: %v", l.Name, err)
			}
			for _, q := range tree {
				fmt.Fprintf(&b, "  %s\n", q)
			}
			for _, why := range r {
				fmt.Fprintf(&b, "  refused: %s: %s\n", why.Key, why.Why)
			}
		}
	}
	const golden = "testdata/library.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s is another (-update rewrites it):\n%s", golden, b.String())
	}
}

// TestTwoPoints: a table has the share it is made for.
func TestTwoPoints(t *testing.T) {
	for _, c := range []struct {
		p       netem.Chance
		size, k int
	}{{0.05, 20, 1}, {0.4, 5, 2}, {1, 1, 1}, {1. / 3, 3, 1}, {0.0001, 10000, 1}, {0.123, 1000, 123}, {0.99999, 1, 1}} {
		table := twoPoints(c.p)
		k := 0
		for _, v := range table {
			if v == unit {
				k++
			} else if v != 0 {
				t.Fatalf("%s: entry %d", c.p, v)
			}
		}
		if len(table) != c.size || k != c.k {
			t.Errorf("%s: %d of %d, want %d of %d", c.p, k, len(table), c.k, c.size)
		}
	}
}

// everything is a qdisc with every option, each another.
var everything = Qdisc{Limit: 1, Delay: 2, Jitter: 3, Table: []int16{-4, 5, 6, 7}, Loss: 7, Burst: Burst{8, 9, 10, 11}, Duplicate: 12, Corrupt: 13,
	Rate: 1<<32 + 14, Overhead: -15, Seed: 16}

func TestOptionsRoundTrip(t *testing.T) {
	slow := everything
	slow.Rate, slow.Table = 1000, []int16{1}
	for _, q := range []Qdisc{{}, everything, slow, {Delay: 30 * time.Second, Seed: math.MaxUint64}, {Rate: maxRate}, {Rate: maxRate + 1}} {
		b := q.options()
		if len(b)%4 != 0 {
			t.Errorf("%s: %d bytes are not aligned", q, len(b))
		}
		if got, err := parseOptions(b); err != nil || !reflect.DeepEqual(got, q) {
			t.Errorf("%+v came back as %+v, %v", q, got, err)
		}
	}
}

// TestOptionsOnTheWire holds the bytes against linux/pkt_sched.h, for the
// round trip would not notice two wrongs.
func TestOptionsOnTheWire(t *testing.T) {
	got := fmt.Sprintf("%x", Qdisc{Limit: 0x11, Loss: 0x22, Duplicate: 0x33, Delay: 0x44, Burst: Burst{1, 2, 3, 4}, Rate: 0x55, Overhead: -14}.options())
	want := strings.Join([]string{
		"00000000", "11000000", "22000000", "00000000", "33000000", "00000000", // latency, limit, loss, gap, duplicate, jitter
		"0c000a00", "4400000000000000", // TCA_NETEM_LATENCY64
		"18000500", "14000200", "01000000", "02000000", "03000000", "04000000", // TCA_NETEM_LOSS, NETEM_LOSS_GE: p, r, h, k1
		"14000600", "55000000", "f2ffffff", "00000000", "00000000", // TCA_NETEM_RATE
	}, "")
	if native.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the bytes are those of a little-endian machine")
	}
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestEveryPrefix of an answer is an answer or an error.
func TestEveryPrefix(t *testing.T) {
	b := everything.options()
	short := 0
	for n := range b {
		if _, err := parseOptions(b[:n]); err != nil {
			short++
		}
	}
	if attrs := 8; len(b)-short != attrs { // a prefix that ends before an option is one
		t.Errorf("%d of %d prefixes are answers, want %d", len(b)-short, len(b), attrs)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything.options())
	f.Add(appendAttr(appendAttr(nil, 1, []byte("netem\x00")), 2, everything.options()))
	f.Fuzz(func(t *testing.T, b []byte) {
		var q installed
		_ = q.parse(b)
		q.netem, _ = parseOptions(b)
		said := q.netem.options()
		if again, err := parseOptions(said); err != nil || !bytes.Equal(again.options(), said) {
			t.Errorf("%+v came back as %+v, %v", q.netem, again, err)
		}
	})
}

// TestOn: a link's rate counts the bytes of IP, whatever the device adds.
func TestOn(t *testing.T) {
	tree := Tree{{Rate: 1}, {Delay: 2}}
	if got := tree.on(14); got[0].Overhead != -14 || got[1].Overhead != 0 || tree[0].Overhead != 0 {
		t.Errorf("%+v of %+v", got, tree)
	}
}

func TestDeviceThatIsNotThere(t *testing.T) {
	tree := Tree{{Limit: 1}}
	if err := Apply("no-such-dev", tree); !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), "lo") {
		t.Errorf("Apply: %v", err)
	}
	if err := Clear("no-such-dev"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("Clear: %v", err)
	}
	if _, err := Count("no-such-dev"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("Count: %v", err)
	}
	if err := Clear("lo"); err == nil || errors.Is(err, ErrNoDevice) {
		t.Errorf("nothing to clear: %v", err)
	}
}
