package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
)

// fabricFunc fakes a fabric: what comes back is a finished observation's
// ends, without packets, so most cells are judged broken unless the lab
// "fails".
type fabricFunc func(ctx context.Context, c Cell, seed uint64) (Evidence, error)

func (f fabricFunc) Run(ctx context.Context, c Cell, seed uint64) (Evidence, error) {
	return f(ctx, c, seed)
}

func newRunner(t *testing.T, f fabricFunc) (*Runner, *Recorder) {
	t.Helper()
	rec, err := Record(filepath.Join(t.TempDir(), "run"), Report{Run: "test", Started: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return &Runner{Fabric: f, Known: catalogue{}, Sink: rec, Attempts: 2, CleanLink: func(string) string { return "clean" }}, rec
}

func TestEveryCellEndsInOneVerdict(t *testing.T) {
	cells := Expand(testMatrix(), catalogue{}).Cells
	var runs atomic.Int64
	r, rec := newRunner(t, func(_ context.Context, c Cell, _ uint64) (Evidence, error) {
		runs.Add(1)
		switch len(c.ID) % 3 {
		case 0:
			return Evidence{}, errors.New("container gone")
		case 1:
			return Evidence{Client: End{Unsupported: "no"}}, nil
		}
		return Evidence{}, nil // nothing seen: no-connection
	})
	if err := r.Run(context.Background(), cells, 4); err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(time.Unix(9, 0)); err != nil {
		t.Fatal(err)
	}
	d, err := OpenRun(rec.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for v, err := range d.Verdicts() {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, v.Cell)
	}
	slices.Sort(ids)
	if len(ids) != len(cells) || len(slices.Compact(ids)) != len(cells) {
		t.Errorf("%d verdicts for %d cells", len(ids), len(cells))
	}
	sum := 0
	for _, n := range d.Report.Counts {
		sum += n
	}
	if sum != len(cells) || d.Report.Counts[Fault] == 0 || d.Report.Counts[Unsupported] == 0 {
		t.Errorf("counts %v for %d cells", d.Report.Counts, len(cells))
	}
	if most := int64(4 * len(cells)); runs.Load() > most {
		t.Errorf("%d attempts for %d cells: controls are not shared", runs.Load(), len(cells))
	}
	assertRejudged(t, d)
}

// assertRejudged: judging the stored observations again gives the verdicts
// that are stored.
func assertRejudged(t *testing.T, d *RunDir) {
	t.Helper()
	again, err := Rejudge(d, catalogue{}, func(string) string { return "clean" })
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for v, err := range d.Verdicts() {
		if err != nil {
			t.Fatal(err)
		}
		if w := again[i]; w.Outcome != v.Outcome || w.Cause != v.Cause || w.Why != v.Why {
			t.Errorf("%s: stored %s %s %q, judged again %s %s %q", v.Cell, v.Outcome, v.Cause, v.Why, w.Outcome, w.Cause, w.Why)
		}
		i++
	}
}

func TestInterruptKeepsWhatIsFinished(t *testing.T) {
	cells := Expand(testMatrix(), catalogue{}).Cells
	ctx, cancel := context.WithCancel(context.Background())
	var n atomic.Int64
	r, rec := newRunner(t, func(ctx context.Context, _ Cell, _ uint64) (Evidence, error) {
		if n.Add(1) == 5 {
			cancel()
		}
		return Evidence{Client: End{Unsupported: "no"}}, nil
	})
	if err := r.Run(ctx, cells, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("run ended with %v", err)
	}
	if err := rec.Close(time.Unix(9, 0)); err != nil {
		t.Fatal(err)
	}
	if rec.Report.Judged != 4 {
		t.Errorf("%d verdicts, want the 4 finished before the interrupt", rec.Report.Judged)
	}
}

func TestRunDirRejects(t *testing.T) {
	if _, err := OpenRun(t.TempDir()); err == nil {
		t.Error("an empty directory opened as a run")
	}
	_, rec := newRunner(t, nil)
	if _, err := Record(rec.Dir, Report{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("recording over a run: %v", err)
	}
	for i := range 3 {
		v := Verdict{Cell: strings.Repeat("x", i+1), Outcome: Hybrid}
		if err := rec.Judged(v); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(rec.Dir, VerdictsFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)-20], 0o644); err != nil {
		t.Fatal(err)
	}
	good := 0
	var last error
	for _, err := range rec.Verdicts() {
		if last = err; err == nil {
			good++
		}
	}
	if good != 2 || last == nil || !strings.Contains(last.Error(), "line 3") {
		t.Errorf("%d good lines, then %v; want 2, then an error that names line 3", good, last)
	}
}

// TestRepeat: what passes is run as often as was asked for, and one attempt
// that ends otherwise makes the cell flaky.
func TestRepeat(t *testing.T) {
	packets := played(false, talked(t, offering(tls.X25519), offering(tls.X25519))).Packets
	cell := NewCell("go@1", "go@1", MustOffer("x25519"), MustOffer("x25519"), "clean")
	for _, tt := range []struct {
		broken, starved int // number of the attempt that breaks, or finds the lab starved
		want            Outcome
	}{{want: Classical}, {broken: 3, want: Flaky}, {starved: 3, want: Classical}} {
		n := 0
		r, rec := newRunner(t, func(context.Context, Cell, uint64) (Evidence, error) {
			n++
			e := Evidence{Packets: packets, Client: End{Data: true}}
			switch n {
			case tt.broken:
				e.Client.Data = false
			case tt.starved:
				e = Evidence{Client: End{Exit: 1, TimedOut: true}, Path: Path{Starved: true}}
			}
			return e, nil
		})
		r.Repeat = 5
		v, err := r.Cell(context.Background(), cell)
		if err != nil || v.Outcome != tt.want || len(v.Attempts) != 5 || n != 5 {
			t.Errorf("%+v: %s (%s) after %d of %d attempts, %v", tt, v.Outcome, v.Why, len(v.Attempts), n, err)
		}
		if err := rec.Close(time.Unix(9, 0)); err != nil {
			t.Fatal(err)
		}
		assertRejudged(t, &rec.RunDir)
	}
}

// What a finding was compared with keeps its packets although it passed, and
// how the ends were started is kept of the finding alone.
func TestWhatARunKeepsOfAFinding(t *testing.T) {
	finding := NewCell("a", "b", MustOffer("x25519"), MustOffer("x25519"), "lossy")
	config := &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}
	flights, keylog, err := capturetest.Talk(config, config)
	if err != nil {
		t.Fatal(err)
	}
	path := capturetest.New(false)
	path.Open()
	path.Play(flights)
	path.Close(capture.ToServer)
	works := Evidence{Packets: path.Packets, KeyLog: keylog, Client: End{Done: true, Data: true}, Server: End{Done: true, Data: true}}
	r, rec := newRunner(t, func(_ context.Context, c Cell, _ uint64) (Evidence, error) {
		setup := &Setup{Argv: []string{"run", c.Link}}
		if c.Link != "clean" {
			return Evidence{ClientSetup: setup, ServerSetup: setup}, nil
		}
		e := works
		e.ClientSetup, e.ServerSetup = setup, setup
		return e, nil
	})
	if _, err := r.Cell(context.Background(), finding); err != nil {
		t.Fatal(err)
	}
	for o, err := range rec.Observations() {
		switch {
		case err != nil:
			t.Fatal(err)
		case o.Cell.Link == "lossy" && (o.ClientSetup == nil || o.ServerSetup.Argv[1] != "lossy"):
			t.Errorf("of the finding it is not known how the ends were started: %+v", o)
		case o.Cell.Link == "clean" && (o.ClientSetup != nil || o.Capture == "" || len(o.CaptureSHA256) != 64):
			t.Errorf("of the control: %+v", o)
		}
	}
}
