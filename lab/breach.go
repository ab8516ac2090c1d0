package lab

import (
	"slices"
	"strings"

	"hybridlab/lab/wire"
)

// Breach is how a client's hello breaks the protocol on purpose, and what a
// correct server makes of it. What is broken are the key shares of the client's
// post-quantum groups, or of its classical ones. The zero Breach is none.
//
// RFC 8446 section 6.2 tells the alerts apart: decode_error where the syntax
// itself is violated, illegal_parameter for what conforms to it and is wrong
// all the same. draft-ietf-tls-ecdhe-mlkem sections 4.2 and 4.3 want
// illegal_parameter for every share that fails the checks of FIPS 203 section
// 7.2, its length among them, or of RFC 8446 section 4.2.8.2.
type Breach struct {
	What   string   // a clause: "every hybrid share lacks its last byte"
	Alerts []string // RFC 8446 names; any of them is a correct server's answer
	// MayPass: the RFC leaves it to the server whether it looks.
	MayPass   bool
	Classical bool // the classical shares are broken, and the others are not
}

// answers are what a correct server may make of the hello where usual is what
// it makes of a sound one. It has to refuse a broken share that it would use.
// It may refuse the hello for one that it would not.
func (b Breach) answers(usual []Result) []Result {
	if b.Alerts == nil {
		return usual
	}
	var out []Result
	for _, r := range usual {
		if r.Outcome == Refused || b.MayPass || !b.spoils(r.Group) {
			out = append(out, r)
		}
	}
	for _, a := range b.Alerts {
		if r := (Result{Outcome: Refused, Alert: a}); !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// spoils reports whether the share of g is among the broken ones.
func (b Breach) spoils(g wire.Group) bool {
	return b.What != "" && g.PostQuantum() != b.Classical
}

// answered: the handshake broke after a server had answered what it had to
// refuse, as it does when it finds another secret in the share than the client.
func (j *judge) answered() bool {
	may := slices.ContainsFunc(j.p.Allowed, func(r Result) bool { return r.Outcome != Refused })
	if j.p.Breach == "" || j.o.Wire.ServerHello == nil || may {
		return false
	}
	return j.decide(Failure, CauseUnexpectedSuccess, blameServer, "the server answered with a ServerHello for %s; the rules say %s", j.v.Group, j.expected())
}

// expected is what the rules allow, and why where it is out of the ordinary.
func (j *judge) expected() string {
	text := strings.Join(j.v.Predicted, " or ")
	if j.p.Breach != "" {
		text += ", because " + j.p.Breach
	}
	return text
}

// reason is what a refusal is for.
func (p Prediction) reason() string {
	if p.Why != "" {
		return p.Why
	}
	if p.Breach == "" || p.NoCommon {
		return "no common group"
	}
	return p.Breach
}
