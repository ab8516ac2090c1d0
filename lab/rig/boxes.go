package rig

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"hybridlab/fixtures"
	"hybridlab/lab"
	"hybridlab/lab/yaml"
	"hybridlab/netem"
	"hybridlab/netem/box"
)

// Boxes are the boxes a run may name: the catalogue's, and the user's own.
type Boxes struct {
	all       []box.Box
	probes    []box.Probe
	catalogue int // how many of them are the catalogue's
}

// NewBoxes joins the catalogue with the boxes read from r, which may be nil. A
// user's box may not take a name of the catalogue.
func NewBoxes(r io.Reader, name string) (Boxes, error) {
	c, err := box.Load(strings.NewReader(fixtures.Boxes), "fixtures/boxes.yaml", nil)
	if err != nil {
		return Boxes{}, err
	}
	bs := Boxes{all: c.Boxes, probes: c.Probes, catalogue: len(c.Boxes)}
	if r == nil {
		return bs, nil
	}
	own, err := box.Load(r, name, c.Probes)
	if err != nil {
		return bs, err
	}
	for _, b := range own.Boxes {
		if _, err := bs.Find(b.Name); err == nil {
			return bs, fmt.Errorf("read boxes from %s: %q is the name of a box of the catalogue; choose another", name, b.Name)
		}
		bs.all = append(bs.all, b)
	}
	bs.probes = append(bs.probes, own.Probes...)
	return bs, nil
}

// All are the boxes, the catalogue's first, in the order of their files.
func (bs Boxes) All() []box.Box { return slices.Clone(bs.all) }

// Names lists them, sorted.
func (bs Boxes) Names() []string {
	var names []string
	for _, b := range bs.all {
		names = append(names, b.Name)
	}
	slices.Sort(names)
	return names
}

// Fix is what the catalogue knows to mend a box, which parameters in braces
// may follow; empty: nothing.
func (bs Boxes) Fix(text string) string {
	b, _, err := bs.entry(text)
	if err != nil {
		return ""
	}
	return b.Fix
}

// Find finds the entry of a box; the error names the valid ones.
func (bs Boxes) Find(name string) (box.Box, error) {
	for _, b := range bs.all {
		if b.Name == name {
			return b, nil
		}
	}
	names := bs.Names()
	return box.Box{}, fmt.Errorf("look up box %q%s: want one of %s", name, yaml.DidYouMean(name, names), strings.Join(names, ", "))
}

// Lookup finds a box by its name, which parameters may follow:
// "peek-buffer{bytes=512}". The errors name the valid choices.
func (bs Boxes) Lookup(text string) (box.Program, error) {
	b, set, err := bs.entry(text)
	if err != nil {
		return box.Program{}, err
	}
	p, err := b.Program(text, set)
	if err != nil {
		return p, fmt.Errorf("look up box %q: %w", text, err)
	}
	return p, nil
}

func (bs Boxes) entry(text string) (box.Box, []box.Param, error) {
	name, settings, err := lab.SplitSettings(text)
	if err != nil {
		return box.Box{}, nil, fmt.Errorf("look up box: %w", err)
	}
	var set []box.Param
	for _, s := range settings {
		set = append(set, box.Param{Name: s.Key, Value: s.Value})
	}
	b, err := bs.Find(name)
	return b, set, err
}

// chain are the programs of a cell's boxes.
func (bs Boxes) chain(c lab.Cell) ([]box.Program, error) {
	var out []box.Program
	for _, ref := range c.Boxes {
		p, err := bs.Lookup(ref)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// CheckChain refuses a chain of boxes that cannot be, and says why.
func (bs Boxes) CheckChain(chain []string) error {
	if len(chain) > netem.MaxBoxes {
		return fmt.Errorf("chain %q: at most %d boxes can stand in a row", strings.Join(chain, "+"), netem.MaxBoxes)
	}
	_, err := bs.chain(lab.Cell{Boxes: chain})
	return err
}

// Infos are the boxes of the cells, in order of name: what a report says of
// them before anything ran.
func (bs Boxes) Infos(cells []lab.Cell) ([]lab.BoxInfo, error) {
	behind := map[string]int{}
	for _, c := range cells {
		for _, ref := range slices.Compact(slices.Sorted(slices.Values(c.Boxes))) {
			behind[ref]++
		}
	}
	var out []lab.BoxInfo
	for _, ref := range slices.Sorted(maps.Keys(behind)) {
		b, _, err := bs.entry(ref)
		if err != nil {
			return nil, err
		}
		out = append(out, lab.BoxInfo{Name: ref, ID: b.ID, About: b.About, Origin: b.Origin, Confidence: string(b.Confidence),
			Evidence: b.Evidence, Fix: b.Fix, Cells: behind[ref]})
	}
	return out, nil
}

// Prove runs the positive controls of the boxes and notes in infos what came
// of them.
func (bs Boxes) Prove(ctx context.Context, infos []lab.BoxInfo, seed uint64) error {
	var names []string
	for _, b := range infos {
		names = append(names, base(b.Name))
	}
	catches, err := CheckBoxes(ctx, bs, slices.Compact(names), seed, false)
	for i := range infos {
		for _, c := range catches {
			if base(c.Box) != base(infos[i].Name) {
				continue
			}
			infos[i].Probes++
			if c.Problem != "" {
				infos[i].Missed = append(infos[i].Missed, c.Cell+": "+c.Problem)
			}
		}
	}
	return err
}

// fix is what mends a box, as its entry has it.
func (bs Boxes) fix(ref string) string {
	b, _, _ := bs.entry(ref)
	return b.Fix
}

// base is a box's name without its parameters.
func base(ref string) string {
	name, _, _ := strings.Cut(ref, "{")
	return name
}
