package crafted

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cloudflare/circl/dh/x448"
	circl "github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/frodo/frodo640shake"
	"github.com/cloudflare/circl/kem/kyber/kyber1024"
	"github.com/cloudflare/circl/kem/kyber/kyber512"
	"github.com/cloudflare/circl/kem/kyber/kyber768"
	"github.com/cloudflare/circl/kem/mlkem/mlkem1024"
	"github.com/cloudflare/circl/kem/mlkem/mlkem512"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"

	"hybridlab/lab/wire"
)

// kem is a key exchange seen as a KEM. Diffie-Hellman is one too: the
// ciphertext is the other end's ephemeral key.
type kem interface {
	// generate makes the client's share and what turns the server's share into the secret.
	generate() (share []byte, open func(answer []byte) ([]byte, error), err error)
	// seal makes the server's share and the secret from the client's share.
	seal(share []byte) (answer, secret []byte, err error)
	// sizes of the client's and the server's share, bytes.
	sizes() (share, answer int)
}

// exchange is a group: one KEM, or the halves of a hybrid in the order in
// which both their shares and their secrets are concatenated.
type exchange []kem

// exchanges are the groups this peer can compute. The order of halves is a
// known trap: X25519MLKEM768 alone of the final ones puts ML-KEM first, against
// its name; the Kyber drafts and the NIST curves put the curve first.
// oqs-provider 0.7 and later follows X25519MLKEM768 for its X25519 and X448
// hybrids of ML-KEM.
var exchanges = map[wire.Group]exchange{
	wire.X25519:    {x25519},
	wire.SecP256r1: {p256},
	wire.SecP384r1: {p384},
	wire.SecP521r1: {p521},
	wire.X448:      {x448KEM{}},

	wire.MLKEM512:           {ml512},
	wire.MLKEM768:           {ml768},
	wire.MLKEM1024:          {ml1024},
	wire.X25519MLKEM768:     {ml768, x25519},
	wire.SecP256r1MLKEM768:  {p256, ml768},
	wire.SecP384r1MLKEM1024: {p384, ml1024},

	0x6399: {x25519, ky768}, // X25519Kyber768Draft00
	0x639a: {p256, ky768},   // SecP256r1Kyber768Draft00
	0xfe30: {x25519, ky512}, // X25519Kyber512Draft00, Cloudflare
	0xfe31: {x25519, ky768}, // X25519Kyber768Draft00Old
	0xfe32: {p256, ky768},   // P256Kyber768Draft00

	0x023a: {ky512}, // oqs-provider 0.5 to 0.8
	0x023c: {ky768},
	0x023d: {ky1024},
	0x2f39: {x25519, ky512},
	0x2f3a: {p256, ky512},
	0x2f3c: {p384, ky768},
	0x2f3d: {p521, ky1024},
	0x2f90: {x448KEM{}, ky768},
	0x2f4b: {p256, ml512}, // oqs-provider 0.7 and later
	0x2f4c: {p384, ml768},
	0x2f4d: {p521, ml1024},
	0x2fb6: {ml512, x25519},
	0x2fb7: {ml768, x448KEM{}},
	0xfe03: {circlKEM{frodo640shake.Scheme()}}, // efrodo640shake
}

var (
	x25519 = curve{ecdh.X25519(), 32}
	p256   = curve{ecdh.P256(), 65}
	p384   = curve{ecdh.P384(), 97}
	p521   = curve{ecdh.P521(), 133}
	ml512  = circlKEM{mlkem512.Scheme()}
	ml768  = circlKEM{mlkem768.Scheme()}
	ml1024 = circlKEM{mlkem1024.Scheme()}
	ky512  = circlKEM{kyber512.Scheme()}
	ky768  = circlKEM{kyber768.Scheme()}
	ky1024 = circlKEM{kyber1024.Scheme()}
)

// Groups lists what this peer can compute, sorted by code point.
func Groups() []wire.Group { return slices.Sorted(maps.Keys(exchanges)) }

func (x exchange) sizes() (share, answer int) {
	for _, half := range x {
		s, a := half.sizes()
		share += s
		answer += a
	}
	return share, answer
}

