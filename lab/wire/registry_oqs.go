package wire

import "fmt"

// oqsGroups are oqs-provider's own numbers. The project moved its names to new
// numbers at nearly every release (0.5, 0.6, 0.7, 0.8, 0.9), so two peers of the
// same name but different age share no group. A name that was moved later
// carries the first release that used the number.
var oqsGroups = []GroupInfo{
	oqsKEM(0x023a, "kyber512", "Kyber512", "0.5 to 0.8"),
	oqsKEM(0x023c, "kyber768", "Kyber768", "0.5 to 0.8"),
	oqsKEM(0x023d, "kyber1024", "Kyber1024", "0.5 to 0.8"),
	oqsKEM(0x0247, "mlkem512-oqs0.6", "ML-KEM-512", "0.6"),
	oqsKEM(0x0248, "mlkem768-oqs0.6", "ML-KEM-768", "0.6"),
	oqsKEM(0x0249, "mlkem1024-oqs0.6", "ML-KEM-1024", "0.6"),
	oqsKEM(0x024a, "mlkem512-oqs0.7", "ML-KEM-512", "0.7"),
	oqsKEM(0x0768, "mlkem768-oqs0.7", "ML-KEM-768", "0.7"),
	oqsKEM(0x1024, "mlkem1024-oqs0.7", "ML-KEM-1024", "0.7"),

	oqsHybrid(0x2f39, "x25519_kyber512", "X25519", "Kyber512", "0.5 to 0.8"),
	oqsHybrid(0x2f3a, "p256_kyber512", "P-256", "Kyber512", "0.5 to 0.8"),
	oqsHybrid(0x2f3c, "p384_kyber768", "P-384", "Kyber768", "0.5 to 0.8"),
	oqsHybrid(0x2f3d, "p521_kyber1024", "P-521", "Kyber1024", "0.5 to 0.8"),
	oqsHybrid(0x2f90, "x448_kyber768", "X448", "Kyber768", "0.5 to 0.8"),

	oqsHybrid(0x2f47, "p256_mlkem512-oqs0.6", "P-256", "ML-KEM-512", "0.6"),
	oqsHybrid(0x2f48, "p384_mlkem768-oqs0.6", "P-384", "ML-KEM-768", "0.6"),
	oqsHybrid(0x2f49, "p521_mlkem1024-oqs0.6", "P-521", "ML-KEM-1024", "0.6"),
	oqsHybrid(0x2f4a, "p384_mlkem1024-oqs0.6", "P-384", "ML-KEM-1024", "0.6"),
	// The 0.6 releases are older than the draft that put ML-KEM before X25519,
	// so theirs is the order of their names.
	oqsHybrid(0x2fb2, "x25519_mlkem512-oqs0.6", "X25519", "ML-KEM-512", "0.6"),
	oqsHybrid(0x2fb3, "x448_mlkem768-oqs0.6", "X448", "ML-KEM-768", "0.6"),
	oqsHybrid(0x2fb4, "x25519_mlkem768-oqs0.6", "X25519", "ML-KEM-768", "0.6"),
	oqsHybrid(0x2fb5, "p256_mlkem768-oqs0.6", "P-256", "ML-KEM-768", "0.6"),

	oqsHybrid(0x2f4b, "p256_mlkem512", "P-256", "ML-KEM-512", "0.7 and later"),
	oqsHybrid(0x2f4c, "p384_mlkem768", "P-384", "ML-KEM-768", "0.7 and later"),
	oqsHybrid(0x2f4d, "p521_mlkem1024", "P-521", "ML-KEM-1024", "0.7 and later"),
	oqsHybrid(0x2f4e, "p384_mlkem1024-oqs0.7", "P-384", "ML-KEM-1024", "0.7 and 0.8"),
	oqsReversed(0x2fb6, "x25519_mlkem512", "X25519", "ML-KEM-512", "0.7 and later"),
	oqsReversed(0x2fb7, "x448_mlkem768", "X448", "ML-KEM-768", "0.7 and later"),
}

