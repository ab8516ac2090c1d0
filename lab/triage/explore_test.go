package triage

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

const (
	stock    = "stock@1/peer@1/x25519mlkem768+x25519/clean"
	boxed    = "stock@1/peer@1/x25519mlkem768+x25519/clean/box"
	twoBoxes = "stock@1/peer@1/x25519mlkem768+x25519/clean/one+two"
)

// behind is a world with a box in it: without, everything works.
func behind(how string, when func(shown) bool) world {
	return func(s shown) string {
		if len(s.Boxes) > 0 && when(s) {
			return how
		}
		return ""
	}
}

func isPQ(g wire.Group) bool { return g.PostQuantum() }

func TestExplore(t *testing.T) {
	for _, c := range []struct {
		name, cell string
		world      world
		trigger    lab.Trigger
		threshold  int
		says       string
	}{
		{"segments", boxed, behind(resets, func(s shown) bool { return s.segments > 1 }), lab.TriggerSegmentation, 1421, "in one segment (MTU 9,000) passes"},
		{"segments, silently", boxed, behind(silence, func(s shown) bool { return s.segments > 1 }), lab.TriggerSegmentation, 1421, "so it is not the group"},
		{"size", boxed, behind(resets, func(s shown) bool { return s.bytes >= 1000 }), lab.TriggerSize, 1000, "with 999 bytes it passes"},
		{"one byte", boxed, behind(silence, func(s shown) bool { return s.bytes >= 1452 }), lab.TriggerSize, 1452, ""},
		{"a record", boxed, behind(resets, func(s shown) bool { return s.firstRecord > 1100 }), lab.TriggerSize, 1106, "size of a record"},
		{"packets", boxed, behind(loses, func(s shown) bool { return s.packet > 1380 }), lab.TriggerMTU, 1381, "a ClientHello of 1,329 bytes"},
		{"a share", boxed, behind(resets, func(s shown) bool { return slices.ContainsFunc(s.share, isPQ) }), lab.TriggerKeyShare, 0, "key share of X25519MLKEM768"},
		{"a code point", boxed, behind(resets, func(s shown) bool { return slices.ContainsFunc(s.Offer.Groups(), isPQ) }), lab.TriggerCodePoint, 0, "enough to list it"},
		{"the name", "crafted{cut=50}/peer@1/x25519mlkem768/clean/box", behind(resets, func(s shown) bool { return s.firstSegment < nameEnd }), lab.TriggerName, nameEnd - 1, "passes with 109"},
		{"a cut elsewhere", "crafted{cut=50}/peer@1/x25519mlkem768/clean/box", behind(resets, func(s shown) bool { return s.firstSegment < 77 }), lab.TriggerSegmentation, 76, "passes with 77"},
		// A second defect that is not this finding's: the stock hello is not cut there.
		{"size and the name", boxed, behind(resets, func(s shown) bool { return s.firstSegment < nameEnd || s.bytes > 1234 }), lab.TriggerSize, 1235, ""},
		{"TLS 1.3", boxed, behind(resets, func(s shown) bool { return s.Client != oldPeer }), lab.TriggerTLSVersion, 0, "TLS 1.2 passes"},
		{"everything", boxed, behind(resets, func(shown) bool { return true }), "", 0, "inconclusive: it breaks for every ClientHello"},
		{"a pause", "crafted{cut=100,gap=50ms}/peer@1/x25519mlkem768/clean/box", behind(silence, func(s shown) bool { return s.segments > 1 && s.number("gap") >= 20 }), lab.TriggerGap, 20, "20.1 ms are enough, 19.1 ms are not"},
		{"records", "crafted{record=64}/peer@1/x25519mlkem768/clean/box", behind(resets, func(s shown) bool { return s.records > 1 }), lab.TriggerRecordCut, 0, "wherever it is cut"},
		{"short records", "crafted{record=2}/peer@1/x25519mlkem768/clean/box", behind(resets, func(s shown) bool { return s.firstRecord < 4 }), lab.TriggerRecordCut, 3, "with 4 it passes"},
		{"ML-DSA", "crafted{ml-dsa}/peer@1/x25519mlkem768/clean/box", behind(resets, func(s shown) bool { _, ok := s.set["ml-dsa"]; return ok }), lab.TriggerSchemes, 0, "ML-DSA in signature_algorithms"},
		{"a flaw", "crafted{flaw=padded}/peer@1/x25519mlkem768/clean/box", behind(resets, func(s shown) bool { return s.set["flaw"] != "" }), lab.TriggerMalformed, 0, ""},
		{"HelloRetryRequest", "stock@1/peer@1/*x25519+x25519mlkem768:x25519mlkem768/clean/box", behind(resets, func(s shown) bool { return s.retry }), lab.TriggerHRR, 0, "at once it passes"},
		// Two things together, neither of which is enough: no one variable.
		{"share and segments", boxed, behind(resets, func(s shown) bool { return s.segments > 1 && slices.ContainsFunc(s.share, isPQ) }), "", 0, "inconclusive: it takes more than one segment and the group together"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.world.finding(t, c.cell)
			got := Explore(field, f, c.world.try)
			if got.Trigger != c.trigger || got.Threshold != c.threshold || !strings.Contains(got.Text, c.says) {
				t.Errorf("%s %d: %s\nwant %s %d, and %q", got.Trigger, got.Threshold, got.Text, c.trigger, c.threshold, c.says)
			}
			if c.trigger != "" && (got.Blame != "box box" || got.Remedy != "mend box box" || !strings.HasPrefix(got.Text, "box box ")) {
				t.Errorf("blame %q, remedy %q: %s", got.Blame, got.Remedy, got.Text)
			}
			if got.Runs == 0 || got.Runs > MostTrials || len(got.Trials) > got.Runs {
				t.Errorf("%d runs, %d on record", got.Runs, len(got.Trials))
			}
			if again := Explore(field, f, c.world.try); again.Text != got.Text || !reflect.DeepEqual(again.Trials, got.Trials) {
				t.Errorf("asked again it says %s", again.Text)
			}
		})
	}
}

