package crafted

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKeyScheduleRFC8448 walks through section 3 of RFC 8448, "Simple 1-RTT
// Handshake", from the X25519 secret to the application secrets.
func TestKeyScheduleRFC8448(t *testing.T) {
	s := &schedule{suite: suites[0]}
	s.enterHandshake(unhex(t, "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"))
	expect := func(what string, got []byte, want string) {
		t.Helper()
		if !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%s: %x, want %s", what, got, want)
		}
	}
	label := func(name, transcriptHash string) []byte {
		return s.suite.expandLabel(s.secret, name, unhex(t, transcriptHash), 32)
	}
	expect("handshake secret", s.secret, "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac")
	const serverHello = "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8"
	expect("c hs traffic", label("c hs traffic", serverHello), "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21")
	serverSecret := label("s hs traffic", serverHello)
	expect("s hs traffic", serverSecret, "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
	expect("server key", s.suite.expandLabel(serverSecret, "key", nil, 16), "3fce516009c21727d0f2e4e86ee403bc")
	_, iv := s.suite.aead(serverSecret)
	expect("server iv", iv, "5d313eb2671276ee13000b30")
	s.enterApplication()
	expect("master secret", s.secret, "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919")
	const serverFinished = "9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13"
	expect("c ap traffic", label("c ap traffic", serverFinished), "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
	expect("s ap traffic", label("s ap traffic", serverFinished), "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
}

// TestRetryRandom holds our derivation against the constant that RFC 8446
// section 4.1.3 prints.
func TestRetryRandom(t *testing.T) {
	want := unhex(t, "CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C")
	if !bytes.Equal(retryRandom, want) {
		t.Errorf("%x, want %x", retryRandom, want)
	}
}

// TestNonces: RFC 8446 section 5.3, and the same key never meets the same
// nonce twice.
func TestNonces(t *testing.T) {
	h := half{iv: unhex(t, "5d313eb2671276ee13000b30")}
	for _, want := range []string{"5d313eb2671276ee13000b30", "5d313eb2671276ee13000b31", "5d313eb2671276ee13000b32"} {
		if got := h.nonce(); !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("record %d: nonce %x, want %s", h.seq, got, want)
		}
	}
	h.seq = 0x0100
	if got := h.nonce(); !bytes.Equal(got, unhex(t, "5d313eb2671276ee13000a30")) {
		t.Errorf("record 256: nonce %x", got)
	}
}
