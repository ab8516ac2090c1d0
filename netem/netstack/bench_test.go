package netstack

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hybridlab/netem"
)

// BenchmarkHandshakes makes full X25519MLKEM768 handshakes with data both
// ways, each in a cell of its own with its trace in memory.
func BenchmarkHandshakes(b *testing.B) {
	for _, name := range []string{"clean", "mtu1280", "loss1", "rtt20", "mobile"} {
		k := link(b, name)
		b.Run(name, func(b *testing.B) { benchmarkHandshakes(b, k) })
	}
}

func benchmarkHandshakes(b *testing.B, k netem.Link) {
	l := start(b)
	var slot atomic.Uint32
	var mu sync.Mutex
	var late []time.Duration
	if k.Up.Delay > 0 || k.Up.Loss.Rate > 0 {
		b.SetParallelism(128) // of GOMAXPROCS: 256 cells in flight on two cores
	} else {
		b.SetParallelism(4)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			n := slot.Add(1)%uint32(netem.LastSlot) + 1
			trace, err := l.run(ctx, uint16(n), "bench", k)
			cancel()
			if err != nil || trace.Uncounted != 0 {
				b.Errorf("%v, uncounted %d", err, trace.Uncounted)
			}
			mu.Lock()
			late = append(late, trace.MaxLate)
			mu.Unlock()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "handshakes/s")
	slices.Sort(late)
	b.ReportMetric(float64(late[len(late)/2].Microseconds()), "µs-late-p50")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "µs-late-p99")
}
