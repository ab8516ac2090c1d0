package compare

import (
	"cmp"
	"fmt"
	"slices"

	"hybridlab/lab"
)

// Kind is one way in which a cell is not what it was.
type Kind string

const (
	Downgraded  Kind = "downgraded"  // a downgrade, and it was none
	Broke       Kind = "broke"       // another finding, and it was none
	Lost        Kind = "lost"        // it worked, and a peer can no longer be set up so
	Weaker      Kind = "weaker"      // it was hybrid; classical or refused now, by agreement
	Undecided   Kind = "undecided"   // it was decided and is not now: flaky, inconclusive, unsupported, a fault
	Other       Kind = "other"       // a finding before and after, with another outcome, cause or blame
	NewRetry    Kind = "new-retry"   // a HelloRetryRequest that was not there: a round trip more
	Group       Kind = "group"       // another group of the same kind, or another refusal
	Disappeared Kind = "disappeared" // only in the run before
	Appeared    Kind = "appeared"    // only in the run after
	RetryGone   Kind = "retry-gone"  // a round trip fewer
	Decided     Kind = "decided"     // it was undecided
	Stronger    Kind = "stronger"    // hybrid, and it was not
	Mended      Kind = "mended"      // as predicted, and it was a finding
)

// Kinds lists every kind, the worst first.
var Kinds = []Kind{Downgraded, Broke, Lost, Weaker, Undecided, Other, NewRetry, Group, Disappeared, Appeared, RetryGone, Decided, Stronger, Mended}

// Worse reports whether the kind is a step back.
func (k Kind) Worse() bool {
	switch k {
	case Downgraded, Broke, Lost, Weaker, Undecided:
		return true
	}
	return false
}

// State is what a cell came to.
type State struct {
	Cell    string      `json:"cell"`
	Outcome lab.Outcome `json:"outcome"`
	Cause   lab.Cause   `json:"cause,omitempty"`
	Blame   string      `json:"blame,omitempty"`
	Group   string      `json:"group,omitempty"`
	Retry   bool        `json:"hrr"`
	Why     string      `json:"why"`
}

// Change is one cell that is not what it was.
type Change struct {
	Kinds  []Kind `json:"kinds"`            // the worst first; never empty
	Before *State `json:"before,omitempty"` // absent: only in the run after
	After  *State `json:"after,omitempty"`  // absent: only in the run before
	Reason string `json:"reason,omitempty"` // why it is in one run only, where the other says so
}

// Worst is the kind that the change is counted under.
func (c Change) Worst() Kind { return c.Kinds[0] }

// Has reports whether the change is, among other things, of the kind.
func (c Change) Has(k Kind) bool { return slices.Contains(c.Kinds, k) }

// Cell is the id of the cell, the one before where there are two.
func (c Change) Cell() string {
	if c.Before != nil {
		return c.Before.Cell
	}
	return c.After.Cell
}

func (c Change) compare(d Change) int {
	return cmp.Or(cmp.Compare(slices.Index(Kinds, c.Worst()), slices.Index(Kinds, d.Worst())), cmp.Compare(c.Cell(), d.Cell()))
}

func state(v lab.Verdict) *State {
	return &State{Cell: v.Cell, Outcome: v.Outcome, Cause: v.Cause, Blame: v.Blame, Group: v.Group, Retry: v.HRR != nil && *v.HRR, Why: v.Why}
}

func (s *State) String() string {
	text := string(s.Outcome)
	switch {
	case s.Outcome == lab.Hybrid || s.Outcome == lab.Classical:
		text += " " + s.Group
		if s.Retry {
			text += " after HelloRetryRequest"
		}
	case s.Cause != "":
		text += " " + string(s.Cause)
	}
	if s.Blame != "" {
		text += ", blame " + s.Blame
	}
	return text
}

