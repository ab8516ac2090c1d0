package rig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"hybridlab/lab"
	"hybridlab/lab/triage"
	"hybridlab/lab/yaml"
	"hybridlab/netem/box"
)

// Catch is what came of one expectation of a box: its positive control.
type Catch struct {
	Box     string      // as a cell names it
	ID      string      // number of the breakage it stands for
	Want    box.Expect  //
	Cell    string      // id of the probe's cell behind the box
	Got     lab.Verdict // behind the box
	Bare    lab.Verdict // the same without it
	Deeds   []lab.Deed  // what the box did
	Traced  bool        // its trigger was looked for
	Problem string      // why it is not as expected; empty: caught

	seen  lab.Observation // what Got was judged from
	found bool            // it is kept: a finding's always is
}

// CheckBoxes runs the probes of the boxes named, each behind its box and
// without it, in the embedded fabric: what acts is the same code there. It
// costs some milliseconds a probe. With trace, every finding is traced as well,
// and trigger and threshold are held against what must be found: a few tenths
// of a second each. Boxes without expectations are passed over.
func CheckBoxes(ctx context.Context, bs Boxes, names []string, seed uint64, trace bool) ([]Catch, error) {
	catches, ids, err := bs.catches(names)
	if err != nil || len(catches) == 0 {
		return nil, err
	}
	links, err := NewLinks(nil, "")
	if err != nil {
		return nil, err
	}
	r, err := Open(ctx, Config{Kind: Embedded, Run: NewRunID(), Links: links, Boxes: bs, Peers: ids, Unprobed: true})
	if err != nil {
		return nil, err
	}
	seen := &witness{deeds: map[string][]lab.Deed{}}
	runner := &lab.Runner{Fabric: r, Known: Catalogue{}, Sink: seen, Seed: seed, CleanLink: links.Clean, Attempts: 1}
	err = runAll(ctx, runner, catches)
	for range calmTries {
		if err == nil {
			err = again(ctx, &lab.Runner{Fabric: r, Known: Catalogue{}, Sink: seen, Seed: seed, CleanLink: links.Clean, Attempts: 1}, catches)
		}
	}
	if trace && err == nil {
		traceAll(ctx, runner, Field(Catalogue{}, links, bs), catches)
	}
	for i := range catches {
		c := &catches[i]
		c.Deeds = seen.deeds[c.Cell]
		c.Problem = c.compare()
	}
	return catches, errors.Join(err, r.Close())
}

// catches are the expectations of the boxes, not yet run, and the peers that
// it takes.
func (bs Boxes) catches(names []string) ([]Catch, []lab.PeerID, error) {
	var out []Catch
	var plan lab.Plan
	for _, name := range names {
		b, _, err := bs.entry(name)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range b.Expect {
			bare, err := bs.probe(e.Probe)
			if err != nil {
				return nil, nil, err
			}
			ref := b.Name
			if e.With != "" {
				ref += "{" + e.With + "}"
			}
			cell := lab.NewCell(bare.Client, bare.Server, bare.Offer, bare.Accept, bare.Link, ref)
			plan.Cells = append(plan.Cells, cell)
			out = append(out, Catch{Box: ref, ID: b.ID, Want: e, Cell: cell.ID, Bare: lab.Verdict{Cell: bare.ID}})
		}
	}
	return out, plan.Peers(), nil
}

func (bs Boxes) probe(name string) (lab.Cell, error) {
	var known []string
	for _, p := range bs.probes {
		if p.Name == name {
			return lab.ParseCell(p.Cell)
		}
		known = append(known, p.Name)
	}
	return lab.Cell{}, fmt.Errorf("look up probe %q%s: want one of %s", name, yaml.DidYouMean(name, known), strings.Join(known, ", "))
}

