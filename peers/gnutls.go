package peers

import (
	"slices"

	"hybridlab/lab"
)

// expressGnuTLS: a priority string is a flat list, in which finite fields come
// after the curves wherever they are written, and gnutls-cli sends the shares
// it likes.
func expressGnuTLS(_ lab.Role, o lab.Offer) error {
	switch {
	case o.Tiered():
		return unsupported("groups have no tiers in GnuTLS")
	case o.Explicit():
		return unsupported("gnutls-cli chooses its key shares itself")
	}
	finite := false
	for _, g := range o.Groups() {
		if finite && !slices.Contains(opensslFFDHE, g) {
			return unsupported("GnuTLS names finite fields after all curves")
		}
		finite = finite || slices.Contains(opensslFFDHE, g)
	}
	return nil
}

func gnutlsRules() lab.Rules {
	return lab.Rules{
		Default:     lab.MustOffer("*secp256r1+secp384r1+secp521r1+*x25519+x448+ffdhe2048+ffdhe3072+ffdhe4096+ffdhe6144+ffdhe8192"),
		Shares:      lab.ShareTwoFamilies,
		Pick:        lab.PickTier,
		ClientOrder: true,
		NoMatch:     "handshake_failure",
		Old:         lab.OldRules{ClientOrder: true, NoCurve: true, NoList: true},
	}
}
