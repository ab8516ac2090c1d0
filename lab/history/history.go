// Package history keeps a line for every run, so that one night can be
// compared with the nights before it: counts, what each pair of peers came to,
// times, and which findings there were. The file is JSON, one run a line, in
// order of time; a run that is entered again takes the place of its line.
//
// A line says what was seen and judges nothing.
package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/stats"
)

// Schema numbers the format of a line.
const Schema = 1

// Run is a run in the history.
type Run struct {
	Schema     int                 `json:"schema"`
	ID         string              `json:"run"`
	Started    time.Time           `json:"started"`
	Seconds    float64             `json:"seconds,omitempty"` // how long it took; absent: it was killed
	Tool       string              `json:"tool"`
	Fabric     string              `json:"fabric"`
	Level      string              `json:"level,omitempty"` // absent: chosen cell by cell
	Plan       string              `json:"plan_digest"`
	Cells      int                 `json:"cells"`            // planned
	Judged     int                 `json:"judged"`           //
	Reused     int                 `json:"reused,omitempty"` // of these, taken over from an older run
	Counts     map[lab.Outcome]int `json:"counts"`
	Unexpected int                 `json:"unexpected"`
	Times      *Times              `json:"times,omitempty"`
	Peers      []Peer              `json:"peers"`
	Pairs      []Pair              `json:"pairs"`    // in order of client and server
	Findings   []Finding           `json:"findings"` // in order of their ids
}

// Peer is a peer and what it was then.
type Peer struct {
	ID      lab.PeerID `json:"id"`
	Version string     `json:"version,omitempty"`
	Image   string     `json:"image,omitempty"`
}

// Pair is what two peers came to.
type Pair struct {
	Client   lab.PeerID          `json:"client"`
	Server   lab.PeerID          `json:"server"`
	Sessions map[lab.Session]int `json:"sessions"`
	Times    *Times              `json:"times,omitempty"`
}

// Times are of the handshakes that were made in the run, in milliseconds; a
// quantile is absent where the sample is too small for it.
type Times struct {
	Sample int     `json:"sample"`
	P50    float64 `json:"p50_ms,omitempty"`
	P95    float64 `json:"p95_ms,omitempty"`
}

// Finding is the cells of a pair that ended alike. Its id is the same in every
// run that finds it.
type Finding struct {
	ID      string      `json:"id"`
	Client  lab.PeerID  `json:"client"`
	Server  lab.PeerID  `json:"server"`
	Outcome lab.Outcome `json:"outcome"`
	Cause   lab.Cause   `json:"cause,omitempty"`
	Blame   string      `json:"blame,omitempty"`
	Known   string      `json:"known,omitempty"` // name of the known deviation that explains it
	Cells   int         `json:"cells"`
	Example string      `json:"example"` // the first of them
}

// Of is the line of a run.
func Of(d *lab.RunDir) (Run, error) {
	rep := d.Report
	r := Run{
		Schema: Schema, ID: rep.Run, Started: rep.Started.UTC().Truncate(time.Second), Tool: rep.Tool, Fabric: rep.Fabric, Level: rep.Level, Plan: rep.PlanDigest,
		Cells: rep.Cells, Judged: rep.Judged, Reused: rep.Reused, Counts: rep.Counts, Unexpected: rep.Unexpected, Peers: []Peer{}, Pairs: []Pair{}, Findings: []Finding{},
	}
	if rep.Ended.After(rep.Started) {
		r.Seconds = rep.Ended.Sub(rep.Started).Round(time.Millisecond).Seconds()
	}
	for _, p := range rep.Peers {
		r.Peers = append(r.Peers, Peer{p.ID, p.Version, p.Image})
	}
	g := gathering{pairs: map[[2]lab.PeerID]*gathered{}, findings: map[string]*Finding{}}
	for v, err := range d.Verdicts() {
		if err != nil {
			return r, err
		}
		g.add(v)
	}
	g.into(&r)
	return r, nil
}

// gathering is what is collected of the verdicts.
type gathering struct {
	times    []float64
	pairs    map[[2]lab.PeerID]*gathered
	findings map[string]*Finding
}

type gathered struct {
	sessions map[lab.Session]int
	times    []float64
}

