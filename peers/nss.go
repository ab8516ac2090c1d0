package peers

import (
	"slices"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// Groups of NSS: 3.110 has the draft hybrid, which its policy switches off,
// and 3.131 all three final ones in its place.
var (
	nssClassical = slices.Concat([]wire.Group{wire.X25519, wire.SecP256r1, wire.SecP384r1, wire.SecP521r1}, opensslFFDHE)
	nss110Groups = slices.Concat(nssClassical, []wire.Group{wire.X25519MLKEM768, x25519Kyber})
	nss131Groups = slices.Concat(nssClassical, []wire.Group{wire.X25519MLKEM768, wire.SecP256r1MLKEM768, wire.SecP384r1MLKEM1024, wire.MLKEM1024})
)

// expressNSS: SSL_SendAdditionalKeyShares says for how many groups after the
// first a share is sent.
func expressNSS(_ lab.Role, o lab.Offer) error {
	switch n := len(o.Sent()); {
	case o.Tiered():
		return unsupported("groups have no tiers in NSS")
	case o.Explicit() && (n == 0 || !slices.Equal(o.Sent(), o.Groups()[:n])):
		return unsupported("NSS sends the shares of the first groups")
	}
	return nil
}

// nssCure is for a server that looks one place down its list.
const nssCure = "name the hybrid first in SSL_NamedGroupConfig and a group of another size right behind it, such as secp384r1: NSS takes the next group's share where it is about as strong"

var nssOld = lab.OldRules{ServerCertCurve: true, OwnCertCurve: true, NoList: true, NoCurve: true}
