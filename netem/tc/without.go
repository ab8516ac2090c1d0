package tc

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hybridlab/netem"
)

// leftOut is how a shape is without a key, for the keys the kernel refuses.
var leftOut = map[string]func(*netem.Shape){
	"mtu":       func(s *netem.Shape) { s.MTU, s.TooBig, s.ClampMSS = 0, "", false },
	"clamp_mss": func(s *netem.Shape) { s.ClampMSS = false },
	"mss":       func(s *netem.Shape) { s.MSS = 0 },
	"fragments": func(s *netem.Shape) { s.Fragments = "" },
	"loss":      func(s *netem.Shape) { s.Loss = netem.Loss{} },
	"corrupt":   func(s *netem.Shape) { s.Corrupt = netem.Corrupt{} },
	"duplicate": func(s *netem.Shape) { s.Duplicate = 0 },
	"jitter":    func(s *netem.Shape) { s.Jitter = 0 },
	"reorder":   func(s *netem.Shape) { s.Reorder = netem.Reorder{} },
}

// Without is the shape without some of its keys, and all that hangs on them.
// The error names the keys that can be left out.
func Without(s netem.Shape, keys ...string) (netem.Shape, error) {
	for _, k := range keys {
		drop, ok := leftOut[k]
		if !ok {
			return s, fmt.Errorf("leave out %q: want one of %s", k, strings.Join(slices.Sorted(maps.Keys(leftOut)), ", "))
		}
		drop(&s)
	}
	return s, nil
}
