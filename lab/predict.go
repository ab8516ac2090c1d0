package lab

import (
	"cmp"
	"fmt"
	"slices"

	"hybridlab/lab/wire"
)

// Capability is what one role of a peer can do.
type Capability struct {
	Declared []wire.Group `json:"declared"`         // by the peer's row
	Probed   []wire.Group `json:"probed,omitempty"` // seen on the wire
}

// Result is one way a cell may end.
type Result struct {
	Outcome Outcome    // Hybrid, Classical or Refused
	Group   wire.Group // for the first two
	HRR     bool       // a HelloRetryRequest comes first
	Alert   string     // for Refused
}

func (r Result) String() string {
	switch {
	case r.Outcome == Refused && r.Alert == "":
		return string(Refused)
	case r.Outcome == Refused && r.Alert == NoAlert:
		return "refused without an alert"
	case r.Outcome == Refused:
		return fmt.Sprintf("refused %s", r.Alert)
	case r.Group == 0:
		return fmt.Sprintf("%s %s", r.Outcome, noCurve)
	case r.HRR:
		return fmt.Sprintf("%s %s after HelloRetryRequest", r.Outcome, r.Group)
	}
	return fmt.Sprintf("%s %s", r.Outcome, r.Group)
}

// noCurve stands where a group's name would, in TLS 1.2.
const noCurve = "without a curve"

// Prediction is what the rules of both stacks allow, before anything ran.
type Prediction struct {
	Allowed  []Result
	Shares   []wire.Group // key shares the client will send; nil also where that is not known
	CommonPQ []wire.Group // post-quantum groups both ends are set up for
	Breach   string       // what is wrong on purpose with the client's hello
	NoCommon bool         // the ends have no group in common
	Why      string       // what a refusal is for, where it is neither of the two
	Hellos   Hellos       // their sizes
	Cure     string       // what to change at a client that does not offer what it is set up for
}

// Strings lists the allowed results for a verdict.
func (p Prediction) Strings() []string {
	out := make([]string, len(p.Allowed))
	for i, r := range p.Allowed {
		out[i] = r.String()
	}
	return out
}

// Predict applies the client's share rule and the server's selection rule to
// a cell (RFC 8446 sections 4.1.1 and 4.2.8 leave both to the stack).
func Predict(c Cell, client, server Rules) Prediction {
	p := predict(c, client, server)
	p.Hellos = hellos(c, client, server)
	return p
}

func predict(c Cell, client, server Rules) Prediction {
	setUp, accepted := client.listed(c.Offer), server.listed(c.Accept)
	offered := client.kept(setUp)
	if p, ok := predictOld(c, offered, accepted, client, server); ok {
		return p
	}
	p := Prediction{Shares: client.shares(c.Offer, offered), Breach: client.Breach.What, Cure: client.Cure}
	if server.ClientOrder {
		named := offered
		if server.OwnRetry {
			named = only(p.Shares, offered)
		}
		accepted = inOrderOf(named, accepted)
	}
	var common []candidate
	for place, l := range accepted {
		if l.Group.PostQuantum() && lists(setUp, l.Group) {
			p.CommonPQ = append(p.CommonPQ, l.Group)
		}
		if lists(offered, l.Group) && !slices.Contains(server.Withdrawn, l.Group) {
			common = append(common, candidate{l, place})
		}
	}
	p.NoCommon = len(common) == 0
	p.Allowed = client.Breach.answers(server.allowed(common, p.Shares, client.sharesKnown(c.Offer)))
	return p
}

// sharesKnown reports whether it is known for which groups the offer sends a
// share.
func (r Rules) sharesKnown(o Offer) bool {
	return r.Shares != ShareUnknown || o.Explicit() || o.Default() && r.Default.Explicit()
}

// candidate is a group of both lists.
type candidate struct {
	ListedGroup
	place int // in the server's list
}

// allowed is what the server may make of the common groups. Where the shares
// are not known, each of their sets comes to what one share or none does: the
// one is the group that wins by it.
func (r Rules) allowed(common []candidate, shares []wire.Group, known bool) []Result {
	sets := [][]wire.Group{shares}
	for _, l := range common {
		if !known {
			sets = append(sets, []wire.Group{l.Group})
		}
	}
	var out []Result
	add := func(res Result) {
		if !slices.Contains(out, res) {
			out = append(out, res)
		}
	}
	for _, set := range sets {
		if r.Pick != PickUnknown || len(common) == 0 {
			add(r.pick(common, set))
			continue
		}
		for _, l := range common {
			add(r.pick([]candidate{l}, set))
		}
	}
	return out
}

// listed is the list a stack makes of its configuration, best first.
func (r Rules) listed(o Offer) []ListedGroup {
	if o.Default() {
		o = r.Default
	}
	out := slices.Clone(o.Listed)
	if r.Order != nil {
		slices.SortStableFunc(out, func(a, b ListedGroup) int {
			return cmp.Compare(slices.Index(r.Order, a.Group), slices.Index(r.Order, b.Group))
		})
	}
	return out
}

