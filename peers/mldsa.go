package peers

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hybridlab/peers/crafted"
)

// sign makes a certificate for a key, by the issuer's. crypto/x509 makes it; for
// an ML-DSA key, of which it knows nothing, with stand-ins.
func (c *chain) sign(tmpl *x509.Certificate, key crypto.Signer) ([]byte, error) {
	subject, isMLDSA := key.(crafted.MLDSA)
	if !isMLDSA {
		return x509.CreateCertificate(rand.Reader, tmpl, c.issuer, key.Public(), c.issuerKey)
	}
	standIn, err := newKey()
	if err != nil {
		return nil, err
	}
	issuer := c.issuerKey
	if _, isMLDSA := issuer.(crafted.MLDSA); isMLDSA {
		issuer = standIn
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.issuer, standIn.Public(), issuer)
	if err != nil {
		return nil, err
	}
	return replaceKeys(der, subject, c.issuerKey)
}

// The fields of a TBSCertificate that name algorithms, RFC 5280 section 4.1.
const (
	tbsSignature = 2
	tbsPublicKey = 6
)

// replaceKeys makes a certificate, of a stand-in's key, one of the subject's
// key, and signs it by the issuer's.
func replaceKeys(der []byte, subject crafted.MLDSA, issuer crypto.Signer) ([]byte, error) {
	var outer, tbs cryptobyte.String
	in, malformed := cryptobyte.String(der), errors.New("rewrite certificate: it is malformed")
	if !in.ReadASN1(&outer, casn1.SEQUENCE) || !outer.ReadASN1(&tbs, casn1.SEQUENCE) {
		return nil, malformed
	}
	var fields []cryptobyte.String
	for !tbs.Empty() {
		var f cryptobyte.String
		if !tbs.ReadAnyASN1Element(&f, nil) {
			return nil, malformed
		}
		fields = append(fields, f)
	}
	if len(fields) <= tbsPublicKey {
		return nil, malformed
	}
	fields[tbsPublicKey] = subject.PublicInfo()
	if key, isMLDSA := issuer.(crafted.MLDSA); isMLDSA {
		fields[tbsSignature] = key.Algorithm()
	}
	signed, err := sequence(fields...)
	if err != nil {
		return nil, err
	}
	signature, err := signMessage(issuer, signed)
	if err != nil {
		return nil, err
	}
	bits, err := asn1.Marshal(asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)})
	if err != nil {
		return nil, err
	}
	return sequence(signed, fields[tbsSignature], bits)
}

func sequence[T ~[]byte](elements ...T) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range elements {
			b.AddBytes(e)
		}
	})
	return b.Bytes()
}

// signMessage signs what ECDSA P-256 signs the SHA-256 of.
func signMessage(key crypto.Signer, message []byte) ([]byte, error) {
	if _, isMLDSA := key.(crafted.MLDSA); isMLDSA {
		return key.Sign(rand.Reader, message, crypto.Hash(0))
	}
	digest := sha256.Sum256(message)
	return key.Sign(rand.Reader, digest[:], crypto.SHA256)
}
