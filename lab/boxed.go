package lab

import (
	"fmt"
	"slices"
	"strings"
)

// A box is blamed for what both sides of the path and the cell without it
// prove, whatever it was meant to do: the judge does not know its rule.

// dropBox is the engine's reason for what a box dropped.
const dropBox = "box"

// boxed decides about a handshake that broke on a path with boxes: they did
// something to it, and without them it works.
func (j *judge) boxed(cause Cause, what string) bool {
	proof := j.meddled()
	if len(j.o.Cell.Boxes) == 0 || len(proof) == 0 || j.o.Path.Starved && j.o.Client.TimedOut && !j.boxDropped() && len(j.o.Wire.Forged) == 0 {
		return false
	}
	what = fmt.Sprintf("%s: %s; predicted %s", what, strings.Join(proof, ", "), j.expected())
	bare := j.control(ControlNoBox)
	switch {
	case bare == Fault:
		return j.decide(Inconclusive, cause, "", "%s; the control without a box could not be run, the lab failed", what)
	case bare != "" && !bare.Worked():
		return false // it is not the boxes, or not they alone
	case bare != "":
		what += fmt.Sprintf("; without the box it ends as %s", bare)
	}
	j.proveDeeds()
	outcome := Failure
	if j.cut() {
		outcome = Size
	}
	return j.decide(outcome, cause, j.pathBlame(), "%s", what)
}

// cut reports whether the hello came in pieces and had no answer: its size, or
// how it was cut, may be why. Triage tells that from what the hello says.
func (j *judge) cut() bool {
	return j.o.Wire.ServerHello == nil && j.o.Wire.HRR == nil && (j.v.HelloSegments > 1 || j.v.HelloRecords > 1)
}

// boxDropped reports whether a box kept a packet from arriving.
func (j *judge) boxDropped() bool {
	return slices.ContainsFunc(j.o.Path.Drops, func(d Drop) bool { return d.Reason == dropBox })
}

// meddled says what the two sides of the path prove that neither end did.
func (j *judge) meddled() []string {
	w := j.o.Wire
	var proof []string
	for _, f := range w.Forged {
		what, to, _ := strings.Cut(f, " to ")
		from := map[string]string{blameClient: blameServer, blameServer: blameClient}[to]
		if what != "data" {
			what = "a " + strings.ToUpper(what)
		}
		proof = append(proof, fmt.Sprintf("%s reached the %s that the %s never sent", what, to, from))
	}
	for _, l := range []struct {
		n        int
		from, to string
	}{{w.LostUp, blameClient, blameServer}, {w.LostDown, blameServer, blameClient}} {
		if l.n > 0 {
			proof = append(proof, fmt.Sprintf("%d bytes from the %s never reached the %s", l.n, l.from, l.to))
		}
	}
	if j.rewritten() && len(proof) == 0 {
		proof = append(proof, "the hello was changed on the way")
	}
	if len(proof) == 0 && j.boxDropped() {
		proof = append(proof, "a box kept packets from arriving")
	}
	return proof
}

// deeds are those of the boxes that touched packets, the earliest first.
func (j *judge) deeds() []Deed {
	ds := slices.DeleteFunc(slices.Clone(j.o.Path.Boxes), func(d Deed) bool { return len(d.Packets) == 0 })
	slices.SortStableFunc(ds, func(a, b Deed) int { return a.Packets[0] - b.Packets[0] })
	return ds
}

// culprit is the box that touched packets, the first one where several did;
// empty: none did.
func (j *judge) culprit() string {
	if ds := j.deeds(); len(ds) > 0 {
		return "box " + ds[0].Box
	}
	return ""
}

// pathBlame names who stands between the ends: the box that did something, or
// all of them where none is known to, or the link where there is no box.
func (j *judge) pathBlame() string {
	if box := j.culprit(); box != "" {
		return box
	}
	if len(j.o.Cell.Boxes) > 0 {
		return "box " + strings.Join(j.o.Cell.Boxes, "+")
	}
	return blameLink
}

// proveDeeds names the packets that the first box touched, and what mends it.
func (j *judge) proveDeeds() {
	for _, d := range j.deeds() {
		if "box "+d.Box == j.culprit() {
			j.v.Evidence = append(j.v.Evidence, d.Packets...)
			j.v.Remedy = d.Fix
		}
	}
	slices.Sort(j.v.Evidence)
	j.v.Evidence = slices.Compact(j.v.Evidence)
	j.v.Evidence = j.v.Evidence[:min(len(j.v.Evidence), mostProof)]
}

// deaths says which real middleboxes of the path ended by themselves.
func (j *judge) deaths() string {
	var out strings.Builder
	for _, e := range j.o.Path.Ends {
		if e.Died {
			fmt.Fprintf(&out, "; box %s ended by itself, exit code %d%s", e.Box, e.Exit, words(End{Error: strings.TrimSpace(e.Said)}))
		}
	}
	return out.String()
}

// quietDeeds says what boxes did that touched no packet.
func (j *judge) quietDeeds() string {
	var out strings.Builder
	for _, d := range j.o.Path.Boxes {
		if len(d.Packets) == 0 {
			fmt.Fprintf(&out, "; box %s: %s", d.Box, d.Action)
		}
	}
	return out.String()
}