// kept are the groups that the stack makes use of.
func (r Rules) kept(ls []ListedGroup) []ListedGroup {
	return slices.DeleteFunc(slices.Clone(ls), func(l ListedGroup) bool { return slices.Contains(r.Withdrawn, l.Group) })
}

// only are those of the listed groups that are among gs.
func only(gs []wire.Group, listed []ListedGroup) []ListedGroup {
	return slices.DeleteFunc(slices.Clone(listed), func(l ListedGroup) bool { return !slices.Contains(gs, l.Group) })
}

// inOrderOf sorts the server's list as the client names the groups; tiers
// stay with their groups, and groups that the client does not name in order.
func inOrderOf(offered, accepted []ListedGroup) []ListedGroup {
	place := func(l ListedGroup) int {
		return slices.IndexFunc(offered, func(o ListedGroup) bool { return o.Group == l.Group })
	}
	slices.SortStableFunc(accepted, func(a, b ListedGroup) int { return cmp.Compare(place(a), place(b)) })
	return accepted
}

// shares are the groups a client sends a key share for.
func (r Rules) shares(o Offer, listed []ListedGroup) []wire.Group {
	if o.Default() {
		o = r.Default
	}
	if o.Explicit() {
		return slices.DeleteFunc(o.Sent(), func(g wire.Group) bool { return slices.Contains(r.Withdrawn, g) })
	}
	if len(listed) == 0 || r.Shares == ShareUnknown {
		return nil
	}
	first := listed[0].Group
	sent := []wire.Group{first}
	if other := slices.IndexFunc(listed, func(l ListedGroup) bool { return r.Shares.another(first, l.Group) }); other >= 0 {
		sent = append(sent, listed[other].Group)
	}
	half, ok := r.Classical[first]
	if r.Shares == ShareFirstAndClassical && ok && lists(listed, half) {
		sent = append(sent, half)
	}
	return sent
}

// another reports whether g's share is sent beside first's for being of
// another kind.
func (r ShareRule) another(first, g wire.Group) bool {
	switch r {
	case ShareFirstOfEachKind:
		return g.PostQuantum() != first.PostQuantum()
	case ShareTwoFamilies:
		return family(g) != family(first)
	}
	return false
}

// family is the mathematics of a classical group.
func family(g wire.Group) string {
	if info, _ := g.Info(); info.Kind != wire.Classical {
		return info.Kind.String()
	}
	switch g {
	case wire.X25519, wire.X448:
		return "Montgomery curve"
	}
	return "NIST curve"
}

// pick is the server's choice among the common groups, given best first.
func (r Rules) pick(common []candidate, shares []wire.Group) Result {
	if len(common) == 0 {
		return Result{Outcome: Refused, Alert: r.NoMatch}
	}
	best := r.best(common, shares)
	return Result{Outcome: kindOf(best.Group), Group: best.Group, HRR: r.Retry || !slices.Contains(shares, best.Group)}
}

func (r Rules) best(common []candidate, shares []wire.Group) candidate {
	switch r.Pick {
	case PickOrder:
		return common[0]
	case PickOrderOrNext:
		return orderOrNext(common, shares)
	}
	rank := func(l candidate) (key [3]int) {
		if r.Pick != PickPostQuantum {
			key[0] = l.Tier
		}
		if r.Pick != PickTier && !l.Group.PostQuantum() {
			key[1] = 1
		}
		if !slices.Contains(shares, l.Group) {
			key[2] = 1
		}
		return key
	}
	return slices.MinFunc(common, func(a, b candidate) int {
		ka, kb := rank(a), rank(b)
		return slices.Compare(ka[:], kb[:])
	})
}

// orderOrNext is PickOrderOrNext.
func orderOrNext(common []candidate, shares []wire.Group) candidate {
	first := common[0]
	if slices.Contains(shares, first.Group) || len(common) == 1 {
		return first
	}
	next := common[1]
	alike := next.place == first.place+1 && strength(next.Group)+2 >= strength(first.Group) && strength(next.Group) <= strength(first.Group)+2
	if alike && slices.Contains(shares, next.Group) {
		return next
	}
	return first
}

// strength is a group's size as NSS counts it, in bits: every ML-KEM is 256,
// alone or in a hybrid.
func strength(g wire.Group) int {
	switch info, _ := g.Info(); {
	case info.Kind != wire.Classical:
		return 256
	case g == wire.X25519:
		return 255
	case g == wire.SecP384r1:
		return 384
	case g == wire.SecP521r1:
		return 521
	case g >= 0x0100 && g <= 0x0104: // ffdhe2048 and larger, RFC 7919
		return [...]int{2048, 3072, 4096, 6144, 8192}[g-0x0100]
	}
	return 256
}

func kindOf(g wire.Group) Outcome {
	if g.PostQuantum() {
		return Hybrid
	}
	return Classical
}
