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
	"hybridlab/peers/crafted"
)

// certKind is what a server shows: its key, and what stands between its
// certificate and the CA.
type certKind struct {
	about string
	rsa   int    // bits; 0: not RSA
	mldsa string // parameter set; empty, too: ECDSA P-256
	above []int  // intermediates with keys alike, each padded by so many bytes
}

// certKinds by name. The CA itself is ECDSA P-256 and is never sent.
var certKinds = map[string]certKind{
	lab.DefaultCert: {about: "ECDSA P-256, issued by the CA: the smallest flight"},
	"rsa2048":       {about: "RSA 2048, issued by the CA", rsa: 2048},
	"rsa4096-chain": {about: "RSA 4096 below two intermediates, as large sites have", rsa: 4096, above: []int{0, 0}},
	"large-chain":   {about: "ECDSA P-256 below two intermediates of 9 kB: more than an initial congestion window", above: []int{9000, 9000}},
	"mldsa44":       {about: "ML-DSA-44, issued by the CA", mldsa: "ML-DSA-44"},
	"mldsa65":       {about: "ML-DSA-65, issued by the CA", mldsa: "ML-DSA-65"},
	"mldsa87":       {about: "ML-DSA-87, issued by the CA", mldsa: "ML-DSA-87"},
	"mldsa65-chain": {about: "ML-DSA-65 below an intermediate of ML-DSA-65: all that is sent is post-quantum", mldsa: "ML-DSA-65", above: []int{0}},
}

// classicalCerts are the kinds that everybody knows.
var classicalCerts = slices.DeleteFunc(CertKinds(), func(kind string) bool { return certKinds[kind].mldsa != "" })

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
	var err error
	own.leaf, err = certKinds[kind].newKey()
	return own, err
}

func (a *Authority) newChain(k certKind) (c chain, err error) {
	c = chain{issuer: a.cert, issuerKey: a.key}
	for _, padding := range k.above {
		if err := c.descend(k, padding); err != nil {
			return chain{}, err
		}
	}
	if k.rsa != 0 {
		c.leaf, err = k.newKey()
	}
	return c, err
}

func (k certKind) newKey() (crypto.Signer, error) {
	switch {
	case k.rsa != 0:
		return rsa.GenerateKey(rand.Reader, k.rsa)
	case k.mldsa != "":
		return crafted.NewMLDSA(k.mldsa, rand.Reader)
	}
	return newKey()
}

// paddingOID marks the extension that makes an intermediate large; it is not
// critical, so everybody passes over it. (An OID of the arc for examples.)
var paddingOID = asn1.ObjectIdentifier{2, 999, 1}

// descend adds an intermediate below the present issuer.
func (c *chain) descend(k certKind, padding int) error {
	if k.rsa != 0 {
		k.rsa = 2048
	}
	key, err := k.newKey()
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
	der, err := c.sign(tmpl, key)
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

// pkcs8 is a private key, DER.
func pkcs8(key crypto.Signer) ([]byte, error) {
	switch key := key.(type) {
	case crafted.MLDSA:
		return key.PKCS8(), nil
	case signer:
		return x509.MarshalPKCS8PrivateKey(key.PrivateKey)
	}
	return x509.MarshalPKCS8PrivateKey(key)
}
