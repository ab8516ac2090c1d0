package netem

import (
	"sync/atomic"
	"testing"
)

// BenchmarkInput is packets a second through cells, both records made, with
// one full-size segment after the other.
func BenchmarkInput(b *testing.B) {
	for _, c := range []struct {
		name  string
		shape Shape
	}{
		{"clean", Shape{}},
		{"mtu", Shape{MTU: 1500}},
		{"lossy", Shape{Loss: Loss{Rate: 0.01, Burst: Burst{Enter: 0.01, Leave: 0.25}}, Duplicate: 0.01, Corrupt: Corrupt{Rate: 0.01}}},
		{"delayed", Shape{Delay: 1000, Jitter: 1000}},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkInput(b, c.shape) })
	}
}

// perCell is how many packets go through a cell before the next one opens: a
// handshake, generously.
const perCell = 32

func benchmarkInput(b *testing.B, shape Shape) {
	e := NewEngine(func([]byte) {})
	defer e.Shutdown()
	var slots atomic.Uint32
	b.ReportAllocs()
	b.SetBytes(1500)
	b.RunParallel(func(pb *testing.PB) {
		x := endsOf(uint16(slots.Add(1)), Link{Up: shape, Down: shape})
		var pkts [perCell][]byte
		for i := range pkts {
			pkts[i] = x.bytes(segment{seq: uint32(1 + i*1460), flags: ack, payload: zeros(1460)})
		}
		for more := true; more; {
			if err := e.Open(x.path); err != nil {
				b.Error(err)
				return
			}
			for i := 0; i < perCell && more; i++ {
				if more = pb.Next(); more {
					e.Input(pkts[i])
				}
			}
			if _, err := e.Close(x.path.Slot); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}
