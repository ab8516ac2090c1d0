package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/scenarios"
)

// traced runs the axes over an old run, or over none, as the command does.
func traced(t *testing.T, a scenarios.Axes, out, tool string, old *lab.RunDir) (*lab.RunDir, lab.Reuse) {
	t.Helper()
	s, err := a.Choose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ss, err := scenarios.Start(t.Context(), s, scenarios.Options{Out: out, Seed: 7, Attempts: 2, Tool: tool, Reuse: old})
	if err != nil {
		t.Fatal(err)
	}
	if err := ss.Run(t.Context(), s.Plan.Cells, 64); err != nil {
		t.Fatal(err)
	}
	if err := ss.Triage(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := ss.End(); err != nil {
		t.Fatal(err)
	}
	return &ss.Recorder.RunDir, ss.Reused
}

// stored is the smallest matrix, behind a box and without, with a user's link
// that may change.
func stored(t *testing.T, delay string) scenarios.Axes {
	t.Helper()
	file := filepath.Join(t.TempDir(), "links.yaml")
	if err := os.WriteFile(file, []byte("links:\n  - name: mine\n    up: {delay: "+delay+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return scenarios.Axes{Fabric: "embedded", Level: "smoke", Links: []string{"clean", "mine"}, LinkFile: file, Boxes: []string{scenarios.NoBox, "proxysg-rst"}}
}

// settled are the verdicts, without those that are undecided where the machine
// is busy.
func settled(t *testing.T, d *lab.RunDir) map[string]lab.Verdict {
	t.Helper()
	all := read(t, d)
	for id, v := range all {
		if !v.Outcome.Telling() {
			delete(all, id)
		}
	}
	return all
}

// TestReuse is for real: an embedded run, the same again over it, and again
// with one link changed.
func TestReuse(t *testing.T) {
	dir := t.TempDir()
	first, _ := traced(t, stored(t, "1ms"), filepath.Join(dir, "1"), "0123456789ab", nil)
	if first.Report.Counts[lab.Size] == 0 || first.Report.Counts[lab.Hybrid] == 0 {
		t.Fatalf("counts %v: there is nothing to reuse", first.Report.Counts)
	}
	second, reuse := traced(t, stored(t, "1ms"), filepath.Join(dir, "2"), "0123456789ab", first)
	want, got := settled(t, first), read(t, second)
	if reuse.Cells < len(want) || second.Report.Reused != reuse.Cells {
		t.Errorf("%+v of %d verdicts that say something; the report says %d", reuse, len(want), second.Report.Reused)
	}
	for id, v := range want {
		if !reflect.DeepEqual(v, got[id]) {
			t.Errorf("%s:\n%+v\nreused\n%+v", id, v, got[id])
		}
		if v.Outcome == lab.Size && (v.Traced == "" || v.Inputs == "") {
			t.Errorf("%s: traced %q, inputs %q", id, v.Traced, v.Inputs)
		}
	}
	if w, g := first.Report.Boxes, second.Report.Boxes; !reflect.DeepEqual(w, g) || len(g) != 1 || g[0].Triggered == 0 {
		t.Errorf("boxes %+v, reused %+v", w, g)
	}
	for _, args := range [][]string{{"judge", "--dry-run", second.Dir}, {"diff", first.Dir, second.Dir}, {"report", second.Dir}} {
		if exit, stdout, stderr := do(t, args...); exit > exitFindings || args[0] == "judge" && !strings.Contains(stdout, " 0 changed") || args[0] == "diff" && exit != 0 {
			t.Errorf("%v: exit %d\n%s%s", args, exit, stdout, stderr)
		}
	}
	third, reuse := traced(t, stored(t, "2ms"), filepath.Join(dir, "3"), "0123456789ab", second)
	for id, v := range read(t, third) {
		old := got[id]
		if changed := v.Link == "mine"; changed == (v.Inputs == old.Inputs) {
			t.Errorf("%s: inputs %q, and %q before", id, v.Inputs, old.Inputs)
		}
	}
	mine := 0
	for id := range got {
		if strings.Contains(id, "/mine") {
			mine++
		}
	}
	if mine == 0 || sumOf(reuse.Rest) < mine || reuse.Cells < len(want)-mine {
		t.Errorf("%+v, want the %d cells of the link run and the rest reused", reuse, mine)
	}
	for tool, want := range map[string]bool{"fedcba987654": false, "0123456789ab-dirty": false} {
		if _, reuse := traced(t, stored(t, "1ms"), filepath.Join(dir, tool), tool, first); (reuse.Cells > 0) != want {
			t.Errorf("by hybridlab %s: %+v", tool, reuse)
		}
	}
}

func sumOf(m map[string]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

// TestReuseRefuses what is no run, and says that a hybridlab of no commit
// reuses nothing.
func TestReuseRefuses(t *testing.T) {
	dir := t.TempDir()
	small := scenarios.Axes{Fabric: "embedded", Level: "smoke", Links: []string{"clean"}}
	whole := ran(t, small, filepath.Join(dir, "whole"), scenarios.Options{})
	older := ran(t, small, filepath.Join(dir, "older"), scenarios.Options{})
	older.Report.Schema = 0
	torn := ran(t, small, filepath.Join(dir, "torn"), scenarios.Options{})
	truncate(t, filepath.Join(torn.Dir, lab.VerdictsFile))
	if err := older.SaveReport(); err != nil {
		t.Fatal(err)
	}
	run := []string{"run", "--fabric", "embedded", "--level", "smoke", "--links", "clean", "--reuse"}
	for old, want := range map[string]string{
		filepath.Join(dir, "nowhere"): "hybridlab run",
		older.Dir:                     "schema 0",
		torn.Dir:                      "cut short",
	} {
		if exit, _, stderr := do(t, append(run, old, "--out", filepath.Join(dir, "out", filepath.Base(old)))...); exit != exitUsage || !strings.Contains(stderr, want) || !strings.Contains(stderr, old) {
			t.Errorf("--reuse %s: exit %d, %q, want %q in it", old, exit, stderr, want)
		}
	}
	if exit, _, stderr := do(t, append(run, whole.Dir, "--out", filepath.Join(dir, "again"))...); exit > exitFindings || !strings.Contains(stderr, "reuse: 0 cells are taken over") || !strings.Contains(stderr, "no commit says what it is made of") {
		t.Errorf("--reuse of what no commit names: exit %d\n%s", exit, stderr)
	}
}
