package crafted

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	circl "github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// parameterSet is one of ML-DSA's (FIPS 204), as certificates and TLS name it.
type parameterSet struct {
	circl.Scheme
	id uint16 // signature scheme, draft-ietf-tls-mldsa
}

var parameterSets = []parameterSet{{mldsa44.Scheme(), 0x0904}, {mldsa65.Scheme(), 0x0905}, {mldsa87.Scheme(), 0x0906}}

func parameterSetBy(is func(parameterSet) bool) (parameterSet, bool) {
	if i := slices.IndexFunc(parameterSets, is); i >= 0 {
		return parameterSets[i], true
	}
	return parameterSet{}, false
}

// oid names keys and signatures alike, RFC 9881 section 2.
func (p parameterSet) oid() asn1.ObjectIdentifier {
	return p.Scheme.(interface{ Oid() asn1.ObjectIdentifier }).Oid()
}

// MLDSA is an ML-DSA key, which crypto/x509 of Go 1.26 knows nothing of. It
// signs messages, not digests of them, with an empty context.
type MLDSA struct {
	set  parameterSet
	seed []byte
	pub  circl.PublicKey
	priv circl.PrivateKey
}

// NewMLDSA makes a key of "ML-DSA-44", "ML-DSA-65" or "ML-DSA-87" from a seed
// of 32 bytes read from random.
func NewMLDSA(name string, random io.Reader) (MLDSA, error) {
	set, ok := parameterSetBy(func(p parameterSet) bool { return p.Name() == name })
	if !ok {
		return MLDSA{}, fmt.Errorf("make key of %q: want ML-DSA-44, ML-DSA-65 or ML-DSA-87", name)
	}
	seed := make([]byte, set.SeedSize())
	if _, err := io.ReadFull(random, seed); err != nil {
		return MLDSA{}, fmt.Errorf("make key of %s: %w", name, err)
	}
	return set.key(seed), nil
}

func (p parameterSet) key(seed []byte) MLDSA {
	pub, priv := p.DeriveKey(seed)
	return MLDSA{p, seed, pub, priv}
}

// Public implements crypto.Signer.
func (k MLDSA) Public() crypto.PublicKey { return k.pub }

// Sign implements crypto.Signer; what is signed is the message itself.
func (k MLDSA) Sign(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	return k.set.Scheme.Sign(k.priv, message, nil), nil
}

// Algorithm is the AlgorithmIdentifier of the key and of its signatures, DER;
// it has no parameters (RFC 9881 section 2).
func (k MLDSA) Algorithm() []byte { return der(k.set.algorithm) }

func (p parameterSet) algorithm(b *cryptobyte.Builder) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(p.oid()) })
}

// PublicInfo is the key's SubjectPublicKeyInfo, DER (RFC 9881 section 4).
func (k MLDSA) PublicInfo() []byte {
	data, _ := k.pub.MarshalBinary() // packs it: cannot fail
	return der(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			k.set.algorithm(b)
			b.AddASN1BitString(data)
		})
	})
}

// seedTag is the choice of RFC 9881 section 6 that stores a key as its seed.
var seedTag = casn1.Tag(0).ContextSpecific()

// PKCS8 is the private key, DER (RFC 9881 section 6).
func (k MLDSA) PKCS8() []byte {
	return der(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			k.set.algorithm(b)
			b.AddASN1(casn1.OCTET_STRING, func(b *cryptobyte.Builder) {
				b.AddASN1(seedTag, func(b *cryptobyte.Builder) { b.AddBytes(k.seed) })
			})
		})
	})
}

// ParseMLDSA reads what PKCS8 wrote.
func ParseMLDSA(pkcs8 []byte) (MLDSA, error) {
	in := cryptobyte.String(pkcs8)
	var key, algorithm, private, seed cryptobyte.String
	var version int
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&key, casn1.SEQUENCE) || !in.Empty() || !key.ReadASN1Integer(&version) || version != 0 ||
		!key.ReadASN1(&algorithm, casn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) || !key.ReadASN1(&private, casn1.OCTET_STRING) {
		return MLDSA{}, errors.New("read ML-DSA key: it is not PKCS #8")
	}
	set, ok := parameterSetBy(func(p parameterSet) bool { return p.oid().Equal(oid) })
	switch {
	case !ok:
		return MLDSA{}, fmt.Errorf("read ML-DSA key: algorithm %v is none of ML-DSA's", oid)
	case !private.ReadASN1(&seed, seedTag) || len(seed) != set.SeedSize() || !private.Empty():
		return MLDSA{}, errors.New("read ML-DSA key: want its seed of 32 bytes, and nothing else")
	}
	return set.key(seed), nil
}

// publicKey is a certificate's key, an ML-DSA key where crypto/x509 has none
// to give; nil: it is of a kind that nobody here knows.
func publicKey(cert *x509.Certificate) crypto.PublicKey {
	if cert.PublicKey != nil {
		return cert.PublicKey
	}
	in := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	var info, algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	var data []byte
	if !in.ReadASN1(&info, casn1.SEQUENCE) || !info.ReadASN1(&algorithm, casn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!info.ReadASN1BitStringAsBytes(&data) {
		return nil
	}
	set, ok := parameterSetBy(func(p parameterSet) bool { return p.oid().Equal(oid) })
	if !ok {
		return nil
	}
	pub, err := set.UnmarshalBinaryPublicKey(data)
	if err != nil {
		return nil
	}
	return pub
}

func (p parameterSet) verify(pub crypto.PublicKey, _ crypto.Hash, message, sig []byte) bool {
	key, ok := pub.(circl.PublicKey)
	return ok && key.Scheme() == p.Scheme && p.Verify(key, message, sig, nil)
}

// verifyMLDSA checks that the issuer, whose key is ML-DSA, signed the
// certificate (RFC 5280 section 6.1.3): what crypto/x509 cannot.
func verifyMLDSA(cert, issuer *x509.Certificate, key circl.PublicKey) error {
	in := cryptobyte.String(cert.Raw)
	var outer, tbs, algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !in.ReadASN1(&outer, casn1.SEQUENCE) || !outer.ReadASN1Element(&tbs, casn1.SEQUENCE) || !outer.ReadASN1(&algorithm, casn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) {
		return errors.New("malformed certificate") // crypto/x509 has parsed it
	}
	now := time.Now()
	set, ok := parameterSetBy(func(p parameterSet) bool { return p.Scheme == key.Scheme() })
	switch {
	case !ok || !oid.Equal(set.oid()) || !set.Verify(key, tbs, cert.Signature, nil):
		return fmt.Errorf("%q did not sign %q", issuer.Subject, cert.Subject)
	case !bytes.Equal(cert.RawIssuer, issuer.RawSubject) || !issuer.BasicConstraintsValid || !issuer.IsCA || issuer.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("%q may not sign %q", issuer.Subject, cert.Subject)
	case now.Before(cert.NotBefore) || now.After(cert.NotAfter):
		return fmt.Errorf("%q is not valid now", cert.Subject)
	}
	return nil
}

// der builds a structure of lengths that cannot overflow.
func der(p func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	p(&b)
	return b.BytesOrPanic()
}
