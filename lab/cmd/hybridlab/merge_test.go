package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/scenarios"
)

// wide is a plan of more than 2,000 cells, also over links that double and
// reorder by chance.
func wide(shard string) scenarios.Axes {
	return scenarios.Axes{Fabric: "embedded", Level: "full", Clients: []string{"crafted", "go@1.26"}, Servers: []string{"crafted", "go@1.26"},
		Links: []string{"clean", "mtu1280", "dup2", "reorder5"}, Groups: []string{"x25519", "secp256r1", "x25519mlkem768", "secp256r1mlkem768", "secp384r1", "secp384r1mlkem1024", "mlkem768"}, Shard: shard}
}

// ran runs the axes without triage, which is the run's and not the cell's.
func ran(t *testing.T, a scenarios.Axes, out string, o scenarios.Options) *lab.RunDir {
	t.Helper()
	s, err := a.Choose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.Out = out
	if o.Seed == 0 {
		o.Seed = 7
	}
	o.Attempts = 2
	ss, err := scenarios.Start(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := ss.Run(t.Context(), s.Plan.Cells, 64); err != nil {
		t.Fatal(err)
	}
	if err := ss.End(); err != nil {
		t.Fatal(err)
	}
	return &ss.Recorder.RunDir
}

func read(t *testing.T, d *lab.RunDir) map[string]lab.Verdict {
	t.Helper()
	out := map[string]lab.Verdict{}
	for v, err := range d.Verdicts() {
		if err != nil {
			t.Fatal(err)
		}
		out[v.Cell] = v.Comparable()
	}
	return out
}

// starved reports whether an attempt decided nothing, as happens where the
// machine has other work, also as somebody's control.
func starved(v lab.Verdict) bool {
	return slices.ContainsFunc(v.Attempts, func(a lab.Attempt) bool { return !a.Outcome.Telling() }) ||
		slices.ContainsFunc(v.Control, func(k lab.ControlTaken) bool { return !k.Outcome.Telling() })
}

// TestShardsAreTheRun: three shards merged are the run, verdict for verdict,
// and can be judged again as it can.
func TestShardsAreTheRun(t *testing.T) {
	dir := t.TempDir()
	whole := ran(t, wide(""), filepath.Join(dir, "whole"), scenarios.Options{})
	args := []string{"merge", "--out", filepath.Join(dir, "merged")}
	for i := 1; i <= 3; i++ {
		part := fmt.Sprintf("%d/3", i)
		d := ran(t, wide(part), filepath.Join(dir, fmt.Sprint(i)), scenarios.Options{})
		if d.Report.PlanDigest != whole.Report.PlanDigest || d.Report.Shard != part {
			t.Errorf("shard %s is %q of plan %s, want plan %s", part, d.Report.Shard, d.Report.PlanDigest, whole.Report.PlanDigest)
		}
		args = append(args, d.Dir)
	}
	exit, stdout, stderr := do(t, args...)
	if exit > exitFindings {
		t.Fatalf("merge: exit %d\n%s%s", exit, stdout, stderr)
	}
	merged, err := lab.OpenRun(filepath.Join(dir, "merged"))
	if err != nil {
		t.Fatal(err)
	}
	want, got := read(t, whole), read(t, merged)
	if len(want) < 2000 || len(got) != len(want) {
		t.Fatalf("%d verdicts merged, %d in one run, want 2,000 or more", len(got), len(want))
	}
	disturbed := 0
	for id, v := range want {
		if starved(v) || starved(got[id]) {
			disturbed++
		} else if !reflect.DeepEqual(v, got[id]) {
			t.Errorf("%s:\nin one run %+v\nmerged     %+v", id, v, got[id])
		}
	}
	if t.Logf("%d of %d cells were disturbed by what else the machine does, and say nothing", disturbed, len(want)); disturbed > len(want)/2 {
		t.Error("that is too many to say anything of the rest")
	}
	if w, g := whole.Report, merged.Report; disturbed == 0 && !reflect.DeepEqual(w.Counts, g.Counts) || w.Cells != g.Cells || g.Judged != w.Judged || g.Interrupted || len(g.Merged) != 3 || g.Shard != "" || len(g.Excluded) != len(w.Excluded) {
		t.Errorf("report %+v\nwant   %+v", g, w)
	}
	for v, err := range merged.Verdicts() {
		if err != nil {
			t.Fatal(err)
		}
		if v.Capture != "" {
			if _, err := os.Stat(filepath.Join(merged.Dir, v.Capture)); err != nil {
				t.Errorf("%s: %v", v.Cell, err)
			}
		}
	}
	if _, stdout, stderr := do(t, "judge", "--dry-run", merged.Dir); !strings.Contains(stdout, " 0 changed") {
		t.Errorf("judged again: %s%s", stdout, stderr)
	}
}

// TestMergedTriage: findings were traced shard by shard, and are when the
// merged run is judged again: also where a trial is a cell of another shard.
func TestMergedTriage(t *testing.T) {
	dir := t.TempDir()
	args := []string{"merge", "--out", filepath.Join(dir, "merged")}
	want := map[string]lab.Verdict{}
	for i := 1; i <= 2; i++ {
		a := stored(t, "0ms")
		a.Shard = fmt.Sprintf("%d/2", i)
		d, _ := traced(t, a, filepath.Join(dir, fmt.Sprint(i)), "", nil)
		for id, v := range read(t, d) {
			want[id] = v
		}
		args = append(args, d.Dir)
	}
	if exit, stdout, stderr := do(t, args...); exit > exitFindings {
		t.Fatalf("merge: exit %d\n%s%s", exit, stdout, stderr)
	}
	merged, err := lab.OpenRun(filepath.Join(dir, "merged"))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, merged); !reflect.DeepEqual(got, want) || merged.Report.Counts[lab.Size] < 4 {
		t.Errorf("merged, the verdicts are others: %d and %d, %v", len(got), len(want), merged.Report.Counts)
	}
	if _, stdout, stderr := do(t, "judge", "--dry-run", merged.Dir); !strings.Contains(stdout, " 0 changed") {
		t.Errorf("judged again: %s%s", stdout, stderr)
	}
}

