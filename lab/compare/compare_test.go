package compare

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
)

// cell is a verdict on a small cell, in words: "hybrid", "classical hrr",
// "size pmtu-blackhole link".
func cell(t *testing.T, id, words string) lab.Verdict {
	t.Helper()
	c, err := lab.ParseCell(id)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Fields(words)
	v := lab.Verdict{Cell: c.ID, Client: c.Client, Server: c.Server, Offer: c.Offer, Accept: c.Accept, Link: c.Link, Boxes: c.Boxes, Outcome: lab.Outcome(parts[0])}
	hrr := slices.Contains(parts, "hrr")
	switch v.Outcome {
	case lab.Hybrid:
		v.Group, v.HRR = "X25519MLKEM768", &hrr
	case lab.Classical, lab.Downgrade:
		v.Group, v.HRR = "x25519", &hrr
	}
	if v.Outcome.Finding() && len(parts) > 2 {
		v.Cause, v.Blame = lab.Cause(parts[1]), parts[2]
	}
	return v
}

func same(id string) (string, int) { return id, 0 }

func side(run string, vs ...lab.Verdict) Side {
	rep := lab.Report{Run: run, Fabric: "embedded", Seed: 1, Ended: time.Unix(9, 0)}
	seen := map[lab.PeerID]bool{}
	for _, v := range vs {
		for _, id := range []lab.PeerID{v.Client, v.Server} {
			if !seen[id] {
				seen[id] = true
				rep.Peers = append(rep.Peers, lab.PeerInfo{ID: id, Version: "version of " + string(id)})
			}
		}
	}
	return Side{rep, func(yield func(lab.Verdict, error) bool) {
		for _, v := range vs {
			if !yield(v, nil) {
				return
			}
		}
	}, same}
}

const one = "a@1/b@1/x25519mlkem768/clean"

func TestKinds(t *testing.T) {
	for _, tt := range []struct {
		before, after string
		want          []Kind
	}{
		{"hybrid", "hybrid", nil},
		{"hybrid", "downgrade server-preferred-classical server", []Kind{Downgraded}},
		{"failure rst-after-hello server", "downgrade server-preferred-classical server", []Kind{Downgraded}},
		{"hybrid", "failure rst-after-hello server", []Kind{Broke}},
		{"refused", "misroute wrong-server link", []Kind{Broke}},
		{"hybrid", "classical", []Kind{Weaker}},
		{"hybrid", "refused", []Kind{Weaker}},
		{"hybrid", "classical hrr", []Kind{Weaker, NewRetry}},
		{"hybrid", "flaky", []Kind{Undecided}},
		{"size pmtu-blackhole link", "fault", []Kind{Undecided}},
		{"flaky", "inconclusive", nil},
		{"flaky", "hybrid", []Kind{Decided}},
		{"size pmtu-blackhole link", "failure packet-loss link", []Kind{Other}},
		{"failure rst-after-hello server", "failure rst-after-hello client", []Kind{Other}},
		{"hybrid", "hybrid hrr", []Kind{NewRetry}},
		{"hybrid hrr", "hybrid", []Kind{RetryGone}},
		{"classical", "refused", []Kind{Group}},
		{"classical hrr", "hybrid", []Kind{RetryGone, Stronger}},
		{"refused", "hybrid", []Kind{Stronger}},
		{"failure rst-after-hello server", "hybrid", []Kind{Mended}},
	} {
		c, err := Runs(side("a", cell(t, one, tt.before)), side("b", cell(t, one, tt.after)))
		if err != nil {
			t.Fatal(err)
		}
		var got []Kind
		if len(c.Changes) > 0 {
			got = c.Changes[0].Kinds
		}
		if !slices.Equal(got, tt.want) || c.Unchanged() != 1-min(1, len(tt.want)) {
			t.Errorf("%s -> %s: %v, want %v", tt.before, tt.after, got, tt.want)
		}
		if worse := len(tt.want) > 0 && tt.want[0].Worse(); c.Worse() != worse {
			t.Errorf("%s -> %s: worse is %t", tt.before, tt.after, c.Worse())
		}
	}
}

func TestEveryKindIsListed(t *testing.T) {
	for k := range map[Kind]bool{Downgraded: true, Broke: true, Lost: true, Weaker: true, Undecided: true, Other: true, NewRetry: true, Group: true,
		Disappeared: true, Appeared: true, RetryGone: true, Decided: true, Stronger: true, Mended: true} {
		if !slices.Contains(Kinds, k) {
			t.Errorf("%s is not in Kinds", k)
		}
	}
}

