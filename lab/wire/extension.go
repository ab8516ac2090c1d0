package wire

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Extension types the lab looks into (RFC 8446 section 4.2).
const (
	ExtServerName          uint16 = 0  // RFC 6066 section 3
	ExtSupportedGroups     uint16 = 10 // RFC 8446 section 4.2.7
	ExtSignatureAlgorithms uint16 = 13 // RFC 8446 section 4.2.3
	ExtALPN                uint16 = 16 // RFC 7301 section 3.1
	ExtPadding             uint16 = 21 // RFC 7685 section 3
	ExtPreSharedKey        uint16 = 41 // RFC 8446 section 4.2.11
	ExtEarlyData           uint16 = 42 // RFC 8446 section 4.2.10
	ExtSupportedVersions   uint16 = 43 // RFC 8446 section 4.2.1
	ExtCookie              uint16 = 44 // RFC 8446 section 4.2.2
	ExtPSKModes            uint16 = 45 // RFC 8446 section 4.2.9
	ExtSigAlgsCert         uint16 = 50 // RFC 8446 section 4.2.3
	ExtKeyShare            uint16 = 51 // RFC 8446 section 4.2.8
	ExtECH                 uint16 = 0xfe0d
)

// Extension is one entry of a hello's extension list, in the sender's order.
//
// When a hello is written, Data goes out as it is; nil Data of a type the hello
// has a field for is encoded from that field. So a list of bare types
// gives a hello any order, and explicit Data any malformation.
type Extension struct {
	Type uint16
	Data []byte
}

// KeyShare is a key_share entry (RFC 8446 section 4.2.8).
type KeyShare struct {
	Group Group
	Data  []byte // key_exchange; shorter than its size in a truncated hello
}

const extensionHeader = 4 // type, length

// readExtensions reads the list that ends a hello and hands each entry to
// decode, with its offset counted back from the end of the hello. Before
// TLS 1.3 the list is optional (RFC 5246 section 7.4.1.2): nil if absent.
func readExtensions(c *cursor, decode func(typ uint16, in *cursor, fromEnd int)) []Extension {
	if c.empty() {
		return nil
	}
	list, _ := c.vector16("extensions")
	exts := make([]Extension, 0, 16)
	var seen [1 << 16 / 64]uint64 // a bit per type: a hostile list has 16,000 entries
	for !list.empty() {
		if len(list.s) < extensionHeader {
			list.bytes(extensionHeader, "extension header")
			break
		}
		fromEnd := len(list.s) + len(c.s)
		before := *c.err
		typ := list.uint16("type")
		in, _ := list.vector16("data")
		e := Extension{Type: typ, Data: in.s}
		if bit := uint64(1) << (typ % 64); seen[typ/64]&bit != 0 {
			in.fail("there for the second time (RFC 8446 section 4.2)")
		} else {
			seen[typ/64] |= bit
		}
		exts = append(exts, e)
		decode(typ, &in, fromEnd)
		if before == nil && *c.err != nil {
			*c.err = fmt.Errorf("%s: %w", ExtensionName(typ), *c.err)
		}
	}
	c.end()
	return exts
}

// addExtensions writes exts; encode writes an entry that has no Data of its own.
func addExtensions(b *cryptobyte.Builder, exts []Extension, encode func(b *cryptobyte.Builder, typ uint16)) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, e := range exts {
			b.AddUint16(e.Type)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
				if e.Data != nil {
					b.AddBytes(e.Data)
				} else {
					encode(b, e.Type)
				}
			})
		}
	})
}

func addVector8(b *cryptobyte.Builder, data []byte) {
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(data) })
}

func addVector16(b *cryptobyte.Builder, data []byte) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(data) })
}

func addUint16s[T ~uint16](b *cryptobyte.Builder, list []T) {
	for _, v := range list {
		b.AddUint16(uint16(v))
	}
}

func findExtension(exts []Extension, typ uint16) (Extension, bool) {
	for _, e := range exts {
		if e.Type == typ {
			return e, true
		}
	}
	return Extension{}, false
}
