package reports

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hybridlab/lab"
)

// Source is what a run keeps beside its verdicts; *lab.RunDir is one.
type Source interface {
	// Ladder reads the account of the attempt a capture is of.
	Ladder(capture string) (lab.Ladder, error)
	// Observations yields every attempt.
	Observations() iter.Seq2[lab.Observation, error]
}

// The page shows the packets of at most this much, shared out among the
// findings: the first cells of each, then more of each. The rest is in the
// captures.
const (
	mostDetailed = 500     // cells of one group
	mostDetails  = 6 << 20 // bytes in the page
)

// detailed is a cell whose packets the page may show.
type detailed struct {
	cell, capture string
	evidence      []int
}

// shelf collects them by group, passes by outcome, whatever order they come in.
type shelf map[groupKey][]detailed

func (s shelf) add(v lab.Verdict) {
	if !lab.CaptureName(v.Capture) {
		return
	}
	k := groupKey{v.Outcome, v.Cause, v.Blame, v.Known}
	d := detailed{name(v.Cell), v.Capture, v.Evidence}
	at, _ := slices.BinarySearchFunc(s[k], d, func(a, b detailed) int { return strings.Compare(a.cell, b.cell) })
	if at < mostDetailed {
		s[k] = slices.Insert(s[k], at, d)
		s[k] = s[k][:min(len(s[k]), mostDetailed)]
	}
}

// inTurn deals out the first of each group, then the second of each, and so
// on; findings before the others.
func (s shelf) inTurn(yield func(detailed) bool) {
	keys := slices.SortedFunc(maps.Keys(s), func(a, b groupKey) int {
		finding := func(k groupKey) int {
			if k.outcome.Pass() {
				return 1
			}
			return 0
		}
		return cmp.Or(finding(a)-finding(b), cmp.Compare(rank(a.outcome), rank(b.outcome)), cmp.Compare(a.cause, b.cause), cmp.Compare(a.blame, b.blame), cmp.Compare(a.known, b.known))
	})
	for i := range mostDetailed {
		for _, k := range keys {
			if i < len(s[k]) && !yield(s[k][i]) {
				return
			}
		}
	}
}

// observed are the attempts that the captures on the shelf are of.
func (s shelf) observed(src Source) (map[string]lab.Observation, error) {
	wanted := map[string]bool{}
	for d := range s.inTurn {
		wanted[d.capture] = true
	}
	out := map[string]lab.Observation{}
	if len(wanted) == 0 {
		return out, nil
	}
	for o, err := range src.Observations() {
		if err != nil {
			return nil, fmt.Errorf("read observations: %w", err)
		}
		if wanted[o.Capture] {
			out[o.Capture] = o
		}
	}
	return out, nil
}

// writeDetails writes the second data block:
//
//	{"cells": [[cell, ...], ...], "strings": ["", ...]}
//
// with every string as its place in strings. What the places of the lists
// mean is here and in cell.js. It is read when the first cell is opened.
func writeDetails(b *bufio.Writer, s shelf, src Source) error {
	b.WriteString(`<script type="application/json" id="details">{"cells":[`)
	t := &phrases{places: map[string]int{"": 0}, list: []string{""}}
	if src != nil {
		seen, err := s.observed(src)
		if err != nil {
			return err
		}
		n, sep := 0, "\n"
		for d := range s.inTurn {
			l, err := src.Ladder(d.capture)
			line := t.encode(t.detail(d, l, seen[d.capture], err))
			if n += len(line) + t.fresh; n > mostDetails {
				break
			}
			t.fresh = 0
			b.WriteString(sep)
			b.Write(line)
			sep = ",\n"
		}
	}
	b.WriteString(`],"strings":`)
	b.Write(t.encode(t.list))
	_, err := b.WriteString("}</script>\n")
	return err
}

// phrases numbers strings.
type phrases struct {
	places map[string]int
	list   []string
	fresh  int // bytes added to list since it was last set to 0
}

func (t *phrases) ref(s string) int {
	s = text(s)
	i, ok := t.places[s]
	if !ok {
		i = len(t.list)
		t.places[s], t.list = i, append(t.list, s)
		t.fresh += len(s) + 3
	}
	return i
}

func (t *phrases) refs(list []string) []int {
	out := make([]int, len(list))
	for i, s := range list {
		out[i] = t.ref(s)
	}
	return out
}

// encode never fails: it is given lists, numbers and strings. json.Marshal
// escapes <, > and &, so no string can end the script element.
func (t *phrases) encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return bytes.TrimSpace(b)
}

func (t *phrases) detail(d detailed, l lab.Ladder, o lab.Observation, err error) []any {
	why := ""
	if err != nil {
		why = err.Error()
	}
	rungs, hellos := make([]any, len(l.Rungs)), make([]any, len(l.Hellos))
	for i, r := range l.Rungs {
		rungs[i] = t.rung(r)
	}
	for i, h := range l.Hellos {
		hellos[i] = t.hello(h)
	}
	deeds := []any{}
	for _, b := range o.Path.Boxes {
		deeds = append(deeds, []int{t.ref(b.Box), t.ref(b.Action), b.Times})
	}
	for _, e := range o.Path.Ends {
		deeds = append(deeds, []int{t.ref(e.Box), t.ref(ending(e)), 1})
	}
	return []any{t.ref(d.cell), numbers(d.evidence), rungs, l.Left, hellos, t.end(o.Client), t.end(o.Server), deeds, t.ref(why), o.Attempt}
}

// ending is how a real middlebox's process ended, and what it said last.
func ending(e lab.BoxEnd) string {
	const most = 300
	how := "at its end"
	if e.Died {
		how = fmt.Sprintf("ended by itself with exit code %d", e.Exit)
	}
	said := strings.TrimSpace(e.Said)
	if said == "" {
		return how + " it had said nothing"
	}
	return how + " it said " + strconv.Quote(said[max(0, len(said)-most):])
}

func (t *phrases) rung(r lab.Rung) []any {
	arrived, pieces := make([]any, len(r.Arrived)), make([]any, len(r.TLS))
	for i, s := range r.Arrived {
		arrived[i] = sight(s)
	}
	for i, p := range r.TLS {
		pieces[i] = []int{t.ref(p.What), p.From, p.To, p.Of, p.Records, p.Count}
	}
	return []any{
		bit(r.Dir == "to client"), sight(r.Sent), bit(r.Made), arrived, t.ref(r.Drop), t.refs(r.Notes),
		r.Conn, t.ref(r.Proto), t.ref(r.Flags), r.MSS, r.Seq, r.Payload, bit(r.Resent), pieces,
	}
}

func sight(s lab.Sight) []any { return []any{s.Packet, s.US, s.Bytes} }

func (t *phrases) hello(h lab.HelloPair) []any {
	lines := make([]int, 0, 3*len(h.Lines))
	for _, l := range h.Lines {
		lines = append(lines, t.ref(l.Name), t.ref(l.Sent), t.ref(l.Received))
	}
	return []any{bit(h.Arrived), bit(h.Same), lines}
}

// end is what a peer said of itself.
func (t *phrases) end(e lab.End) []any {
	return []any{e.Exit, bit(e.TimedOut), bit(e.Done), t.ref(e.Group), t.ref(e.Version), t.ref(e.Reached), t.ref(e.Error), e.CPUMicros}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// numbers is never null in JSON.
func numbers[T int | float64](list []T) []T { return append([]T{}, list...) }
