package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"hybridlab/lab"
	"hybridlab/lab/rig"
	"hybridlab/scenarios"
)

// axes are the flags that choose cells, shared by run and plan.
type axes struct {
	fabric           string
	clients, servers []string
	groups, links    []string
	linkFile         string
	cells            []string
	level            string
	shard            string
}

func (a *axes) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.fabric, "fabric", "auto", "embedded, containers, or auto: containers where a Docker daemon answers")
	f.StringSliceVar(&a.clients, "clients", []string{"*"}, "client peers")
	f.StringSliceVar(&a.servers, "servers", []string{"*"}, "server peers")
	f.StringSliceVar(&a.groups, "groups", nil, "key exchange groups to pair (default: the level's)")
	f.StringSliceVar(&a.links, "links", nil, "links (default: the level's)")
	f.StringVar(&a.linkFile, "link-file", "", "YAML file with links of your own")
	f.StringArrayVar(&a.cells, "cell", nil, "run exactly this cell id (repeatable); the other axes are ignored")
	f.StringVar(&a.level, "level", "quick", "quick or full")
	f.StringVar(&a.shard, "shard", "", "run only part i of n, as i/n")
}

// selection is what the flags amount to.
type selection struct {
	plan      lab.Plan
	links     rig.Links
	fabric    rig.Kind
	fabricWhy string
}

// choose turns the flags into a plan. Every error names the valid choices.
func (a *axes) choose(cmd *cobra.Command) (selection, error) {
	s := selection{}
	var err error
	if s.links, err = a.loadLinks(); err != nil {
		return s, err
	}
	if s.fabric, s.fabricWhy, err = rig.ChooseFabric(cmd.Context(), a.fabric); err != nil {
		return s, err
	}
	if s.plan, err = a.expand(s); err != nil {
		return s, err
	}
	if a.shard != "" {
		i, n, err := lab.ParseShard(a.shard)
		if err != nil {
			return s, err
		}
		s.plan = s.plan.Shard(i, n)
	}
	if len(s.plan.Cells) == 0 {
		return s, fmt.Errorf("select cells: nothing is left to run: %d combinations are excluded%s; hybridlab plan lists them", len(s.plan.Excluded), firstReason(s.plan))
	}
	return s, nil
}

func firstReason(p lab.Plan) string {
	if len(p.Excluded) == 0 {
		return ""
	}
	return fmt.Sprintf(" (the first: %s)", p.Excluded[0].Reason)
}

func (a *axes) loadLinks() (rig.Links, error) {
	if a.linkFile == "" {
		return rig.NewLinks(nil, "")
	}
	f, err := os.Open(a.linkFile)
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	defer f.Close()
	return rig.NewLinks(f, a.linkFile)
}

func (a *axes) expand(s selection) (lab.Plan, error) {
	if len(a.cells) > 0 {
		return a.exactly(s)
	}
	m, err := a.matrix(s)
	if err != nil {
		return lab.Plan{}, err
	}
	return lab.Expand(m, rig.Catalogue{}), nil
}

// exactly plans the cells given by id.
func (a *axes) exactly(s selection) (lab.Plan, error) {
	var p lab.Plan
	for _, id := range a.cells {
		c, err := lab.ParseCell(id)
		if err != nil {
			return p, err
		}
		m := lab.Matrix{Clients: []lab.PeerID{c.Client}, Servers: []lab.PeerID{c.Server}, Cases: []lab.Case{{Offer: c.Offer, Accept: c.Accept}}, Links: []string{c.Link}}
		if err := a.check(s, m); err != nil {
			return p, err
		}
		if len(c.Boxes) > 0 {
			return p, fmt.Errorf("select cell %q: this version has no boxes", id)
		}
		one := lab.Expand(m, rig.Catalogue{})
		p.Cells = append(p.Cells, one.Cells...)
		p.Excluded = append(p.Excluded, one.Excluded...)
	}
	return p, nil
}

func (a *axes) matrix(s selection) (lab.Matrix, error) {
	level, err := scenarios.LookupLevel(a.level)
	if err != nil {
		return lab.Matrix{}, err
	}
	groups, links := level.Groups, level.Links
	if len(a.groups) > 0 && !slices.Contains(a.groups, "*") {
		if groups, err = scenarios.Slugs(a.groups); err != nil {
			return lab.Matrix{}, err
		}
	} else if len(a.groups) > 0 {
		groups = scenarios.Groups
	}
	if len(a.links) > 0 {
		links = a.links
	}
	if len(links) == 0 || slices.Contains(links, "*") {
		links = s.links.Names()
	}
	m := scenarios.Matrix(s.fabric.Peers(a.clients, lab.ClientRole), s.fabric.Peers(a.servers, lab.ServerRole), groups, links)
	return m, a.check(s, m)
}

// check refuses names that nothing answers to.
func (a *axes) check(s selection, m lab.Matrix) error {
	for _, name := range m.Links {
		if _, err := s.links.Lookup(name); err != nil {
			return err
		}
	}
	for _, id := range m.Clients {
		if err := s.fabric.Check(id, lab.ClientRole); err != nil {
			return err
		}
	}
	for _, id := range m.Servers {
		if err := s.fabric.Check(id, lab.ServerRole); err != nil {
			return err
		}
	}
	return nil
}
