package peers

import (
	"slices"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// javaGroups are those of JSSE, the TLS of Java: the hybrids came with Java 27
// (JEP 527), and Debian's 25 has them too.
var javaGroups = slices.Concat(opensslCurves, opensslFFDHE, []wire.Group{wire.X25519MLKEM768, wire.SecP256r1MLKEM768, wire.SecP384r1MLKEM1024})

func expressJava(_ lab.Role, o lab.Offer) error {
	switch {
	case o.Tiered():
		return unsupported("groups have no tiers in JSSE")
	case o.Explicit():
		return unsupported("JSSE chooses its key shares itself")
	}
	return nil
}

// javaRules: where no group is common, the alert of TLS 1.3 is one that RFC 8446
// section 4.1.1 does not have for it. A chain that is signed in a way the client
// does not list is not shown (section 4.4.2.2).
func javaRules(list string) lab.Rules {
	return lab.Rules{
		Default:     lab.MustOffer(list),
		Shares:      lab.ShareTwoFamilies,
		Pick:        lab.PickTier,
		ClientOrder: true,
		NoMatch:     "unexpected_message",
		Old:         lab.OldRules{NoMatch: "handshake_failure", ClientOrder: true, ServerCertCurve: true, OwnCertCurve: true, NoList: true},
	}
}
