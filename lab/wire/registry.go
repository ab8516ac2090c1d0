package wire

import "fmt"

// classicalGroups are the curves of the IANA registry, code points 1 to 41, and
// the two "arbitrary curve" values. Those without a share size are of TLS 1.2
// and before (RFC 8446 section 4.2.7 obsoletes them); they are named because
// old peers still list them.
func classicalGroups() []GroupInfo {
	rows := []GroupInfo{
		{Group: SecP256r1, Name: "secp256r1", ClientShare: 65, ServerShare: 65, Source: "RFC 8446", Aliases: []string{"P-256", "p256", "prime256v1", "CurveP256"}},
		{Group: SecP384r1, Name: "secp384r1", ClientShare: 97, ServerShare: 97, Source: "RFC 8446", Aliases: []string{"P-384", "p384", "CurveP384"}},
		{Group: SecP521r1, Name: "secp521r1", ClientShare: 133, ServerShare: 133, Source: "RFC 8446", Aliases: []string{"P-521", "p521", "CurveP521"}},
		{Group: X25519, Name: "x25519", ClientShare: 32, ServerShare: 32, Source: "RFC 8446"},
		{Group: X448, Name: "x448", ClientShare: 56, ServerShare: 56, Source: "RFC 8446"},
		{Group: 0x001f, Name: "brainpoolP256r1tls13", ClientShare: 65, ServerShare: 65, Source: "RFC 8734"},
		{Group: 0x0020, Name: "brainpoolP384r1tls13", ClientShare: 97, ServerShare: 97, Source: "RFC 8734"},
		{Group: 0x0021, Name: "brainpoolP512r1tls13", ClientShare: 129, ServerShare: 129, Source: "RFC 8734"},
		{Group: 0x0029, Name: "curveSM2", ClientShare: 65, ServerShare: 65, Source: "RFC 8998"},
		{Group: 0xff01, Name: "arbitrary_explicit_prime_curves", Source: "RFC 8422 section 5.1.1 (deprecated)",
			Also: "X25519 with Kyber512 in early Cloudflare experiments"},
		{Group: 0xff02, Name: "arbitrary_explicit_char2_curves", Source: "RFC 8422 section 5.1.1 (deprecated)",
			Also: "X25519 with Kyber768 in early Cloudflare experiments"},
	}
	rows = appendNamed(rows, 0x0001, "RFC 8422 (deprecated)",
		"sect163k1", "sect163r1", "sect163r2", "sect193r1", "sect193r2", "sect233k1", "sect233r1", "sect239k1",
		"sect283k1", "sect283r1", "sect409k1", "sect409r1", "sect571k1", "sect571r1", "secp160k1", "secp160r1",
		"secp160r2", "secp192k1", "secp192r1", "secp224k1", "secp224r1", "secp256k1")
	rows = appendNamed(rows, 0x001a, "RFC 7027 (TLS 1.2 only)", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
	return appendNamed(rows, 0x0022, "RFC 9189", "GC256A", "GC256B", "GC256C", "GC256D", "GC512A", "GC512B", "GC512C")
}

// appendNamed adds rows that differ in name only, with consecutive numbers.
func appendNamed(rows []GroupInfo, first Group, source string, names ...string) []GroupInfo {
	for i, name := range names {
		rows = append(rows, GroupInfo{Group: first + Group(i), Name: name, Source: source})
	}
	return rows
}

var ffdheGroups = []GroupInfo{
	{Group: 0x0100, Name: "ffdhe2048", Kind: FFDHE, ClientShare: 256, ServerShare: 256, Source: "RFC 7919"},
	{Group: 0x0101, Name: "ffdhe3072", Kind: FFDHE, ClientShare: 384, ServerShare: 384, Source: "RFC 7919"},
	{Group: 0x0102, Name: "ffdhe4096", Kind: FFDHE, ClientShare: 512, ServerShare: 512, Source: "RFC 7919"},
	{Group: 0x0103, Name: "ffdhe6144", Kind: FFDHE, ClientShare: 768, ServerShare: 768, Source: "RFC 7919"},
	{Group: 0x0104, Name: "ffdhe8192", Kind: FFDHE, ClientShare: 1024, ServerShare: 1024, Source: "RFC 7919"},
}

// finalGroups are what browsers and servers have deployed. Of their layouts
// X25519MLKEM768's alone puts ML-KEM first, against the order its name suggests;
// swapping the halves is a known interoperability bug.
var finalGroups = []GroupInfo{
	{Group: MLKEM512, Name: "MLKEM512", Kind: PureKEM, ClientShare: 800, ServerShare: 768, Source: "draft-ietf-tls-mlkem", Aliases: []string{"ML-KEM-512"},
		Also: "frodo640aes in oqs-provider before 0.8"},
	{Group: MLKEM768, Name: "MLKEM768", Kind: PureKEM, ClientShare: 1184, ServerShare: 1088, Source: "draft-ietf-tls-mlkem", Aliases: []string{"ML-KEM-768"},
		Also: "frodo640shake in oqs-provider before 0.8"},
	{Group: MLKEM1024, Name: "MLKEM1024", Kind: PureKEM, ClientShare: 1568, ServerShare: 1568, Source: "draft-ietf-tls-mlkem", Aliases: []string{"ML-KEM-1024"},
		Also: "frodo976aes in oqs-provider before 0.8"},
	{Group: SecP256r1MLKEM768, Name: "SecP256r1MLKEM768", Kind: Hybrid, ClientShare: 1249, ServerShare: 1153, Layout: "P-256, then ML-KEM-768",
		Source: "draft-ietf-tls-ecdhe-mlkem", Aliases: []string{"p256_mlkem768", "secp256r1-mlkem768"}},
	{Group: X25519MLKEM768, Name: "X25519MLKEM768", Kind: Hybrid, ClientShare: 1216, ServerShare: 1120, Layout: "ML-KEM-768, then X25519",
		Source: "draft-ietf-tls-ecdhe-mlkem", Aliases: []string{"x25519_mlkem768", "x25519-mlkem768"}},
	{Group: SecP384r1MLKEM1024, Name: "SecP384r1MLKEM1024", Kind: Hybrid, ClientShare: 1665, ServerShare: 1665, Layout: "P-384, then ML-KEM-1024",
		Source: "draft-ietf-tls-ecdhe-mlkem", Aliases: []string{"p384_mlkem1024", "secp384r1-mlkem1024"}},
}

// draftGroups were deployed, some at scale, before ML-KEM was final; servers
// left behind still answer to them.
var draftGroups = []GroupInfo{
	{Group: 0x11ee, Name: "curveSM2MLKEM768", Kind: Hybrid, Status: Draft, ClientShare: 1249, ServerShare: 1153, Layout: "curveSM2, then ML-KEM-768",
		Source: "draft-yang-tls-hybrid-sm2-mlkem"},
	{Group: 0x6399, Name: "X25519Kyber768Draft00", Kind: Hybrid, Status: Draft, ClientShare: 1216, ServerShare: 1120, Layout: "X25519, then Kyber768",
		Source: "draft-tls-westerbaan-xyber768d00", Aliases: []string{"x25519_kyber768"}},
	{Group: 0x639a, Name: "SecP256r1Kyber768Draft00", Kind: Hybrid, Status: Draft, ClientShare: 1249, ServerShare: 1153, Layout: "P-256, then Kyber768",
		Source: "draft-kwiatkowski-tls-ecdhe-kyber", Aliases: []string{"p256_kyber768"}},
	{Group: 0x4138, Name: "CECPQ2", Kind: Hybrid, Status: Private, ClientShare: 1170, ServerShare: 1170, Layout: "X25519, then HRSS",
		Source: "BoringSSL, removed 2023"},
	{Group: 0xfe30, Name: "X25519Kyber512Draft00", Kind: Hybrid, Status: Private, ClientShare: 832, ServerShare: 800, Layout: "X25519, then Kyber512",
		Source: "Cloudflare's Go fork", Also: "p521_frodo1344aes in oqs-provider 0.9 and later"},
	{Group: 0xfe31, Name: "X25519Kyber768Draft00Old", Kind: Hybrid, Status: Private, ClientShare: 1216, ServerShare: 1120, Layout: "X25519, then Kyber768",
		Source: "BoringSSL 2023-01 to 2023-05, Cloudflare's Go fork", Also: "frodo1344shake in oqs-provider 0.9 and later"},
	{Group: 0xfe32, Name: "P256Kyber768Draft00", Kind: Hybrid, Status: Private, ClientShare: 1249, ServerShare: 1153, Layout: "P-256, then Kyber768",
		Source: "Cloudflare's Go fork, offered to origins in 2026", Also: "CECPQ2b (X25519 with SIKE) in BoringSSL of 2019; p521_frodo1344shake in oqs-provider 0.9 and later"},
	{Group: 0xfe33, Name: "CloudflareDummyKex", Status: Private, Source: "Cloudflare's Go fork: never selected, forces a HelloRetryRequest"},
}

// greaseGroups are the sixteen values 0x0a0a, 0x1a1a ... 0xfafa a client
// sprinkles over its lists so that nobody grows intolerant of the unknown
// (RFC 8701 section 2).
func greaseGroups() []GroupInfo {
	rows := make([]GroupInfo, 16)
	for i := range rows {
		g := Group(i<<12 | 0xa<<8 | i<<4 | 0xa)
		rows[i] = GroupInfo{Group: g, Name: fmt.Sprintf("GREASE 0x%04x", uint16(g)), Status: Grease, Source: "RFC 8701"}
	}
	return rows
}
