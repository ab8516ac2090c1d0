//go:build docker

package rig

import (
	"flag"
	"testing"

	"hybridlab/lab"
)

var everyBox = flag.Bool("every", false, "put the whole sample of boxes between containers, not three, and try every middlebox, not one")

// sample are boxes of each layer between stock stacks on kernel TCP, and what
// must come of each; the first three are those of every run.
var sample = []struct {
	cell    string
	outcome lab.Outcome
	cause   lab.Cause
}{
	{"openssl@trixie/openssl@trixie/default/clean/proxysg-rst", lab.Size, lab.CauseRSTAfterHello},
	{"openssl@trixie/go@1.26/default/clean/peek-buffer", lab.Misroute, lab.CauseWrongServer},
	{"openssl@trixie/go@1.26/x25519mlkem768+x25519/clean/pan-strip", lab.Downgrade, lab.CauseHelloRewritten},

	{"go@1.26/go@1.26/default/clean/proxysg-rst", lab.Size, lab.CauseRSTAfterHello},
	{"openssl@trixie/openssl@trixie/x25519/clean/proxysg-rst", lab.Classical, ""},
	{"openssl@trixie/go@1.26/default/clean/panos-11.1-split-hello", lab.Size, lab.CauseSilentAfterHello},
	{"go@1.26/openssl@trixie/default/clean/smtp-starttls-hang", lab.Size, lab.CauseSilentAfterHello},
	{"openssl@trixie/openssl@trixie/x25519mlkem768/clean/fortigate-flow-deep-inspection", lab.Failure, "alert-illegal-parameter"},
	{"openssl@trixie/openssl@trixie/x25519mlkem768/clean/unknown-keyshare-abort", lab.Failure, "alert-handshake-failure"},
	{"openssl@trixie/openssl@trixie/x25519mlkem768/clean/pq-only-offer-refused", lab.Failure, "alert-handshake-failure"},
	{"openssl@trixie/go@1.26/x25519mlkem768/clean/pan-pq-only-drop", lab.Failure, lab.CauseSilentAfterHello},
	{"go@1.26/go@1.26/x25519/clean/tls12-only-server-resets-tls13", lab.Failure, lab.CauseRSTAfterHello},
	{"openssl@trixie/openssl@trixie/default/clean/isp-drops-split-hello", lab.Size, ""},
	{"go@1.26/openssl@trixie/default/clean/mitm-peek-first-frame", lab.Size, ""},
	{"openssl@trixie/openssl@trixie/default/clean/wg-pmtu-blackhole", lab.Size, ""},
	{"openssl@trixie/openssl@trixie/default/clean/fortigate-webfilter-bypass", lab.Hybrid, ""},
	{"openssl@trixie/openssl@trixie/default/clean/per-packet-classifier-fails-open", lab.Hybrid, ""},
	{"go@1.26/go@1.26/default/clean/peek-buffer", lab.Misroute, lab.CauseWrongServer},
	{"openssl@trixie/openssl@trixie/default/clean/peek-buffer", lab.Misroute, lab.CauseWrongServer},
	{"openssl@trixie/go@1.26/x25519mlkem768+x25519/clean/pinned-curves", lab.Downgrade, lab.CauseHelloRewritten},
	{"go@1.26/go@1.26/x25519mlkem768+x25519/clean/two-leg-illusion", lab.Downgrade, lab.CauseLegsDiffer},
}

// TestBoxesBetweenContainers: what the embedded fabric finds, kernels and
// OpenSSL show as well, and the box is blamed. How a drained client closes is
// the kernel's business, and where it differs no cause is asked for.
func TestBoxesBetweenContainers(t *testing.T) {
	chosen := sample[:3]
	if *everyBox {
		chosen = sample
	}
	var plan lab.Plan
	for _, s := range chosen {
		c, err := lab.ParseCell(s.cell)
		if err != nil {
			t.Fatal(err)
		}
		plan.Cells = append(plan.Cells, c)
	}
	got, _ := runCells(t, Catalogue{}, plan.Peers(), plan.Cells)
	for i, s := range chosen {
		v := got[s.cell]
		broke := s.outcome == lab.Size && v.Outcome == lab.Failure || s.outcome == lab.Failure && v.Outcome == lab.Size // untriaged
		if v.Outcome != s.outcome && !broke || s.cause != "" && v.Cause != s.cause {
			t.Errorf("%s: %s %s, want %s %s: %s", s.cell, v.Outcome, v.Cause, s.outcome, s.cause, v.Why)
		}
		if want := "box " + plan.Cells[i].Boxes[0]; v.Outcome.Finding() && v.Blame != want {
			t.Errorf("%s blames %q", s.cell, v.Blame)
		}
	}
}
