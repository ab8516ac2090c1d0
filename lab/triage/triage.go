// Package triage finds out what sets a finding off. It runs the finding's cell
// again and again with one thing changed, and where that thing is a number
// looks for the number at which the change comes; until one variable, one
// culprit and, where there is one, one number are left, or the trials do not
// say.
//
//	finding --> Explore --try--> trials (cells that differ in one variable)
//	               |<------- observations
//	               v
//	           Conclusion: trigger, threshold, culprit, one sentence
//
// Explore is pure: no clock, no files, no network. It asks for cells by
// calling try, and what it asks for next depends only on what came back. So a
// test plays the path, and an old run is judged again from its observations.
//
// # What is changed
//
// Stock stacks cannot change one thing at a time. The crafted client can: it
// imitates the finding's hello (same groups, same key shares, same size by
// padding), and if the imitation breaks as the finding did, everything is
// tried from there, and also from the other end: a small hello with X25519
// alone, to which one thing is added. If the imitation does not break, the
// conclusion says so and rests on what can be done with the finding's own
// client: other groups, other links.
//
// Three links tell size from segments from packets: over a jumbo link
// (MTU 9,000) the same hello takes one segment; with an MSS of 536 it takes
// many small ones; on the finding's own link, what it took.
//
// # When it does not conclude
//
// A trial counts only where it breaks as the finding did or works. What breaks
// in another way, could not be run or was disturbed by the lab says nothing,
// and a conclusion that would rest on it is not drawn.
package triage

import (
	"slices"
	"strings"

	"hybridlab/lab"
)

// MostTrials bounds the trials for one finding.
const MostTrials = 200

// Field is what Explore has to know beyond the finding.
type Field struct {
	Known     lab.Catalogue
	CleanLink func(link string) string
	// Settings takes a peer's id apart: what it is without settings, and the
	// settings it has or, being a profile, stands for.
	Settings func(lab.PeerID) (lab.PeerID, []lab.Setting)
	// Remedy is what is known to mend what the culprit does; empty: nothing.
	Remedy func(culprit string) string
}

// Finding is what is to be explained.
type Finding struct {
	Verdict lab.Verdict
	Seen    lab.Observation // its first attempt
}

// Trial is a cell to be run.
type Trial struct {
	Changed string // against the finding, in words
	Cell    lab.Cell
	Seed    uint64 // 0: the run's
	Patient bool   // it ended by silence that says nothing, and may have been too short of time
}

// Try runs trials side by side and returns what was seen, in their order. The
// zero observation stands for a trial that was not run.
type Try func([]Trial) []lab.Observation

// Conclusion is what the trials say.
type Conclusion struct {
	Trigger   lab.Trigger // empty: they do not say
	Threshold int         // in Trigger.Unit; 0: none
	Blame     string      // as in a verdict
	Text      string      // one sentence, with numbers
	Remedy    string
	Trials    []lab.Trial // what was run, in order; of a search for a number the runs on both sides of it
	Runs      int         // how many there were in all

	cure func(*explorer) Trial // the one change that mends it
}

// Explore looks for what sets the finding off.
func Explore(field Field, f Finding, try Try) Conclusion {
	x := newExplorer(field, f, try)
	c := x.conclude()
	c.Trials, c.Runs = x.done, x.runs
	if c.Trigger != "" && c.Remedy == "" {
		c.Remedy = field.Remedy(c.Blame)
	}
	return c
}

// Confirm tries whether what mended one finding mends another that looks the
// same, and if so concludes the same. ok is false where it does not.
func Confirm(field Field, f Finding, like Conclusion, try Try) (c Conclusion, ok bool) {
	if like.cure == nil {
		return Conclusion{}, false
	}
	x := newExplorer(field, f, try)
	cure := like.cure(x)
	ok = x.fate(cure) == gone
	like.Trials, like.Runs = x.done, x.runs
	return like, ok
}

// Apply writes a conclusion into the verdict.
func (c Conclusion) Apply(v lab.Verdict) lab.Verdict {
	v.Triage, v.TriageRuns, v.Traced = c.Trials, c.Runs, c.Text
	if c.Trigger == "" {
		v.Trigger, v.Threshold = "", 0
		return v
	}
	v.Trigger, v.Threshold, v.Blame = c.Trigger, c.Threshold, c.Blame
	if c.Remedy != "" {
		v.Remedy = c.Remedy
	}
	switch broke := v.Outcome == lab.Failure || v.Outcome == lab.Size; {
	case broke && c.Trigger.Sized():
		v.Outcome = lab.Size
	case broke:
		v.Outcome = lab.Failure
	}
	return v
}

