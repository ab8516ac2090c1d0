package scenarios

import (
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// halves pairs each hybrid with the classical group people list beside it.
var halves = []struct{ hybrid, classical string }{
	{"x25519mlkem768", "x25519"},
	{"secp256r1mlkem768", "secp256r1"},
	{"secp384r1mlkem1024", "secp384r1"},
}

// Groups are the groups of the pairings, slug by slug. A group that a peer
// lacks excludes its cells, with the reason.
var Groups = []string{
	"x25519", "secp256r1", "secp384r1",
	"x25519mlkem768", "secp256r1mlkem768", "secp384r1mlkem1024",
	"mlkem512", "mlkem768", "mlkem1024",
}

// offers are the shapes a list of groups takes in configurations.
type offers struct {
	alone    []string // one group
	lists    []string // hybrid and classical, one tier
	tiers    []string // hybrid preferred to classical: only a server's list can say it
	deferred []string // classical share sent, hybrid only advertised: only a client's can
	pairs    []string // two hybrid shares, in both orders
	many     []string // post-quantum only, and everything
}

func shapes(groups []string) offers {
	s := offers{alone: groups}
	for _, h := range halves {
		if !slices.Contains(groups, h.hybrid) || !slices.Contains(groups, h.classical) {
			continue
		}
		s.lists = append(s.lists, h.hybrid+"+"+h.classical)
		s.tiers = append(s.tiers, h.hybrid+">"+h.classical)
		s.deferred = append(s.deferred, h.classical+"+~"+h.hybrid)
	}
	pq := slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return !strings.Contains(g, "mlkem") })
	for i, a := range pq {
		for _, b := range pq[:i] {
			if strings.HasPrefix(a, "mlkem") || strings.HasPrefix(b, "mlkem") {
				continue // pure ML-KEM beside a hybrid is nobody's configuration
			}
			s.pairs = append(s.pairs, "*"+a+"+*"+b, "*"+b+"+*"+a)
		}
	}
	if len(pq) > 1 {
		s.many = append(s.many, strings.Join(pq, "+"))
	}
	if len(groups) > len(pq)+1 && len(pq) > 1 {
		classical := slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return strings.Contains(g, "mlkem") })
		s.many = append(s.many, strings.Join(slices.Concat(pq, classical), "+"))
	}
	return s
}

var untouched = []string{"default"}

// row pairs every offer with every acceptance.
type row struct{ offer, accept []string }

// Cases pairs the shapes of offer and acceptance that people configure.
func Cases(groups []string) []lab.Case {
	s := shapes(groups)
	return products([]row{
		{s.alone, s.alone}, // the full square, most of it refusals
		{s.alone, s.lists},
		{s.lists, s.alone},
		{s.lists, s.lists},
		{s.lists, s.tiers},
		{s.deferred, s.alone}, // HelloRetryRequest, or not
		{s.deferred, s.lists},
		{s.deferred, s.tiers},
		{untouched, untouched},
		{untouched, s.alone},
		{s.alone, untouched},
		{s.deferred, untouched},
	})
}

// drafts pairs the groups of drafts with those that came of them. A peer of
// 2023 knows one, a peer of today the other, and a peer in between both.
var drafts = []struct{ draft, final, classical string }{
	{"x25519kyber768draft00", "x25519mlkem768", "x25519"},
	{"x25519kyber768draft00old", "x25519mlkem768", "x25519"},
	{"secp256r1kyber768draft00", "secp256r1mlkem768", "secp256r1"},
	{"p256kyber768draft00", "secp256r1mlkem768", "secp256r1"},
}

// Drafts are their slugs.
var Drafts = []string{drafts[0].draft, drafts[1].draft, drafts[2].draft, drafts[3].draft}

// draftCases pair every list that has the draft's group with those that have
// it, the final one or both, and the reverse.
func draftCases(groups []string) (rows []row) {
	for _, d := range drafts {
		if !slices.Contains(groups, d.draft) {
			continue
		}
		old := []string{d.draft, d.draft + "+" + d.classical}
		now := []string{d.final, d.final + "+" + d.classical}
		both := []string{d.final + "+" + d.draft + "+" + d.classical}
		rows = append(rows, row{old, slices.Concat(old, now, both)}, row{now, slices.Concat(old, both)}, row{both, slices.Concat(old, now, both)})
	}
	return rows
}

// AllCases adds what few configure and some send, and the drafts among the
// groups against what became of them.
func AllCases(groups []string) []lab.Case {
	final := slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return slices.Contains(Drafts, g) })
	s := shapes(final)
	return append(Cases(final), products(append(draftCases(groups), []row{
		{s.pairs, s.alone},
		{s.pairs, untouched},
		{s.many, s.alone},
		{s.alone, s.many},
		{s.many, s.many},
		{untouched, s.many},
		{s.many, untouched},
	}...))...)
}

func products(rows []row) []lab.Case {
	var out []lab.Case
	for _, r := range rows {
		out = append(out, product(r.offer, r.accept)...)
	}
	return out
}

func product(offers, accepts []string) []lab.Case {
	var out []lab.Case
	for _, o := range offers {
		for _, a := range accepts {
			out = append(out, lab.Case{Offer: lab.MustOffer(o), Accept: lab.MustOffer(a)})
		}
	}
	return out
}

// Slugs turns group names in any spelling into the table's spelling, and
// names the known groups when one is wrong.
func Slugs(names []string) ([]string, error) {
	var out []string
	for _, n := range names {
		g, err := wire.LookupGroup(n)
		if err != nil {
			return nil, err
		}
		out = append(out, g.Slug())
	}
	return out, nil
}
