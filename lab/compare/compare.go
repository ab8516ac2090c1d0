// Package compare says what changed between two runs, cell by cell: what
// broke and what was mended, what came out weaker or stronger, new round
// trips, larger hellos, and times that shifted by more than chance.
//
// Two runs are comparable where their cells are. Cells are matched by id; a
// Map says which peer of the first run stands for which of the second, so
// that two versions of one server can be compared. What is in one run only is
// listed, with the reason where the other run gives one.
//
// The package is pure: it reads verdicts and writes nothing.
package compare

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"hybridlab/lab"
)

// Side is one of the two runs. Key is the name by which a cell id is matched
// with the other run's, and its rank: of cells with one key the one of the
// highest rank counts; below 0 none does.
type Side struct {
	Report   lab.Report
	Verdicts iter.Seq2[lab.Verdict, error]
	Key      func(cell string) (key string, rank int)
}

// Schema numbers the JSON form of a Comparison.
const Schema = 1

// Comparison is what changed between two runs.
type Comparison struct {
	Schema int    `json:"schema"`
	Before Head   `json:"before"`
	After  Head   `json:"after"`
	Peers  []Peer `json:"peers"` // peers that are another, or another version
	// Notes say what besides the peers was different, and so may explain a change.
	Notes   []string `json:"notes"`
	Cells   int      `json:"cells"`   // in both runs
	Changes []Change `json:"changes"` // the worst first
	Hellos  []Growth `json:"hellos"`
	Times   []Timing `json:"times"`
}

// Head identifies a run.
type Head struct {
	Run    string `json:"run"`
	Tool   string `json:"tool"`
	Fabric string `json:"fabric"`
	Kernel string `json:"kernel"`
	Seed   uint64 `json:"seed"`
	Cells  int    `json:"cells"` // compared or listed as in this run only
	// Outcomes of these cells.
	Outcomes map[lab.Outcome]int `json:"outcomes"`
}

// Peer is a peer and what stands in its place after.
type Peer struct {
	Before        lab.PeerID `json:"before"`
	After         lab.PeerID `json:"after"`
	VersionBefore string     `json:"version_before"`
	VersionAfter  string     `json:"version_after"`
	ImageBefore   string     `json:"image_before,omitempty"` // digest
	ImageAfter    string     `json:"image_after,omitempty"`
}

// Runs compares two runs. The error is that of reading a verdict, or says that
// two cells of one run have the same key, or that no cell is in both.
func Runs(before, after Side) (*Comparison, error) {
	a, err := before.read()
	if err != nil {
		return nil, fmt.Errorf("read the run before: %w", err)
	}
	b, err := after.read()
	if err != nil {
		return nil, fmt.Errorf("read the run after: %w", err)
	}
	c := &Comparison{Schema: Schema, Before: head(before.Report, a), After: head(after.Report, b), Notes: notes(before.Report, after.Report),
		Peers: []Peer{}, Changes: []Change{}, Hellos: []Growth{}, Times: []Timing{}}
	notBefore, notAfter := before.excluded(), after.excluded()
	hellos, times := growths{}, timings{}
	peers := map[Peer]bool{}
	for _, key := range slices.Sorted(maps.Keys(a)) {
		v := a[key]
		w, both := b[key]
		if !both {
			c.Changes = append(c.Changes, gone(v, notAfter[key]))
			continue
		}
		c.Cells++
		if ch, changed := change(v, w); changed {
			c.Changes = append(c.Changes, ch)
		}
		hellos.add(v, w)
		times.add(v, w)
		peers[Peer{Before: v.Client, After: w.Client}], peers[Peer{Before: v.Server, After: w.Server}] = true, true
	}
	for key, w := range b {
		if _, both := a[key]; !both {
			c.Changes = append(c.Changes, come(w, notBefore[key]))
		}
	}
	if c.Cells == 0 {
		return nil, fmt.Errorf("compare runs %s and %s: no cell is in both; where a peer has another id after, say so with a map", before.Report.Run, after.Report.Run)
	}
	slices.SortFunc(c.Changes, Change.compare)
	c.Peers = versions(peers, before.Report, after.Report)
	c.Hellos, c.Times = hellos.list(), times.list(func(id lab.PeerID) bool {
		return !slices.ContainsFunc(c.Peers, func(p Peer) bool { return p.After == id })
	})
	return c, nil
}

// read keeps the verdicts by key.
func (s Side) read() (map[string]lab.Verdict, error) {
	out, ranks := map[string]lab.Verdict{}, map[string]int{}
	for v, err := range s.Verdicts {
		if err != nil {
			return nil, err
		}
		key, rank := s.Key(v.Cell)
		other, taken := out[key]
		switch {
		case rank < 0 || taken && rank < ranks[key]:
		case taken && rank == ranks[key]:
			return nil, fmt.Errorf("cells %q and %q would both be compared as %q", other.Cell, v.Cell, key)
		default:
			out[key], ranks[key] = v, rank
		}
	}
	return out, nil
}

// excluded are the reasons for which the run left cells out, by key.
func (s Side) excluded() map[string]string {
	out := map[string]string{}
	for _, e := range s.Report.Excluded {
		if key, rank := s.Key(e.Cell); rank >= 0 {
			out[key] = e.Reason
		}
	}
	return out
}

func head(r lab.Report, cells map[string]lab.Verdict) Head {
	h := Head{Run: r.Run, Tool: r.Tool, Fabric: r.Fabric, Kernel: r.Kernel, Seed: r.Seed, Cells: len(cells), Outcomes: map[lab.Outcome]int{}}
	for _, v := range cells {
		h.Outcomes[v.Outcome]++
	}
	return h
}

// notes are the circumstances that differ.
func notes(a, b lab.Report) []string {
	out := []string{}
	for _, n := range []struct{ what, before, after string }{
		{"fabric", a.Fabric, b.Fabric},
		{"TCP", a.Kernel, b.Kernel},
		{"seed", fmt.Sprint(a.Seed), fmt.Sprint(b.Seed)},
		{"hybridlab", a.Tool, b.Tool},
	} {
		if n.before != n.after {
			out = append(out, fmt.Sprintf("another %s: %s before, %s after", n.what, n.before, n.after))
		}
	}
	for _, r := range []struct {
		when string
		lab.Report
	}{{"before", a}, {"after", b}} {
		if r.Interrupted || r.Ended.IsZero() {
			out = append(out, fmt.Sprintf("the run %s was stopped before its end", r.when))
		}
		if r.Reused > 0 {
			out = append(out, fmt.Sprintf("%d verdicts of the run %s are an older run's: their times are not compared", r.Reused, r.when))
		}
	}
	return out
}

// versions fills in the versions and keeps what differs.
func versions(pairs map[Peer]bool, before, after lab.Report) []Peer {
	info := func(r lab.Report, id lab.PeerID) (version, image string) {
		for _, p := range r.Peers {
			if p.ID == id {
				return p.Version, p.Image
			}
		}
		return "", ""
	}
	out := []Peer{}
	for p := range pairs {
		p.VersionBefore, p.ImageBefore = info(before, p.Before)
		p.VersionAfter, p.ImageAfter = info(after, p.After)
		if p.Before != p.After || p.VersionBefore != p.VersionAfter || p.ImageBefore != p.ImageAfter {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Peer) int { return cmp.Or(cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After)) })
	return out
}
