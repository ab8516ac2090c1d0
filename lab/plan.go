package lab

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Role is which end of the handshake a peer plays.
type Role string

const (
	ClientRole Role = "client"
	ServerRole Role = "server"
)

// Case pairs what the client offers with what the server accepts.
type Case struct{ Offer, Accept Offer }

// Matrix is the product to be run.
type Matrix struct {
	Clients, Servers []PeerID
	Cases            []Case
	Links            []string
	Boxes            [][]string // chains; empty: no box
	Certs            []string   // kinds of server certificate; empty: DefaultCert
}

// Catalogue knows the peers. Both answers are data from the peers' rows, so
// that the same matrix expands to the same plan in every process.
type Catalogue interface {
	// Rules of a peer; zero for one that is not known.
	Rules(PeerID) Rules
	// Unsupported says why a peer cannot be configured so; empty: it can.
	Unsupported(PeerID, Role, Offer) string
}

// Plan is the list of cells to run, sorted by id, and what was left out.
type Plan struct {
	Cells    []Cell
	Excluded []Exclusion
}

// Expand multiplies the axes out. It is pure: the same matrix and catalogue
// give the same bytes. A combination a peer cannot express is excluded with
// the reason, never dropped.
func Expand(m Matrix, known Catalogue) Plan {
	if len(m.Boxes) == 0 {
		m.Boxes = [][]string{nil}
	}
	if len(m.Certs) == 0 {
		m.Certs = []string{DefaultCert}
	}
	var p Plan
	seen := map[string]bool{}
	for c := range m.all {
		switch why := why(c, known); {
		case seen[c.ID]:
		case why != "":
			p.Excluded = append(p.Excluded, Exclusion{c.ID, why})
		default:
			p.Cells = append(p.Cells, c)
		}
		seen[c.ID] = true
	}
	slices.SortFunc(p.Cells, func(a, b Cell) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(p.Excluded, func(a, b Exclusion) int { return strings.Compare(a.Cell, b.Cell) })
	return p
}

// all yields every combination of the axes.
func (m Matrix) all(yield func(Cell) bool) {
	for _, client := range m.Clients {
		for _, server := range m.Servers {
			for _, cs := range m.Cases {
				for _, link := range m.Links {
					for _, boxes := range m.Boxes {
						c := NewCell(client, server, cs.Offer, cs.Accept, link, boxes...)
						for _, kind := range m.Certs {
							if !yield(c.WithCert(kind)) {
								return
							}
						}
					}
				}
			}
		}
	}
}

func why(c Cell, known Catalogue) string {
	if w := known.Unsupported(c.Client, ClientRole, c.Offer); w != "" {
		return fmt.Sprintf("client %s: %s", c.Client, w)
	}
	if w := known.Unsupported(c.Server, ServerRole, c.Accept); w != "" {
		return fmt.Sprintf("server %s: %s", c.Server, w)
	}
	if verifies := known.Rules(c.Client).Certs; !c.certIn(verifies) {
		return fmt.Sprintf("client %s: it cannot verify a certificate of kind %s", c.Client, c.Cert)
	}
	server := known.Rules(c.Server)
	shows := server.Shows
	if shows == nil {
		shows = server.Certs
	}
	if !c.certIn(shows) {
		return fmt.Sprintf("server %s: it cannot show a certificate of kind %s", c.Server, c.Cert)
	}
	return ""
}

// certIn reports whether the cell's kind of certificate is among them.
func (c Cell) certIn(kinds []string) bool {
	return kinds == nil || slices.Contains(kinds, cmp.Or(c.Cert, DefaultCert))
}

// Digest identifies the plan: SHA-256 over its cells, 16 hex digits.
func (p Plan) Digest() string {
	b, err := json.Marshal(p.Cells)
	if err != nil {
		panic(err) // cells are plain data
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Peers lists the peers the plan needs, sorted.
func (p Plan) Peers() []PeerID {
	seen := map[PeerID]bool{}
	for _, c := range p.Cells {
		seen[c.Client], seen[c.Server] = true, true
	}
	return slices.Sorted(maps.Keys(seen))
}

// Links lists the links of the plan, sorted.
func (p Plan) Links() []string {
	seen := map[string]bool{}
	for _, c := range p.Cells {
		seen[c.Link] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// Boxes lists the boxes of the plan, sorted.
func (p Plan) Boxes() []string {
	seen := map[string]bool{}
	for _, c := range p.Cells {
		for _, b := range c.Boxes {
			seen[b] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Shard keeps every n-th cell, starting with the i-th (1 <= i <= n), of the
// cells in an order that mixes the axes: in the order of ids, where a link comes
// round every eighth cell, one of four shards would have all the cells that
// wait. The n shards are disjoint and together are the plan.
func (p Plan) Shard(i, n int) Plan {
	out := Plan{Excluded: p.Excluded}
	type card struct {
		sum [sha256.Size]byte
		at  int
	}
	deck := make([]card, len(p.Cells))
	for at, c := range p.Cells {
		deck[at] = card{sha256.Sum256([]byte(c.ID)), at}
	}
	slices.SortFunc(deck, func(a, b card) int { return bytes.Compare(a.sum[:], b.sum[:]) })
	var hand []int
	for k, c := range deck {
		if k%n == i-1 {
			hand = append(hand, c.at)
		}
	}
	slices.Sort(hand) // as in the plan
	for _, at := range hand {
		out.Cells = append(out.Cells, p.Cells[at])
	}
	return out
}

// ParseShard reads "i/n".
func ParseShard(s string) (i, n int, err error) {
	a, b, ok := strings.Cut(s, "/")
	if i, err = strconv.Atoi(a); err == nil && ok {
		if n, err = strconv.Atoi(b); err == nil && 1 <= i && i <= n {
			return i, n, nil
		}
	}
	return 0, 0, fmt.Errorf("parse shard %q: want i/n with 1 <= i <= n, such as 2/8", s)
}
