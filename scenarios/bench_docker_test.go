//go:build docker

package scenarios

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/rig"
)

func BenchmarkContainerCells(b *testing.B) {
	for range b.N {
		s := cleanPlan(b, rig.Containers, 400, "go@1.26", "openssl@trixie")
		took := benchRun(b, s)
		b.ReportMetric(float64(len(s.Plan.Cells))/took.Seconds(), "cells/s")
	}
}

// BenchmarkContainerStart is from nothing running to the first verdict, with
// the images built.
func BenchmarkContainerStart(b *testing.B) {
	for range b.N {
		s := cleanPlan(b, rig.Containers, 1, "go@1.26", "openssl@trixie")
		began := time.Now()
		ss, err := Start(context.Background(), s, Options{Out: filepath.Join(b.TempDir(), "run"), Attempts: 2})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ss.Cell(context.Background(), s.Plan.Cells[0]); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-to-first-cell")
		began = time.Now()
		if err := ss.End(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-teardown")
	}
}

// fullClean is every pairing of the named stacks on the clean link.
func fullClean(b *testing.B) Selection {
	b.Helper()
	s, err := Axes{Fabric: string(rig.Containers), Level: "full", Links: []string{"clean"}}.Choose(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkFullClean(b *testing.B) {
	for range b.N {
		s := fullClean(b)
		took := benchRun(b, s)
		b.ReportMetric(float64(len(s.Plan.Cells)), "cells")
		b.ReportMetric(float64(len(s.Plan.Cells))/took.Seconds(), "cells/s")
	}
}

// BenchmarkCellCost is how long a cell takes when no other runs beside it, by
// the peer that is its client: servers are up, clients are started.
func BenchmarkCellCost(b *testing.B) {
	const sample = 100
	s := fullClean(b)
	ss, err := Start(context.Background(), s, Options{Out: filepath.Join(b.TempDir(), "run"), Attempts: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer ss.End()
	for _, id := range s.Plan.Peers() {
		cells := slices.DeleteFunc(slices.Clone(s.Plan.Cells), func(c lab.Cell) bool { return c.Client != id })
		if len(cells) < sample {
			continue
		}
		b.Run(strings.ReplaceAll(string(id), "/", "-"), func(b *testing.B) {
			for range b.N {
				took := costs(b, ss, spread(cells, sample))
				b.ReportMetric(took[sample/2].Seconds()*1e3, "median-ms")
				b.ReportMetric(took[sample*95/100].Seconds()*1e3, "p95-ms")
			}
		})
	}
}

// spread takes n of the cells, from all over the list.
func spread(cells []lab.Cell, n int) []lab.Cell {
	out := make([]lab.Cell, n)
	for i := range out {
		out[i] = cells[i*len(cells)/n]
	}
	return out
}

// costs runs the cells one after the other, the second time with their
// servers up, and returns how long each took then, in order of size.
func costs(b *testing.B, ss *Session, cells []lab.Cell) []time.Duration {
	b.Helper()
	took := make([]time.Duration, len(cells))
	for range 2 {
		for i, c := range cells {
			began := time.Now()
			if _, err := ss.Fabric.Run(context.Background(), c, 1); err != nil {
				b.Fatal(err)
			}
			took[i] = time.Since(began)
		}
	}
	slices.Sort(took)
	return took
}

// BenchmarkImages builds the images of the named stacks anew, the base systems
// being there.
func BenchmarkImages(b *testing.B) {
	for range b.N {
		began := time.Now()
		if err := rig.BuildImages(context.Background(), io.Discard, true, Levels["full"].Peers[rig.Containers]...); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-to-build")
	}
}
