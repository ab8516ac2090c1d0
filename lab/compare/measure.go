package compare

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/stats"
)

// Growth is a client's hello that changed its size.
type Growth struct {
	Client   lab.PeerID `json:"client"` // as in the run after
	Offer    string     `json:"offer"`
	Cells    int        `json:"cells"`
	Before   int        `json:"before"`   // bytes, the median of the cells
	After    int        `json:"after"`    // bytes
	Segments int        `json:"segments"` // cells in which it now takes more TCP segments
}

// Bytes is by how much the hello grew; negative: it shrank.
func (g Growth) Bytes() int { return g.After - g.Before }

type growthKey struct {
	client lab.PeerID
	offer  string
}

// growths gathers the sizes of each client's hellos, by offer.
type growths map[growthKey]*struct {
	before, after []int
	segments      int
}

func (gs growths) add(v, w lab.Verdict) {
	if v.HelloBytes == 0 || w.HelloBytes == 0 {
		return
	}
	k := growthKey{w.Client, w.Offer.String()}
	if gs[k] == nil {
		gs[k] = &struct {
			before, after []int
			segments      int
		}{}
	}
	g := gs[k]
	g.before, g.after = append(g.before, v.HelloBytes), append(g.after, w.HelloBytes)
	if w.HelloSegments > v.HelloSegments {
		g.segments++
	}
}

func (gs growths) list() []Growth {
	out := []Growth{}
	for k, g := range gs {
		if chance(g.before, g.after) {
			continue
		}
		growth := Growth{k.client, k.offer, len(g.before), median(g.before), median(g.after), g.segments}
		if growth.Bytes() != 0 || growth.Segments > 0 {
			out = append(out, growth)
		}
	}
	slices.SortFunc(out, func(a, b Growth) int {
		return cmp.Or(cmp.Compare(b.Bytes(), a.Bytes()), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Offer, b.Offer))
	})
	return out
}

// chance reports whether a client's hellos are of several sizes, and those of the
// two runs may as well be drawn from the same: a browser's differ each time.
func chance(before, after []int) bool {
	a, b, c, d := slices.Min(before), slices.Max(before), slices.Min(after), slices.Max(after)
	return (a < b || c < d) && a <= d && c <= b
}

func median(ns []int) int {
	slices.Sort(ns)
	return ns[(len(ns)-1)/2]
}

// Timing is the handshake times of the cells that two peers ended alike in
// both runs, over one path, with one group. Times are milliseconds from the
// first SYN to the client's Finished.
type Timing struct {
	Client lab.PeerID    `json:"client"` // as in the run after
	Server lab.PeerID    `json:"server"`
	Path   string        `json:"path"` // link, and the boxes on it
	Group  string        `json:"group"`
	Retry  bool          `json:"hrr"`
	Cells  int           `json:"cells"`
	Shifts []stats.Shift `json:"shifts"` // by quantile
	// Same: both peers are what they were, to the image and the version. What
	// shifts here is the machine, or hybridlab.
	Same bool `json:"same"`
}

type timingKey struct {
	client, server lab.PeerID
	path, group    string
	retry          bool
}

// timings gathers the times of comparable cells.
type timings map[timingKey]stats.Group

func (ts timings) add(v, w lab.Verdict) {
	a, b := state(v), state(w)
	if v.Reused != "" || w.Reused != "" { // measured in another run
		return
	}
	if !v.Outcome.Worked() || !w.Outcome.Worked() || a.Group == "" || a.Group != b.Group || a.Retry != b.Retry {
		return
	}
	p := stats.Pair{Before: samples(v), After: samples(w)}
	if len(p.Before) == 0 || len(p.After) == 0 {
		return
	}
	k := timingKey{w.Client, w.Server, path(w), b.Group, b.Retry}
	ts[k] = append(ts[k], p)
}

// samples are the times of the attempts.
func samples(v lab.Verdict) (out []float64) {
	for _, a := range v.Attempts {
		if a.HandshakeMS > 0 {
			out = append(out, a.HandshakeMS)
		}
	}
	return out
}

func path(v lab.Verdict) string {
	return strings.Join(append([]string{v.Link}, v.Boxes...), "/")
}

// list compares the groups; same says which peers of the run before and the
// run after are one.
func (ts timings) list(same func(lab.PeerID) bool) []Timing {
	keys := slices.SortedFunc(maps.Keys(ts), func(a, b timingKey) int {
		return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.server, b.server), cmp.Compare(a.path, b.path), cmp.Compare(a.group, b.group), compareBool(a.retry, b.retry))
	})
	groups := make([]stats.Group, len(keys))
	for i, k := range keys {
		groups[i] = ts[k]
	}
	out := []Timing{}
	for i, shifts := range stats.Shifts(groups) {
		k := keys[i]
		out = append(out, Timing{k.client, k.server, k.path, k.group, k.retry, len(groups[i]), shifts, same(k.client) && same(k.server)})
	}
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
