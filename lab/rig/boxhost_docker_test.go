//go:build docker

package rig

import (
	"strings"
	"testing"
	"time"

	"hybridlab/docker"
	"hybridlab/lab"
	"hybridlab/peers"
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
		{"openssl@trixie/go@1.26/x25519mlkem768+x25519/clean/haproxy-reencrypt@trixie", lab.Hybrid},
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
		if ends := strings.Contains(c.ID, "reencrypt"); ends != strings.Contains(v.Why, "front leg X25519MLKEM768, back leg X25519MLKEM768") {
			t.Errorf("%s: %s", c.ID, v.Why)
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
	// It is killed once the client is connected (state 01 of /proc/net/tcp),
	// which has two seconds to go until its second segment.
	go func() {
		_, err := r.real[haproxySNI].agent.Run(t.Context(), agent.Command{Timeout: time.Minute, Argv: []string{"sh", "-c",
			`until for d in /proc/[0-9]*; do read -r name < $d/comm && [ "$name" = haproxy ] && break; done 2>/dev/null; do sleep 0.05; done; until grep -q " 01 " /proc/net/tcp; do sleep 0.05; done; kill -9 ${d#/proc/}`}})
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
	passesRouter(t, r)
}

// passesRouter: packets are led through a container that forwards them, stays
// one connection, and is the culprit when it is gone. It stands in for Suricata,
// whose image takes long to build.
func passesRouter(t *testing.T, r *Rig) {
	const id = "suricata-sni@trixie"
	f := r.closer.(*containers)
	m, err := peers.LookupMiddlebox(id)
	if err != nil {
		t.Fatal(err)
	}
	h := &boxHost{box: m}
	if h.container, err = f.container(t.Context(), docker.Spec{Name: "router", Image: r.real[haproxySNI].image, Args: []string{"agent", "-inline"}, Forwards: true}); err != nil {
		t.Fatal(err)
	}
	if h.agent, err = agent.Dial(t.Context(), h.container.Control, h.container.Token); err != nil {
		t.Fatal(err)
	}
	path := f.all[0]
	if err := h.agent.Route(t.Context(), path.IPv4, path.IPv6); err != nil {
		t.Fatal(err)
	}
	f.hosts[id] = h
	hybrid := lab.MustOffer("x25519mlkem768")
	judge := func(link string, chain ...string) (lab.Verdict, lab.Evidence) {
		c := lab.NewCell("crafted", "crafted", hybrid, hybrid, link, chain...)
		e, err := r.Run(t.Context(), c, 1)
		return lab.Judge(Catalogue{}, lab.Observe(c, 1, e, err)), e
	}
	for _, link := range []string{cleanV4, cleanV6, "clean{mtu=9000}", "mtu1280"} {
		if v, e := judge(link, id); v.Outcome != lab.Hybrid || len(e.Path.Boxes) != 0 {
			t.Errorf("routed over %s: %s, deeds %+v: %s", link, v.Outcome, e.Path.Boxes, v.Why)
		}
	}
	if v, _ := judge(cleanV4, id, haproxySNI, "proxysg-rst"); v.Outcome != lab.Hybrid {
		t.Errorf("routed before HAProxy: %s: %s", v.Outcome, v.Why)
	}
	if err := h.container.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, _ := judge(cleanV4, id); v.Outcome != lab.Inconclusive && (v.Outcome != lab.Failure || v.Blame != "box "+id) { // a starved lab does not say
		t.Errorf("through a router that is gone: %s %s, blame %q: %s", v.Outcome, v.Cause, v.Blame, v.Why)
	}
}