// TestEveryThreshold: whatever the number is, it is found to the byte.
func TestEveryThreshold(t *testing.T) {
	for range 50 {
		n := 400 + rand.IntN(1050)
		w := behind([]string{resets, silence}[rand.IntN(2)], func(s shown) bool { return s.bytes >= n })
		if got := Explore(field, w.finding(t, boxed), w.try); got.Trigger != lab.TriggerSize || got.Threshold != n {
			t.Errorf("%d: %s %d: %s", n, got.Trigger, got.Threshold, got.Text)
		}
	}
}

// TestCulprits: who is blamed is who can be taken away, or exchanged.
func TestCulprits(t *testing.T) {
	split := func(s shown) bool { return s.segments > 1 }
	for _, c := range []struct {
		cell, blame string
		world       world
	}{
		{twoBoxes, "box two", func(s shown) string {
			if slices.Contains(s.Boxes, "two") && split(s) {
				return resets
			}
			return ""
		}},
		{"stock@1/peer@1/x25519mlkem768/narrow", "link", func(s shown) string {
			if strings.HasPrefix(s.Link, "narrow") && split(s) {
				return silence
			}
			return ""
		}},
		{stock, "server", func(s shown) string {
			if s.Server == "peer@1" && split(s) {
				return resets
			}
			return ""
		}},
	} {
		got := Explore(field, c.world.finding(t, c.cell), c.world.try)
		if got.Blame != c.blame || got.Trigger != lab.TriggerSegmentation {
			t.Errorf("%s: blames %s for %s, want %s: %s", c.cell, got.Blame, got.Trigger, c.blame, got.Text)
		}
	}
}

// TestImitationThatPasses: what only the client's own hello does is told by
// what can be done with that, or not at all.
func TestImitationThatPasses(t *testing.T) {
	own := behind(resets, func(s shown) bool { return s.Client == "stock@1" && s.segments > 1 })
	got := Explore(field, own.finding(t, boxed), own.try)
	if got.Trigger != "" || !strings.Contains(got.Text, "imitation of the ClientHello does not break") {
		t.Errorf("%s: %s", got.Trigger, got.Text)
	}
	small := behind(loses, func(s shown) bool { return s.Client == "stock@1" && s.packet > 1380 })
	if got := Explore(field, small.finding(t, boxed), small.try); got.Trigger != lab.TriggerMTU || !strings.Contains(got.Text, "rests on the client's own alone") {
		t.Errorf("%s: %s", got.Trigger, got.Text)
	}
}