// change compares the two verdicts of a cell.
func change(v, w lab.Verdict) (Change, bool) {
	a, b := state(v), state(w)
	c := Change{Before: a, After: b}
	if k, ok := kind(a, b); ok {
		c.Kinds = append(c.Kinds, k)
	}
	if v.HRR != nil && w.HRR != nil && a.Retry != b.Retry {
		k := NewRetry
		if a.Retry {
			k = RetryGone
		}
		c.Kinds = append(c.Kinds, k)
	}
	slices.SortFunc(c.Kinds, func(j, k Kind) int { return slices.Index(Kinds, j) - slices.Index(Kinds, k) })
	return c, len(c.Kinds) > 0
}

// kind compares two outcomes; ok is false where they are the same.
func kind(a, b *State) (k Kind, ok bool) {
	undecided := func(s *State) bool { return !s.Outcome.Pass() && !s.Outcome.Finding() }
	switch {
	case a.Outcome == b.Outcome && a.Cause == b.Cause && a.Blame == b.Blame:
		return Group, a.Group != b.Group
	case undecided(a) && undecided(b):
		return "", false
	case undecided(b):
		return Undecided, true
	case undecided(a):
		return Decided, true
	case b.Outcome == lab.Downgrade && a.Outcome != lab.Downgrade:
		return Downgraded, true
	case a.Outcome.Finding() && b.Outcome.Finding():
		return Other, true
	case b.Outcome.Finding():
		return Broke, true
	case a.Outcome.Finding():
		return Mended, true
	case a.Outcome == lab.Hybrid:
		return Weaker, true
	case b.Outcome == lab.Hybrid:
		return Stronger, true
	}
	return Group, true
}

// gone is a cell of the run before only.
func gone(v lab.Verdict, reason string) Change {
	k := Disappeared
	if reason != "" && v.Outcome.Pass() && v.Outcome != lab.Refused {
		k = Lost
	}
	return Change{Kinds: []Kind{k}, Before: state(v), Reason: reason}
}

// come is a cell of the run after only.
func come(w lab.Verdict, reason string) Change {
	return Change{Kinds: []Kind{Appeared}, After: state(w), Reason: reason}
}

// Tally counts the changes by kind. A change counts under each of its kinds.
func (c *Comparison) Tally() map[Kind]int {
	out := map[Kind]int{}
	for _, ch := range c.Changes {
		for _, k := range ch.Kinds {
			out[k]++
		}
	}
	return out
}

// Worse reports whether anything is a step back.
func (c *Comparison) Worse() bool {
	return slices.ContainsFunc(c.Changes, func(ch Change) bool { return ch.Worst().Worse() })
}

// Unchanged is how many cells of both runs are what they were.
func (c *Comparison) Unchanged() int {
	n := c.Cells
	for _, ch := range c.Changes {
		if ch.Before != nil && ch.After != nil {
			n--
		}
	}
	return n
}

// Bundle is the changes that read the same: of one kind, from one state to
// another, for one reason.
type Bundle struct {
	Kind    Kind
	Text    string // "hybrid X25519MLKEM768 -> size pmtu-blackhole, blame link"
	Changes []Change
}

// Bundles groups the changes for a reader, the worst first, the larger before
// the smaller. A change is in one bundle for each of its kinds.
func (c *Comparison) Bundles() []Bundle {
	type key struct {
		kind Kind
		text string
	}
	at := map[key]int{}
	var out []Bundle
	for _, ch := range c.Changes {
		for _, k := range ch.Kinds {
			id := key{k, ch.text()}
			i, ok := at[id]
			if !ok {
				i = len(out)
				at[id] = i
				out = append(out, Bundle{Kind: k, Text: id.text})
			}
			out[i].Changes = append(out[i].Changes, ch)
		}
	}
	slices.SortStableFunc(out, func(a, b Bundle) int {
		return cmp.Or(cmp.Compare(slices.Index(Kinds, a.Kind), slices.Index(Kinds, b.Kind)), cmp.Compare(len(b.Changes), len(a.Changes)), cmp.Compare(a.Text, b.Text))
	})
	return out
}

func (c Change) text() string {
	text := ""
	switch {
	case c.Before == nil:
		text = c.After.String()
	case c.After == nil:
		text = c.Before.String()
	default:
		text = fmt.Sprintf("%s -> %s", c.Before, c.After)
	}
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return text
}
