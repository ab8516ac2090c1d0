//go:build docker

package fidelity

import (
	"strings"
	"testing"
)

// TestFidelity measures a real kernel and the engine and prints the table.
// Its random numbers are fixed, so only what time decides can be another the
// next time; there the bounds say what the machine's lateness explains, and
// "inconclusive" that it was too much.
func TestFidelity(t *testing.T) {
	a := boot(t)
	for _, trial := range a.Trials {
		if trial.Problem != "" {
			t.Errorf("%s: %s", trial.Name, trial.Problem)
		}
	}
	if len(a.Trials) != len(trials) || a.Error != "" || len(a.Stats) != len(Cases(*times)) {
		t.Fatalf("Linux %s: %d trials, %d cases: %s", a.Kernel, len(a.Trials), len(a.Stats), a.Error)
	}
	var rows []Row
	engine := map[string]Stats{}
	for i, c := range Cases(*times) {
		s, err := Engine(c)
		if err != nil {
			t.Fatal(err)
		}
		engine[c.Name] = s
		rows = append(rows, Compare(c, a.Stats[i], s)...)
	}
	var b strings.Builder
	if err := WriteTable(&b, rows); err != nil {
		t.Fatal(err)
	}
	t.Logf("Linux %s against the engine; bounds of 99.99%%\n%s", a.Kernel, b.String())
	for _, r := range rows {
		if r.Verdict == Differs {
			t.Errorf("%s: the kernel has %s, the engine %s: %s apart, bound %s", r.What, r.Kernel, r.Engine, r.Difference, r.Bound)
		}
	}
	control(t, a.Stats, engine)
}

// control: the same comparison tells links apart that are not the same.
func control(t *testing.T, kernel []Stats, engine map[string]Stats) {
	for i, c := range Cases(*times) {
		other := map[string]string{"loss 1%": "loss 5%", "loss 5%": "loss 1%", "duplicate": "loss 1%", "bursts": "loss 20%"}[c.Name]
		if other == "" {
			continue
		}
		for _, r := range Compare(c, kernel[i], engine[other]) {
			if r.Verdict != Differs {
				t.Errorf("control: %s against the engine's %s: %s", r.What, other, r.Verdict)
			}
		}
	}
}
