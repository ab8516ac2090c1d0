package lab

import (
	"cmp"
	"slices"
	"strings"

	"hybridlab/lab/wire"
)

// predictOld is Predict for a cell in which one end is held to one version.
// ok is false where both can do TLS 1.3.
func predictOld(c Cell, offered, accepted []ListedGroup, client, server Rules) (p Prediction, ok bool) {
	if !client.TLS12 && !server.TLS12 {
		return p, false
	}
	if !client.TLS12 { // it offers both versions, and its shares with them
		p.Shares = client.shares(c.Offer, offered)
	}
	if client.TLS13 || server.TLS13 {
		p.Why = "no common version"
		p.Allowed = []Result{{Outcome: Refused, Alert: "protocol_version"}}
		return p, true
	}
	p.Allowed, p.Why = choose12(c, offered, accepted, client, server)
	return p, true
}

// choose12 is the choice of TLS 1.2 (RFC 8422 section 5.1). There are no key
// shares and no post-quantum groups: the server takes a common curve at once, in
// its order or the client's. An ECDSA certificate needs its own curve on the
// client's list as well (section 5.3), and some ends look.
func choose12(c Cell, offered, accepted []ListedGroup, client, server Rules) (allowed []Result, why string) {
	if server.Old.ClientOrder {
		accepted = inOrderOf(offered, accepted)
	}
	var common []Result
	for _, l := range accepted {
		if in12(l.Group) && lists(offered, l.Group) {
			common = append(common, Result{Outcome: Classical, Group: l.Group})
		}
	}
	refused := Result{Outcome: Refused, Alert: cmp.Or(server.Old.NoMatch, server.NoMatch)}
	ecdsa, listed := !c.rsa(), lists(offered, leafCurve)
	unlisted := "the curve of the certificate, " + leafCurve.String() + ", is not on the client's list"
	switch none := !slices.ContainsFunc(offered, func(l ListedGroup) bool { return in12(l.Group) }); {
	case ecdsa && server.Old.OwnCertCurve && !lists(accepted, leafCurve):
		return []Result{refused}, "the curve of the certificate, " + leafCurve.String() + ", is not on the server's own list"
	case server.Old.NoList && client.TLS12 && none:
		return []Result{{Outcome: Refused, Alert: "illegal_parameter"}}, "the client lists no curve, and refuses the one the server takes for listed"
	case ecdsa && server.Old.ServerCertCurve && !listed:
		return []Result{{Outcome: Refused, Alert: "handshake_failure"}}, unlisted
	case len(common) == 0 && c.rsa() && client.Old.NoCurve && server.Old.NoCurve:
		return []Result{{Outcome: Classical}}, ""
	case len(common) == 0:
		return []Result{refused}, ""
	}
	if server.Pick != PickUnknown {
		common = common[:1]
	}
	if !ecdsa || listed {
		return common, ""
	}
	if client.Old.ClientCertCurve {
		common = []Result{{Outcome: Refused, Alert: cmp.Or(client.Old.CertAlert, "illegal_parameter")}}
	}
	if server.Pick == PickUnknown || client.Shares == ShareUnknown {
		common = append(common, Result{Outcome: Refused}) // whoever is not known may look as well
	}
	return common, unlisted
}

// in12 reports whether TLS 1.2 has the group: the elliptic curves up to X448.
// Those behind it, the Brainpool curves by their new numbers among them, are of
// TLS 1.3 (RFC 8734 section 3).
func in12(g wire.Group) bool {
	info, ok := g.Info()
	return ok && info.Kind == wire.Classical && g <= wire.X448
}

func lists(ls []ListedGroup, g wire.Group) bool {
	return slices.ContainsFunc(ls, func(l ListedGroup) bool { return l.Group == g })
}

// leafCurve is the curve of every server's key that is not an RSA key.
const leafCurve = wire.SecP256r1

// rsa reports whether the server's key is an RSA key: the names of those kinds
// say so.
func (c Cell) rsa() bool { return strings.HasPrefix(c.Cert, "rsa") }

// Has reports whether the group exists in the versions the stack speaks.
func (r Rules) Has(g wire.Group) bool { return !r.TLS12 || in12(g) }
