package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/rig"
	"hybridlab/lab/triage"
)

// Range is the numbers a sweep goes through.
type Range struct{ From, To int }

// ParseRange reads "576..1500".
func ParseRange(text string) (Range, error) {
	from, to, _ := strings.Cut(text, "..")
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	if errA != nil || errB != nil || a < 1 || a >= b || b > 65535 {
		return Range{}, fmt.Errorf("read range %q: want FROM..TO, such as 576..1500", text)
	}
	return Range{a, b}, nil
}

// Swept is what one number does to one pair, link and chain of boxes.
type Swept struct {
	Client, Server lab.PeerID
	Groups         lab.Offer
	Link           string
	Boxes          []string
	What           string                // "mtu" or "hello"
	First          string                // how it ends at the lowest number
	Flips          []triage.Flip[string] // where that changes
	Runs           int
	cell           func(n int) lab.Cell
}

// Cell is the cell at a number.
func (w Swept) Cell(n int) lab.Cell { return w.cell(n) }

// How fine the first look is: an island narrower than a step can be missed.
const (
	mtuSteps   = 32
	helloSteps = 64
	sweepFan   = 8
)

// helloSizes are where buffers end and records do: looked at whatever the grid.
var helloSizes = []int{512, 1024, 1400, 1460, 1500, 2048, 4096, 8192, 16384}

// Sweep runs every pair, link and chain of boxes of the selection with one
// group after the other, over all MTUs and hello sizes asked for (a zero range
// is not), and gives each to show. A stock client cannot change its hello's
// size, so hellos are the crafted client's, padded.
func Sweep(ctx context.Context, s Selection, groups []lab.Offer, mtu, hello Range, seed uint64, show func(Swept)) error {
	r, err := rig.Open(ctx, rig.Config{Kind: s.Fabric, Run: rig.NewRunID(), Links: s.Links, Boxes: s.Boxes, Known: s.Peers, Peers: s.Plan.Peers(), Through: s.Plan.Boxes(), Progress: io.Discard})
	if err != nil {
		return err
	}
	runner := &lab.Runner{Fabric: r, Known: s.Peers, Sink: nowhere{}, Seed: seed, CleanLink: s.Links.Clean, Attempts: 1}
	try := triage.SideBySide(ctx, runner.Trial)
	for _, w := range sweeps(s, groups, mtu, hello) {
		if ctx.Err() != nil {
			break
		}
		w.run(s.Peers, try, mtu, hello)
		show(w)
	}
	return errors.Join(context.Cause(ctx), r.Close())
}

// sweeps are the combinations, each once.
func sweeps(s Selection, groups []lab.Offer, mtu, hello Range) []Swept {
	var out []Swept
	seen := map[string]bool{}
	add := func(w Swept) {
		id := w.What + " " + w.cell(1).ID
		if !seen[id] {
			seen[id] = true
			out = append(out, w)
		}
	}
	for _, c := range s.Plan.Cells {
		for _, g := range groups {
			w := Swept{Client: c.Client, Server: c.Server, Groups: g, Link: c.Link, Boxes: c.Boxes}
			if mtu != (Range{}) {
				w.What = "mtu"
				w.cell = func(n int) lab.Cell {
					return lab.NewCell(c.Client, c.Server, g, g, with(c.Link, "mtu", n), c.Boxes...)
				}
				add(w)
			}
			if hello != (Range{}) {
				w.What, w.Client = "hello", "crafted"
				w.cell = func(n int) lab.Cell {
					return lab.NewCell(lab.PeerID(with("crafted", "pad", n)), c.Server, g, g, c.Link, c.Boxes...)
				}
				add(w)
			}
		}
	}
	return out
}

// with is a name with one more setting.
func with(name, key string, n int) string {
	base, set, err := lab.SplitSettings(name)
	if err != nil {
		return name
	}
	return lab.JoinSettings(base, append(slices.Clone(set), lab.Setting{Key: key, Value: strconv.Itoa(n)}))
}

func (w *Swept) run(known lab.Catalogue, try triage.Try, mtu, hello Range) {
	points := triage.Grid(mtu.From, mtu.To, mtuSteps)
	if w.What == "hello" {
		points = triage.Grid(hello.From, hello.To, helloSteps)
		for _, n := range helloSizes {
			if hello.From < n && n < hello.To {
				points = append(points, n)
			}
		}
	}
	w.Flips = triage.Flips(points, sweepFan, func(ns []int) []string {
		trials := make([]triage.Trial, len(ns))
		for i, n := range ns {
			trials[i] = triage.Trial{Cell: w.cell(n)}
		}
		w.Runs += len(ns)
		out := make([]string, len(ns))
		for i, o := range try(trials) {
			out[i] = "not run"
			if o.Cell.ID != "" {
				v := lab.Judge(known, o)
				out[i] = strings.TrimSpace(string(v.Outcome) + " " + string(v.Cause))
			}
			if ns[i] == points[0] {
				w.First = cmp.Or(w.First, out[i])
			}
		}
		return out
	})
}

// nowhere is a sink for runs that nobody keeps.
type nowhere struct{}

func (nowhere) Observed(lab.Observation, lab.Verdict, lab.Evidence) (string, error) { return "", nil }
func (nowhere) Judged(lab.Verdict) error                                            { return nil }
