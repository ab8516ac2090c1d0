// Package evidence packs one finding of a run for somebody who has none of
// this: the maker of what is to blame.
//
//	run directory --Gather--> Finding --Files, Pack--> bundle.zip --Open, Check--> true or not
//
// A bundle holds, in run/, the part of the run directory that the verdict
// rests on, to the last trial; everything else in it is made from that. So
// whoever gets one can check offline that the packets say what was observed,
// that the verdict follows from it, and that the account for people is the
// account of these packets.
//
// The same finding gives the same bytes: files are stored in order of their
// names, uncompressed and without times, and a zip that is anything else is
// refused. No name in it comes from a peer, a packet or a file.
//
// The only keys that get in are the secrets of the connections in the
// captures: see keys.go.
package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/capture"
	"hybridlab/lab/triage"
)

// Finding is everything that a run has about one finding.
type Finding struct {
	Verdict lab.Verdict
	Seen    lab.Observation // the attempt that the verdict is about
	Capture capture.File    // its packets
	Hello   lab.SentHello   // no bytes: none left the client whole
	// Report, Verdicts and Observations are the run's, reduced to what the
	// verdict rests on. The finding whose triage this one shares is among them.
	Report       lab.Report
	Verdicts     []lab.Verdict
	Observations []lab.Observation
	Controls     []Control

	captures map[string]stored // by their names in the run
}

// Control is a control of the finding as it was run.
type Control struct {
	lab.ControlTaken
	Verdict lab.Verdict // by itself
	Seen    lab.Observation
}

type stored struct {
	raw  []byte
	file capture.File
}

// ErrNoFinding says that a cell is none.
var ErrNoFinding = errors.New("it is no finding")

// Gather reads a cell's finding from the run. A capture that is not there or
// is not what the run recorded is an error, and so is a key that must not be
// handed on. field must be that of the run.
func Gather(d *lab.RunDir, cell string, field triage.Field) (*Finding, error) {
	f := &Finding{captures: map[string]stored{}}
	if err := f.gather(d, cell, field); err != nil {
		return nil, fmt.Errorf("gather evidence of %q: %w", cell, err)
	}
	return f, nil
}

func (f *Finding) gather(d *lab.RunDir, cell string, field triage.Field) error {
	if err := f.verdicts(d, cell); err != nil {
		return err
	}
	seen, err := f.observations(d)
	if err != nil {
		return err
	}
	if err := f.keep(seen, field); err != nil {
		return err
	}
	f.reduce(d.Report)
	for _, o := range f.Observations {
		if err := f.capture(d, o); err != nil {
			return err
		}
	}
	f.Capture = f.captures[f.Verdict.Capture].file
	f.Hello, _ = lab.FirstHello(f.Capture.Packets)
	return f.innocent()
}

// verdicts finds the finding's and that of the one whose triage it shares.
func (f *Finding) verdicts(d *lab.RunDir, cell string) error {
	all := map[string]lab.Verdict{}
	for v, err := range d.Verdicts() {
		if err != nil {
			return err
		}
		if v.Cell == cell || v.Outcome.Finding() {
			all[v.Cell] = v
		}
	}
	v, ok := all[cell]
	switch {
	case !ok:
		return errors.New("the run has no such cell")
	case !v.Outcome.Finding():
		return fmt.Errorf("%w: it ended as %s", ErrNoFinding, v.Outcome)
	case v.Capture == "":
		return errors.New("the run has no capture of it, and there is no evidence without packets")
	}
	f.Verdict, f.Verdicts = v, []lab.Verdict{v}
	if like, ok := all[v.Like]; ok {
		f.Verdicts = []lab.Verdict{like, v}
	}
	return nil
}

// record is what was seen in a run of the cells in question.
type record struct {
	attempts map[string][]lab.Observation // by cell
	trials   map[string]lab.Observation   // by lab.TrialKey
}

func (f *Finding) observations(d *lab.RunDir) (record, error) {
	wanted := map[string]bool{}
	for _, v := range f.Verdicts {
		wanted[v.Cell] = true
		for _, c := range v.Control {
			wanted[c.Cell] = true
		}
	}
	r := record{map[string][]lab.Observation{}, map[string]lab.Observation{}}
	for o, err := range d.Observations() {
		switch {
		case err != nil:
			return r, err
		case o.Trial:
			r.trials[lab.TrialKey(o.Cell.ID, o.Seed)] = o // of two the later counts, as it did
		case wanted[o.Cell.ID]:
			r.attempts[o.Cell.ID] = append(r.attempts[o.Cell.ID], o)
		}
	}
	return r, nil
}

