package peers

import (
	"crypto/x509"
	"strings"
	"testing"

	"hybridlab/lab"
)

func TestCertKinds(t *testing.T) {
	roots, err := pool(testAuthority().PEM())
	if err != nil {
		t.Fatal(err)
	}
	length := map[string]int{lab.DefaultCert: 1, "rsa2048": 1, "rsa4096-chain": 3, "large-chain": 3}
	for _, kind := range CertKinds() {
		id, err := testAuthority().Issue("server-7", kind)
		if err != nil {
			t.Fatal(err)
		}
		chain, key, err := id.load()
		if err != nil || len(chain) != length[kind] {
			t.Fatalf("%s: %d certificates, %v", kind, len(chain), err)
		}
		between := x509.NewCertPool()
		for _, der := range chain[1:] {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			between.AddCert(c)
		}
		leaf, err := x509.ParseCertificate(chain[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: ServerName}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if pub, ok := key.Public().(interface{ Equal(x any) bool }); ok && !pub.Equal(leaf.PublicKey) {
			t.Errorf("%s: the key is not the certificate's", kind)
		}
		if (id.above() == nil) != (len(chain) == 1) {
			t.Errorf("%s: %d bytes above a chain of %d", kind, len(id.above()), len(chain))
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
