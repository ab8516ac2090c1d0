package rig

import (
	"fmt"
	"io"
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
		if _, err := bs.find(b.Name); err == nil {
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

func (bs Boxes) find(name string) (box.Box, error) {
	for _, b := range bs.all {
		if b.Name == name {
			return b, nil
		}
	}
	names := bs.Names()
	return box.Box{}, fmt.Errorf("look up box %q%s: want one of %s", name, yaml.DidYouMean(name, names), strings.Join(names, ", "))
}

// Lookup finds a box by its name, which parameters in braces may follow:
// "peek-buffer{bytes=512}". The errors name the valid choices.
func (bs Boxes) Lookup(ref string) (box.Program, error) {
	name, set, err := box.ParseRef(ref)
	if err != nil {
		return box.Program{}, err
	}
	b, err := bs.find(name)
	if err != nil {
		return box.Program{}, err
	}
	return b.Program(ref, set)
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
