package rig

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"

	"hybridlab/lab"
)

// TestTriageOfBoxes has boxes of one known trigger each in the path. The table
// that it prints is the proof: which trigger and number triage found for each.
func TestTriageOfBoxes(t *testing.T) {
	f, err := os.Open("testdata/triage.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bs, err := NewBoxes(f, f.Name())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range bs.All()[bs.catalogue:] {
		names = append(names, b.Name)
	}
	tried := map[lab.Trigger]bool{}
	for _, c := range checked(t, bs, names) {
		tried[c.Got.Trigger] = true
		if c.Problem != "" {
			t.Errorf("%s: %s%s", c.Cell, c.Problem, trials(c.Got))
		}
		if c.Got.Outcome.Finding() && (c.Got.Traced == "" || len(c.Got.Triage) == 0 || c.Got.TriageRuns > 200) {
			t.Errorf("%s: %d trials say %q", c.Cell, c.Got.TriageRuns, c.Got.Traced)
		}
	}
	for _, trigger := range []lab.Trigger{lab.TriggerSize, lab.TriggerSegmentation, lab.TriggerRecordCut, lab.TriggerGap, lab.TriggerCodePoint, lab.TriggerKeyShare,
		lab.TriggerSchemes, lab.TriggerGREASE, lab.TriggerHRR, lab.TriggerName, lab.TriggerTLSVersion, lab.TriggerMTU, lab.TriggerChance} {
		if !tried[trigger] {
			t.Errorf("no box has the trigger %s", trigger)
		}
	}
}

// TestTriageOfTheCatalogue: of all that the catalogue says a box must come to,
// triage gets the trigger right in 95 of 100 cases, and the number always.
func TestTriageOfTheCatalogue(t *testing.T) {
	bs, err := NewBoxes(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	all, right := 0, 0
	for _, c := range checked(t, bs, bs.Names()) {
		w := c.Want
		if w.Trigger == "" || !c.Traced {
			continue
		}
		all++
		if c.Got.Trigger == lab.Trigger(w.Trigger) {
			right++
		} else {
			t.Logf("%s: trigger %q, want %s: %s%s", c.Cell, c.Got.Trigger, w.Trigger, c.Got.Traced, trials(c.Got))
			continue
		}
		if w.Threshold != 0 && c.Got.Threshold != w.Threshold {
			t.Errorf("%s: threshold %d, want %d: %s%s", c.Cell, c.Got.Threshold, w.Threshold, c.Got.Traced, trials(c.Got))
		}
	}
	if all == 0 || right*100 < all*95 {
		t.Errorf("%d triggers of %d are right", right, all)
	}
	t.Logf("%d triggers of %d are right", right, all)
}

// checked runs the boxes' probes, traces the findings and prints the table.
func checked(t *testing.T, bs Boxes, names []string) []Catch {
	t.Helper()
	catches, err := CheckBoxes(t.Context(), bs, names, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(catches) == 0 {
		t.Fatal("no box says what must be found")
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BOX\tPROBE\tOUTCOME\tTRIGGER\tTHRESHOLD\tTRIALS\tTRACED")
	for _, c := range catches {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", c.Box, c.Want.Probe, c.Got.Outcome, c.Got.Trigger, c.Got.Threshold, c.Got.TriageRuns, c.Got.Traced)
	}
	w.Flush()
	t.Log("\n" + b.String())
	return catches
}

// trials lists them, a line each.
func trials(v lab.Verdict) string {
	var b strings.Builder
	for _, t := range v.Triage {
		fmt.Fprintf(&b, "\n    %s: %s %s", t.Changed, t.Outcome, t.Cause)
	}
	return b.String()
}