// TestOnlyInOne: cells of one run only are listed; one that worked and that
// the other run's peers cannot do is a loss.
func TestOnlyInOne(t *testing.T) {
	before := side("a", cell(t, one, "hybrid"), cell(t, "a@1/b@1/x25519/clean", "classical"), cell(t, "a@1/b@1/mlkem768/clean", "hybrid"))
	after := side("b", cell(t, one, "hybrid"), cell(t, "a@1/b@1/x25519/rtt100", "classical"))
	after.Report.Excluded = []lab.Exclusion{{Cell: "a@1/b@1/mlkem768/clean", Reason: "server b@1: it has no group MLKEM768"}}
	c, err := Runs(before, after)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ch := range c.Changes {
		got = append(got, fmt.Sprintf("%s %s %s", ch.Worst(), ch.Cell(), ch.Reason))
	}
	want := []string{"lost a@1/b@1/mlkem768/clean server b@1: it has no group MLKEM768", "disappeared a@1/b@1/x25519/clean ", "appeared a@1/b@1/x25519/rtt100 "}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if c.Cells != 1 || c.Before.Cells != 3 || c.After.Cells != 2 || !c.Worse() {
		t.Errorf("%+v", c)
	}
}

func TestMap(t *testing.T) {
	m, err := ParseMap([]string{"nginx@trixie=nginx@forky"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		cell, before, after string // "": left out
		rank                int
	}{
		{"go@1/nginx@trixie/x25519/clean", "go@1/nginx@forky/x25519/clean", "", 2},
		{"go@1/nginx@forky/x25519/clean", "go@1/nginx@forky/x25519/clean", "go@1/nginx@forky/x25519/clean", 0},
		{"nginx@trixie/nginx@trixie+rsa2048/x25519:default/clean/a+b", "nginx@forky/nginx@forky+rsa2048/x25519:default/clean/a+b", "", 3},
		{"nginx@trixie/nginx@forky/x25519/clean", "nginx@forky/nginx@forky/x25519/clean", "", 1},
		{"go@1/go@1/x25519/clean", "go@1/go@1/x25519/clean", "go@1/go@1/x25519/clean", 0},
	} {
		if key, rank := m.KeyBefore(tt.cell); key != tt.before || rank != tt.rank {
			t.Errorf("%s before is %q, %d", tt.cell, key, rank)
		}
		if key, rank := m.KeyAfter(tt.cell); key != tt.after || rank >= 0 != (tt.after != "") {
			t.Errorf("%s after is %q, %d", tt.cell, key, rank)
		}
	}
	swap, err := ParseMap([]string{"a@1=b@1", "b@1=a@1"})
	if err != nil {
		t.Fatal(err)
	}
	if key, rank := swap.KeyBefore("a@1/b@1/x25519/clean"); rank != 3 || key != "b@1/a@1/x25519/clean" {
		t.Errorf("swapped: %q, %d", key, rank)
	}
	for _, bad := range []string{"nginx@trixie", "=b", "a=", "a=a", "a@1=c@1"} {
		if _, err := ParseMap([]string{"a@1=b@1", bad}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestOneRunWithItself: two versions of a server in one run are compared
// with each other, and what neither is with itself.
func TestOneRunWithItself(t *testing.T) {
	run := side("r", cell(t, "go@1/n@1/x25519mlkem768/clean", "hybrid"), cell(t, "go@1/n@2/x25519mlkem768/clean", "hybrid hrr"), cell(t, "go@1/go@1/x25519/clean", "classical"))
	m, err := ParseMap([]string{"n@1=n@2"})
	if err != nil {
		t.Fatal(err)
	}
	before, after := run, run
	before.Key, after.Key = m.KeyBefore, m.KeyAfter
	c, err := Runs(before, after)
	if err != nil || c.Cells != 2 || len(c.Changes) != 1 || c.Changes[0].Worst() != NewRetry {
		t.Errorf("%+v, %v", c, err)
	}
	if want := (Peer{Before: "n@1", After: "n@2", VersionBefore: "version of n@1", VersionAfter: "version of n@2"}); err == nil && !slices.Equal(c.Peers, []Peer{want}) {
		t.Errorf("peers %+v", c.Peers)
	}
	if err := m.Check(run.Report, run.Report); err != nil {
		t.Error(err)
	}
	typo, err := ParseMap([]string{"n@1=n@3"})
	if err != nil {
		t.Fatal(err)
	}
	if err := typo.Check(run.Report, run.Report); err == nil || !strings.Contains(err.Error(), "n@2") {
		t.Errorf("a map to nobody: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	a := side("a", cell(t, one, "hybrid"))
	if _, err := Runs(a, side("b", cell(t, "a@1/c@1/x25519/clean", "classical"))); err == nil || !strings.Contains(err.Error(), "no cell is in both") {
		t.Errorf("nothing in common: %v", err)
	}
	twice := side("b", cell(t, one, "hybrid"), cell(t, "a@1/b@1/x25519/clean", "classical"))
	twice.Key = func(string) (string, int) { return "x", 0 }
	if _, err := Runs(a, twice); err == nil || !strings.Contains(err.Error(), "both be compared") {
		t.Errorf("two cells of one key: %v", err)
	}
	torn := side("b", cell(t, one, "hybrid"))
	torn.Verdicts = func(yield func(lab.Verdict, error) bool) { yield(lab.Verdict{}, fmt.Errorf("torn")) }
	if _, err := Runs(a, torn); err == nil || !strings.Contains(err.Error(), "after: torn") {
		t.Errorf("a torn run: %v", err)
	}
}

func TestNotes(t *testing.T) {
	a, b := side("a", cell(t, one, "hybrid")), side("b", cell(t, one, "hybrid"))
	b.Report.Seed, b.Report.Tool, b.Report.Interrupted = 2, "other", true
	c, err := Runs(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(c.Notes, "; "); notes != "another seed: 1 before, 2 after; another hybridlab:  before, other after; the run after was stopped before its end" {
		t.Error(notes)
	}
}

func TestHellos(t *testing.T) {
	sized := func(id string, bytes, segments int) lab.Verdict {
		v := cell(t, id, "hybrid")
		v.HelloBytes, v.HelloSegments = bytes, segments
		return v
	}
	ids := []string{"a@1/b@1/x25519mlkem768/clean", "a@1/b@1/x25519mlkem768/mtu1500", "a@1/b@1/x25519mlkem768/rtt100"}
	var before, after []lab.Verdict
	for i, id := range ids {
		before, after = append(before, sized(id, 1400+i, 1)), append(after, sized(id, 1449+i, 1+i%2))
	}
	before, after = append(before, sized("b@1/b@1/x25519/clean", 300, 1)), append(after, sized("b@1/b@1/x25519/clean", 300, 1))
	for i, bytes := range []int{1922, 1986, 2018} { // whose hellos differ by chance, in both runs alike
		id := []string{"c@1/b@1/default/clean", "c@1/b@1/default/mtu1500", "c@1/b@1/default/rtt100"}[i]
		before, after = append(before, sized(id, bytes, 1)), append(after, sized(id, 4000-bytes, 2))
	}
	c, err := Runs(side("a", before...), side("b", after...))
	if err != nil {
		t.Fatal(err)
	}
	if want := []Growth{{"a@1", "x25519mlkem768", 3, 1401, 1450, 1}}; !slices.Equal(c.Hellos, want) {
		t.Errorf("%+v, want %+v", c.Hellos, want)
	}
	if c.Hellos[0].Bytes() != 49 {
		t.Errorf("%d bytes", c.Hellos[0].Bytes())
	}
}

// TestTimes: cells that ended alike are compared, group by group; those of
// peers that did not change are marked.
func TestTimes(t *testing.T) {
	timed := func(id, words string, ms ...float64) lab.Verdict {
		v := cell(t, id, words)
		for _, m := range ms {
			v.Attempts = append(v.Attempts, lab.Attempt{Outcome: v.Outcome, HandshakeMS: m})
		}
		return v
	}
	before := side("a", timed(one, "hybrid", 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 0), timed("a@1/b@1/x25519/clean", "classical", 1, 2), timed("a@1/c@1/x25519/clean", "classical", 1))
	after := side("b", timed(one, "hybrid", 2, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7), timed("a@1/b@1/x25519/clean", "classical hrr", 1, 2), timed("a@1/c@1/x25519/clean", "classical", 1))
	after.Report.Peers[1].Version = "newer"
	c, err := Runs(before, after)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Times) != 2 {
		t.Fatalf("%+v", c.Times)
	}
	b := c.Times[0]
	if s := b.Shifts[0]; b.Server != "b@1" || b.Same || s.Samples != 7 || !s.Real || s.Before != 1.3 || s.After != 2.3 || b.Shifts[1].Need != 72 {
		t.Errorf("%+v", b)
	}
	if other := c.Times[1]; other.Server != "c@1" || !other.Same || other.Shifts[0].Need == 0 {
		t.Errorf("%+v", other)
	}
}

// TestOrder: neither the order of the verdicts nor that of maps shows.
func TestOrder(t *testing.T) {
	var a, b []lab.Verdict
	for i := range 20 {
		id := fmt.Sprintf("a@%d/b@1/x25519mlkem768/clean", i)
		a, b = append(a, cell(t, id, "hybrid")), append(b, cell(t, id, []string{"classical", "hybrid hrr", "flaky", "hybrid"}[i%4]))
	}
	first := ""
	for range 3 {
		slices.Reverse(a)
		c, err := Runs(side("a", a...), side("b", b...))
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(c.Peers, func(a, b Peer) int { return strings.Compare(string(a.Before), string(b.Before)) })
		got, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(got)
		}
		if string(got) != first {
			t.Errorf("got  %s\nthen %s", first, got)
		}
		if bs := c.Bundles(); len(bs) != 3 || bs[0].Kind != Weaker || len(bs[0].Changes) != 5 || bs[2].Kind != NewRetry {
			t.Errorf("%+v", bs)
		}
	}
}