func (g *gathering) add(v lab.Verdict) {
	k := [2]lab.PeerID{v.Client, v.Server}
	if g.pairs[k] == nil {
		g.pairs[k] = &gathered{sessions: map[lab.Session]int{}}
	}
	g.pairs[k].sessions[v.Session()]++
	if v.Outcome.Worked() && v.Reused == "" {
		for _, a := range v.Attempts {
			if a.HandshakeMS > 0 {
				g.times = append(g.times, a.HandshakeMS)
				g.pairs[k].times = append(g.pairs[k].times, a.HandshakeMS)
			}
		}
	}
	if v.Outcome.Finding() {
		g.find(v)
	}
}

func (g *gathering) find(v lab.Verdict) {
	f := Finding{Client: v.Client, Server: v.Server, Outcome: v.Outcome, Cause: v.Cause, Blame: v.Blame, Known: v.Known, Example: v.Cell}
	f.ID = strings.Join([]string{string(v.Client), string(v.Server), string(v.Outcome), string(v.Cause), v.Blame}, "/")
	if v.Known != "" {
		f.ID += "/known" // what is known now and was not is another finding
	}
	seen := g.findings[f.ID]
	if seen == nil {
		seen = &f
		g.findings[f.ID] = seen
	}
	seen.Cells++
	seen.Example = min(seen.Example, v.Cell)
}

func (g *gathering) into(r *Run) {
	r.Times = timesOf(g.times)
	for k, p := range g.pairs {
		r.Pairs = append(r.Pairs, Pair{k[0], k[1], p.sessions, timesOf(p.times)})
	}
	slices.SortFunc(r.Pairs, func(a, b Pair) int { return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Server, b.Server)) })
	for _, id := range slices.Sorted(maps.Keys(g.findings)) {
		r.Findings = append(r.Findings, *g.findings[id])
	}
}

func timesOf(sample []float64) *Times {
	if len(sample) == 0 {
		return nil
	}
	t := &Times{Sample: len(sample)}
	if q, ok := stats.Quantile(sample, 0.5); ok {
		t.P50 = q.Value
	}
	if q, ok := stats.Quantile(sample, 0.95); ok {
		t.P95 = q.Value
	}
	return t
}

// Change is what is another in a run than in the one before it.
type Change struct {
	New, Gone []Finding
	Peers     []PeerChange
	Plan      bool // it is another plan: what is new may only be newly looked for
}

// PeerChange is a peer that is not what it was.
type PeerChange struct{ Before, After Peer }

// Since compares the run with the one before it. A finding whose pair of peers
// was not run is not gone.
func (r Run) Since(before Run) Change {
	c := Change{Plan: r.Plan != before.Plan}
	c.New = missing(r.Findings, before.Findings)
	for _, f := range missing(before.Findings, r.Findings) {
		if slices.ContainsFunc(r.Pairs, func(p Pair) bool { return p.Client == f.Client && p.Server == f.Server }) {
			c.Gone = append(c.Gone, f)
		}
	}
	for _, p := range r.Peers {
		i := slices.IndexFunc(before.Peers, func(q Peer) bool { return q.ID == p.ID })
		if i >= 0 && before.Peers[i].Version != p.Version {
			c.Peers = append(c.Peers, PeerChange{before.Peers[i], p})
		}
	}
	return c
}

// missing are the findings that others do not have.
func missing(fs, others []Finding) (out []Finding) {
	for _, f := range fs {
		if !slices.ContainsFunc(others, func(o Finding) bool { return o.ID == f.ID }) {
			out = append(out, f)
		}
	}
	return out
}

// Share is how many of the sessions that were not refused came out hybrid;
// ok is false where there were none. Refusals are left out because how many
// there are is the plan's doing.
func Share(sessions map[lab.Session]int) (share float64, ok bool) {
	all := 0
	for s, n := range sessions {
		if s != lab.SessionRefused && s != lab.SessionUndecided {
			all += n
		}
	}
	if all == 0 {
		return 0, false
	}
	return float64(sessions[lab.SessionHybrid]) / float64(all), true
}

// Sessions adds up those of the pairs that keep selects.
func (r Run) Sessions(keep func(Pair) bool) map[lab.Session]int {
	out := map[lab.Session]int{}
	for _, p := range r.Pairs {
		if keep(p) {
			for s, n := range p.Sessions {
				out[s] += n
			}
		}
	}
	return out
}

func (r Run) check() error {
	switch {
	case r.Schema != Schema:
		return fmt.Errorf("schema %d, this hybridlab reads %d", r.Schema, Schema)
	case r.ID == "":
		return fmt.Errorf("it names no run")
	}
	if _, err := r.Started.MarshalText(); err != nil {
		return fmt.Errorf("its time cannot be written again: %w", err)
	}
	return nil
}