// size is what each end contributes to a key exchange, in bytes.
type size struct{ client, server int }

// kemSizes: encapsulation key and ciphertext. FIPS 203 table 3; Kyber round 3
// is the same; FrodoKEM as in its ISO proposal (salted ciphertext), eFrodoKEM
// without the salt.
var kemSizes = map[string]size{
	"Kyber512": {800, 768}, "Kyber768": {1184, 1088}, "Kyber1024": {1568, 1568},
	"ML-KEM-512": {800, 768}, "ML-KEM-768": {1184, 1088}, "ML-KEM-1024": {1568, 1568},
	"frodo640": {9616, 9752}, "frodo976": {15632, 15792}, "frodo1344": {21520, 21696},
	"efrodo640": {9616, 9720}, "efrodo976": {15632, 15744}, "efrodo1344": {21520, 21632},
	"HRSS": {1138, 1138},
}

// curveSizes: an uncompressed point, or the u-coordinate (RFC 8446 section 4.2.8.2).
var curveSizes = map[string]int{"X25519": 32, "X448": 56, "P-256": 65, "P-384": 97, "P-521": 133, "curveSM2": 65}

func oqsKEM(g Group, name, kem, releases string) GroupInfo {
	s := kemSizes[kem]
	return GroupInfo{Group: g, Name: name, Kind: PureKEM, Status: Private, ClientShare: s.client, ServerShare: s.server,
		Source: "oqs-provider " + releases}
}

func oqsHybrid(g Group, name, curve, kem, releases string) GroupInfo {
	row := oqsKEM(g, name, kem, releases)
	row.Kind = Hybrid
	row.ClientShare += curveSizes[curve]
	row.ServerShare += curveSizes[curve]
	row.Layout = fmt.Sprintf("%s, then %s", curve, kem)
	return row
}

// oqsReversed is a hybrid whose KEM half comes first: from 0.7 on the project
// treats every X25519 and X448 hybrid of ML-KEM as X25519MLKEM768 is defined.
func oqsReversed(g Group, name, curve, kem, releases string) GroupInfo {
	row := oqsHybrid(g, name, curve, kem, releases)
	row.Layout = fmt.Sprintf("%s, then %s", kem, curve)
	return row
}

// frodoGroups are the FrodoKEM numbers of oqs-provider 0.9 and later, with the
// largest shares anyone can offer: a ClientHello with frodo1344 is over
// 21,000 bytes and needs two records. The run of numbers goes on to 0xfe32,
// where it collides with Kyber drafts that are still offered: see draftGroups.
func frodoGroups() []GroupInfo {
	rows := frodoRun(nil, 0xfe00, "efrodo")
	rows = frodoRun(rows, 0xfe23, "frodo")
	for i, row := range rows {
		if row.Group == 0xfe30 {
			return rows[:i]
		}
	}
	return rows
}

// frodoRun lists one family in the project's order: per size, AES then SHAKE;
// per variant, alone and with the curves of its strength.
func frodoRun(rows []GroupInfo, next Group, family string) []GroupInfo {
	const releases = "0.9 and later"
	curves := map[string][]string{"640": {"P-256", "X25519"}, "976": {"P-384", "X448"}, "1344": {"P-521"}}
	prefix := map[string]string{"P-256": "p256_", "P-384": "p384_", "P-521": "p521_", "X25519": "x25519_", "X448": "x448_"}
	for _, bits := range []string{"640", "976", "1344"} {
		for _, xof := range []string{"aes", "shake"} {
			name, kem := family+bits+xof, family+bits
			rows = append(rows, oqsKEM(next, name, kem, releases))
			next++
			for _, c := range curves[bits] {
				rows = append(rows, oqsHybrid(next, prefix[c]+name, c, kem, releases))
				next++
			}
		}
	}
	return rows
}