// keep takes over the attempts at the findings, their controls' first ones, and
// the trials that their triage asked for.
func (f *Finding) keep(seen record, field triage.Field) error {
	taken := map[string]bool{}
	for _, v := range f.Verdicts {
		for _, o := range seen.attempts[v.Cell] {
			f.Observations = append(f.Observations, o)
			if o.Capture == f.Verdict.Capture {
				f.Seen = o
			}
		}
		taken[v.Cell] = true
	}
	if f.Seen.Capture == "" {
		return fmt.Errorf("no observation goes with its capture %s", f.Verdict.Capture)
	}
	for _, v := range f.Verdicts {
		for _, c := range v.Control {
			if all := seen.attempts[c.Cell]; len(all) > 0 && !taken[c.Cell] {
				f.Observations, taken[c.Cell] = append(f.Observations, all[0]), true
			}
		}
	}
	for _, c := range f.Verdict.Control {
		if all := seen.attempts[c.Cell]; len(all) > 0 {
			f.Controls = append(f.Controls, Control{c, lab.Judge(field.Known, all[0]), all[0]})
		}
	}
	f.Observations = append(f.Observations, f.trials(seen, field)...)
	return nil
}

// trials are those that triage asks for when it is done again, in order.
func (f *Finding) trials(seen record, field triage.Field) (out []lab.Observation) {
	if f.Verdict.TriageRuns == 0 {
		return nil
	}
	var group []triage.Finding
	for _, v := range f.Verdicts {
		if all := seen.attempts[v.Cell]; len(all) > 0 {
			group = append(group, triage.Finding{Verdict: lab.Settle(field.Known, all[:min(len(all), max(1, len(v.Attempts)))], v.Control), Seen: all[0]})
		}
	}
	asked := map[string]bool{}
	triage.Trace(field, group, func(trials []triage.Trial) []lab.Observation {
		back := make([]lab.Observation, len(trials))
		for i, t := range trials {
			key := lab.TrialKey(t.Cell.ID, t.Seed)
			back[i] = seen.trials[key]
			if back[i].Cell.ID != "" && !asked[key] {
				asked[key] = true
				out = append(out, back[i])
			}
		}
		return back
	})
	return out
}

// reduce leaves in the report what the kept observations need.
func (f *Finding) reduce(r lab.Report) {
	used := map[string]bool{}
	note := func(c lab.Cell) {
		for _, id := range []lab.PeerID{c.Client, c.Server} {
			name, _, _ := strings.Cut(string(id), "{")
			used["peer "+string(id)], used["peer "+name] = true, true
		}
		used["link "+c.Link] = true
		for _, b := range c.Boxes {
			used["box "+b] = true
		}
	}
	for _, o := range f.Observations {
		note(o.Cell)
	}
	r.Peers = slices.DeleteFunc(slices.Clone(r.Peers), func(p lab.PeerInfo) bool { return !used["peer "+string(p.ID)] })
	r.Links = slices.DeleteFunc(slices.Clone(r.Links), func(l lab.LinkInfo) bool { return !used["link "+l.Name] })
	r.Boxes = slices.DeleteFunc(slices.Clone(r.Boxes), func(b lab.BoxInfo) bool { return !used["box "+b.Name] })
	r.Excluded, r.Cells, r.Interrupted, r.Reused = []lab.Exclusion{}, len(f.Verdicts), false, 0
	for _, v := range f.Verdicts {
		if v.Reused != "" {
			r.Reused++
		}
	}
	r.Recount(r.Deviations(), f.Verdicts)
	f.Report = r
}

// capture takes over the capture of an attempt, if it has one.
func (f *Finding) capture(d *lab.RunDir, o lab.Observation) error {
	if o.Capture == "" {
		return nil
	}
	s, err := readCapture(d, o)
	if err != nil {
		return fmt.Errorf("capture %s: %w", o.Capture, err)
	}
	f.captures[o.Capture] = s
	return nil
}

// readCapture reads a capture and holds it against what was observed.
func readCapture(d *lab.RunDir, o lab.Observation) (s stored, err error) {
	in, err := d.OpenCapture(o.Capture)
	if errors.Is(err, fs.ErrNotExist) {
		return s, errors.New("the file is gone from the run directory, and there is no evidence without packets")
	}
	if err != nil {
		return s, err
	}
	defer in.Close()
	if s.raw, err = io.ReadAll(io.LimitReader(in, MostBytes)); err != nil {
		return s, err
	}
	if sum := sha256.Sum256(s.raw); o.CaptureSHA256 != "" && o.CaptureSHA256 != hex.EncodeToString(sum[:]) {
		return s, errors.New("it is not the file that the run recorded: its SHA-256 is another")
	}
	if s.file, err = capture.ReadFile(bytes.NewReader(s.raw)); err != nil {
		return s, err
	}
	var again bytes.Buffer
	if err := s.file.Write(&again); err != nil {
		return s, err
	}
	if !bytes.Equal(again.Bytes(), s.raw) {
		return s, errors.New("it holds more than the packets and keys of hybridlab: it was altered, or written by something else")
	}
	return s, agrees(o, s.file)
}

// agrees reports whether the packets say what was observed.
func agrees(o lab.Observation, c capture.File) error {
	if o.Fault != "" {
		return nil // nothing was read from them
	}
	said, err := json.Marshal(o.Wire)
	if err != nil {
		return err
	}
	says, err := json.Marshal(lab.ObserveWire(c.Packets))
	if err != nil {
		return err
	}
	if !bytes.Equal(said, says) {
		return errors.New("its packets do not say what the run observed: it was altered, or observed by the rules of another hybridlab")
	}
	return nil
}
