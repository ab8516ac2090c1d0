//go:build docker

package scenarios

import (
	"context"
	"path/filepath"
	"testing"
	"time"

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
