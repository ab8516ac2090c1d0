package main

import (
	"errors"
	"strings"
	"testing"

	"hybridlab/netem/tc"
)

// TestTcDryRun says what would be applied, without a kernel that could.
func TestTcDryRun(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"tc --link slow256k --dry-run", "netem limit 20 rate 256kbit\n  netem limit 100000 delay 20ms\n"},
		{"tc --link satellite --dir down --dry-run", "rate 20mbit"},
		{"tc --link loss-burst --dry-run --seed 7", "loss gemodel 1% 25% 100% 0% seed 7"},
		{"tc --link lose-syn --dir down --dry-run", "does nothing to packets that go down"},
		{"tc --link mobile --dry-run --without mtu", "loss 0.5% rate 2mbit\n"},
		{"tc --link corrupt1 --dry-run", "note: corrupt: "},
	} {
		if exit, stdout, stderr := do(t, strings.Fields(tt.line)...); exit != 0 || !strings.Contains(stdout, tt.want) {
			t.Errorf("hybridlab %s: exit %d, %s%s; want %q", tt.line, exit, stdout, stderr, tt.want)
		}
	}
}

// TestTcWithoutNetem: a kernel that has none says so, and so does doctor.
// Where there is one the link is applied for real: see netem/fidelity.
func TestTcWithoutNetem(t *testing.T) {
	err := tc.Probe()
	_, doctor, _ := do(t, "doctor")
	if err == nil {
		if !strings.Contains(doctor, "ok       sch_netem") {
			t.Errorf("doctor:\n%s", doctor)
		}
		return // applying it to lo would be felt by everybody here
	}
	if !strings.Contains(doctor, "-        sch_netem") {
		t.Errorf("doctor:\n%s", doctor)
	}
	exit, _, stderr := do(t, "tc", "--link", "loss1", "--dev", "lo")
	if exit != exitLab || errors.Is(err, tc.ErrNoNetem) && !strings.Contains(stderr, "modprobe sch_netem") {
		t.Errorf("exit %d: %s", exit, stderr)
	}
}