func (x exchange) generate() ([]byte, func([]byte) ([]byte, error), error) {
	var share []byte
	var opens []func([]byte) ([]byte, error)
	for _, half := range x {
		s, open, err := half.generate()
		if err != nil {
			return nil, nil, fmt.Errorf("generate key share: %w", err)
		}
		share = append(share, s...)
		opens = append(opens, open)
	}
	return share, func(answer []byte) ([]byte, error) { return x.open(opens, answer) }, nil
}

func (x exchange) open(opens []func([]byte) ([]byte, error), answer []byte) ([]byte, error) {
	if _, want := x.sizes(); len(answer) != want {
		return nil, fmt.Errorf("server's share is %d bytes, not %d", len(answer), want)
	}
	var secret []byte
	for i, half := range x {
		_, n := half.sizes()
		s, err := opens[i](answer[:n])
		if err != nil {
			return nil, err
		}
		secret = append(secret, s...)
		answer = answer[n:]
	}
	return secret, nil
}

func (x exchange) seal(share []byte) (answer, secret []byte, err error) {
	if want, _ := x.sizes(); len(share) != want {
		return nil, nil, fmt.Errorf("client's share is %d bytes, not %d", len(share), want)
	}
	for _, half := range x {
		n, _ := half.sizes()
		a, s, err := half.seal(share[:n])
		if err != nil {
			return nil, nil, err
		}
		answer = append(answer, a...)
		secret = append(secret, s...)
		share = share[n:]
	}
	return answer, secret, nil
}

// curve is ephemeral ECDH over a curve of crypto/ecdh, which refuses points
// off the curve and an all-zero X25519 secret (RFC 8446 section 7.4.2).
type curve struct {
	ecdh.Curve
	size int // of a public key
}

func (c curve) sizes() (share, answer int) { return c.size, c.size }

func (c curve) generate() ([]byte, func([]byte) ([]byte, error), error) {
	key, err := c.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	return key.PublicKey().Bytes(), func(answer []byte) ([]byte, error) { return c.agree(key, answer) }, nil
}

func (c curve) seal(share []byte) (answer, secret []byte, err error) {
	key, err := c.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	secret, err = c.agree(key, share)
	return key.PublicKey().Bytes(), secret, err
}

func (c curve) agree(key *ecdh.PrivateKey, other []byte) ([]byte, error) {
	pub, err := c.NewPublicKey(other)
	if err != nil {
		return nil, err
	}
	return key.ECDH(pub)
}

// x448KEM is X448 by circl: crypto/ecdh has none.
type x448KEM struct{}

func (x448KEM) sizes() (share, answer int) { return x448.Size, x448.Size }

func (x448KEM) generate() ([]byte, func([]byte) ([]byte, error), error) {
	var pub, key x448.Key
	if _, err := rand.Read(key[:]); err != nil {
		return nil, nil, err
	}
	x448.KeyGen(&pub, &key)
	return pub[:], func(answer []byte) ([]byte, error) {
		var shared x448.Key
		if !x448.Shared(&shared, &key, (*x448.Key)(answer)) {
			return nil, errors.New("x448: low order point")
		}
		return shared[:], nil
	}, nil
}

func (k x448KEM) seal(share []byte) (answer, secret []byte, err error) {
	answer, open, err := k.generate()
	if err != nil {
		return nil, nil, err
	}
	secret, err = open(share)
	return answer, secret, err
}

// circlKEM is one of circl's KEMs.
type circlKEM struct{ circl.Scheme }

func (k circlKEM) sizes() (share, answer int) { return k.PublicKeySize(), k.CiphertextSize() }

func (k circlKEM) generate() ([]byte, func([]byte) ([]byte, error), error) {
	pub, key, err := k.GenerateKeyPair()
	if err != nil {
		return nil, nil, err
	}
	share, err := pub.MarshalBinary()
	return share, func(answer []byte) ([]byte, error) { return k.Decapsulate(key, answer) }, err
}

func (k circlKEM) seal(share []byte) (answer, secret []byte, err error) {
	pub, err := k.UnmarshalBinaryPublicKey(share)
	if err != nil {
		return nil, nil, err
	}
	return k.Encapsulate(pub)
}
