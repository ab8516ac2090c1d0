package scenarios

import (
	"cmp"
	"context"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/rig"
	"hybridlab/lab/triage"
	"hybridlab/reports"
)

// Options are what a run needs beyond its cells.
type Options struct {
	Out      string // run directory to create; empty: runs/<run id>
	Seed     uint64
	Attempts int            // attempts at a finding before it is believed
	Repeat   int            // runs of every other cell, for its times
	Known    lab.Deviations // findings that are expected
	Command  string         // command line that runs it again
	Progress io.Writer      // one line per slow step of the start
	Reuse    *lab.RunDir    // old run whose verdicts count where nothing has changed; nil: none
	Tool     string         // hybridlab's commit; empty: what was built in
}

// Session is a run in progress: a started fabric, a runner, and the run
// directory that everything goes to. Both front ends use it, so that both
// give the same verdicts for the same plan and seed.
type Session struct {
	*lab.Runner
	Recorder *lab.Recorder
	Reused   lab.Reuse // what came of Options.Reuse
	rig      *rig.Rig
	boxes    rig.Boxes
	field    triage.Field
}

// Start creates the run directory and starts the fabric.
func Start(ctx context.Context, s Selection, o Options) (*Session, error) {
	id := rig.NewRunID()
	if o.Out == "" {
		o.Out = filepath.Join("runs", id)
	}
	boxes, err := s.Boxes.Infos(s.Plan.Cells)
	if err != nil {
		return nil, err
	}
	head := lab.Report{
		Run: id, Fabric: string(s.Fabric), FabricWhy: s.FabricWhy, Seed: o.Seed, Tool: cmp.Or(o.Tool, rig.ToolVersion()), Started: time.Now().UTC(),
		Peers: []lab.PeerInfo{}, Links: s.Links.Infos(s.Plan.Links()), Boxes: boxes, Cells: len(s.Plan.Cells), Excluded: append([]lab.Exclusion{}, s.Plan.Excluded...),
		PlanDigest: s.Digest, Level: s.Level, Shard: s.Shard, Command: o.Command,
	}
	head.Expect(o.Known)
	rec, err := lab.Record(o.Out, head)
	if err != nil {
		return nil, err
	}
	r, err := rig.Open(ctx, rig.Config{
		Kind: s.Fabric, Run: id, Links: s.Links, Boxes: s.Boxes, Known: s.Peers, Peers: append(s.Plan.Peers(), s.Absent...), Through: s.Plan.Boxes(), Logs: filepath.Join(rec.Dir, lab.LogsDir), Progress: o.Progress,
	})
	if err != nil {
		return nil, errors.Join(err, rec.Close(time.Now().UTC()))
	}
	rec.Report.Peers, rec.Report.Kernel = r.Peers(), r.Kernel()
	r.Introduce(rec.Report.Boxes)
	ss := &Session{Recorder: rec, rig: r, boxes: s.Boxes, field: rig.Field(s.Peers, s.Links, s.Boxes), Runner: &lab.Runner{
		Fabric: r, Known: s.Peers, Sink: rec, Seed: o.Seed, CleanLink: s.Links.Clean, Attempts: o.Attempts, Repeat: o.Repeat,
	}}
	ss.Inputs = rig.Inputs{
		Tool: head.Tool, Fabric: s.Fabric, Kernel: r.Kernel(), Seed: o.Seed, Attempts: o.Attempts, Repeat: max(o.Repeat, 1), Peers: r.Peers(), Links: s.Links, Boxes: s.Boxes, Real: rec.Report.Boxes,
	}.Of
	if o.Reuse != nil {
		if ss.Reused, err = ss.Reuse(rec, o.Reuse, s.Plan.Cells); err != nil {
			return nil, errors.Join(err, r.Close(), rec.Close(time.Now().UTC()))
		}
	}
	return ss, rec.SaveReport()
}

// InFlight is how many cells run at once unless the user says otherwise.
func (s Selection) InFlight() int { return s.Fabric.Parallel(runtime.NumCPU()) }

// Prove runs the positive controls of the run's boxes: what they are known
// for must be found, or the run's silence about them means nothing.
func (s *Session) Prove(ctx context.Context) error {
	return s.boxes.Prove(ctx, s.Recorder.Report.Boxes, s.Seed)
}

// End stops the fabric, closes the run directory and renders its pages.
func (s *Session) End() error {
	return errors.Join(s.rig.Close(), s.Recorder.Close(time.Now().UTC()), Render(&s.Recorder.RunDir))
}

// Render writes the files that are made from a run's verdicts.
func Render(d *lab.RunDir) error {
	return errors.Join(
		d.Replace(lab.JUnitFile, func(w io.Writer) error { return reports.JUnit(w, d.Report, d.Verdicts()) }),
		d.Replace(lab.MetricsFile, func(w io.Writer) error { return reports.Prometheus(w, d.Report, d.Verdicts()) }),
		d.Replace(lab.OTLPFile, func(w io.Writer) error { return reports.OTLP(w, d.Report, d.Verdicts()) }),
		d.Replace(lab.CellsFile, func(w io.Writer) error { return reports.CSV(w, d.Report, d.Verdicts()) }),
		d.Replace(lab.IndexFile, func(w io.Writer) error { return reports.HTML(w, d.Report, d.Verdicts(), d) }),
	)
}
