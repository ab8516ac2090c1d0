package rig

import (
	"testing"
	"time"
)

// TestPending: time lost counts before the tick that would tell of it, for a
// cell that ran in it, and a tick in time loses nothing.
func TestPending(t *testing.T) {
	began := time.Unix(100, 0)
	for _, tt := range []struct {
		name        string
		ticked, end time.Duration // after the beginning
		want        bool
	}{
		{"ticks come", 295 * time.Millisecond, 300 * time.Millisecond, false},
		{"none for most of the cell", 20 * time.Millisecond, 300 * time.Millisecond, true},
		{"none for a scheduler's slice", 270 * time.Millisecond, 300 * time.Millisecond, false},
		{"none since long before", -10 * time.Second, 40 * time.Millisecond, false},
		{"none since before", -10 * time.Second, 300 * time.Millisecond, true},
	} {
		p := &pressure{}
		p.ticked.Store(began.Add(tt.ticked).UnixNano())
		if got := p.since(began)(began.Add(tt.end)); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
	if (&pressure{}).since(began)(began.Add(time.Second)) {
		t.Error("one that is not watched has lost time")
	}
}
