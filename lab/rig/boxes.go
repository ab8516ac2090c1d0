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
	"hybridlab/peers"
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
	if Real(text) {
		m, _ := bs.Middlebox(text)
		return m.Fix
	}
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
	return box.Box{}, bs.unknown(name)
}

// unknown is the error of a name that no box has, ours or real.
func (bs Boxes) unknown(name string) error {
	names := append(bs.Names(), Middleboxes()...)
	return fmt.Errorf("look up box %q%s: want one of %s", name, yaml.DidYouMean(name, names), strings.Join(names, ", "))
}

// Real reports whether a box of a cell is a real middlebox: their names have a
// version.
func Real(ref string) bool { return strings.Contains(ref, "@") }

// Middleboxes are the ids of the real ones.
func Middleboxes() []string {
	var ids []string
	for _, m := range peers.Middleboxes() {
		ids = append(ids, m.ID)
	}
	return ids
}

// Middlebox finds a real one.
func (bs Boxes) Middlebox(ref string) (peers.Middlebox, error) {
	if base(ref) != ref {
		return peers.Middlebox{}, fmt.Errorf("look up box %q: a real middlebox takes no parameters", ref)
	}
	m, err := peers.LookupMiddlebox(ref)
	if err != nil {
		return m, bs.unknown(ref)
	}
	return m, nil
}

// realIn are the real ones among boxes, each once.
func realIn(refs []string) []string {
	refs = slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return !Real(ref) })
	slices.Sort(refs)
	return slices.Compact(refs)
}

// onlyContained is the error of a real middlebox where there are no containers.
func onlyContained(ref string) error {
	return fmt.Errorf("use box %q in the embedded fabric: it is a real middlebox, a program in a container; it needs --fabric containers", ref)
}

// Lookup finds a box by its name, which parameters may follow:
// "peek-buffer{bytes=512}". The errors name the valid choices.
func (bs Boxes) Lookup(text string) (box.Program, error) {
	if Real(text) {
		m, err := bs.Middlebox(text)
		layer := box.Outside
		if m.Inline {
			layer = box.Routed
		}
		return box.Program{Name: text, Layer: layer}, err
	}
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

// CheckChain refuses a chain of boxes that cannot be in the fabric, and says
// why.
func (bs Boxes) CheckChain(k Kind, chain []string) error {
	if len(chain) > netem.MaxBoxes {
		return fmt.Errorf("chain %q: at most %d boxes can stand in a row", strings.Join(chain, "+"), netem.MaxBoxes)
	}
	if _, err := bs.chain(lab.Cell{Boxes: chain}); err != nil {
		return err
	}
	if real := realIn(chain); len(real) > 0 && k != Containers {
		return onlyContained(real[0])
	}
	return nil
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
		if Real(ref) {
			m, err := bs.Middlebox(ref)
			if err != nil {
				return nil, err
			}
			out = append(out, lab.BoxInfo{Name: ref, About: m.About, Fix: m.Fix, Cells: behind[ref]})
			continue
		}
		b, set, err := bs.entry(ref)
		if err != nil {
			return nil, err
		}
		text, err := b.Text(set)
		if err != nil {
			return nil, err
		}
		out = append(out, lab.BoxInfo{Name: ref, ID: b.ID, About: b.About, Origin: b.Origin, Confidence: string(b.Confidence),
			Evidence: b.Evidence, Fix: b.Fix, Cells: behind[ref], Entry: text, Own: bs.own(b.Name)})
	}
	return out, nil
}

// own reports whether the box is of the user's file.
func (bs Boxes) own(name string) bool {
	return !slices.ContainsFunc(bs.all[:bs.catalogue], func(b box.Box) bool { return b.Name == name })
}

// Prove runs the positive controls of the boxes and notes in infos what came
// of them. Real ones have none: nobody knows what they must break.
func (bs Boxes) Prove(ctx context.Context, infos []lab.BoxInfo, seed uint64) error {
	var names []string
	for _, b := range infos {
		if !Real(b.Name) {
			names = append(names, base(b.Name))
		}
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

// base is a box's name without its parameters.
func base(ref string) string {
	name, _, _ := strings.Cut(ref, "{")
	return name
}
