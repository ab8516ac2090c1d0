package reports

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// renderers are the forms of a run, by the name of their golden file.
var renderers = []struct {
	name   string
	render func(io.Writer, lab.Report, Verdicts) error
}{
	{"terminal.txt", plainTerminal},
	{"junit.xml", JUnit},
	{"summary.md", Markdown},
	{"index.html", barePage},
	{"metrics.prom", Prometheus},
	{"metrics.json", OTLP},
	{"cells.csv", CSV},
}

// barePage is a page of a run that kept nothing but its verdicts.
func barePage(w io.Writer, rep lab.Report, vs Verdicts) error { return HTML(w, rep, vs, nil) }

func plainTerminal(w io.Writer, rep lab.Report, vs Verdicts) error {
	return Terminal(w, rep, vs, TerminalOptions{Width: 80, Color: ColorNever, Dir: "runs/first"})
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("%s line %d (go test -update rewrites it):\n got %s\nwant %s", path, i+1, g[i], w[i])
		}
	}
	if len(g) != len(w) {
		t.Fatalf("%s has %d lines, want %d (go test -update rewrites it)", path, len(g), len(w))
	}
}

func TestGolden(t *testing.T) {
	stopped := small.report()
	stopped.Interrupted, stopped.Cells = true, 40
	known, marked := knownRun()
	reused, old := reusedRun()
	for name, s := range map[string]struct {
		rep lab.Report
		vs  Verdicts
	}{
		"small":   {small.report(), small.verdicts},
		"stopped": {stopped, small.verdicts},
		"known":   {known, marked},
		"reused":  {reused, old},
		"empty":   {lab.Report{Run: "r"}, Slice(nil)},
	} {
		for _, r := range renderers {
			var b bytes.Buffer
			if err := r.render(&b, s.rep, s.vs); err != nil {
				t.Fatalf("%s %s: %v", name, r.name, err)
			}
			golden(t, name+"-"+r.name, withoutAssets(b.String()))
		}
	}
}

var hashes = regexp.MustCompile(`-src &#39;sha256-.*?=&#39;`)

// withoutAssets leaves style and script and their hashes out of a golden
// page: they are files of their own, and TestPolicy sees to them.
func withoutAssets(s string) string {
	return hashes.ReplaceAllString(strings.NewReplacer(pageCSS, "", pageJS, "").Replace(s), "-src HASH")
}

// The order in which cells finish must not show. The page keeps the order of
// its data block, which its script sorts.
func TestOrder(t *testing.T) {
	var forth []lab.Verdict
	for v := range large.verdicts {
		forth = append(forth, v)
	}
	back := slices.Clone(forth)
	slices.Reverse(back)
	for _, render := range []func(io.Writer, lab.Report, Verdicts) error{plainTerminal, Markdown, Prometheus, OTLP} {
		var a, b bytes.Buffer
		if err := errors.Join(render(&a, large.report(), Slice(forth)), render(&b, large.report(), Slice(back))); err != nil {
			t.Fatal(err)
		}
		if a.String() != b.String() {
			t.Errorf("the order of verdicts shows:\n%s\n%s", &a, &b)
		}
	}
}

func TestTorn(t *testing.T) {
	for _, r := range renderers {
		err := r.render(io.Discard, small.report(), torn)
		if !errors.Is(err, errTorn) || !strings.Contains(err.Error(), "verdict 3") {
			t.Errorf("%s: error %v, want one that wraps the reader's and names verdict 3", r.name, err)
		}
	}
}

// full is a writer on a full disk.
type full struct{ room int }

var errFull = errors.New("no space left")

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestFullDisk(t *testing.T) {
	for _, r := range renderers {
		for _, room := range []int{0, 600} {
			if err := r.render(&full{room}, small.report(), small.verdicts); !errors.Is(err, errFull) {
				t.Errorf("%s with room for %d bytes: error %v, want %v", r.name, room, err, errFull)
			}
		}
		if err := r.render(&full{1 << 20}, small.report(), small.verdicts); err != nil {
			t.Errorf("%s with room enough: %v", r.name, err)
		}
	}
}

// watched notes the largest heap seen while it is written to.
type watched struct {
	bytes int
	peak  uint64
}

func (w *watched) Write(b []byte) (int, error) {
	w.bytes += len(b)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.peak = max(w.peak, m.HeapAlloc)
	return len(b), nil
}

func TestMemory(t *testing.T) {
	const most = 100 << 20
	for _, r := range renderers {
		runtime.GC()
		w := &watched{}
		if err := r.render(w, large.report(), large.verdicts); err != nil {
			t.Fatal(err)
		}
		if w.peak > most {
			t.Errorf("%s: %d MiB of heap for %d cells, want at most %d", r.name, w.peak>>20, large.report().Cells, most>>20)
		}
		t.Logf("%s: %d KiB written, %d MiB of heap", r.name, w.bytes>>10, w.peak>>20)
	}
}