// runAll takes every cell and its twin without the box through the runner.
func runAll(ctx context.Context, r *lab.Runner, catches []Catch) error {
	var wg sync.WaitGroup
	errs := make([]error, len(catches))
	for i := range catches {
		wg.Go(func() {
			c := &catches[i]
			errs[i] = errors.Join(runOne(ctx, r, c.Cell, &c.Got), runOne(ctx, r, c.Bare.Cell, &c.Bare))
			c.seen, c.found = r.Seen(c.Cell)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// calmTries is how often a probe that proved nothing is run again.
const calmTries = 3

// again takes those through the runner once more, one after the other, that
// proved nothing, as happens where the machine has other work: what the lab
// was too busy to see is neither for nor against a box.
func again(ctx context.Context, r *lab.Runner, catches []Catch) error {
	for i := range catches {
		c := &catches[i]
		if c.Got.Outcome != lab.Inconclusive && c.Bare.Outcome != lab.Inconclusive {
			continue
		}
		if err := errors.Join(runOne(ctx, r, c.Cell, &c.Got), runOne(ctx, r, c.Bare.Cell, &c.Bare)); err != nil {
			return err
		}
		c.seen, c.found = r.Seen(c.Cell)
	}
	return nil
}

func runOne(ctx context.Context, r *lab.Runner, id string, v *lab.Verdict) error {
	c, err := lab.ParseCell(id)
	if err == nil {
		*v, err = r.Cell(ctx, c)
	}
	return err
}

// tracedAtOnce is how many findings are traced side by side: their trials have
// to share the processors without disturbing one another.
const tracedAtOnce = 4

func traceAll(ctx context.Context, r *lab.Runner, field triage.Field, catches []Catch) {
	var wg sync.WaitGroup
	turn := make(chan struct{}, tracedAtOnce)
	for i := range catches {
		c := &catches[i]
		if !c.found || !c.Got.Outcome.Finding() {
			continue
		}
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			found := triage.Explore(field, triage.Finding{Verdict: c.Got, Seen: c.seen}, triage.SideBySide(ctx, r.Trial))
			c.Got, c.Traced = found.Apply(c.Got), true
		})
	}
	wg.Wait()
}

// compare says where verdict and expectation differ.
func (c *Catch) compare() string {
	w, g := c.Want, c.Got
	switch {
	case c.Bare.Outcome != "" && !c.Bare.Outcome.Pass():
		return fmt.Sprintf("without the box it ends as %s: %s", c.Bare.Outcome, c.Bare.Why)
	case g.Outcome != lab.Outcome(w.Outcome) && !c.untraced():
		return fmt.Sprintf("outcome %s, want %s: %s", g.Outcome, w.Outcome, g.Why)
	case w.Cause != "" && g.Cause != lab.Cause(w.Cause):
		return fmt.Sprintf("cause %s, want %s: %s", g.Cause, w.Cause, g.Why)
	case g.Outcome.Finding() && g.Blame != "box "+c.Box:
		return fmt.Sprintf("blames %s: %s", g.Blame, g.Why)
	case w.Deed != "" && !c.did(w.Deed):
		return fmt.Sprintf("the box did not %s, it did %v", w.Deed, c.Deeds)
	case w.Trigger != "" && c.Traced && g.Trigger != lab.Trigger(w.Trigger):
		return fmt.Sprintf("trigger %q, want %s: %s", g.Trigger, w.Trigger, g.Traced)
	case w.Threshold != 0 && c.Traced && g.Threshold != w.Threshold:
		return fmt.Sprintf("threshold %d, want %d: %s", g.Threshold, w.Threshold, g.Traced)
	}
	return ""
}

// untraced: a failure whose trigger nobody has looked for may be one of size.
func (c *Catch) untraced() bool {
	broke := func(o lab.Outcome) bool { return o == lab.Failure || o == lab.Size }
	return !c.Traced && broke(c.Got.Outcome) && broke(lab.Outcome(c.Want.Outcome))
}

func (c *Catch) did(action string) bool {
	for _, d := range c.Deeds {
		if strings.HasPrefix(d.Action, action) {
			return true
		}
	}
	return false
}

// witness is a sink that keeps what boxes did.
type witness struct {
	mu    sync.Mutex
	deeds map[string][]lab.Deed
}

func (w *witness) Observed(o lab.Observation, _ lab.Verdict, _ lab.Evidence) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deeds[o.Cell.ID] = o.Path.Boxes
	return "", nil
}

func (w *witness) Judged(lab.Verdict) error { return nil }
