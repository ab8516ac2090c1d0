package gate

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/compare"
	"hybridlab/lab/stats"
)

// Decision is the answer.
type Decision struct {
	Yes      bool      `json:"yes"`
	Reasons  []string  `json:"reasons"` // why not, each a sentence; empty: yes
	Notes    []string  `json:"notes"`   // what was not judged
	Measured []Measure `json:"measured"`
}

// Measure is one share that was judged.
type Measure struct {
	What  string  `json:"what"`
	Cells int     `json:"cells"` // it is a share of
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	OK    bool    `json:"ok"`
}

// Side names a peer and what it was set up for, in the words of the user.
type Side struct {
	Name string     // "openssl@trixie/x25519+secp256r1"
	ID   lab.PeerID // in the run's report
	// Default is the list of groups it has where a cell names none; none: not
	// known.
	Default lab.Offer
}

// Run is the run after: what it is judged by beside the comparison.
type Run struct {
	Report   lab.Report
	Verdicts iter.Seq2[lab.Verdict, error]
}

// Decide judges by the policy whether the peer after may replace the one
// before. The error is that of reading a verdict.
func Decide(p Policy, before, after Side, c *compare.Comparison, run Run) (Decision, error) {
	groups, found := map[string]int{}, map[lab.Outcome]lab.Verdict{}
	for v, err := range run.Verdicts {
		if err != nil {
			return Decision{}, fmt.Errorf("read the run after: %w", err)
		}
		groups[v.Group]++
		if first, ok := found[v.Outcome]; !ok || v.Cell < first.Cell {
			found[v.Outcome] = v
		}
	}
	d := Decision{Reasons: []string{}, Notes: []string{}, Measured: []Measure{}}
	d.shares(p, after, c)
	d.times(p, c)
	d.demands(p, after, groups, found)
	d.versions(p, after, run.Report)
	d.undecided(c)
	d.Yes = len(d.Reasons) == 0
	return d, nil
}

func (d *Decision) no(format string, args ...any) {
	d.Reasons = append(d.Reasons, fmt.Sprintf(format, args...))
}

func (d *Decision) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// worked reports whether a handshake came to an end that both sides accept.
func worked(s *compare.State) bool { return s != nil && s.Outcome.Worked() && s.Outcome != lab.Refused }

// stopped: it worked, and what came of it now is neither a handshake nor
// undecided for the lab's reasons.
func stopped(ch compare.Change) bool {
	switch {
	case !worked(ch.Before):
		return false
	case ch.After == nil:
		return ch.Worst() == compare.Lost
	}
	o := ch.After.Outcome
	return o == lab.Refused || o == lab.Flaky || o.Finding() && !o.Worked()
}

// fellBack: hybrid before, classical now, by whosever doing.
func fellBack(ch compare.Change) bool {
	return ch.Before != nil && ch.Before.Outcome == lab.Hybrid && ch.After != nil && (ch.After.Outcome == lab.Classical || ch.After.Outcome == lab.Downgrade)
}

func downgraded(ch compare.Change) bool { return ch.Has(compare.Downgraded) }

// shares judges success, fallback and downgrade.
func (d *Decision) shares(p Policy, after Side, c *compare.Comparison) {
	workedBefore := 0
	for o, n := range c.Before.Outcomes {
		if o.Worked() && o != lab.Refused {
			workedBefore += n
		}
	}
	hybridBefore := c.Before.Outcomes[lab.Hybrid]
	for _, m := range []struct {
		what   string
		limit  Share
		atMost bool // of those that match; else at least of those that do not
		cells  int
		match  func(compare.Change) bool
		say    string
	}{
		{"success", p.Success, false, workedBefore, stopped, "of %d handshakes that worked, %d do not with %s"},
		{"fallback", p.Fallback, true, hybridBefore, fellBack, "of %d handshakes that were hybrid, %d are classical with %s"},
		{"downgrade", p.Downgrade, true, c.Cells, downgraded, "of %d handshakes, %d are downgrades with %s that were none"},
	} {
		var hit []compare.Change
		for _, ch := range c.Changes {
			if m.match(ch) {
				hit = append(hit, ch)
			}
		}
		if !m.limit.Given || m.cells == 0 {
			continue
		}
		share := float64(len(hit)) / float64(m.cells)
		ok, limit := share <= m.limit.Of, "at most "+m.limit.String()+" may"
		if !m.atMost {
			share = 1 - share
			ok, limit = share >= m.limit.Of, "at least "+m.limit.String()+" must"
		}
		d.Measured = append(d.Measured, Measure{m.what, m.cells, share, m.limit.Of, ok})
		if !ok {
			d.no(m.say+" (%s): %s", m.cells, len(hit), after.Name, limit, because(hit, after))
		}
	}
}

