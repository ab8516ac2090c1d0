package main

import (
	"io"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"hybridlab/lab"
	"hybridlab/scenarios"
)

// TestSameSeedSameVerdicts: how many cells are in flight and how many
// processors there are changes no verdict, also where the link loses,
// doubles and reorders by chance. That each packet has the same fate is
// tested where fates are made, in netem and netem/netstack.
func TestSameSeedSameVerdicts(t *testing.T) {
	want := verdictsOf(t, 4, 1)
	got := verdictsOf(t, 500, runtime.NumCPU())
	if len(want) == 0 || len(got) != len(want) {
		t.Fatalf("%d verdicts, then %d", len(want), len(got))
	}
	for id, v := range want {
		if !reflect.DeepEqual(v, got[id]) {
			t.Errorf("%s differs:\n%+v\n%+v", id, v, got[id])
		}
	}
}

// verdictsOf runs a small plan over links that work by chance.
func verdictsOf(t *testing.T, parallel, procs int) map[string]lab.Verdict {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	s, err := scenarios.Axes{Fabric: "embedded", Level: "smoke", Links: []string{"mtu1280", "loss5", "dup2", "reorder5"}}.Choose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ss, err := scenarios.Start(t.Context(), s, scenarios.Options{Out: filepath.Join(t.TempDir(), "run"), Seed: 7, Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := ss.Run(t.Context(), s.Plan.Cells, parallel); err != nil {
		t.Fatal(err)
	}
	if err := ss.Triage(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := ss.End(); err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]lab.Verdict{}
	for v, err := range ss.Recorder.Verdicts() {
		if err != nil {
			t.Fatal(err)
		}
		verdicts[v.Cell] = v.Comparable()
	}
	return verdicts
}
