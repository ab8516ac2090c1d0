package triage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hybridlab/lab"
)

// A run may have hundreds of findings with one cause. Those that look alike
// are a group: the first of it is explained with everything there is, and for
// each of the others it is tried whether the same change mends it. One that
// it does not mend is explained by itself.
const (
	MostGroups   = 64  // groups that are looked at in a run, in the order of their cells
	MostExplored = 4   // findings of a group that are explained from scratch
	MostLikened  = 200 // findings of a group that are compared with those
)

// alike is what findings of a group have in common. Clients that differ in
// settings alone are one.
type alike struct {
	outcome        lab.Outcome
	cause          lab.Cause
	blame          string
	client, server lab.PeerID
	link, boxes    string
}

// Groups puts findings that look alike together; groups and their findings
// are in the order of cell ids.
func Groups(findings []Finding) [][]Finding {
	findings = slices.SortedFunc(slices.Values(findings), func(a, b Finding) int { return cmp.Compare(a.Verdict.Cell, b.Verdict.Cell) })
	place := map[alike]int{}
	var out [][]Finding
	for _, f := range findings {
		v := f.Verdict
		client, _, _ := strings.Cut(string(v.Client), "{")
		k := alike{kind(v.Outcome), v.Cause, v.Blame, lab.PeerID(client), v.Server, v.Link, strings.Join(v.Boxes, "+")}
		i, ok := place[k]
		if !ok {
			i = len(out)
			place[k] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], f)
	}
	return out
}

// Trace explains a group's findings and returns their verdicts.
func Trace(field Field, group []Finding, try Try) []lab.Verdict {
	var out []lab.Verdict
	var found []Conclusion
	var whose []string
	for n, f := range group {
		v, ok := liken(field, f, found, whose, n, try)
		if !ok && len(found) < MostExplored {
			c := Explore(field, f, try)
			found, whose = append(found, c), append(whose, f.Verdict.Cell)
			v = c.Apply(f.Verdict)
		}
		out = append(out, v)
	}
	return out
}

// liken tries the conclusions on others of the group.
func liken(field Field, f Finding, found []Conclusion, whose []string, n int, try Try) (lab.Verdict, bool) {
	if n >= MostLikened {
		return f.Verdict, true
	}
	for i, like := range found {
		if c, ok := Confirm(field, f, like, try); ok {
			c.Text = fmt.Sprintf("%s (traced at %s; the same change mends this one)", like.Text, whose[i])
			v := c.Apply(f.Verdict)
			v.Like = whose[i]
			return v, true
		}
	}
	return f.Verdict, false
}
