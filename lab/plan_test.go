package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab/wire"
)

// catalogue is two stacks with the two ways of choosing.
type catalogue struct{}

var goRules = Rules{
	Default: MustOffer("*x25519mlkem768+secp256r1mlkem768+secp384r1mlkem1024+*x25519+secp256r1+secp384r1"),
	Order:   MustOffer("x25519mlkem768+secp256r1mlkem768+secp384r1mlkem1024+x25519+secp256r1+secp384r1").Groups(),
	Shares:  ShareFirstAndClassical,
	Pick:    PickPostQuantum,
	Classical: map[wire.Group]wire.Group{
		MustOffer("x25519mlkem768").Groups()[0]:    MustOffer("x25519").Groups()[0],
		MustOffer("secp256r1mlkem768").Groups()[0]: MustOffer("secp256r1").Groups()[0],
	},
	NoMatch: "handshake_failure",
}

var tieredRules = Rules{
	Default: MustOffer("*x25519mlkem768>*x25519+secp256r1>secp384r1"),
	Shares:  ShareFirst,
	Pick:    PickTier,
	NoMatch: "handshake_failure",
	Cure:    "rank the hybrid in a tier of its own",
}

func (catalogue) Rules(id PeerID) Rules {
	if strings.HasPrefix(string(id), "go") {
		return goRules
	}
	return tieredRules
}

func (catalogue) Unsupported(id PeerID, role Role, o Offer) string {
	if strings.HasPrefix(string(id), "go") && (o.Tiered() || o.Explicit()) {
		return "crypto/tls has one flat list and chooses its shares itself"
	}
	return ""
}

func testMatrix() Matrix {
	var cases []Case
	for _, o := range []string{"x25519", "x25519mlkem768", "x25519mlkem768>x25519"} {
		for _, a := range []string{"x25519", "x25519mlkem768+x25519"} {
			cases = append(cases, Case{MustOffer(o), MustOffer(a)})
		}
	}
	return Matrix{Clients: []PeerID{"go@1", "tier@2"}, Servers: []PeerID{"tier@2", "go@1"}, Cases: cases, Links: []string{"clean", "mtu1280"}}
}

func TestExpand(t *testing.T) {
	p := Expand(testMatrix(), catalogue{})
	if got, want := len(p.Cells)+len(p.Excluded), 2*2*6*2; got != want {
		t.Errorf("%d cells planned or excluded, want all %d combinations", got, want)
	}
	if len(p.Excluded) != 2*2*2 { // the tiered offer with the Go client: 2 servers, 2 accepts, 2 links
		t.Errorf("excluded %d: %v", len(p.Excluded), p.Excluded)
	}
	for _, e := range p.Excluded {
		if !strings.Contains(e.Reason, "client go@1") {
			t.Errorf("%s is excluded without a reason that names the peer: %q", e.Cell, e.Reason)
		}
	}
	ids := map[string]bool{}
	for _, c := range p.Cells {
		if ids[c.ID] {
			t.Errorf("%s planned twice", c.ID)
		}
		ids[c.ID] = true
	}
}

func TestExpandIgnoresOrderAndRepeats(t *testing.T) {
	m := testMatrix()
	want := Expand(m, catalogue{}).Digest()
	slices.Reverse(m.Clients)
	slices.Reverse(m.Cases)
	m.Links = append(m.Links, m.Links...)
	if got := Expand(m, catalogue{}).Digest(); got != want {
		t.Errorf("digest %s after reordering, %s before", got, want)
	}
	m.Links = []string{"clean"}
	if got := Expand(m, catalogue{}).Digest(); got == want {
		t.Error("a smaller plan has the same digest")
	}
}

func TestShardsAreThePlan(t *testing.T) {
	p := Expand(testMatrix(), catalogue{})
	var all []string
	for i := 1; i <= 3; i++ {
		for _, c := range p.Shard(i, 3).Cells {
			all = append(all, c.ID)
		}
	}
	slices.Sort(all)
	if len(all) != len(p.Cells) || len(slices.Compact(all)) != len(p.Cells) {
		t.Errorf("3 shards hold %d cells, the plan %d", len(all), len(p.Cells))
	}
}

// TestShardsAreAlike: an axis that comes round as often as there are shards is
// not dealt to one of them.
func TestShardsAreAlike(t *testing.T) {
	var p Plan
	links := []string{"a", "b", "c", "d", "e", "f", "g", "hole"}
	for n := range 4000 {
		p.Cells = append(p.Cells, Cell{ID: fmt.Sprintf("%05d/%s", n, links[n%8]), Link: links[n%8]})
	}
	for i := 1; i <= 4; i++ {
		s := p.Shard(i, 4)
		holes := 0
		for _, c := range s.Cells {
			if c.Link == "hole" {
				holes++
			}
		}
		if len(s.Cells) != 1000 || holes < 90 || holes > 160 {
			t.Errorf("shard %d has %d cells, %d of them in the hole, want 1,000 and about 125", i, len(s.Cells), holes)
		}
		if !slices.IsSortedFunc(s.Cells, func(a, b Cell) int { return strings.Compare(a.ID, b.ID) }) || !slices.EqualFunc(s.Cells, p.Shard(i, 4).Cells, func(a, b Cell) bool { return a.ID == b.ID }) {
			t.Errorf("shard %d is in another order, or another each time", i)
		}
	}
}

func TestParseShard(t *testing.T) {
	if i, n, err := ParseShard("2/8"); i != 2 || n != 8 || err != nil {
		t.Errorf("2/8 read as %d/%d, %v", i, n, err)
	}
	for _, bad := range []string{"", "1", "0/3", "4/3", "a/b", "1/2/3", "-1/2"} {
		if _, _, err := ParseShard(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestCellIDs(t *testing.T) {
	pq, both := MustOffer("x25519mlkem768"), MustOffer("x25519mlkem768+x25519")
	for want, c := range map[string]Cell{
		"openssl@trixie/go@1.26/x25519mlkem768/mtu1280/first-segment-router": NewCell("openssl@trixie", "go@1.26", pq, pq, "mtu1280", "first-segment-router"),
		"a@1/b@2/x25519mlkem768:x25519mlkem768+x25519/clean":                 NewCell("a@1", "b@2", pq, both, "clean"),
		"a@1/b@2+rsa2048/x25519mlkem768/clean":                               NewCell("a@1", "b@2", pq, pq, "clean").WithCert("rsa2048"),
		"a@1/b@2/x25519mlkem768/clean":                                       NewCell("a@1", "b@2", pq, pq, "clean").WithCert(DefaultCert),
	} {
		if c.ID != want {
			t.Errorf("id %s, want %s", c.ID, want)
		}
		if got, err := ParseCell(want); err != nil || got.ID != want || got.Offer.String() != c.Offer.String() || got.Accept.String() != c.Accept.String() {
			t.Errorf("%s parsed to %+v, %v", want, got, err)
		}
	}
	for _, bad := range []string{"", "a/b", "a/b/x25519", "a/b/nonsense/clean", "a//x25519/clean", "a/b/x25519/clean/box/more"} {
		if _, err := ParseCell(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
