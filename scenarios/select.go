package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"hybridlab/fixtures"
	"hybridlab/lab"
	"hybridlab/lab/rig"
)

// Axes choose cells, for both front ends. Lists may hold "*".
type Axes struct {
	Fabric           string   // embedded, containers or auto
	Own              []string // the user's own peers, each NAME@VERSION=IMAGE or NAME@VERSION=ROW:FILE
	Clients, Servers []string // empty: the level's, as all lists, and the user's own
	Groups, Links    []string
	LinkFile         string   // YAML with links of the user's own; empty: none
	Boxes            []string // chains of boxes, client to server, joined by "+"; NoBox for none; empty: none
	BoxFile          string   // YAML with boxes of the user's own; empty: none
	Certs            []string // kinds of server certificate; empty: the default one
	Cells            []string // exactly these cell ids; the lists above are then ignored
	Level            string
	Shard            string // "i/n"; empty: everything
}

// Selection is what the axes amount to.
type Selection struct {
	Plan      lab.Plan
	Absent    []lab.PeerID // asked for, and unavailable everywhere
	Digest    string       // of the whole plan, where Plan is a shard of it
	Shard     string       // "i/n"; empty: everything
	Level     string       // empty: the cells were named
	Links     rig.Links
	Boxes     rig.Boxes
	Peers     rig.Catalogue
	Fabric    rig.Kind
	FabricWhy string
}

// Choose turns the axes into a plan. Every error names the valid choices.
func (a Axes) Choose(ctx context.Context) (Selection, error) { return a.choose(ctx, a.expand) }

func (a Axes) choose(ctx context.Context, expand func(Selection) (lab.Plan, error)) (Selection, error) {
	s := Selection{}
	if len(a.Cells) == 0 {
		s.Level = a.Level
	}
	var err error
	if s.Links, err = LoadLinks(a.LinkFile); err != nil {
		return s, err
	}
	if s.Boxes, err = LoadBoxes(a.BoxFile); err != nil {
		return s, err
	}
	if s.Fabric, s.FabricWhy, err = rig.ChooseFabric(ctx, a.Fabric); err != nil {
		return s, err
	}
	if s.Peers, err = rig.Bring(ctx, s.Fabric, a.Own); err != nil {
		return s, err
	}
	if s.Plan, err = expand(s); err != nil {
		return s, err
	}
	s.Absent = a.absent(s)
	s.Digest, s.Shard = s.Plan.Digest(), a.Shard
	if a.Shard != "" {
		i, n, err := lab.ParseShard(a.Shard)
		if err != nil {
			return s, err
		}
		s.Plan = s.Plan.Shard(i, n)
	}
	if len(s.Plan.Cells) == 0 {
		return s, fmt.Errorf("select cells: nothing is left to run: %d combinations are excluded%s; hybridlab plan lists them", len(s.Plan.Excluded), firstReason(s.Plan))
	}
	return s, nil
}

func firstReason(p lab.Plan) string {
	if len(p.Excluded) == 0 {
		return ""
	}
	return fmt.Sprintf(" (the first: %s)", p.Excluded[0].Reason)
}

