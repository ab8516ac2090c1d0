package crafted

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// suite is a TLS 1.3 cipher suite, RFC 8446 appendix B.4. Both are AES-GCM;
// they differ in key length and hash.
type suite struct {
	id     uint16
	keyLen int
	hash   func() hash.Hash
}

// suites, best first.
var suites = []suite{
	{0x1301, 16, sha256.New}, // TLS_AES_128_GCM_SHA256
	{0x1302, 32, sha512.New384},
}

func suiteByID(id uint16) (suite, bool) {
	for _, s := range suites {
		if s.id == id {
			return s, true
		}
	}
	return suite{}, false
}

// expandLabel is HKDF-Expand-Label, RFC 8446 section 7.1.
func (s suite) expandLabel(secret []byte, label string, context []byte, length int) []byte {
	label = "tls13 " + label
	info := []byte{byte(length >> 8), byte(length), byte(len(label))}
	info = append(info, label...)
	info = append(info, byte(len(context)))
	info = append(info, context...)
	return must(hkdf.Expand(s.hash, secret, string(info), length))
}

func (s suite) extract(salt, secret []byte) []byte {
	return must(hkdf.Extract(s.hash, secret, salt))
}

// must holds for HKDF: its only errors are lengths no TLS label reaches and
// hashes a FIPS build forbids; SHA-2 is not one of them.
func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func (s suite) sum(data []byte) []byte {
	h := s.hash()
	h.Write(data)
	return h.Sum(nil)
}

// finished is the verify_data of RFC 8446 section 4.4.4.
func (s suite) finished(baseKey, transcriptHash []byte) []byte {
	mac := hmac.New(s.hash, s.expandLabel(baseKey, "finished", nil, s.hash().Size()))
	mac.Write(transcriptHash)
	return mac.Sum(nil)
}

// aead makes one direction's record protection from its traffic secret,
// RFC 8446 section 7.3.
func (s suite) aead(secret []byte) (cipher.AEAD, []byte) {
	block, err := aes.NewCipher(s.expandLabel(secret, "key", nil, s.keyLen))
	if err != nil {
		panic(err) // only a wrong key length, and ours are constants
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm, s.expandLabel(secret, "iv", nil, gcm.NonceSize())
}

// schedule walks down the key schedule of RFC 8446 section 7.1 without a PSK,
// keeping the handshake messages it is computed over. They are kept whole
// because the hash is known only once a ServerHello or HelloRetryRequest has
// named the suite.
type schedule struct {
	suite        suite
	clientRandom []byte
	transcript   []byte
	secret       []byte // Handshake Secret, later Master Secret
}

func (s *schedule) add(message []byte) { s.transcript = append(s.transcript, message...) }

func (s *schedule) hash() []byte { return s.suite.sum(s.transcript) }

// retry replaces the first ClientHello by its hash, RFC 8446 section 4.4.1.
func (s *schedule) retry() {
	h := s.hash()
	s.transcript = append([]byte{msgMessageHash, 0, 0, byte(len(h))}, h...)
}

// derive is Derive-Secret with the transcript so far.
func (s *schedule) derive(label string) []byte {
	return s.suite.expandLabel(s.secret, label, s.hash(), s.suite.hash().Size())
}

// next goes one level down: the salt is derived from the level above and an
// empty transcript.
func (s *schedule) next(input []byte) {
	size := s.suite.hash().Size()
	if input == nil {
		input = make([]byte, size)
	}
	s.secret = s.suite.extract(s.suite.expandLabel(s.secret, "derived", s.suite.sum(nil), size), input)
}

// enterHandshake computes the Handshake Secret. The transcript ends with the
// ServerHello.
func (s *schedule) enterHandshake(shared []byte) (client, server []byte) {
	zeros := make([]byte, s.suite.hash().Size())
	s.secret = s.suite.extract(nil, zeros) // Early Secret
	s.next(shared)
	return s.derive("c hs traffic"), s.derive("s hs traffic")
}

// enterApplication computes the Master Secret. The transcript ends with the
// server's Finished.
func (s *schedule) enterApplication() (client, server []byte) {
	s.next(nil)
	return s.derive("c ap traffic"), s.derive("s ap traffic")
}
