package peers

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"hybridlab/lab"
)

// TestCertKinds: what a server is given leads to the CA, and its key is the
// certificate's. crypto/x509 checks that; what it knows nothing of is checked by
// a handshake.
func TestCertKinds(t *testing.T) {
	roots, err := pool(testAuthority().PEM())
	if err != nil {
		t.Fatal(err)
	}
	length := map[string]int{"rsa4096-chain": 3, "large-chain": 3, "mldsa65-chain": 2}
	for _, kind := range CertKinds() {
		id, err := testAuthority().Issue("server-7", kind)
		if err != nil {
			t.Fatal(err)
		}
		chain, key, err := id.load()
		if err != nil || len(chain) != max(1, length[kind]) {
			t.Fatalf("%s: %d certificates, %v", kind, len(chain), err)
		}
		if (id.above() == nil) != (len(chain) == 1) {
			t.Errorf("%s: %d bytes above a chain of %d", kind, len(id.above()), len(chain))
		}
		leaf, err := x509.ParseCertificate(chain[0])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(classicalCerts, kind) {
			if leaf.PublicKey != nil {
				t.Errorf("%s: crypto/x509 knows its key, a %T: make the certificate without stand-ins", kind, leaf.PublicKey)
			}
			continue // TestMLDSA
		}
		between := x509.NewCertPool()
		for _, der := range chain[1:] {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			between.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: ServerName}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if pub, ok := key.Public().(interface{ Equal(x any) bool }); ok && !pub.Equal(leaf.PublicKey) {
			t.Errorf("%s: the key is not the certificate's", kind)
		}
	}
	if _, err := testAuthority().Issue("server-7", "rsa512"); err == nil || !strings.Contains(err.Error(), "rsa2048") {
		t.Errorf("an unknown kind: %v", err)
	}
}

// TestLargeChainIsLarge: it must not fit an initial congestion window of ten
// segments (RFC 6928), or it tests nothing; the default one must.
func TestLargeChainIsLarge(t *testing.T) {
	const window = 10 * 1460
	for kind, large := range map[string]bool{lab.DefaultCert: false, "large-chain": true} {
		id, err := testAuthority().Issue("server-7", kind)
		if err != nil {
			t.Fatal(err)
		}
		running := serve(t, "go@1.26", Request{Identity: id})
		c, end, _ := dial(t, "go@1.26", running.addr, Request{})
		if !end.Data {
			t.Fatalf("%s: %+v", kind, end)
		}
		if sent := len(c.toClient); (sent > window) != large {
			t.Errorf("%s: the server sent %d bytes", kind, sent)
		}
	}
}

// shown is a handshake of crafted@ml-dsa, or of another client, with a crafted
// server that shows the identity.
func shown(t *testing.T, client lab.PeerID, id Identity, r Request) (toClient int, end lab.End) {
	t.Helper()
	c, end, _ := dial(t, client, serve(t, "crafted", Request{Identity: id}).addr, r)
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.toClient), end
}

// TestMLDSA: certificates that crypto/x509 cannot check, and what must not pass
// for one.
func TestMLDSA(t *testing.T) {
	issue := func(a *Authority, kind string) Identity {
		id, err := a.Issue("server-7", kind)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	other, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	// Key and signature of FIPS 204 table 2, of each certificate and of the
	// CertificateVerify, and half a kilobyte of everything else.
	for kind, least := range map[string]int{lab.DefaultCert: 0, "mldsa44": 1312 + 2420, "mldsa65": 1952 + 3309, "mldsa87": 2592 + 4627, "mldsa65-chain": 2*1952 + 2*3309} {
		id := issue(testAuthority(), kind)
		sent, end := shown(t, "crafted@ml-dsa", id, Request{})
		if !end.Data || end.Reached != "server-7" || end.Group != "X25519MLKEM768" {
			t.Errorf("%s: %+v", kind, end)
		}
		if flight := sent - 1215; flight < least || flight > least+1500 {
			t.Errorf("%s: the server sent %d bytes after its hello, want %d and a little", kind, flight, least)
		}
		if kind == lab.DefaultCert {
			continue
		}
		for _, client := range inProcessIDs {
			if _, end := shown(t, client, id, Request{}); end.Done || !strings.Contains(end.Error, "handshake_failure") && !strings.Contains(end.Error, "handshake failure") {
				t.Errorf("%s, which does not offer ML-DSA, shown %s: %+v", client, kind, end)
			}
		}
		if _, end := shown(t, "crafted@ml-dsa", id, Request{CA: other.PEM()}); end.Done || !strings.Contains(end.Error, "verify server certificate") {
			t.Errorf("%s of an unknown CA: %+v", kind, end)
		}
		if _, end := shown(t, "crafted@ml-dsa", id, Request{SNI: "elsewhere.test"}); end.Done || !strings.Contains(end.Error, "elsewhere.test") {
			t.Errorf("%s for another name: %+v", kind, end)
		}
		stolen := id
		stolen.Key = issue(testAuthority(), kind).Key
		if _, end := shown(t, "crafted@ml-dsa", stolen, Request{}); end.Done || !strings.Contains(end.Error, "signature is wrong") {
			t.Errorf("%s without its key: %+v", kind, end)
		}
	}
	sound, foreign := issue(testAuthority(), "mldsa65-chain"), issue(other, "mldsa65-chain")
	leaf := sound.Cert[:len(sound.Cert)-len(sound.above())]
	mixed := Identity{CN: sound.CN, Key: sound.Key, Cert: append(bytes.Clone(leaf), foreign.above()...)}
	if _, end := shown(t, "crafted@ml-dsa", mixed, Request{CA: other.PEM()}); end.Done || !strings.Contains(end.Error, "did not sign") {
		t.Errorf("a leaf below somebody else's intermediate: %+v", end)
	}
	above := Identity{CN: sound.CN, Key: sound.Key, Cert: leaf}
	if _, end := shown(t, "crafted@ml-dsa", above, Request{}); end.Done || !strings.Contains(end.Error, "verify server certificate") {
		t.Errorf("a leaf without its intermediate: %+v", end)
	}
}
