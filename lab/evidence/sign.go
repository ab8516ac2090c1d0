package evidence

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ParsePrivateKey reads an ed25519 key as "openssl genpkey -algorithm ed25519"
// writes it.
func ParsePrivateKey(data []byte) (ed25519.PrivateKey, error) {
	b, _ := pem.Decode(data)
	if b == nil || b.Type != "PRIVATE KEY" {
		return nil, errors.New("want a PEM file with a PRIVATE KEY, as openssl genpkey -algorithm ed25519 writes it")
	}
	key, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return nil, err
	}
	own, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("want an ed25519 key, as openssl genpkey -algorithm ed25519 writes it, not %T", key)
	}
	return own, nil
}

// ParsePublicKey reads the other half, as "openssl pkey -pubout" writes it.
func ParsePublicKey(data []byte) (ed25519.PublicKey, error) {
	b, _ := pem.Decode(data)
	if b == nil || b.Type != "PUBLIC KEY" {
		return nil, errors.New("want a PEM file with a PUBLIC KEY, as openssl pkey -pubout writes it")
	}
	key, err := x509.ParsePKIXPublicKey(b.Bytes)
	if err != nil {
		return nil, err
	}
	own, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("want an ed25519 key, not %T", key)
	}
	return own, nil
}
