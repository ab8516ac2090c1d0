package rig

import (
	"strings"
	"sync"
	"testing"

	"hybridlab/lab"
)

// TestLargeFlights: what an ML-DSA certificate makes too large for a path is
// the server's flight, also where the group is classical; the verdict says so.
func TestLargeFlights(t *testing.T) {
	links, err := NewLinks(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	peers := []lab.PeerID{"crafted@ml-dsa", "crafted"}
	r, err := Open(t.Context(), Config{Kind: Embedded, Run: NewRunID(), Links: links, Peers: peers})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	runner := &lab.Runner{Fabric: r, Known: Catalogue{}, Sink: &witness{deeds: map[string][]lab.Deed{}}, Seed: 1, CleanLink: links.Clean, Attempts: 1}
	var wg sync.WaitGroup
	for _, c := range []struct {
		cell    string
		outcome lab.Outcome
		why     string
	}{
		{"/x25519/mtu1280-down", lab.Classical, "as predicted"},
		{"+mldsa44/x25519/mtu1280-down", lab.Size, "packets to client"},
		{"+mldsa87/x25519/mtu1280-icmp-eaten", lab.Size, "packets to client"},
		{"+mldsa65-chain/x25519mlkem768/mtu1280-down", lab.Size, "packets to client"},
		{"+mldsa65/x25519mlkem768/mtu1280-icmp-eaten", lab.Size, "packets to server"}, // the hello goes first
		{"+mldsa65/x25519/mtu1280-up", lab.Classical, "as predicted"},
		{"+mldsa87/x25519mlkem768/mtu1280", lab.Hybrid, "as predicted"}, // the ICMP arrives
		{"+mldsa87/x25519mlkem768/mss536", lab.Hybrid, "as predicted"},
	} {
		wg.Go(func() {
			cell, err := lab.ParseCell("crafted@ml-dsa/crafted" + c.cell)
			if err != nil {
				t.Error(err)
				return
			}
			v, err := runner.Cell(t.Context(), cell)
			blame := map[lab.Outcome]string{lab.Size: "link"}[c.outcome]
			if err != nil || v.Outcome != c.outcome || v.Blame != blame || !strings.Contains(v.Why, c.why) {
				t.Errorf("%s: %s, blame %q: %s (%v)", c.cell, v.Outcome, v.Blame, v.Why, err)
			}
		})
	}
	wg.Wait()
}
