package peers

import (
	"cmp"
	"slices"
	"strings"

	"hybridlab/lab/wire"
)

// oqsMissing is why openssl-oqs has no image of the lab's own.
const oqsMissing = "no Debian suite from bookworm to sid has a package of liboqs or oqs-provider: bring an image, --peer openssl-oqs@x=IMAGE, such as one of openquantumsafe/oqs-ossl3"

// oqsGroups are what some release of oqs-provider has or had. The same name has
// been on several code points (lab/wire/registry_oqs.go), so no image has them
// all: hybridlab peers shows those that were seen on the wire. From OpenSSL 3.5
// on the provider withdraws what the library has itself.
var oqsGroups = slices.Concat(openssl30Groups, opensslPostQuantum, oqsOwn())

func oqsOwn() (gs []wire.Group) {
	for _, info := range wire.Groups() {
		if strings.HasPrefix(info.Source, "oqs-provider") || oqsNames[info.Group] != "" {
			gs = append(gs, info.Group)
		}
	}
	return slices.DeleteFunc(gs, func(g wire.Group) bool { return slices.Contains(opensslPostQuantum, g) })
}

// oqsNames are the provider's names where the registry's are others.
var oqsNames = map[wire.Group]string{
	0x6399: "x25519_kyber768", 0x639a: "p256_kyber768",
	wire.MLKEM512: "mlkem512", wire.MLKEM768: "mlkem768", wire.MLKEM1024: "mlkem1024",
}

// oqsName is the provider's name for a group: the registry's, without the
// release that used the number.
func oqsName(g wire.Group) string {
	name, _, _ := strings.Cut(g.String(), "-oqs")
	return cmp.Or(opensslNames[g], oqsNames[g], name)
}
