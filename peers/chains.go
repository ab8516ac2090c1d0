package peers

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hybridlab/lab"
)

// certKind is what a server shows: the size of its key, and what stands
// between its certificate and the CA.
type certKind struct {
	about string
	rsa   int   // bits; 0: ECDSA P-256
	above []int // intermediates, each padded by so many bytes
}

// certKinds by name. The CA itself is ECDSA P-256 and is never sent.
var certKinds = map[string]certKind{
	lab.DefaultCert: {about: "ECDSA P-256, issued by the CA: the smallest flight"},
	"rsa2048":       {about: "RSA 2048, issued by the CA", rsa: 2048},
	"rsa4096-chain": {about: "RSA 4096 below two intermediates, as large sites have", rsa: 4096, above: []int{0, 0}},
	"large-chain":   {about: "ECDSA P-256 below two intermediates of 9 kB: more than an initial congestion window", above: []int{9000, 9000}},
}

// CertKinds lists the kinds of certificate, sorted.
func CertKinds() []string { return slices.Sorted(maps.Keys(certKinds)) }

// CheckCert says whether there is such a kind; the error names those there
// are.
func CheckCert(kind string) error {
	if _, ok := certKinds[kind]; !ok {
		return fmt.Errorf("look up certificate kind %q: want one of %s", kind, strings.Join(CertKinds(), ", "))
	}
	return nil
}

// chain is what all servers with one kind of certificate share. An RSA key
// takes a second to make, so there is one per run.
type chain struct {
	leaf      crypto.Signer // nil: every server makes its own
	issuer    *x509.Certificate
	issuerKey crypto.Signer
	above     []byte // PEM of the intermediates, the leaf's issuer first
}

func (a *Authority) chain(kind string) (chain, error) {
	if err := CheckCert(kind); err != nil {
		return chain{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.chains[kind]
	if c == nil {
		made, err := a.newChain(certKinds[kind])
		if err != nil {
			return chain{}, err
		}
		c = &made
		a.chains[kind] = c
	}
	if c.leaf != nil {
		return *c, nil
	}
	own := *c
	key, err := newKey()
	own.leaf = key
	return own, err
}

func (a *Authority) newChain(k certKind) (chain, error) {
	c := chain{issuer: a.cert, issuerKey: a.key}
	for _, padding := range k.above {
		if err := c.descend(k, padding); err != nil {
			return chain{}, err
		}
	}
	if k.rsa == 0 {
		return c, nil
	}
	var err error
	c.leaf, err = rsa.GenerateKey(rand.Reader, k.rsa)
	return c, err
}

// paddingOID marks the extension that makes an intermediate large; it is not
// critical, so everybody passes over it. (An OID of the arc for examples.)
var paddingOID = asn1.ObjectIdentifier{2, 999, 1}

// descend adds an intermediate below the present issuer.
func (c *chain) descend(k certKind, padding int) error {
	var key crypto.Signer
	var err error
	if key, err = newKey(); k.rsa != 0 {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return err
	}
	tmpl, err := template(c.issuer.Subject.CommonName + " I")
	if err != nil {
		return err
	}
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	if padding > 0 {
		value, err := asn1.Marshal(make([]byte, padding))
		if err != nil {
			return err
		}
		tmpl.ExtraExtensions = []pkix.Extension{{Id: paddingOID, Value: value}}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.issuer, key.Public(), c.issuerKey)
	if err != nil {
		return fmt.Errorf("make intermediate certificate: %w", err)
	}
	if c.issuer, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("make intermediate certificate: %w", err)
	}
	c.issuerKey = key
	c.above = append(block("CERTIFICATE", der), c.above...)
	return nil
}

// private is the key that PKCS #8 knows.
func private(key crypto.Signer) any {
	if s, ok := key.(signer); ok {
		return s.PrivateKey
	}
	return key
}