// because says what most of the changes have in common, and names a cell.
func because(changes []compare.Change, after Side) string {
	type kind struct {
		text string
		n    int
		cell string
	}
	kinds := map[string]*kind{}
	for _, ch := range changes {
		text := clause(ch, after)
		if kinds[text] == nil {
			kinds[text] = &kind{text: text, cell: cmp.Or(cellAfter(ch), ch.Cell())}
		}
		kinds[text].n++
	}
	most := slices.MaxFunc(slices.SortedFunc(maps.Values(kinds), func(a, b *kind) int { return cmp.Compare(b.text, a.text) }),
		func(a, b *kind) int { return cmp.Compare(a.n, b.n) })
	text := most.text
	if most.n < len(changes) {
		text += fmt.Sprintf(" (%d of them)", most.n)
	}
	return text + ", such as " + most.cell
}

func cellAfter(ch compare.Change) string {
	if ch.After == nil {
		return ""
	}
	return ch.After.Cell
}

// clause is why a handshake is not what it was.
func clause(ch compare.Change, after Side) string {
	if ch.After == nil {
		return ch.Reason
	}
	c, err := lab.ParseCell(ch.After.Cell)
	if err == nil && ch.After.Outcome.Pass() {
		for _, end := range []struct {
			id   lab.PeerID
			list lab.Offer
		}{{c.Server, c.Accept}, {c.Client, c.Offer}} {
			list := end.list
			if list.Default() {
				list = after.Default
			}
			if end.id == after.ID && !list.Default() && !postQuantum(list) {
				return fmt.Sprintf("%s is set up for %s, which has no post-quantum group", end.id, list)
			}
		}
		return fmt.Sprintf("by its own rules %s ends it as %s", after.ID, ch.After)
	}
	return ch.After.String()
}

func postQuantum(o lab.Offer) bool {
	for _, g := range o.Groups() {
		if g.PostQuantum() {
			return true
		}
	}
	return false
}

// times judges p95 and p99 in every group of like cells: a growth counts where
// it is real and its least likely extent is beyond the limit. What was to be
// judged and could not be is no yes.
func (d *Decision) times(p Policy, c *compare.Comparison) {
	for _, m := range []struct {
		quantile float64
		what     string
		limit    Share
	}{{0.95, "p95", p.P95}, {0.99, "p99", p.P99}} {
		if !m.limit.Given {
			continue
		}
		tested, need, has := 0, 0, 0
		for _, t := range c.Times {
			s := t.Shifts[slices.Index(stats.Quantiles, m.quantile)]
			if s.Need > 0 {
				need, has = max(need, s.Need), max(has, s.Samples)
				continue
			}
			tested++
			if s.Real && s.Change.Low > m.limit.Of*s.Before {
				d.no("the %s of handshakes from %s to %s over %s with %s grew from %.1f ms to %.1f ms, at least by %s (at most %s may)",
					m.what, t.Client, t.Server, t.Path, t.Group, s.Before, s.After, percent(float64(int(1000*s.Change.Low/s.Before))/1000), m.limit)
			}
		}
		switch {
		case tested == 0 && len(c.Times) == 0:
			d.no("the %s was not judged: no handshake was timed both before and after: the lab was too busy, or none worked", m.what)
		case tested == 0:
			d.no("the %s was not judged: n too small, %d samples where it takes %d; run with a larger --repeat", m.what, has, need)
		case tested < len(c.Times):
			d.note("the %s was judged in %d of %d groups of like handshakes; n is too small in the others", m.what, tested, len(c.Times))
		}
	}
}

// demands judges what must, and what must not, come out.
func (d *Decision) demands(p Policy, after Side, groups map[string]int, found map[lab.Outcome]lab.Verdict) {
	for _, g := range p.Require {
		if groups[g] == 0 {
			d.no("%s came out of no handshake with %s, and the policy requires it", g, after.Name)
		}
	}
	for _, o := range p.Forbid {
		if v, ok := found[lab.Outcome(o)]; ok {
			d.no("the policy forbids the outcome %s, and %s ends so: %s", o, v.Cell, v.Why)
		}
	}
}

func (d *Decision) versions(p Policy, after Side, rep lab.Report) {
	words := ""
	for _, i := range rep.Peers {
		if i.ID == after.ID {
			words = i.Version
		}
	}
	for _, m := range p.Versions {
		switch have, ok := m.found(words); {
		case !ok:
			d.no("the policy wants %s, and %s does not say what %s it has (it says %q)", m, after.Name, m.Program, words)
		case !m.reached(have):
			d.no("the policy wants %s, and %s has %s", m, after.Name, have)
		}
	}
}

// undecided notes what no share counts.
func (d *Decision) undecided(c *compare.Comparison) {
	var n, refusals int
	for _, ch := range c.Changes {
		if ch.Has(compare.Undecided) && !stopped(ch) {
			n++
		}
		if ch.Has(compare.Broke) && ch.Before.Outcome == lab.Refused {
			refusals++
		}
	}
	if refusals > 0 {
		d.note("cells that were refused as they should be and are findings now: %d", refusals)
	}
	if n > 0 {
		d.note("cells that could not be decided with the peer after, and count neither way: %d", n)
	}
}

// Sentence is the answer for a reader.
func (d Decision) Sentence(before, after Side) string {
	if d.Yes {
		return fmt.Sprintf("Yes: %s may replace %s.", after.Name, before.Name)
	}
	return fmt.Sprintf("No: %s may not replace %s: %s.", after.Name, before.Name, strings.TrimSuffix(d.Reasons[0], "."))
}