// fate is what a trial says about the change that it makes.
type fate uint8

const (
	open fate = iota // nothing
	same             // it breaks as the finding did
	gone             // it works
)

// explorer is one finding being explained.
type explorer struct {
	Field
	f      Finding
	try    Try
	seen   map[string]lab.Observation
	done   []lab.Trial
	runs   int
	broken lab.Verdict // the finding by its first attempt alone, as trials are judged
	fan    int         // how many trials stand side by side in a search

	real, mimic, small setup
}

func newExplorer(field Field, f Finding, try Try) *explorer {
	x := &explorer{Field: field, f: f, try: try, seen: map[string]lab.Observation{}, broken: lab.Judge(field.Known, f.Seen)}
	x.fan = 8
	if f.Seen.Client.TimedOut {
		x.fan = 32 // what breaks by silence costs a wait, whoever waits beside it
	}
	x.set()
	return x
}

// run makes sure that the trials were run, as far as there are any left.
func (x *explorer) run(trials ...Trial) {
	var batch, again []Trial
	for _, t := range trials {
		key := lab.TrialKey(t.Cell.ID, t.Seed)
		if _, ok := x.seen[key]; ok || x.runs+len(batch) >= MostTrials {
			continue
		}
		x.seen[key] = lab.Observation{}
		if t.Changed != "" && x.possible(t.Cell) {
			batch = append(batch, t)
		}
	}
	x.ask(batch)
	for _, t := range batch {
		if o := x.seen[lab.TrialKey(t.Cell.ID, t.Seed)]; o.Client.TimedOut && x.judge(o) == open && x.runs+len(again) < MostTrials {
			t.Patient = true
			again = append(again, t)
		}
	}
	x.ask(again)
	for _, t := range batch {
		if o := x.seen[lab.TrialKey(t.Cell.ID, t.Seed)]; o.Cell.ID != "" {
			v := lab.Judge(x.Known, o)
			x.done = append(x.done, lab.Trial{Changed: t.Changed, Cell: t.Cell.ID, Seed: t.Seed, Outcome: v.Outcome, Cause: v.Cause})
		}
	}
}

func (x *explorer) ask(batch []Trial) {
	if len(batch) == 0 {
		return
	}
	x.runs += len(batch)
	for i, o := range x.try(batch) {
		if o.Cell.ID != "" {
			x.seen[lab.TrialKey(batch[i].Cell.ID, batch[i].Seed)] = o
		}
	}
}

// possible reports whether both peers can do what the cell asks.
func (x *explorer) possible(c lab.Cell) bool {
	return x.Known.Unsupported(c.Client, lab.ClientRole, c.Offer) == "" && x.Known.Unsupported(c.Server, lab.ServerRole, c.Accept) == ""
}

// saw is the observation of a trial; zero: it was not run.
func (x *explorer) saw(t Trial) lab.Observation {
	x.run(t)
	return x.seen[lab.TrialKey(t.Cell.ID, t.Seed)]
}

// fate is what became of a trial.
func (x *explorer) fate(t Trial) fate { return x.judge(x.saw(t)) }

func (x *explorer) judge(o lab.Observation) fate {
	if o.Cell.ID == "" {
		return open
	}
	v := lab.Judge(x.Known, o)
	switch {
	case kind(v.Outcome) == kind(x.broken.Outcome) && v.Cause == x.broken.Cause:
		return same
	case v.Outcome == lab.Hybrid || v.Outcome == lab.Classical:
		return gone
	case x.broken.Outcome != lab.Downgrade && v.Outcome == lab.Downgrade:
		return gone // the handshake completed, and that is what was asked
	case v.Outcome == lab.Refused && slices.ContainsFunc(x.broken.Predicted, refusal):
		return gone // as the finding should have ended
	}
	return open
}

func refusal(predicted string) bool { return strings.HasPrefix(predicted, string(lab.Refused)) }

// kind takes size and failure for one: a single trial cannot tell them apart.
func kind(o lab.Outcome) lab.Outcome {
	if o == lab.Size {
		return lab.Failure
	}
	return o
}

func (x *explorer) all(want fate, trials ...Trial) bool {
	x.run(trials...)
	return !slices.ContainsFunc(trials, func(t Trial) bool { return x.fate(t) != want })
}