// TestMergeRefuses what is not all shards of one plan.
func TestMergeRefuses(t *testing.T) {
	dir := t.TempDir()
	small := func(shard string) scenarios.Axes {
		return scenarios.Axes{Fabric: "embedded", Level: "smoke", Links: []string{"clean"}, Shard: shard}
	}
	other := small("2/2")
	other.Links = []string{"mtu1280"}
	runs := map[string]*lab.RunDir{
		"one":      ran(t, small("1/2"), filepath.Join(dir, "one"), scenarios.Options{}),
		"two":      ran(t, small("2/2"), filepath.Join(dir, "two"), scenarios.Options{}),
		"whole":    ran(t, small(""), filepath.Join(dir, "whole"), scenarios.Options{}),
		"plan":     ran(t, other, filepath.Join(dir, "plan"), scenarios.Options{}),
		"third":    ran(t, small("3/3"), filepath.Join(dir, "third"), scenarios.Options{}),
		"seed":     ran(t, small("2/2"), filepath.Join(dir, "seed"), scenarios.Options{Seed: 8}),
		"tool":     ran(t, small("2/2"), filepath.Join(dir, "tool"), scenarios.Options{}),
		"version":  ran(t, small("2/2"), filepath.Join(dir, "version"), scenarios.Options{}),
		"expected": ran(t, small("2/2"), filepath.Join(dir, "expected"), scenarios.Options{Known: lab.Deviations{{Name: "a", Outcome: lab.Size, Reason: "b"}}}),
	}
	runs["tool"].Report.Tool = "another"
	runs["version"].Report.Peers[0].Version = "another"
	for _, name := range []string{"tool", "version"} {
		if err := runs[name].SaveReport(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ shards, want string }{
		{"one", "give all 2"},
		{"one one", "shard 1/2, which is there already"},
		{"one third", "it is shard 3/3, the other 1/2"},
		{"one whole", "it is no shard"},
		{"one plan", "another plan"},
		{"one seed", "another seed"},
		{"one tool", "another hybridlab"},
		{"one version", "another peer crafted"},
		{"one expected", "known deviations"},
		{"one nowhere", "hybridlab run"},
	} {
		out := filepath.Join(dir, "out")
		args := []string{"merge", "--out", out}
		for name := range strings.FieldsSeq(tt.shards) {
			args = append(args, filepath.Join(dir, name))
		}
		if exit, _, stderr := do(t, args...); exit != exitUsage || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit %d, %q, want %q in it", tt.shards, exit, stderr, tt.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: something was written", tt.shards)
		}
	}
	part := filepath.Join(dir, "part")
	if exit, stdout, stderr := do(t, "merge", "--partial", "--out", part, runs["two"].Dir); exit != exitLab || !strings.Contains(stdout, "Shard 1/2 is missing") || !strings.Contains(stderr, "shard 1/2 is missing") {
		t.Errorf("in part: exit %d\n%s%s", exit, stdout, stderr)
	}
	if d, err := lab.OpenRun(part); err != nil || !d.Report.Interrupted || d.Report.Judged != runs["two"].Report.Judged || !reflect.DeepEqual(d.Report.Missing, []string{"1/2"}) {
		t.Errorf("in part: %v, %+v", err, d)
	}
	if exit, _, stderr := do(t, "merge", "--partial", "--out", filepath.Join(dir, "out"), runs["two"].Dir, runs["two"].Dir); exit != exitUsage || !strings.Contains(stderr, "which is there already") {
		t.Errorf("the same shard twice: exit %d, %s", exit, stderr)
	}
	if exit, stdout, stderr := do(t, "merge", "--out", filepath.Join(dir, "out"), runs["two"].Dir, runs["one"].Dir); exit != 0 {
		t.Errorf("in the other order: exit %d\n%s%s", exit, stdout, stderr)
	}
}
