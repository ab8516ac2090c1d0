package peers

import (
	"slices"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// Mbed TLS 3.6 has no post-quantum group: a server that declines. The
// Brainpool curves are those of TLS 1.2, which a client names all the same.
var mbedtlsGroups = slices.Concat(opensslCurves, opensslFFDHE, []wire.Group{0x001a, 0x001b, 0x001c})

// mbedtlsRules: where no group is common the server closes, and sends no
// alert.
func mbedtlsRules() lab.Rules {
	return lab.Rules{
		Default:     lab.MustOffer("*x25519+secp256r1+secp384r1+x448+secp521r1+0x001a+0x001b+0x001c+ffdhe2048+ffdhe3072+ffdhe4096+ffdhe6144+ffdhe8192"),
		Shares:      lab.ShareFirst,
		Pick:        lab.PickTier,
		ClientOrder: true,
		NoMatch:     lab.NoAlert,
		Certs:       slices.DeleteFunc(slices.Clone(classicalCerts), func(kind string) bool { return kind == "large-chain" }), // a chain of its size is beyond its buffers
		Old:         lab.OldRules{ClientCertCurve: true, CertAlert: "unsupported_certificate", ServerCertCurve: true},
	}
}

func expressMbedTLS(_ lab.Role, o lab.Offer) error {
	switch {
	case o.Tiered():
		return unsupported("groups have no tiers in Mbed TLS")
	case o.Explicit() && !sendsFirst(o):
		return unsupported("Mbed TLS sends its first group's key share")
	}
	return nil
}
