package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is a fake fabric over links that have versions, and counts what is
// run. On the link "hole" nothing post-quantum arrives.
type world struct {
	versions map[string]int // of links and peers; what is not there is of version 0
	pass     map[bool]Evidence
	mu       sync.Mutex
	ran      map[string]int
}

func newWorld(t *testing.T) *world {
	w := &world{versions: map[string]int{}, pass: map[bool]Evidence{}}
	for pq, id := range map[bool]tls.CurveID{false: tls.X25519, true: tls.X25519MLKEM768} {
		w.pass[pq] = Evidence{Packets: played(false, talked(t, offering(id), offering(id))).Packets, Client: End{Data: true}}
	}
	return w
}

func (w *world) Run(_ context.Context, c Cell, _ uint64) (Evidence, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ran[c.ID]++
	pq := c.Offer.Groups()[0].PostQuantum()
	if pq && c.Link == "hole" {
		e := w.pass[true]
		e.Packets, e.Client = e.Packets[:3], End{Exit: 1, TimedOut: true}
		return e, nil
	}
	return w.pass[pq], nil
}

func (w *world) inputs(c Cell, controls []ControlTaken) string {
	s := fmt.Sprint(c.ID, w.versions[c.Link], w.versions[string(c.Client)], w.versions[string(c.Server)])
	for _, k := range controls {
		control, err := ParseCell(k.Cell)
		if err != nil {
			return ""
		}
		s += " " + w.inputs(control, nil)
	}
	return s
}

func reuseMatrix(links ...string) []Cell {
	cases := []Case{{MustOffer("x25519"), MustOffer("x25519")}, {MustOffer("x25519mlkem768"), MustOffer("x25519mlkem768")}}
	return Expand(Matrix{Clients: []PeerID{"go@1", "go@2"}, Servers: []PeerID{"go@1"}, Cases: cases, Links: links}, catalogue{}).Cells
}

