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
	Kind    string  `json:"kind"` // ControlClassical, ControlSmall, ControlClean or ControlNoBox
	Cell    string  `json:"cell"`
	Outcome Outcome `json:"outcome"`
}

// Kinds of control: what was changed, what was kept.
const (
	ControlClassical = "classical group, same link"
	ControlSmall     = "classical group, smallest certificate, same link"
	ControlClean     = "clean link, same groups"
	ControlNoBox     = "no box, same groups, same link"
)

// In TLS 1.2 X25519 alone does not go with every certificate.
var classicalOffer, classicalOffer12 = MustOffer("x25519"), MustOffer("secp256r1")

// Controls lists the control cells of c: the same pair with X25519 (in TLS
// 1.2: P-256) at both ends on the same link, and the same pair with the same
// groups on cleanLink, both with the same boxes; and, where there are boxes,
// the same without. A control equal to c itself, or that a peer cannot express,
// is left out.
func Controls(c Cell, cleanLink string, known Catalogue) []Control {
	classical := classicalOffer
	if known.Rules(c.Client).TLS12 || known.Rules(c.Server).TLS12 {
		classical = classicalOffer12
	}
	small := Control{ControlClassical, NewCell(c.Client, c.Server, classical, classical, c.Link, c.Boxes...)}
	if c.Cert != "" {
		small.Kind = ControlSmall
	}
	all := []Control{
		small,
		{ControlClean, NewCell(c.Client, c.Server, c.Offer, c.Accept, cleanLink, c.Boxes...).WithCert(c.Cert)},
		{ControlNoBox, NewCell(c.Client, c.Server, c.Offer, c.Accept, c.Link).WithCert(c.Cert)},
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
	all := make([]said, len(attempts))
	for i, o := range attempts {
		all[i] = said{judgeOne(known, o, controls), o.Path.Starved}
	}
	return agree(known, all)
}

// shuffled is why attempts may well differ where something on the path reads no
// further than the first segment.
const shuffled = "the client sends its extensions in another order each time, so it is chance what a hello's first segment holds"

// said is what one attempt came to, and whether the lab was starved then.
type said struct {
	Verdict
	starved bool
}

// agree makes one verdict of those of all attempts, in order.
func agree(known Catalogue, all []said) Verdict {
	v, differ := all[0].Verdict, false
	heard := false
	var attempts []Attempt
	for _, a := range all {
		attempts = append(attempts, a.Attempts...)
		switch {
		case a.starved && a.Outcome == Inconclusive:
		case !heard:
			v, heard = a.Verdict, true
		case a.Outcome != v.Outcome || a.Cause != v.Cause:
			differ = true
		}
	}
	if v.Attempts = attempts; !differ {
		return v
	}
	v = flaky(v)
	if known.Rules(v.Client).Shuffles {
		v.Why += "; " + shuffled
	}
	return v
}

func judgeOne(known Catalogue, o Observation, controls []ControlTaken) Verdict {
	server := known.Rules(o.Cell.Server)
	return Classify(o, Predict(o.Cell, known.Rules(o.Cell.Client), server), server, controls)
}

// Judge is the verdict on one observation, without controls.
func Judge(known Catalogue, o Observation) Verdict { return judgeOne(known, o, nil) }

func flaky(v Verdict) Verdict {
	said := make([]string, len(v.Attempts))
	for i, a := range v.Attempts {
		said[i] = strings.TrimSpace(fmt.Sprintf("%s %s", a.Outcome, a.Cause))
	}
	v.Outcome, v.Cause, v.Blame, v.Trigger, v.Remedy = Flaky, "", "", "", ""
	v.Why = fmt.Sprintf("%d attempts disagree: %s; the first: %s", len(said), strings.Join(said, ", "), v.Why)
	return v
}
