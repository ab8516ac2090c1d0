package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"hybridlab/lab"
	"hybridlab/lab/rig"
)

// Contender is a peer that may take another's place, as the user names it.
type Contender struct {
	Name   string // as the user wrote it
	ID     lab.PeerID
	Own    []string   // where it is the user's: NAME@VERSION=IMAGE or NAME@VERSION=ROW:FILE
	Groups *lab.Offer // what it is set up for; nil: whatever the cases say
}

// ParseContender reads a peer's id, or NAME@VERSION=IMAGE for an image,
// ROW:FILE or NAME@VERSION=ROW:FILE for a row of the table with a configuration
// file, or an id or an image followed by a slash and the list of groups it is set up for:
// "openssl@trixie/x25519mlkem768>x25519". Slashes of an image's reference are
// its own, so a list comes before the image: "nginx@mine/x25519=my/nginx".
func ParseContender(s string) (Contender, error) {
	c := Contender{Name: s}
	if id, ok := rig.IsConfigured(s); ok {
		c.Own = []string{string(id) + "=" + s}
		c.ID, c.Groups = id, &lab.Offer{} // the file says which
		return c, nil
	}
	peer, image, own := cutOutsideBraces(s, '=')
	id, groups, pinned := cutOutsideBraces(peer, '/')
	if c.ID = lab.PeerID(id); id == "" || own && image == "" {
		return c, fmt.Errorf("read peer %q: want an id such as nginx@trixie, NAME@VERSION=IMAGE, either with /GROUPS after the id, or nginx@trixie:nginx.conf", s)
	}
	if own {
		c.Own = []string{id + "=" + image}
		if _, ok := rig.IsConfigured(image); ok && !pinned {
			c.Groups = &lab.Offer{}
		}
	}
	if pinned {
		o, err := lab.ParseOffer(groups)
		if err != nil {
			return c, fmt.Errorf("read peer %q: %w", s, err)
		}
		c.Groups = &o
	}
	return c, nil
}

