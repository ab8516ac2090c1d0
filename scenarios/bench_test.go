package scenarios

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/rig"
)

// The figures that are promised. Every one counts everything a user's run
// does: real handshakes, capture, decoding, judging, files on disk.

func BenchmarkEmbeddedCells(b *testing.B) {
	for range b.N {
		s := cleanPlan(b, rig.Embedded, 2000, "go@1.26")
		took := benchRun(b, s)
		b.ReportMetric(float64(len(s.Plan.Cells))/took.Seconds(), "cells/s")
	}
}

// BenchmarkEmbeddedTenThousand is about memory: results stream to disk.
func BenchmarkEmbeddedTenThousand(b *testing.B) {
	for range b.N {
		s := cleanPlan(b, rig.Embedded, 10_000, "go@1.26")
		took := benchRun(b, s)
		b.ReportMetric(float64(len(s.Plan.Cells))/took.Seconds(), "cells/s")
		b.ReportMetric(peakMiB(b), "peak-MiB")
	}
}

// cleanPlan pairs every group of the peers over as many copies of the clean
// links as it takes to reach n cells.
func cleanPlan(b *testing.B, kind rig.Kind, n int, ids ...lab.PeerID) Selection {
	b.Helper()
	links, err := rig.NewLinks(nil, "")
	if err != nil {
		b.Fatal(err)
	}
	s := Selection{Links: links, Fabric: kind}
	m := lab.Matrix{Clients: ids, Servers: ids, Cases: Cases(Groups[:6])}
	for i := 0; len(s.Plan.Cells) < n; i++ {
		for _, base := range []string{"clean", "clean-v6"} {
			l := links[base]
			l.Name = fmt.Sprintf("%s-%d", base, i)
			links[l.Name] = l
			m.Links = append(m.Links, l.Name)
		}
		s.Plan = lab.Expand(m, rig.Catalogue{})
	}
	s.Plan.Cells = s.Plan.Cells[:n]
	return s
}

// benchRun runs the plan and fails on anything that is not a pass. The time
// is that of the cells, with the peers already up.
func benchRun(b *testing.B, s Selection) time.Duration {
	b.Helper()
	ctx := context.Background()
	ss, err := Start(ctx, s, Options{Out: filepath.Join(b.TempDir(), "run"), Seed: 1, Attempts: 2})
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	b.ResetTimer()
	began := time.Now()
	err = ss.Run(ctx, s.Plan.Cells, s.InFlight())
	took := time.Since(began)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	if err := ss.End(); err != nil {
		b.Fatal(err)
	}
	mustPass(b, ss)
	return took
}

func mustPass(b *testing.B, ss *Session) {
	b.Helper()
	for v, err := range ss.Recorder.Verdicts() {
		if err != nil {
			b.Fatal(err)
		}
		if !v.Outcome.Pass() && v.Outcome != lab.Downgrade {
			b.Fatalf("%s: %s: %s", v.Cell, v.Outcome, v.Why)
		}
	}
}

// peakMiB is the most memory this process ever held.
func peakMiB(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Maxrss) / 1024
}

// BenchmarkTriage is what it costs to trace one finding, on a link without
// delay: behind a box that resets, and behind one that is silent.
func BenchmarkTriage(b *testing.B) {
	for range b.N {
		for name, box := range map[string]string{"s-reset": "proxysg-rst", "s-silence": "zscaler-2023"} {
			s, err := Axes{Fabric: "embedded", Cells: []string{"go@1.26/go@1.26/default/clean/" + box}}.Choose(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			ss, err := Start(context.Background(), s, Options{Out: filepath.Join(b.TempDir(), "run"), Seed: 1, Attempts: 2})
			if err != nil {
				b.Fatal(err)
			}
			if err := ss.Run(context.Background(), s.Plan.Cells, 1); err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			if err := ss.Triage(context.Background(), io.Discard); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(began).Seconds(), name)
			for v, err := range ss.Recorder.Verdicts() {
				if err != nil || v.Trigger != lab.TriggerSegmentation {
					b.Errorf("%s: trigger %q, %v: %s", v.Cell, v.Trigger, err, v.Traced)
				}
			}
			if err := ss.End(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
