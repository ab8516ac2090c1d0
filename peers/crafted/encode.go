package crafted

import (
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
)

// message frames a handshake message, RFC 8446 section 4. Its error is a
// length that does not fit its field.
func message(typ uint8, body func(*cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(typ)
	b.AddUint24LengthPrefixed(body)
	m, err := b.Bytes()
	if err != nil {
		return nil, alertf(alertInternalError, "encode handshake message %d: %v", typ, err)
	}
	return m, nil
}

// messageBody checks a message's type and strips its header.
func messageBody(m []byte, want uint8) (cryptobyte.String, error) {
	if m[0] != want {
		return nil, alertf(alertUnexpectedMessage, "handshake message of type %d, expected %d", m[0], want)
	}
	return cryptobyte.String(m[4:]), nil
}

// part writes a piece of a message. A length that overflows surfaces as the
// error of the message around it.
type part = cryptobyte.BuilderContinuation

func raw(data []byte) part { return func(b *cryptobyte.Builder) { b.AddBytes(data) } }

// vector16 is a vector with a two-byte length.
func vector16(p part) part { return func(b *cryptobyte.Builder) { b.AddUint16LengthPrefixed(p) } }

func vector8(p part) part { return func(b *cryptobyte.Builder) { b.AddUint8LengthPrefixed(p) } }

func list[T ~uint16](values []T) part { return raw(listBytes(values)) }

func listBytes[T ~uint16](values []T) []byte {
	var out []byte
	for _, v := range values {
		out = binary.BigEndian.AppendUint16(out, uint16(v))
	}
	return out
}

func readList[T ~uint16](s cryptobyte.String, out *[]T) bool {
	for !s.Empty() {
		var v uint16
		if !s.ReadUint16(&v) {
			return false
		}
		*out = append(*out, T(v))
	}
	return true
}

func (s keyShare) add(b *cryptobyte.Builder) {
	b.AddUint16(uint16(s.group))
	vector16(raw(s.data))(b)
}

type extension struct {
	typ  uint16
	body part
}

func extensions(exts []extension) part {
	return vector16(func(b *cryptobyte.Builder) {
		for _, e := range exts {
			b.AddUint16(e.typ)
			vector16(e.body)(b)
		}
	})
}

// eachExtension calls read for every extension; false means malformed. The
// same extension twice is an error, RFC 8446 section 4.2.
func eachExtension(exts cryptobyte.String, read func(typ uint16, data cryptobyte.String) bool) error {
	seen := map[uint16]bool{}
	for !exts.Empty() {
		var typ uint16
		var data cryptobyte.String
		if !exts.ReadUint16(&typ) || !exts.ReadUint16LengthPrefixed(&data) || !read(typ, data) {
			return alertf(alertDecodeError, "malformed extension %d", typ)
		}
		if seen[typ] {
			return alertf(alertIllegalParameter, "extension %d comes twice", typ)
		}
		seen[typ] = true
	}
	return nil
}
