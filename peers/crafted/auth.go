package crafted

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"slices"
	"strings"

	circl "github.com/cloudflare/circl/sign"
	"golang.org/x/crypto/cryptobyte"
)

// scheme is a signature scheme of RFC 8446 section 4.2.3.
type scheme struct {
	id     uint16
	hash   crypto.Hash // 0: the message itself is signed
	verify func(pub crypto.PublicKey, hash crypto.Hash, digest, sig []byte) bool
}

const schemeECDSAP256 = 0x0403 // ecdsa_secp256r1_sha256

// schemes are those a client verifies and advertises. ML-DSA's it verifies
// where its shape advertises them.
var schemes = []scheme{
	{schemeECDSAP256, crypto.SHA256, verifyECDSA},
	{0x0804, crypto.SHA256, verifyPSS},
	{0x0807, 0, verifyEd25519},
	{0x0503, crypto.SHA384, verifyECDSA},
	{0x0805, crypto.SHA384, verifyPSS},
	{0x0806, crypto.SHA512, verifyPSS},
}

func verifyECDSA(pub crypto.PublicKey, _ crypto.Hash, digest, sig []byte) bool {
	key, ok := pub.(*ecdsa.PublicKey)
	return ok && ecdsa.VerifyASN1(key, digest, sig)
}

func verifyPSS(pub crypto.PublicKey, hash crypto.Hash, digest, sig []byte) bool {
	key, ok := pub.(*rsa.PublicKey)
	return ok && rsa.VerifyPSS(key, hash, digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
}

func verifyEd25519(pub crypto.PublicKey, _ crypto.Hash, message, sig []byte) bool {
	key, ok := pub.(ed25519.PublicKey)
	return ok && ed25519.Verify(key, message, sig)
}

// signedContent is what a server's CertificateVerify signs, RFC 8446 section 4.4.3.
func signedContent(transcriptHash []byte) []byte {
	return append([]byte(strings.Repeat(" ", 64)+"TLS 1.3, server CertificateVerify\x00"), transcriptHash...)
}

func (s scheme) digest(transcriptHash []byte) []byte {
	content := signedContent(transcriptHash)
	if s.hash == 0 {
		return content
	}
	h := s.hash.New()
	h.Write(content)
	return h.Sum(nil)
}

// signing is what a server's key signs with.
func signing(key crypto.Signer) (scheme, error) {
	switch pub := key.Public().(type) {
	case *ecdsa.PublicKey:
		if pub.Curve == elliptic.P256() {
			return scheme{id: schemeECDSAP256, hash: crypto.SHA256}, nil
		}
	case *rsa.PublicKey:
		return scheme{id: 0x0804, hash: crypto.SHA256}, nil // rsa_pss_rsae_sha256
	case circl.PublicKey:
		if set, ok := parameterSetBy(func(p parameterSet) bool { return p.Scheme == pub.Scheme() }); ok {
			return scheme{id: set.id}, nil
		}
	}
	return scheme{}, alertf(alertInternalError, "cannot sign with a key of type %T: want ECDSA P-256, RSA or ML-DSA", key.Public())
}

func (s scheme) sign(key crypto.Signer, transcriptHash []byte) ([]byte, error) {
	var opts crypto.SignerOpts = s.hash
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
	}
	sig, err := key.Sign(rand.Reader, s.digest(transcriptHash), opts)
	if err != nil {
		return nil, alertf(alertInternalError, "sign the handshake: %v", err)
	}
	return sig, nil
}

// verifying are the schemes a client of this shape verifies.
func (s Shape) verifying() []scheme {
	all := slices.Clone(schemes)
	for _, p := range parameterSets {
		if slices.Contains(s.SigAlgs, p.id) {
			all = append(all, scheme{p.id, 0, p.verify})
		}
	}
	return all
}

// verifySignature checks a CertificateVerify message.
func (s Shape) verifySignature(pub crypto.PublicKey, m, transcriptHash []byte) error {
	body := cryptobyte.String(m[4:])
	var id uint16
	var sig cryptobyte.String
	if !body.ReadUint16(&id) || !body.ReadUint16LengthPrefixed(&sig) || !body.Empty() {
		return alertf(alertDecodeError, "malformed CertificateVerify")
	}
	for _, s := range s.verifying() {
		if s.id != id {
			continue
		}
		if !s.verify(pub, s.hash, s.digest(transcriptHash), sig) {
			return alertf(alertDecryptError, "the server's signature is wrong: it saw another handshake or lacks the key")
		}
		return nil
	}
	return alertf(alertIllegalParameter, "server signed with scheme %#04x, which was not offered", id)
}

// parseCertificate returns the server's certificates, leaf first, at least
// one.
func parseCertificate(m []byte) ([]*x509.Certificate, error) {
	body := cryptobyte.String(m[4:])
	var context, list cryptobyte.String
	if !body.ReadUint8LengthPrefixed(&context) || !body.ReadUint24LengthPrefixed(&list) || !body.Empty() {
		return nil, alertf(alertDecodeError, "malformed Certificate")
	}
	var certs []*x509.Certificate
	for !list.Empty() {
		var der, exts cryptobyte.String
		if !list.ReadUint24LengthPrefixed(&der) || !list.ReadUint16LengthPrefixed(&exts) {
			return nil, alertf(alertDecodeError, "malformed Certificate")
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, alertf(alertBadCertificate, "read server certificate: %v", err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, alertf(alertDecodeError, "the server sent no certificate")
	}
	return certs, nil
}
