package lab

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hybridlab/lab/capture"
)

// sampled passes keep their capture: one cell in so many, chosen by id.
const samplePasses = 50

// Recorder writes a run directory while the run goes on. It is the Runner's
// Sink. Everything goes to disk at once: results of 10,000 cells need no
// memory, and a killed run keeps its finished cells.
type Recorder struct {
	RunDir
	// OnVerdict is called after each verdict was stored, one at a time.
	OnVerdict func(Verdict)

	mu           sync.Mutex
	verdicts     *jsonl
	observations *jsonl
	triggered    map[[2]string]bool // box and cell in which it did something
}

// ErrRunDir says that no run can be recorded in the directory given.
var ErrRunDir = errors.New("create run directory")

// Record creates the run directory, which must not exist or be empty, and
// writes the first report.json.
func Record(dir string, head Report) (*Recorder, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%w %q: it is not empty; give another --out", ErrRunDir, dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrRunDir, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, CapturesDir), 0o755); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRunDir, err)
	}
	head.Schema, head.Counts = SchemaVersion, map[Outcome]int{}
	r := &Recorder{RunDir: RunDir{Dir: dir, Report: head}, triggered: map[[2]string]bool{}}
	var err error
	if r.verdicts, err = createJSONL(filepath.Join(dir, VerdictsFile)); err != nil {
		return nil, err
	}
	if r.observations, err = createJSONL(filepath.Join(dir, ObservationsFile)); err != nil {
		return nil, err
	}
	return r, r.SaveReport()
}

// Observed implements Sink. Captures are kept of everything that is not a
// pass, of what it was compared with and of a sample of passes; how the ends
// were started is kept of what is not a pass.
func (r *Recorder) Observed(o Observation, v Verdict, e Evidence) (string, error) {
	if len(e.Packets) > 0 && (!v.Outcome.Pass() || e.Keep || sampled(o.Cell.ID)) {
		o.Capture = captureName(o)
		if err := r.capture(&o, e); err != nil {
			return "", err
		}
	}
	if v.Outcome.Pass() || o.Trial {
		o = o.bare()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trigger(o)
	return o.Capture, r.observations.add(o)
}

// bare is the observation without how anything was started.
func (o Observation) bare() Observation {
	o.ClientSetup, o.ServerSetup, o.Path.Ends = nil, nil, slices.Clone(o.Path.Ends)
	for i := range o.Path.Ends {
		o.Path.Ends[i].Setup = nil
	}
	return o
}

// trigger counts the cells in which each box did something.
func (r *Recorder) trigger(o Observation) {
	for _, d := range o.Path.Boxes {
		i := slices.IndexFunc(r.Report.Boxes, func(b BoxInfo) bool { return b.Name == d.Box })
		if at := [2]string{d.Box, o.Cell.ID}; i >= 0 && !r.triggered[at] {
			r.triggered[at] = true
			r.Report.Boxes[i].Triggered++
		}
	}
}

// Judged implements Sink.
func (r *Recorder) Judged(v Verdict) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Report.count(&v)
	if err := r.verdicts.add(v); err != nil {
		return err
	}
	if r.OnVerdict != nil {
		r.OnVerdict(v)
	}
	return nil
}

// Amend puts verdicts in the place of those of the same cells, and counts
// anew. The file is replaced whole or not at all.
func (r *Recorder) Amend(better map[string]Verdict) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Verdict
	for v, err := range r.Verdicts() {
		if err != nil {
			return err
		}
		if b, ok := better[v.Cell]; ok {
			v = b
		}
		all = append(all, v)
	}
	r.Report.Recount(r.Report.Deviations(), all)
	err := r.Replace(VerdictsFile, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, v := range all {
			if err := enc.Encode(v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	old := r.verdicts
	r.verdicts, err = appendJSONL(filepath.Join(r.Dir, VerdictsFile))
	return errors.Join(err, old.close())
}

// Close ends the run and writes the final report.json.
func (r *Recorder) Close(ended time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Report.Ended = ended
	r.Report.Interrupted = r.Report.Judged < r.Report.Cells || len(r.Report.Missing) > 0
	return errors.Join(r.verdicts.close(), r.observations.close(), r.SaveReport())
}

func sampled(id string) bool {
	h := fnv.New32a()
	h.Write([]byte(id))
	return h.Sum32()%samplePasses == 0
}

// captureName hashes the cell id: names of peers and links never become
// paths.
func captureName(o Observation) string {
	sum := sha256.Sum256([]byte(o.Cell.ID))
	return fmt.Sprintf("%s/%s-%d.pcapng", CapturesDir, hex.EncodeToString(sum[:6]), o.Attempt)
}

func (r *Recorder) capture(o *Observation, e Evidence) error {
	f, err := os.Create(filepath.Join(r.Dir, o.Capture))
	if err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	meta := capture.Meta{
		Start:   r.Report.Started,
		Comment: fmt.Sprintf("cell %s, attempt %d, run %s, seed %d", o.Cell.ID, o.Attempt, r.Report.Run, r.Report.Seed),
	}
	sum := sha256.New()
	if err := errors.Join(capture.WritePcapng(io.MultiWriter(f, sum), meta, e.Packets, e.KeyLog), f.Close()); err != nil {
		return fmt.Errorf("write capture %s: %w", o.Capture, err)
	}
	o.CaptureSHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// jsonl appends one JSON value a line and hands each line to the system
// whole, so that a killed run loses at most its last line.
type jsonl struct {
	f *os.File
	w *bufio.Writer
}

func createJSONL(path string) (*jsonl, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create run file: %w", err)
	}
	return &jsonl{f, bufio.NewWriterSize(f, 64<<10)}, nil
}

func appendJSONL(path string) (*jsonl, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open run file: %w", err)
	}
	return &jsonl{f, bufio.NewWriterSize(f, 64<<10)}, nil
}

func (j *jsonl) add(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %T: %w", v, err)
	}
	if _, err := j.w.Write(append(b, '\n')); err != nil {
		return err
	}
	return j.w.Flush()
}

func (j *jsonl) close() error { return errors.Join(j.w.Flush(), j.f.Close()) }
