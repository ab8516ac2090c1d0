//go:build docker

package rig

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"hybridlab/lab"
)

// TestStarvedPeer: peers whose containers get next to no CPU are slow, silent
// and do not come up, and none of that is a finding. With a limit that leaves
// them enough, the same cells are as predicted.
func TestStarvedPeer(t *testing.T) {
	ids := []lab.PeerID{"go@1.26", "openssl@trixie"}
	var cases []lab.Case
	for _, list := range []string{"x25519", "x25519mlkem768"} {
		cases = append(cases, lab.Case{Offer: lab.MustOffer("default"), Accept: lab.MustOffer(list)})
	}
	plan := lab.Expand(lab.Matrix{Clients: ids, Servers: ids, Links: []string{"clean"}, Cases: cases}, Catalogue{})
	for _, tt := range []struct {
		cpus  float64
		short bool
	}{{0.01, true}, {2, false}} {
		t.Run(fmt.Sprint(tt.cpus), func(t *testing.T) {
			var ends map[lab.PeerID]*station
			got, _ := runCellsOn(t, Catalogue{}, ids, plan.Cells, func(r *Rig) {
				ends = r.closer.(*containers).stations
				for id, s := range ends {
					if out, err := exec.Command("docker", "update", "--cpus", fmt.Sprint(tt.cpus), s.container.ID).CombinedOutput(); err != nil {
						t.Fatalf("limit %s: %v: %s", id, err, out)
					}
				}
			})
			undecided := 0
			for _, c := range plan.Cells {
				v := got[c.ID]
				if v.Outcome == lab.Inconclusive || v.Outcome == lab.Fault {
					undecided++
				} else if !v.Outcome.Pass() {
					t.Errorf("%s: %s %s: %s", c.ID, v.Outcome, v.Cause, v.Why)
				}
			}
			t.Logf("%d of %d cells undecided", undecided, len(plan.Cells))
			for id, s := range ends {
				if lost := time.Duration(s.throttle.lost.Load()); tt.short != (lost > time.Second) {
					t.Errorf("with %v CPUs %s was kept from running for %v", tt.cpus, id, lost)
				}
			}
			if !tt.short && undecided > 0 {
				t.Errorf("with %v CPUs %d of %d cells are undecided", tt.cpus, undecided, len(plan.Cells))
			}
		})
	}
}
