package wire

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
)

// halves are real keys, and what an encapsulation answers.
func halves(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for name, curve := range map[string]ecdh.Curve{"x25519": ecdh.X25519(), "p256": ecdh.P256(), "p384": ecdh.P384()} {
		key, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = key.PublicKey().Bytes()
	}
	k768, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	k1024, err := mlkem.GenerateKey1024()
	if err != nil {
		t.Fatal(err)
	}
	out["k768"], out["k1024"] = k768.EncapsulationKey().Bytes(), k1024.EncapsulationKey().Bytes()
	_, out["c768"] = k768.EncapsulationKey().Encapsulate()
	_, out["c1024"] = k1024.EncapsulationKey().Encapsulate()
	return out
}

// The two columns and the order of halves, by two implementations that this
// package does not share.
func TestShareOfRealKeys(t *testing.T) {
	half := halves(t)
	for _, r := range []struct {
		g              Group
		client, server []string
	}{
		{X25519, []string{"x25519"}, []string{"x25519"}},
		{SecP256r1, []string{"p256"}, []string{"p256"}},
		{SecP384r1, []string{"p384"}, []string{"p384"}},
		{MLKEM768, []string{"k768"}, []string{"c768"}},
		{MLKEM1024, []string{"k1024"}, []string{"c1024"}},
		{X25519MLKEM768, []string{"k768", "x25519"}, []string{"c768", "x25519"}},
		{SecP256r1MLKEM768, []string{"p256", "k768"}, []string{"p256", "c768"}},
		{SecP384r1MLKEM1024, []string{"p384", "k1024"}, []string{"p384", "c1024"}},
	} {
		for fromClient, names := range map[bool][]string{true: r.client, false: r.server} {
			var share, swapped []byte
			for _, n := range names {
				share = append(share, half[n]...)
				swapped = append(slices.Clone(half[n]), swapped...)
			}
			if fault := r.g.ShareFault(share, fromClient); fault != "" {
				t.Errorf("%v, from the client %t: %s", r.g, fromClient, fault)
			}
			if fault := r.g.ShareFault(share[1:], fromClient); !strings.Contains(fault, "bytes, not") {
				t.Errorf("%v, from the client %t, a byte short: %q", r.g, fromClient, fault)
			}
			if fault := r.g.ShareFault(append(slices.Clone(share), 0), fromClient); !strings.Contains(fault, "bytes, not") {
				t.Errorf("%v, from the client %t, a byte too many: %q", r.g, fromClient, fault)
			}
			if len(names) > 1 && fromClient && r.g.ShareFault(swapped, true) == "" {
				t.Errorf("%v: halves in the wrong order pass", r.g)
			}
		}
	}
}

func TestShareFault(t *testing.T) {
	half := halves(t)
	spoilt := func(name string, at int, b ...byte) []byte {
		out := slices.Clone(half[name])
		copy(out[at:], b)
		return out
	}
	for _, r := range []struct {
		g          Group
		data       []byte
		fromClient bool
		want       string
	}{
		{X25519, make([]byte, 32), true, "the x25519 key is all zero"},
		{X25519, make([]byte, 32), false, "the x25519 key is all zero"},
		{SecP256r1, spoilt("p256", 0, 6), true, "the secp256r1 point begins with byte 6, not with 4 as uncompressed ones do"},
		{X25519MLKEM768, slices.Concat(half["k768"], make([]byte, 32)), true, "the X25519 key is all zero"},
		{X25519MLKEM768, slices.Concat(spoilt("k768", 0, 0xff, 0x0f), half["x25519"]), true, "coefficient 0 of the ML-KEM key is 4095, not below 3329"},
		{X25519MLKEM768, slices.Concat(spoilt("k768", 1149, 0, 0x10, 0xd0), half["x25519"]), true, "coefficient 767 of the ML-KEM key is 3329, not below 3329"},
		{X25519MLKEM768, slices.Concat(spoilt("k768", 1149, 0, 0x00, 0xd0), half["x25519"]), true, ""},    // 3328
		{X25519MLKEM768, slices.Concat(spoilt("k768", 1152, 0xff, 0xff, 0xff), half["x25519"]), true, ""}, // the seed
		{SecP384r1MLKEM1024, slices.Concat(spoilt("p384", 0, 2), half["k1024"]), true, "the P-384 point begins with byte 2, not with 4 as uncompressed ones do"},
		{MLKEM512, make([]byte, 9616), true, "9616 bytes, not 800 (the number has also meant frodo640aes in oqs-provider before 0.8)"},
		{0x0100, make([]byte, 256), true, ""}, // a finite field: any number
		{0x0100, make([]byte, 255), true, "255 bytes, not 256"},
		{0xfe00, make([]byte, 9616), true, ""}, // another KEM
		{0x4138, make([]byte, 1170), true, "the X25519 key is all zero"},
		{0x2a2a, []byte{0}, true, ""}, // GREASE
		{0x1234, []byte{0}, true, ""}, // unknown
		{X25519, nil, true, "0 bytes, not 32"},
	} {
		if got := r.g.ShareFault(r.data, r.fromClient); got != r.want {
			t.Errorf("%v: %q, want %q", r.g, got, r.want)
		}
	}
}

// Every layout in the registry says where its halves are, to the byte.
func TestLayoutsAddUp(t *testing.T) {
	for _, i := range Groups() {
		if i.Kind != Hybrid {
			continue
		}
		first, second, ok := strings.Cut(i.Layout, ", then ")
		curve := curveSizes[first] + curveSizes[second]
		kem := kemSizes[first]
		if kem == (size{}) {
			kem = kemSizes[second]
		}
		if !ok || curve == 0 || i.ClientShare != curve+kem.client || i.ServerShare != curve+kem.server {
			t.Errorf("%s: %q does not add up to %d and %d bytes", i.Name, i.Layout, i.ClientShare, i.ServerShare)
		}
	}
}

func FuzzShareFault(f *testing.F) {
	f.Add(uint16(X25519MLKEM768), make([]byte, 1216), true)
	f.Add(uint16(SecP256r1), []byte{4}, false)
	f.Fuzz(func(t *testing.T, g uint16, data []byte, fromClient bool) {
		info, _ := Group(g).Info()
		want := map[bool]int{true: info.ClientShare, false: info.ServerShare}[fromClient]
		if fault := Group(g).ShareFault(data, fromClient); want > 0 && len(data) != want && fault == "" {
			t.Errorf("%v: %d bytes pass for %d", Group(g), len(data), want)
		}
	})
}
