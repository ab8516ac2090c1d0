//go:build docker

package rig

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"hybridlab/lab"
	"hybridlab/peers"
)

var update = flag.Bool("update", false, "rewrite testdata/claims.txt with what all peers say (ten minutes)")

// partners are who negotiates a group with a peer: the first that can.
var partners = []lab.PeerID{"openssl@trixie", "crafted", "openssl@bookworm"}

// TestRecordClaims asks peers for every group they have, alone, and keeps what
// they say it is: with -update of all peers, else of those that stand for all.
func TestRecordClaims(t *testing.T) {
	ids := []lab.PeerID{"crafted", "go@1.26", "openssl@trixie"}
	if *update {
		ids = nil
		for _, p := range peers.Table() {
			if p.About == "" && !p.Rules.TLS12 {
				ids = append(ids, p.ID)
			}
		}
	}
	cells, asked := claimCells(t, ids)
	got := claimsOf(t, append(slices.Clone(partners), ids...), cells)
	var lines []string
	for _, a := range asked {
		claim, ok := got[a.cell][a.role]
		if !ok {
			t.Errorf("%s %s: it came to nothing", a.what, a.cell)
			continue
		}
		lines = append(lines, a.what+": "+cmp.Or(claim, silent))
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	if *update {
		if err := os.WriteFile(claimsFile, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(claimsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if !slices.Contains(strings.Split(string(text), "\n"), line) {
			t.Errorf("%q is not what was recorded", line)
		}
	}
}

type question struct {
	what, cell string // "client openssl@trixie x25519", and where it is asked
	role       lab.Role
}

func claimCells(t *testing.T, ids []lab.PeerID) (cells []lab.Cell, asked []question) {
	t.Helper()
	known := Catalogue{}
	seen := map[string]bool{}
	for _, id := range ids {
		p, err := peers.Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range p.Roles {
			for _, g := range p.Groups {
				c, ok := claimCell(known, id, role, only(g))
				if !ok {
					continue
				}
				asked = append(asked, question{fmt.Sprintf("%s %s %s", role, id, g.Slug()), c.ID, role})
				if !seen[c.ID] {
					cells = append(cells, c)
				}
				seen[c.ID] = true
			}
		}
	}
	return cells, asked
}

// claimCell is a cell that comes to the group, by the rules of both.
func claimCell(known Catalogue, id lab.PeerID, role lab.Role, o lab.Offer) (lab.Cell, bool) {
	for _, partner := range partners {
		c := lab.NewCell(id, partner, o, o, cleanV4)
		if role == lab.ServerRole {
			c = lab.NewCell(partner, id, o, o, cleanV4)
		}
		if known.Unsupported(c.Client, lab.ClientRole, o) != "" || known.Unsupported(c.Server, lab.ServerRole, o) != "" {
			continue
		}
		if p := lab.Predict(c, known.Rules(c.Client), known.Rules(c.Server)); p.Allowed[0].Outcome != lab.Refused {
			return c, true
		}
	}
	return lab.Cell{}, false
}

// heard keeps what the ends of completed handshakes say.
type heard struct {
	mu  sync.Mutex
	all map[string]map[lab.Role]string
}

func (h *heard) Observed(o lab.Observation, v lab.Verdict, _ lab.Evidence) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o.Wire.ServerHello != nil && o.Client.Data {
		h.all[o.Cell.ID] = map[lab.Role]string{lab.ClientRole: o.Client.Group, lab.ServerRole: o.Server.Group}
	}
	return "", nil
}

func (*heard) Judged(lab.Verdict) error { return nil }

func claimsOf(t *testing.T, ids []lab.PeerID, cells []lab.Cell) map[string]map[lab.Role]string {
	t.Helper()
	links, err := NewLinks(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	r, err := Open(t.Context(), Config{Kind: Containers, Run: NewRunID(), Links: links, Peers: slices.Compact(ids),
		Logs: filepath.Join(t.TempDir(), "logs"), Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{all: map[string]map[lab.Role]string{}}
	runner := &lab.Runner{Fabric: r, Known: Catalogue{}, Sink: h, Seed: 1, CleanLink: links.Clean, Attempts: 1}
	if err := runner.Run(t.Context(), cells, 4); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return h.all
}