// TestNothingIsGuessed: trials that say nothing lead to no conclusion, and
// never to more of them than there may be.
func TestNothingIsGuessed(t *testing.T) {
	w := behind(resets, func(s shown) bool { return s.segments > 1 })
	f := w.finding(t, boxed)
	asked := 0
	for name, try := range map[string]Try{
		"nothing could be run":   func(ts []Trial) []lab.Observation { return make([]lab.Observation, len(ts)) },
		"everything breaks anew": func(ts []Trial) []lab.Observation { return world(func(shown) string { return silence }).try(ts) },
		"everything passes":      func(ts []Trial) []lab.Observation { return world(func(shown) string { return "" }).try(ts) },
		"the lab fails": func(ts []Trial) []lab.Observation {
			out := w.try(ts)
			for i := range out {
				out[i].Fault = "no more containers"
			}
			return out
		},
	} {
		got := Explore(field, f, func(ts []Trial) []lab.Observation { asked += len(ts); return try(ts) })
		if got.Trigger != "" && got.Trigger != lab.TriggerChance || !strings.HasPrefix(got.Text, "inconclusive") && got.Trigger == "" {
			t.Errorf("%s: concludes %s: %s", name, got.Trigger, got.Text)
		}
		if v := got.Apply(f.Verdict); got.Trigger == "" && (v.Trigger != "" || v.Blame != f.Verdict.Blame) {
			t.Errorf("%s: the verdict became %s %s", name, v.Trigger, v.Blame)
		}
	}
	for range 100 { // a path that is pure noise
		noise := world(func(shown) string { return []string{"", resets, silence}[rand.IntN(3)] })
		if got := Explore(field, f, noise.try); got.Runs > MostTrials {
			t.Fatalf("%d runs", got.Runs)
		}
	}
}

func TestTraceOfAGroup(t *testing.T) {
	w := behind(resets, func(s shown) bool {
		return s.segments > 1 && s.Accept.String() != "x25519mlkem768" || s.Accept.String() == "x25519mlkem768" && slices.ContainsFunc(s.share, isPQ)
	})
	var fs []Finding
	for _, accept := range []string{"x25519mlkem768+x25519", "x25519mlkem768>x25519", "default", "x25519mlkem768"} {
		fs = append(fs, w.finding(t, fmt.Sprintf("stock@1/peer@1/x25519mlkem768+x25519:%s/clean/box", accept)))
	}
	other := behind(silence, func(s shown) bool { return s.segments > 1 }).finding(t, boxed)
	groups := Groups(append(fs, other))
	if len(groups) != 2 || len(groups[0])+len(groups[1]) != 5 {
		t.Fatalf("%d groups", len(groups))
	}
	var likened, whole int
	for _, g := range groups {
		for _, v := range Trace(field, g, w.try) {
			switch {
			case v.Like != "":
				likened++
				if v.Trigger != lab.TriggerSegmentation || !strings.Contains(v.Traced, v.Like) || v.TriageRuns == 0 {
					t.Errorf("%s like %s: %s %s", v.Cell, v.Like, v.Trigger, v.Traced)
				}
			case v.Cause == lab.CauseRSTAfterHello:
				whole++
			}
		}
	}
	if likened == 0 || whole < 2 {
		t.Errorf("%d findings are like another, %d were explained by themselves", likened, whole)
	}
}

// TestGroupsOfShapes: clients that differ in settings alone look alike.
func TestGroupsOfShapes(t *testing.T) {
	w := behind(resets, func(s shown) bool { return s.segments > 1 })
	var fs []Finding
	for _, client := range []string{"crafted{cut=20}", "crafted{pad=2000}", "stock@1"} {
		fs = append(fs, w.finding(t, client+"/peer@1/x25519mlkem768+x25519/clean/box"))
	}
	groups := Groups(fs)
	if len(groups) != 2 || len(groups[0]) != 2 {
		t.Errorf("%d groups, the first of %d", len(groups), len(groups[0]))
	}
}
