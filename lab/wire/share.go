package wire

import (
	"cmp"
	"fmt"
	"strings"
)

// ShareFault says why data cannot be a key_exchange of the group, by its size
// and by what its bytes give away; empty: it may be one, or nothing is known of
// the group's shares. fromClient tells a ClientHello's from a ServerHello's.
//
// What gives a share away is the first byte of an uncompressed point (RFC 8446
// section 4.2.8.2), a coefficient of an ML-KEM or Kyber key that is not below q
// (FIPS 203 section 7.2), and an X25519 or X448 key of zeros, whose secret would
// be zero (RFC 7748 section 6). In a hybrid each is looked for in its own half,
// so that halves in the wrong order show.
func (g Group) ShareFault(data []byte, fromClient bool) string {
	info, _ := g.Info()
	want := info.ServerShare
	if fromClient {
		want = info.ClientShare
	}
	switch {
	case want == 0 || len(data) == want && info.Kind == FFDHE:
		return ""
	case len(data) != want && info.Also != "":
		return fmt.Sprintf("%d bytes, not %d (the number has also meant %s)", len(data), want, info.Also)
	case len(data) != want:
		return fmt.Sprintf("%d bytes, not %d", len(data), want)
	case info.Kind == PureKEM:
		return kemFault(data, fromClient)
	case info.Kind == Classical:
		return curveFault(info.Name, data)
	}
	first, second, _ := strings.Cut(info.Layout, ", then ")
	if n := curveSizes[first]; n > 0 {
		return cmp.Or(curveFault(first, data[:n]), kemFault(data[n:], fromClient))
	}
	n := len(data) - curveSizes[second]
	return cmp.Or(kemFault(data[:n], fromClient), curveFault(second, data[n:]))
}

func curveFault(name string, data []byte) string {
	if !strings.EqualFold(name, "X25519") && !strings.EqualFold(name, "X448") {
		if data[0] != 4 {
			return fmt.Sprintf("the %s point begins with byte %d, not with 4 as uncompressed ones do", name, data[0])
		}
		return ""
	}
	for _, b := range data {
		if b != 0 {
			return ""
		}
	}
	return fmt.Sprintf("the %s key is all zero", name)
}

// q is the modulus of ML-KEM and of Kyber.
const q = 3329

// kemFault looks at the coefficients of a key: two in three bytes, before a
// seed of 32 bytes (FIPS 203 algorithms 5 and 13). Ciphertexts are compressed
// and give nothing away, and neither do other KEMs.
func kemFault(data []byte, fromClient bool) string {
	if !fromClient || len(data) != 800 && len(data) != 1184 && len(data) != 1568 {
		return ""
	}
	for i := 0; i+32 < len(data); i += 3 {
		pair := uint32(data[i]) | uint32(data[i+1])<<8 | uint32(data[i+2])<<16
		for half, c := range [...]uint32{pair & 0xfff, pair >> 12} {
			if c >= q {
				return fmt.Sprintf("coefficient %d of the ML-KEM key is %d, not below %d", i/3*2+half, c, q)
			}
		}
	}
	return ""
}
