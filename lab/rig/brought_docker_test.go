//go:build docker

package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"hybridlab/docker"
	"hybridlab/lab"
)

// TestMain lets this binary be copied into containers as agent and path.
func TestMain(m *testing.M) {
	if exit, ok := Hidden(os.Args[1:]); ok {
		os.Exit(exit)
	}
	os.Exit(m.Run())
}

// verdicts keeps what a run gives.
type verdicts struct {
	mu  sync.Mutex
	all map[string]lab.Verdict
}

func (v *verdicts) Observed(lab.Observation, lab.Verdict, lab.Evidence) (string, error) {
	return "", nil
}

func (v *verdicts) Judged(one lab.Verdict) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all[one.Cell] = one
	return nil
}

// runCells takes cells through a fabric with the peers in known, and closes it.
func runCells(t *testing.T, known Catalogue, ids []lab.PeerID, cells []lab.Cell) (map[string]lab.Verdict, map[lab.PeerID]lab.PeerInfo) {
	t.Helper()
	return runCellsOn(t, known, ids, cells, func(*Rig) {})
}

// runCellsOn is runCells on a fabric to which something was done.
func runCellsOn(t *testing.T, known Catalogue, ids []lab.PeerID, cells []lab.Cell, do func(*Rig)) (map[string]lab.Verdict, map[lab.PeerID]lab.PeerInfo) {
	t.Helper()
	links, err := NewLinks(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	run, began := NewRunID(), time.Now()
	r, err := Open(t.Context(), Config{Kind: Containers, Run: run, Links: links, Boxes: catalogue(t), Known: known, Peers: ids, Through: lab.Plan{Cells: cells}.Boxes(), Logs: filepath.Join(t.TempDir(), "logs"), Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	opened := time.Since(began)
	do(r)
	v := &verdicts{all: map[string]lab.Verdict{}}
	runner := &lab.Runner{Fabric: r, Known: known, Sink: v, Seed: 1, CleanLink: links.Clean, Attempts: 2}
	if err := runner.Run(t.Context(), cells, 32); err != nil {
		t.Error(err)
	}
	ran := time.Since(began)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("open after %v, all run after %v, closed after %v", opened, ran, time.Since(began))
	infos := map[lab.PeerID]lab.PeerInfo{}
	for _, i := range r.Peers() {
		infos[i.ID] = i
	}
	return v.all, infos
}

func daemon(t *testing.T) *docker.Daemon {
	t.Helper()
	d, err := docker.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestVendorsImage: the example of docker/example is a peer that no Go code
// knows, in every pairing of some groups.
func TestVendorsImage(t *testing.T) {
	img, err := daemon(t).Build(t.Context(), "example", "trixie", false)
	if err != nil {
		t.Fatal(err)
	}
	known, err := Bring(t.Context(), Containers, []string{"vendor@1=" + img.Ref, "openssl@mine=" + img.Ref})
	if err != nil {
		t.Fatal(err)
	}
	groups := []string{"x25519mlkem768+x25519", "x25519mlkem768", "x25519", "mlkem1024", "default"}
	ids := []lab.PeerID{"go@1.26", "openssl@mine", "vendor@1"}
	m := lab.Matrix{Clients: ids, Servers: ids, Links: []string{"clean", "clean-v6"}}
	for _, o := range groups {
		for _, a := range append(groups, "x25519mlkem768>x25519") {
			m.Cases = append(m.Cases, lab.Case{Offer: lab.MustOffer(o), Accept: lab.MustOffer(a)})
		}
	}
	plan := lab.Expand(m, known)
	got, infos := runCells(t, known, ids, plan.Cells)
	counts := map[lab.Outcome]int{}
	for _, c := range plan.Cells {
		v := got[c.ID]
		counts[v.Outcome]++
		if !v.Outcome.Pass() {
			t.Errorf("%s: %s %s: %s", c.ID, v.Outcome, v.Cause, v.Why)
		}
	}
	t.Logf("%d cells, %d combinations excluded: %v", len(plan.Cells), len(plan.Excluded), counts)
	if counts[lab.Hybrid] < 40 || counts[lab.Classical] < 20 || counts[lab.Refused] < 40 {
		t.Errorf("outcomes: %v", counts)
	}
	vendor, mine := infos["vendor@1"], infos["openssl@mine"]
	if vendor.Image != img.ID || mine.Image != img.ID || !strings.HasPrefix(vendor.Version, "nginx version: nginx/1.26") || !strings.HasPrefix(mine.Version, "OpenSSL 3.5") {
		t.Errorf("provenance: %+v, %+v", vendor, mine)
	}
	for _, role := range []lab.Capability{vendor.Client, vendor.Server} {
		if len(role.Declared) != len(role.Probed) {
			t.Errorf("declared %v, seen on the wire %v", role.Declared, role.Probed)
		}
	}
	if vendor.Rules == nil || infos["go@1.26"].Rules != nil {
		t.Error("the rules of a peer that was brought, and only they, belong into the report")
	}
	recalled := Recall([]lab.PeerInfo{vendor, mine})
	for _, c := range plan.Cells {
		now, then := recalled, known
		if a, b := lab.Predict(c, now.Rules(c.Client), now.Rules(c.Server)), lab.Predict(c, then.Rules(c.Client), then.Rules(c.Server)); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Fatalf("%s: recalled, the rules predict %v, not %v", c.ID, a, b)
		}
	}
}

// build makes an image of a Dockerfile and the script of bad peers.
func build(t *testing.T, ref, dockerfile string) {
	t.Helper()
	const script = "testdata/badpeer"
	cmd := exec.Command("docker", "build", "-q", "-t", ref, "-f", "-", filepath.Dir(script))
	cmd.Stdin = strings.NewReader(dockerfile)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v: %s", ref, err, out)
	}
	t.Cleanup(func() { exec.Command("docker", "rmi", "-f", ref).Run() })
}

// bad makes the images of the bad peers, each of which starts its entry.
func bad(t *testing.T, entries map[string]string) (specs []string) {
	t.Helper()
	base, err := daemon(t).Base(t.Context(), "trixie")
	if err != nil {
		t.Fatal(err)
	}
	build(t, "hybridlab-test/bad", "FROM "+base+`
LABEL hybridlab.roles=client,server hybridlab.groups=x25519,X25519MLKEM768
COPY badpeer /peer
RUN chmod 755 /peer`)
	for how, entry := range entries {
		ref := "hybridlab-test/" + how
		build(t, ref, fmt.Sprintf("FROM hybridlab-test/bad\nENV BAD=%s\nENTRYPOINT [%q]", how, entry))
		specs = append(specs, how+"@bad="+ref)
	}
	return specs
}

// TestBadPeers: whatever an image does, its cells get a verdict that says so,
// the lab's memory and disk stay bounded, and the others' cells do not notice.
func TestBadPeers(t *testing.T) {
	type end struct {
		outcome lab.Outcome
		cause   lab.Cause
		why     string // part of the sentence
	}
	var (
		hybrid   = end{lab.Hybrid, "", "X25519MLKEM768"}
		unproven = end{lab.Fault, "", "it is not proven"}
	)
	bads := map[string]struct{ client, server end }{
		"no-program":        {end{lab.Fault, "", "/no/such/program"}, end{lab.Fault, "", "/no/such/program"}},
		"claims-everything": {unproven, unproven},
		"hangs-at-once":     {end{lab.Fault, "", "no answer within"}, end{lab.Fault, "", "no answer within"}},
		"exits-127":         {end{lab.Unsupported, "", "not today"}, end{lab.Unsupported, "", "not today"}},
		"exits-0":           {end{lab.Failure, lab.CauseNoConnection, "sent no packet and claims success"}, end{lab.Failure, lab.CauseNoServer, "ended before it was ready"}},
		"hangs":             {end{lab.Failure, lab.CauseNoConnection, "until its time was up"}, end{lab.Failure, lab.CauseNoServer, "not ready"}},
		"prints-garbage":    {end{lab.Failure, lab.CauseNoConnection, "exit code 3"}, hybrid},
		"floods":            {hybrid, hybrid},
		"fills-disk":        {hybrid, hybrid},
		"forks":             {end{lab.Failure, lab.CauseNoConnection, "exit code 1"}, hybrid},
	}
	ids, entries := []lab.PeerID{"go@1.26"}, map[string]string{}
	for how := range bads {
		ids, entries[how] = append(ids, lab.PeerID(how+"@bad")), "/peer"
	}
	entries["no-program"] = "/no/such/program"
	known, err := Bring(t.Context(), Containers, bad(t, entries))
	if err != nil {
		t.Fatal(err)
	}
	offer := lab.MustOffer("x25519mlkem768")
	m := lab.Matrix{Clients: ids, Servers: ids[:1], Cases: []lab.Case{{Offer: offer, Accept: offer}}, Links: []string{"clean"}}
	cells := lab.Expand(m, known).Cells
	m.Clients, m.Servers = ids[:1], ids[1:]
	cells = append(cells, lab.Expand(m, known).Cells...)

	memory := watchMemory(t)
	got, infos := runCells(t, known, ids, cells)
	if most := memory(); most > 512<<20 {
		t.Errorf("the lab took %d MiB", most>>20)
	}
	for _, c := range cells {
		v, want := got[c.ID], hybrid
		if how, _, own := strings.Cut(string(c.Client), "@bad"); own {
			want = bads[how].client
		} else if how, _, own := strings.Cut(string(c.Server), "@bad"); own {
			want = bads[how].server
		}
		if strings.Contains(v.Why, "short of CPU") {
			continue // the machine has other work: not the peer's verdict
		}
		if v.Outcome != want.outcome || v.Cause != want.cause || !strings.Contains(v.Why, want.why) {
			t.Errorf("%s: %s %s (%s), want %s %s (%s)", c.ID, v.Outcome, v.Cause, v.Why, want.outcome, want.cause, want.why)
		}
		if v.Outcome == lab.Failure && c.Client == "go@1.26" && v.Blame != "server" || v.Outcome == lab.Failure && c.Server == "go@1.26" && v.Blame != "client" {
			t.Errorf("%s: blame %q: %s", c.ID, v.Blame, v.Why)
		}
	}
	for how, want := range bads {
		info := infos[lab.PeerID(how+"@bad")]
		if (info.Unavailable != "") != (want.client.outcome == lab.Fault) {
			t.Errorf("%s: listed as unavailable because %q", how, info.Unavailable)
		}
	}
}

// watchMemory returns a function that says how much this process took at most.
func watchMemory(t *testing.T) (most func() uint64) {
	ctx, stop := context.WithCancel(t.Context())
	peak := make(chan uint64)
	go func() {
		var max uint64
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if max < m.Sys {
				max = m.Sys
			}
			select {
			case <-ctx.Done():
				peak <- max
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 { stop(); return <-peak }
}

func TestImageThatIsNowhere(t *testing.T) {
	_, err := Bring(t.Context(), Containers, []string{"vendor@1=hybridlab-test/nowhere:1"})
	if err == nil || !strings.Contains(err.Error(), "hybridlab-test/nowhere:1") || !strings.Contains(err.Error(), "vendor@1") {
		t.Errorf("error: %v", err)
	}
}
