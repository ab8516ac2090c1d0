//go:build docker

package rig

import (
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

const haproxySNI = "haproxy-sni@trixie"

// TestRealMiddlebox: HAProxy between stock stacks and our own, alone and in
// chains: what it passes passes, in both families and over jumbo links, and
// what it sends elsewhere is its doing. Each has a control without it.
func TestRealMiddlebox(t *testing.T) {
	var plan lab.Plan
	want := map[string]lab.Outcome{}
	for _, tt := range []struct {
		cell    string
		outcome lab.Outcome
	}{
		{"openssl@trixie/go@1.26/x25519mlkem768/clean", lab.Hybrid},
		{"openssl@trixie/go@1.26/x25519mlkem768/clean/" + haproxySNI, lab.Hybrid},
		{"openssl@trixie/go@1.26/x25519/clean-v6/" + haproxySNI, lab.Classical},
		{"openssl@trixie/go@1.26/x25519:x25519mlkem768/clean/" + haproxySNI, lab.Refused},
		{"crafted{cut=43}/go@1.26/x25519mlkem768/clean{mtu=9000}/" + haproxySNI + "+" + haproxySNI, lab.Hybrid},
		// It looks at the first 16 KiB, record headers and all.
		{"crafted{pad=17000,records=100}/go@1.26/x25519/clean", lab.Classical},
		{"crafted{pad=17000,records=100}/go@1.26/x25519/clean/" + haproxySNI, lab.Misroute},
		{"crafted/go@1.26/x25519mlkem768/clean/peek-buffer+" + haproxySNI, lab.Misroute},
	} {
		c, err := lab.ParseCell(tt.cell)
		if err != nil {
			t.Fatal(err)
		}
		plan.Cells, want[tt.cell] = append(plan.Cells, c), tt.outcome
	}
	got, _ := runCells(t, Catalogue{}, plan.Peers(), plan.Cells)
	for _, c := range plan.Cells {
		v := got[c.ID]
		if v.Outcome != want[c.ID] {
			t.Errorf("%s: %s %s, want %s: %s", c.ID, v.Outcome, v.Cause, want[c.ID], v.Why)
		}
		if v.Outcome.Finding() && v.Blame != "box "+c.Boxes[0] {
			t.Errorf("%s blames %q", c.ID, v.Blame)
		}
	}
}

// TestRealMiddleboxDies: one that ends while it serves is seen, with its exit,
// and is blamed; the next cell has another.
func TestRealMiddleboxDies(t *testing.T) {
	links, err := NewLinks(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), Config{Kind: Containers, Run: NewRunID(), Links: links, Boxes: catalogue(t), Peers: []lab.PeerID{"crafted"}, Through: []string{haproxySNI}, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	infos := []lab.BoxInfo{{Name: haproxySNI}}
	if r.Introduce(infos); !strings.Contains(infos[0].Version, "HAProxy") || !strings.HasPrefix(infos[0].Image, "sha256:") {
		t.Errorf("it is introduced as %+v", infos[0])
	}
	x25519 := lab.MustOffer("x25519")
	slow := lab.NewCell("crafted{cut=100,gap=2s}", "crafted", x25519, x25519, cleanV4, haproxySNI)
	killed := make(chan error, 1)
	go func() {
		_, err := r.real[haproxySNI].agent.Run(t.Context(), agent.Command{Timeout: time.Minute, Argv: []string{"sh", "-c",
			`until for d in /proc/[0-9]*; do read -r name < $d/comm && [ "$name" = haproxy ] && break; done 2>/dev/null; do sleep 0.05; done; sleep 0.5; kill -9 ${d#/proc/}`}})
		killed <- err
	}()
	e, err := r.Run(t.Context(), slow, 1)
	if err := <-killed; err != nil {
		t.Fatal(err)
	}
	v := lab.Judge(Catalogue{}, lab.Observe(slow, 1, e, err))
	if !v.Outcome.Finding() || v.Blame != "box "+haproxySNI || !strings.Contains(v.Why, "box haproxy-sni@trixie ended by itself, exit code 137") {
		t.Errorf("%s %s, blame %q: %s", v.Outcome, v.Cause, v.Blame, v.Why)
	}
	e, err = r.Run(t.Context(), slow, 1)
	if v := lab.Judge(Catalogue{}, lab.Observe(slow, 1, e, err)); v.Outcome != lab.Classical || len(e.Path.Ends) != 1 || e.Path.Ends[0].Died {
		t.Errorf("the next cell: %s, %+v: %s", v.Outcome, e.Path.Ends, v.Why)
	}
}
