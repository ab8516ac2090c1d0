package crafted

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// scheme is a signature scheme of RFC 8446 section 4.2.3 the client verifies.
type scheme struct {
	id     uint16
	hash   crypto.Hash
	verify func(pub crypto.PublicKey, hash crypto.Hash, digest, sig []byte) bool
}

// schemeECDSAP256 is ecdsa_secp256r1_sha256, the one the server signs with.
const schemeECDSAP256 = 0x0403

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

func digest(hash crypto.Hash, content []byte) []byte {
	if hash == 0 {
		return content // Ed25519 hashes for itself
	}
	h := hash.New()
	h.Write(content)
	return h.Sum(nil)
}

func sign(key crypto.Signer, transcriptHash []byte) ([]byte, error) {
	sig, err := key.Sign(rand.Reader, digest(crypto.SHA256, signedContent(transcriptHash)), crypto.SHA256)
	if err != nil {
		return nil, alertf(alertInternalError, "sign the handshake: %v", err)
	}
	return sig, nil
}

// verifySignature checks a CertificateVerify message.
func verifySignature(pub crypto.PublicKey, m, transcriptHash []byte) error {
	body := cryptobyte.String(m[4:])
	var id uint16
	var sig cryptobyte.String
	if !body.ReadUint16(&id) || !body.ReadUint16LengthPrefixed(&sig) || !body.Empty() {
		return alertf(alertDecodeError, "malformed CertificateVerify")
	}
	for _, s := range schemes {
		if s.id != id {
			continue
		}
		if !s.verify(pub, s.hash, digest(s.hash, signedContent(transcriptHash)), sig) {
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
