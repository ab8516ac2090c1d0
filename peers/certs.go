package peers

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
	"time"

	"hybridlab/peers/crafted"
)

// Authority is a certificate authority made in memory for one run. It is
// safe for concurrent use.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer

	mu     sync.Mutex
	chains map[string]*chain // by kind, made when first asked for
}

// Identity is a server's certificates and key, PEM: the leaf first, then the
// intermediates.
type Identity struct {
	CN        string
	Cert, Key []byte
}

// validity of certificates, either way from now: more than any run takes and
// any container's clock is off.
const validity = 48 * time.Hour

// NewAuthority makes a CA (ECDSA P-256) that exists nowhere else.
func NewAuthority() (*Authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	tmpl, err := template("hybridlab CA")
	if err != nil {
		return nil, err
	}
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make CA certificate: %w", err)
	}
	return &Authority{cert: cert, key: key, chains: map[string]*chain{}}, nil
}

// PEM is the CA's certificate, for clients to trust.
func (a *Authority) PEM() []byte { return block("CERTIFICATE", a.cert.Raw) }

// Issue makes the identity of one server instance, named cn, for ServerName,
// with a certificate of the kind (see CertKinds). Certificates of one kind
// for names of equal length are of equal size.
func (a *Authority) Issue(cn, kind string) (Identity, error) {
	c, err := a.chain(kind)
	if err != nil {
		return Identity{}, fmt.Errorf("issue certificate for %q: %w", cn, err)
	}
	tmpl, err := template(cn)
	if err != nil {
		return Identity{}, err
	}
	tmpl.DNSNames = []string{ServerName}
	if tmpl.KeyUsage = x509.KeyUsageDigitalSignature; certKinds[kind].rsa != 0 {
		tmpl.KeyUsage |= x509.KeyUsageKeyEncipherment // as sites have it: TLS 1.2 may want to encrypt with the key
	}
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := c.sign(tmpl, c.leaf)
	if err != nil {
		return Identity{}, fmt.Errorf("issue certificate for %q: %w", cn, err)
	}
	key, err := pkcs8(c.leaf)
	if err != nil {
		return Identity{}, fmt.Errorf("issue certificate for %q: %w", cn, err)
	}
	return Identity{CN: cn, Cert: append(block("CERTIFICATE", der), c.above...), Key: block("PRIVATE KEY", key)}, nil
}

// template has a serial number of constant length: 8 bytes, positive, the
// first one not zero.
func template(cn string) (*x509.Certificate, error) {
	serial := make([]byte, 8)
	if _, err := rand.Read(serial); err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	serial[0] = serial[0]&0x3f | 0x40
	now := time.Now()
	return &x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: cn},
		NotBefore: now.Add(-validity), NotAfter: now.Add(validity)}, nil
}

func block(typ string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

// signer is an ECDSA P-256 key whose signatures are all of one length.
//
// An ECDSA signature is DER: its two integers lose a byte when their top bit
// is clear, so it is 70, 71 or 72 bytes long by chance. In a lab that would
// make certificates and flights a byte or two longer in one run than in the
// next, packets would be cut elsewhere, and "same seed, same packet fates" would
// not hold. Signing until the length is the usual one costs a second try on
// average. (OpenSSL's servers sign as they like: their flights still vary.)
type signer struct{ *ecdsa.PrivateKey }

// usualLength of an ECDSA P-256 signature: half of all are this long.
const usualLength = 71

func (s signer) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	for {
		sig, err := s.PrivateKey.Sign(random, digest, opts)
		if err != nil || len(sig) == usualLength {
			return sig, err
		}
	}
}

func newKey() (signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return signer{}, fmt.Errorf("make key: %w", err)
	}
	return signer{key}, nil
}

// above is the PEM of the intermediates, without the leaf; nil: none.
func (i Identity) above() []byte {
	_, rest := pem.Decode(i.Cert)
	if len(rest) == 0 {
		return nil
	}
	return rest
}

// load reads the identity back: the chain in DER, leaf first, and the key.
func (i Identity) load() ([][]byte, crypto.Signer, error) {
	var chain [][]byte
	for rest := i.Cert; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		chain = append(chain, b.Bytes)
	}
	b, _ := pem.Decode(i.Key)
	if len(chain) == 0 || b == nil {
		return nil, nil, errors.New("load server identity: no PEM certificate or key in it")
	}
	if key, err := crafted.ParseMLDSA(b.Bytes); err == nil {
		return chain, key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("load server identity: %w", err)
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() {
			return chain, signer{key}, nil
		}
	case *rsa.PrivateKey:
		return chain, key, nil // its signatures are of one length
	}
	return nil, nil, fmt.Errorf("load server identity: want an ECDSA P-256, RSA or ML-DSA key, got %T", key)
}

// pool is the set of roots in a PEM file.
func pool(ca []byte) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("load CA: no PEM certificate in it")
	}
	return roots, nil
}