// run runs the cells over an old run, or over none, and closes the new one.
func (w *world) run(t *testing.T, id string, cells []Cell, old *RunDir) (*RunDir, Reuse) {
	t.Helper()
	w.ran = map[string]int{}
	r, rec := newRunner(t, w.Run)
	rec.Report.Run, rec.Report.Cells = id, len(cells)
	r.Inputs = w.inputs
	var reuse Reuse
	if old != nil {
		var err error
		if reuse, err = r.Reuse(rec, old, cells); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.Run(t.Context(), cells, 3), rec.Close(time.Unix(9, 0))); err != nil {
		t.Fatal(err)
	}
	assertRejudged(t, &rec.RunDir)
	d, err := OpenRun(rec.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if rest := reuse.Cells; rest+sum(reuse.Rest) != len(cells) && old != nil || d.Report.Judged != len(cells) || d.Report.Reused != reuse.Cells {
		t.Errorf("%s: %+v of %d cells, report %+v", id, reuse, len(cells), d.Report)
	}
	return d, reuse
}

func sum(m map[string]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

// ids are the cells that were run, controls included.
func (w *world) ids() []string { return slices.Sorted(maps.Keys(w.ran)) }

func verdictsBy(t *testing.T, d *RunDir) map[string]Verdict {
	t.Helper()
	out := map[string]Verdict{}
	for v, err := range d.Verdicts() {
		if err != nil {
			t.Fatal(err)
		}
		out[v.Cell] = v
	}
	return out
}

// TestReuseNothingChanged: no cell is run, and the new run is the old one but
// for the mark.
func TestReuseNothingChanged(t *testing.T) {
	w, cells := newWorld(t), reuseMatrix("clean", "mtu1280", "hole")
	first, _ := w.run(t, "one", cells, nil)
	if first.Report.Counts[Failure] != 2 || first.Report.Counts[Hybrid] != 4 || first.Report.Counts[Classical] != 6 {
		t.Fatalf("the world is not as the test wants it: %v", first.Report.Counts)
	}
	second, reuse := w.run(t, "two", cells, first)
	if len(w.ran) != 0 || reuse.Cells != len(cells) {
		t.Errorf("ran %v, %+v", w.ids(), reuse)
	}
	want, got := verdictsBy(t, first), verdictsBy(t, second)
	for id, v := range want {
		if v.Inputs == "" || v.Reused != "" || got[id].Reused != "one" {
			t.Errorf("%s: inputs %q, reused from %q, then %q", id, v.Inputs, v.Reused, got[id].Reused)
		}
		if v.Reused = "one"; !reflect.DeepEqual(v, got[id]) {
			t.Errorf("%s:\n%+v\nreused\n%+v", id, v, got[id])
		}
		if v.Outcome == Failure {
			if _, err := os.Stat(filepath.Join(second.Dir, v.Capture)); err != nil || v.Capture == "" {
				t.Errorf("%s: capture %q: %v", id, v.Capture, err)
			}
		}
	}
	if !reflect.DeepEqual(first.Report.Counts, second.Report.Counts) || first.Report.Unexpected != second.Report.Unexpected {
		t.Errorf("counts %v, reused %v", first.Report.Counts, second.Report.Counts)
	}
	third, _ := w.run(t, "three", cells, second)
	for id, v := range verdictsBy(t, third) {
		if v.Reused != "one" {
			t.Errorf("%s: reused from %q, want the run that ran it", id, v.Reused)
		}
	}
}

// TestReuseRunsWhatChanged: one definition changed, and only what was made
// from it is run.
func TestReuseRunsWhatChanged(t *testing.T) {
	all := reuseMatrix("clean", "mtu1280", "hole")
	of := func(keep func(Cell) bool) (ids []string) {
		for _, c := range all {
			if keep(c) {
				ids = append(ids, c.ID)
			}
		}
		return ids
	}
	for changed, want := range map[string][]string{
		"mtu1280": of(func(c Cell) bool { return c.Link == "mtu1280" }),
		"go@2":    of(func(c Cell) bool { return c.Client == "go@2" }),
		"nothing": nil,
		// A finding's controls on the clean link are among what it was made from;
		// the classical cells of the same link have none.
		"clean": of(func(c Cell) bool { return c.Link == "clean" || c.Link == "hole" && strings.Contains(c.ID, "mlkem") }),
	} {
		w := newWorld(t)
		first, _ := w.run(t, "one", all, nil)
		w.versions[changed]++
		second, reuse := w.run(t, "two", all, first)
		if ran := w.ids(); !slices.Equal(ran, want) {
			t.Errorf("%s changed, and these were run: %v, want %v", changed, ran, want)
		}
		if len(want) > 0 && reuse.Rest[restChanged] != len(want) {
			t.Errorf("%s changed: %+v, want %d changed", changed, reuse, len(want))
		}
		for id, v := range verdictsBy(t, second) {
			if ran := slices.Contains(want, id); ran == (v.Reused != "") {
				t.Errorf("%s changed: %s is marked as reused from %q", changed, id, v.Reused)
			}
		}
	}
}

// TestReuseOfALargerPlan: what is new is run. Where its controls are in no plan,
// they are those that the old run has taken.
func TestReuseOfALargerPlan(t *testing.T) {
	w := newWorld(t)
	pq := MustOffer("x25519mlkem768")
	found := NewCell("go@1", "go@1", pq, pq, "hole")
	first, _ := w.run(t, "one", []Cell{found}, nil)
	classical, clean := "go@1/go@1/x25519/hole", "go@1/go@1/x25519mlkem768/clean"
	if want := []string{classical, clean, found.ID}; !slices.Equal(w.ids(), want) {
		t.Fatalf("ran %v, want %v", w.ids(), want)
	}
	like := NewCell("go@1", "go@1", pq, MustOffer("x25519mlkem768+x25519"), "hole")
	_, reuse := w.run(t, "two", []Cell{found, like}, first)
	if want := []string{"go@1/go@1/x25519mlkem768:x25519mlkem768+x25519/clean", like.ID}; reuse.Cells != 1 || !slices.Equal(w.ids(), want) {
		t.Errorf("%+v, ran %v, want %v", reuse, w.ids(), want)
	}
	// A control that is in the plan now is run, and so is what leans on it.
	control := NewCell("go@1", "go@1", MustOffer("x25519"), MustOffer("x25519"), "hole")
	_, reuse = w.run(t, "three", []Cell{found, control}, first)
	if reuse.Cells != 0 || reuse.Rest[restNew] != 1 || reuse.Rest[restControl] != 1 || w.ran[control.ID] != 1 {
		t.Errorf("%+v, ran %v", reuse, w.ran)
	}
}

func TestStale(t *testing.T) {
	c := reuseMatrix("clean")[0]
	r := &Runner{Inputs: func(Cell, []ControlTaken) string { return "same" }}
	for _, o := range Outcomes {
		want := ""
		if !o.Pass() && !o.Finding() {
			want = restUndecided
		}
		if got := r.stale(c, Verdict{Outcome: o, Inputs: "same"}); got != want {
			t.Errorf("%s: %q, want %q", o, got, want)
		}
	}
	starved := Verdict{Outcome: Hybrid, Inputs: "same", Attempts: []Attempt{{Outcome: Inconclusive}, {Outcome: Hybrid}}}
	if got := r.stale(c, starved); got != restUndecided {
		t.Errorf("a pass after an attempt that decided nothing: %q", got)
	}
	for inputs, want := range map[string]string{"same": "", "other": restChanged, "": restUnnamed} {
		if got := r.stale(c, Verdict{Outcome: Hybrid, Inputs: inputs}); got != want {
			t.Errorf("inputs %q: %q, want %q", inputs, got, want)
		}
	}
	if got := (&Runner{}).stale(c, Verdict{Outcome: Hybrid, Inputs: "same"}); got != restChanged {
		t.Errorf("a run without fingerprints: %q", got)
	}
}

// TestUncontrolled: a finding whose control is run again is run again, and so
// on from finding to finding.
func TestUncontrolled(t *testing.T) {
	on := func(cell string) Verdict { return Verdict{Control: []ControlTaken{{Cell: cell}}} }
	keep := map[string]Verdict{"a": on("b"), "b": on("c"), "d": on("elsewhere"), "e": {}}
	rest := map[string]string{"c": restUndecided}
	uncontrolled(keep, rest)
	if got := slices.Sorted(maps.Keys(keep)); !slices.Equal(got, []string{"d", "e"}) || rest["a"] != restControl || rest["b"] != restControl {
		t.Errorf("kept %v, the rest %v", got, rest)
	}
}

func TestReuseRefuses(t *testing.T) {
	w, cells := newWorld(t), reuseMatrix("hole")
	for name, spoil := range map[string]func(d *RunDir) error{
		"line": func(d *RunDir) error { return os.Truncate(filepath.Join(d.Dir, VerdictsFile), 100) },
		"read": func(d *RunDir) error { return os.Remove(filepath.Join(d.Dir, ObservationsFile)) },
		"want the name": func(d *RunDir) error { // a file of somebody else's
			file := filepath.Join(d.Dir, ObservationsFile)
			b, err := os.ReadFile(file)
			return errors.Join(err, os.WriteFile(file, []byte(strings.Replace(string(b), `"capture":"captures/`, `"capture":"captures/../`, 1)), 0o644))
		},
	} {
		old, _ := w.run(t, "one", cells, nil)
		if err := spoil(old); err != nil {
			t.Fatal(err)
		}
		r, rec := newRunner(t, w.Run)
		r.Inputs = w.inputs
		if _, err := r.Reuse(rec, old, cells); !errors.Is(err, ErrReuse) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), old.Dir) {
			t.Errorf("%v, want one about a run that cannot be reused, with %q in it", err, name)
		}
	}
}
