package crafted

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
)

var mldsaNames = []string{"ML-DSA-44", "ML-DSA-65", "ML-DSA-87"}

func newMLDSA(t testing.TB, name string) MLDSA {
	t.Helper()
	key, err := NewMLDSA(name, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestMLDSAKeys(t *testing.T) {
	// Sizes of FIPS 204 table 2.
	for name, want := range map[string][2]int{"ML-DSA-44": {1312, 2420}, "ML-DSA-65": {1952, 3309}, "ML-DSA-87": {2592, 4627}} {
		key := newMLDSA(t, name)
		again, err := ParseMLDSA(key.PKCS8())
		if err != nil {
			t.Fatal(err)
		}
		message := []byte("a message")
		sig, err := again.Sign(nil, message, nil)
		if err != nil || len(sig) != want[1] || !key.set.verify(key.Public(), 0, message, sig) {
			t.Errorf("%s: read back, its signature of %d bytes is not the key's: %v", name, len(sig), err)
		}
		if key.set.verify(key.Public(), 0, append(message, 0), sig) || key.set.verify(newMLDSA(t, name).Public(), 0, message, sig) {
			t.Errorf("%s: it verifies another message, or by another key", name)
		}
		if data, _ := key.pub.MarshalBinary(); len(data) != want[0] || !bytes.Contains(key.PublicInfo(), data) || !bytes.HasPrefix(key.PublicInfo()[4:], key.Algorithm()) {
			t.Errorf("%s: a public key of %d bytes", name, len(data))
		}
		if sound := key.PKCS8(); len(sound) != 54 { // as short as OpenSSL's "seed-only"
			t.Errorf("%s: %d bytes of PKCS #8", name, len(sound))
		}
	}
	if newMLDSA(t, "ML-DSA-44").set.verify(newMLDSA(t, "ML-DSA-65").Public(), 0, nil, nil) {
		t.Error("a key of another parameter set verifies")
	}
	if _, err := NewMLDSA("ML-DSA-99", rand.Reader); err == nil || !strings.Contains(err.Error(), "ML-DSA-65") {
		t.Errorf("an unknown name: %v", err)
	}
	if _, err := NewMLDSA("ML-DSA-44", bytes.NewReader(nil)); err == nil {
		t.Error("a key without randomness")
	}
}

func TestParseMLDSARefuses(t *testing.T) {
	sound := newMLDSA(t, "ML-DSA-44").PKCS8()
	for n := range sound {
		if _, err := ParseMLDSA(sound[:n]); err == nil {
			t.Errorf("the first %d bytes pass for a key", n)
		}
	}
	unknown := bytes.Replace(sound, []byte{3, 4, 3, 17}, []byte{3, 4, 3, 16}, 1)
	if _, err := ParseMLDSA(unknown); err == nil || !strings.Contains(err.Error(), "2.16.840.1.101.3.4.3.16") {
		t.Errorf("another algorithm: %v", err)
	}
	if _, err := ParseMLDSA(append(bytes.Clone(sound), 0)); err == nil {
		t.Error("trailing data passes")
	}
}

func FuzzParseMLDSA(f *testing.F) {
	for _, name := range mldsaNames {
		f.Add(newMLDSA(f, name).PKCS8())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if key, err := ParseMLDSA(data); err == nil {
			if again, err := ParseMLDSA(key.PKCS8()); err != nil || !bytes.Equal(again.seed, key.seed) {
				t.Errorf("% x: read back: %v", data, err)
			}
		}
	})
}