// LoadLinks joins the library's links with those of a user's YAML file; ""
// for none.
func LoadLinks(file string) (rig.Links, error) {
	if file == "" {
		return rig.NewLinks(nil, "")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	defer f.Close()
	return rig.NewLinks(f, file)
}

// LoadBoxes joins the catalogue of boxes with those of a user's YAML file; ""
// for none.
func LoadBoxes(file string) (rig.Boxes, error) {
	if file == "" {
		return rig.NewBoxes(nil, "")
	}
	f, err := os.Open(file)
	if err != nil {
		return rig.Boxes{}, fmt.Errorf("read boxes: %w", err)
	}
	defer f.Close()
	return rig.NewBoxes(f, file)
}

// NoBox stands for a path without boxes, beside others that have some.
const NoBox = "none"

// chains are the chains of boxes that the user named, or the level's.
func (a Axes) chains(s Selection, level Level) [][]string {
	if slices.Contains(a.Boxes, "*") {
		out := [][]string{nil}
		for _, name := range s.Boxes.Names() {
			out = append(out, []string{name})
		}
		return out
	}
	var out [][]string
	for _, text := range list(a.Boxes, level.Boxes, nil) {
		if text == NoBox {
			out = append(out, nil)
			continue
		}
		out = append(out, strings.Split(text, "+"))
	}
	return out
}

// LoadKnown joins lists of known deviations: files, and the lab's own by the
// name "lab".
func LoadKnown(files []string) (lab.Deviations, error) {
	var all lab.Deviations
	for _, name := range files {
		if name == "" { // as scripts say it that may have none
			continue
		}
		more, err := loadKnown(name)
		if err != nil {
			return nil, err
		}
		if all, err = all.Join(more); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func loadKnown(name string) (lab.Deviations, error) {
	if name == "lab" {
		return lab.LoadDeviations(strings.NewReader(fixtures.Known), "fixtures/known.yaml")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read known deviations: %w", err)
	}
	defer f.Close()
	return lab.LoadDeviations(f, name)
}

// absent are the peers without an image that "*" or the level asks for.
func (a Axes) absent(s Selection) []lab.PeerID {
	if len(a.Cells) > 0 {
		return nil
	}
	var out []lab.PeerID
	for _, id := range s.Peers.Missing(s.Fabric) {
		if slices.Contains(a.Clients, "*") || slices.Contains(a.Servers, "*") || slices.Contains(Levels[a.Level].Peers[s.Fabric], id) {
			out = append(out, id)
		}
	}
	return out
}

func (a Axes) expand(s Selection) (lab.Plan, error) {
	if len(a.Cells) > 0 {
		return a.exactly(s)
	}
	m, err := a.matrix(s)
	if err != nil {
		return lab.Plan{}, err
	}
	return lab.Expand(m, s.Peers), nil
}

// exactly plans the cells given by id.
func (a Axes) exactly(s Selection) (lab.Plan, error) {
	var p lab.Plan
	for _, id := range a.Cells {
		c, err := lab.ParseCell(id)
		if err != nil {
			return p, err
		}
		m := lab.Matrix{Clients: []lab.PeerID{c.Client}, Servers: []lab.PeerID{c.Server}, Cases: []lab.Case{{Offer: c.Offer, Accept: c.Accept}}, Links: []string{c.Link}, Certs: []string{cmp.Or(c.Cert, lab.DefaultCert)}, Boxes: [][]string{c.Boxes}}
		if err := a.check(s, m); err != nil {
			return p, err
		}
		one := lab.Expand(m, s.Peers)
		p.Cells = append(p.Cells, one.Cells...)
		p.Excluded = append(p.Excluded, one.Excluded...)
	}
	return p, nil
}

func (a Axes) matrix(s Selection) (lab.Matrix, error) {
	level, err := LookupLevel(a.Level)
	if err != nil {
		return lab.Matrix{}, err
	}
	groups, err := Slugs(list(a.Groups, level.Groups, Groups))
	if err != nil {
		return lab.Matrix{}, err
	}
	cases := Cases
	if level.Cases != nil {
		cases = level.Cases
	}
	m := lab.Matrix{
		Clients: peers(s, lab.ClientRole, a.Clients, level),
		Servers: peers(s, lab.ServerRole, a.Servers, level),
		Cases:   cases(groups),
		Links:   list(a.Links, level.Links, s.Links.Names()),
		Certs:   list(a.Certs, []string{lab.DefaultCert}, rig.CertKinds()),
		Boxes:   a.chains(s, level),
	}
	return m, a.check(s, m)
}

// list is what the user named; the level's where nothing was named; all of
// them for "*", and where the level has no list.
func list[T ~string](named []string, level, all []T) []T {
	switch {
	case len(named) == 0 && level != nil:
		return level
	case len(named) == 0 || slices.Contains(named, "*"):
		return all
	}
	var out []T
	for _, n := range named {
		out = append(out, T(n))
	}
	return out
}

// peers lists the peers for one end: of the level's, of those the user
// brought and of "*" only those that have the role, of the user's own words
// all, for check to judge.
func peers(s Selection, role lab.Role, named []string, level Level) []lab.PeerID {
	var can []lab.PeerID
	joining := level.Clients
	if role == lab.ServerRole {
		joining = level.Servers
	}
	for _, id := range slices.Concat(level.Peers[s.Fabric], joining, s.Peers.Brought()) {
		if s.Peers.Check(s.Fabric, id, role) == nil {
			can = append(can, id)
		}
	}
	return list(named, can, s.Peers.Peers(s.Fabric, role))
}

// check refuses names that nothing answers to.
func (a Axes) check(s Selection, m lab.Matrix) error {
	for _, kind := range m.Certs {
		if err := rig.CheckCert(kind); err != nil {
			return err
		}
	}
	for _, name := range m.Links {
		if _, err := s.Links.Lookup(name); err != nil {
			return err
		}
	}
	for _, chain := range m.Boxes {
		if err := s.Boxes.CheckChain(s.Fabric, chain); err != nil {
			return err
		}
	}
	for _, id := range m.Clients {
		if err := s.Peers.Check(s.Fabric, id, lab.ClientRole); err != nil {
			return err
		}
	}
	for _, id := range m.Servers {
		if err := s.Peers.Check(s.Fabric, id, lab.ServerRole); err != nil {
			return err
		}
	}
	return nil
}