// cutOutsideBraces is strings.Cut at a byte that is not between braces, where
// peers have their settings.
func cutOutsideBraces(s string, sep byte) (before, after string, found bool) {
	depth := 0
	for i := range len(s) {
		switch {
		case s[i] == '{':
			depth++
		case s[i] == '}':
			depth--
		case s[i] == sep && depth == 0:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// Swap is one plan with either of two contenders in the same place.
type Swap struct{ Before, After Stand }

// Stand is one contender with its plan. Key names a cell without the
// contender: cells of one key are compared.
type Stand struct {
	Contender
	Selection
	Key func(cell string) (key string, rank int)
}

// Swap plans the axes with the contenders in every role that both have, or
// only in the role given. In the other role stand the axes' peers.
func (a Axes) Swap(ctx context.Context, before, after Contender, only lab.Role) (*Swap, error) {
	if len(a.Cells) > 0 || a.Shard != "" {
		return nil, fmt.Errorf("compare %s with %s: cells and shards do not go with that", before.Name, after.Name)
	}
	roles, err := a.roles(ctx, before, after, only)
	if err != nil {
		return nil, err
	}
	pinned := before.Groups != nil || after.Groups != nil
	stand := func(c Contender) (Stand, error) {
		own := a
		own.Own = append(slices.Clone(a.Own), c.Own...)
		s, err := own.choose(ctx, func(s Selection) (lab.Plan, error) {
			return own.around(s, c, []lab.PeerID{before.ID, after.ID}, roles, pinned)
		})
		if err != nil {
			return Stand{}, fmt.Errorf("plan with %s: %w", c.Name, err)
		}
		key := c.key(roles[0], pinned)
		for i := range s.Plan.Cells {
			cell := &s.Plan.Cells[i]
			cell.Fates, _ = key(cell.ID) // chance treats both alike
		}
		return Stand{c, s, key}, nil
	}
	s := &Swap{}
	if s.Before, err = stand(before); err != nil {
		return nil, err
	}
	s.After, err = stand(after)
	return s, err
}

// roles are those that every contender has.
func (a Axes) roles(ctx context.Context, before, after Contender, only lab.Role) ([]lab.Role, error) {
	kind, _, err := rig.ChooseFabric(ctx, a.Fabric)
	if err != nil {
		return nil, err
	}
	roles := []lab.Role{lab.ServerRole, lab.ClientRole}
	for _, c := range []Contender{before, after} {
		known, err := rig.Bring(ctx, kind, c.Own)
		if err != nil {
			return nil, err
		}
		roles = slices.DeleteFunc(roles, func(r lab.Role) bool {
			missing := known.Check(kind, c.ID, r)
			err = cmp.Or(missing, err)
			return missing != nil || only != "" && r != only
		})
		if len(roles) == 0 {
			return nil, fmt.Errorf("compare %s with %s: no role is left: %w", before.Name, after.Name, err)
		}
	}
	return roles, nil
}

// around plans the contender c in its roles.
func (a Axes) around(s Selection, c Contender, both []lab.PeerID, roles []lab.Role, pinned bool) (lab.Plan, error) {
	var p lab.Plan
	for _, role := range roles {
		own := a
		if role == lab.ServerRole {
			own.Servers = []string{string(c.ID)}
		} else {
			own.Clients = []string{string(c.ID)}
		}
		m, err := own.matrix(s)
		if err != nil {
			return p, err
		}
		if role == lab.ClientRole && len(roles) > 1 { // it meets itself once, as a server
			m.Servers = slices.DeleteFunc(slices.Clone(m.Servers), func(id lab.PeerID) bool { return slices.Contains(both, id) })
		}
		if pinned {
			m.Cases = pin(m.Cases, role, c.Groups)
		}
		one := lab.Expand(m, s.Peers)
		p.Cells, p.Excluded = append(p.Cells, one.Cells...), append(p.Excluded, one.Excluded...)
	}
	slices.SortFunc(p.Cells, func(a, b lab.Cell) int { return strings.Compare(a.ID, b.ID) })
	return p, nil
}

// pin sets the contender's end of every case to its own list, nil for its
// untouched default.
func pin(cases []lab.Case, role lab.Role, list *lab.Offer) []lab.Case {
	var own lab.Offer
	if list != nil {
		own = *list
	}
	var out []lab.Case
	seen := map[string]bool{}
	for _, c := range cases {
		other := c.Offer
		if role == lab.ClientRole {
			other = c.Accept
		}
		if seen[other.String()] {
			continue
		}
		seen[other.String()] = true
		if role == lab.ServerRole {
			out = append(out, lab.Case{Offer: other, Accept: own})
		} else {
			out = append(out, lab.Case{Offer: own, Accept: other})
		}
	}
	return out
}

// stand stands for the contender in keys.
const stand lab.PeerID = "*"

// key is a cell's id with the contender, and its list where that is part of
// what is compared, taken out. Where the contender is at both ends it is tried
// in the first of its roles.
func (c Contender) key(first lab.Role, pinned bool) func(string) (string, int) {
	return func(id string) (string, int) {
		cell, err := lab.ParseCell(id)
		if err != nil {
			return id, 0
		}
		if first == lab.ServerRole && cell.Server == c.ID || cell.Client != c.ID {
			if cell.Server = stand; pinned {
				cell.Accept = lab.Offer{}
			}
		} else {
			if cell.Client = stand; pinned {
				cell.Offer = lab.Offer{}
			}
		}
		return lab.NewCell(cell.Client, cell.Server, cell.Offer, cell.Accept, cell.Link, cell.Boxes...).WithCert(cell.Cert).ID, 0
	}
}

// Abreast runs two sessions side by side, cell by cell, so that whatever else
// the machine does meets both alike. parallel is how many pairs are in flight.
func (s *Swap) Abreast(ctx context.Context, before, after *Session, parallel int) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	work := make(chan pairing)
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for p := range work {
				if err := p.run(ctx, before, after); err != nil {
					stop(err)
				}
			}
		})
	}
feed:
	for _, p := range s.pairs() {
		select {
		case work <- p:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// pairing is a cell with either contender; nil where there is none.
type pairing struct {
	before, after *lab.Cell
	afterFirst    bool
}

func (p pairing) run(ctx context.Context, before, after *Session) error {
	sides := []struct {
		*Session
		cell *lab.Cell
	}{{before, p.before}, {after, p.after}}
	if p.afterFirst {
		slices.Reverse(sides)
	}
	for _, side := range sides {
		if side.cell == nil {
			continue
		}
		if _, err := side.Cell(ctx, *side.cell); err != nil {
			return err
		}
	}
	return nil
}

// pairs are the cells of both plans by key, in the order of keys; each second
// pair begins with the contender after.
func (s *Swap) pairs() []pairing {
	byKey := map[string]*pairing{}
	var keys []string
	at := func(key string) *pairing {
		if byKey[key] == nil {
			byKey[key] = &pairing{}
			keys = append(keys, key)
		}
		return byKey[key]
	}
	for i := range s.Before.Plan.Cells {
		c := &s.Before.Plan.Cells[i]
		at(c.Fates).before = c
	}
	for i := range s.After.Plan.Cells {
		c := &s.After.Plan.Cells[i]
		at(c.Fates).after = c
	}
	slices.Sort(keys)
	out := make([]pairing, len(keys))
	for i, k := range keys {
		out[i] = *byKey[k]
		out[i].afterFirst = i%2 == 1
	}
	return out
}
