package lab

import (
	"fmt"
	"strings"
)

// Control is another cell that differs from a finding's in one variable.
type Control struct {
	Kind string
	Cell Cell
}

// ControlTaken is a control as it was run for a finding, and its result.
type ControlTaken struct {
	Kind    string  `json:"kind"` // ControlClassical or ControlClean
	Cell    string  `json:"cell"`
	Outcome Outcome `json:"outcome"`
}

// Kinds of control: what was changed, what was kept.
const (
	ControlClassical = "classical group, same link"
	ControlClean     = "clean link, same groups"
)

var classicalOffer = MustOffer("x25519")

// Controls lists the control cells of c: the same pair with X25519 at both
// ends on the same link, and the same pair with the same groups on cleanLink.
// A control equal to c itself, or that a peer cannot express, is left out.
func Controls(c Cell, cleanLink string, known Catalogue) []Control {
	all := []Control{
		{ControlClassical, NewCell(c.Client, c.Server, classicalOffer, classicalOffer, c.Link, c.Boxes...).WithCert(c.Cert)},
		{ControlClean, NewCell(c.Client, c.Server, c.Offer, c.Accept, cleanLink, c.Boxes...).WithCert(c.Cert)},
	}
	var out []Control
	for _, k := range all {
		if k.Cell.ID != c.ID && why(k.Cell, known) == "" {
			out = append(out, k)
		}
	}
	return out
}

// Settle makes the one verdict of a cell from all its attempts and its
// controls. Attempts that disagree are flaky: a retry never turns a finding
// into a pass. An attempt that proves nothing because the lab was starved
// then is recorded and has no say, unless there is no other. It is pure.
func Settle(known Catalogue, attempts []Observation, controls []ControlTaken) Verdict {
	var all []Attempt
	var said []Verdict
	for _, o := range attempts {
		v := judgeOne(known, o, controls)
		all = append(all, v.Attempts...)
		if !(o.Path.Starved && v.Outcome == Inconclusive) {
			said = append(said, v)
		}
	}
	if len(said) == 0 {
		said = []Verdict{judgeOne(known, attempts[0], controls)}
	}
	v := said[0]
	v.Attempts = all
	for _, other := range said[1:] {
		if other.Outcome != v.Outcome || other.Cause != v.Cause {
			return flaky(v)
		}
	}
	return v
}

func judgeOne(known Catalogue, o Observation, controls []ControlTaken) Verdict {
	server := known.Rules(o.Cell.Server)
	return Classify(o, Predict(o.Cell, known.Rules(o.Cell.Client), server), server, controls)
}

func flaky(v Verdict) Verdict {
	said := make([]string, len(v.Attempts))
	for i, a := range v.Attempts {
		said[i] = strings.TrimSpace(fmt.Sprintf("%s %s", a.Outcome, a.Cause))
	}
	v.Outcome, v.Cause, v.Blame, v.Trigger, v.Remedy = Flaky, "", "", "", ""
	v.Why = fmt.Sprintf("%d attempts disagree: %s; the first: %s", len(said), strings.Join(said, ", "), v.Why)
	return v
}
