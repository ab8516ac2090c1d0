package wire

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// ClientHello is a ClientHello (RFC 8446 section 4.1.2), of TLS 1.3 or older.
// Extensions has everything that was sent, in order; the fields after it are
// decoded from there.
type ClientHello struct {
	Version     uint16 // legacy_version
	Random      [32]byte
	SessionID   []byte // legacy_session_id
	Ciphers     []uint16
	Compression []byte // legacy_compression_methods: one zero in TLS 1.3

	Extensions []Extension // nil: the hello ends before the list

	Groups      []Group    // supported_groups, GREASE included
	Shares      []KeyShare // key_share, in order
	Versions    []uint16   // supported_versions
	SigAlgs     []uint16   // signature_algorithms
	SigAlgsCert []uint16   // signature_algorithms_cert
	ALPN        []string   // application protocols
	Cookie      []byte     // of a HelloRetryRequest, sent back
	ServerName  string     // first host_name

	// SNIOffset and SNIEnd bound the server_name extension in the body, its
	// header included; both 0 if there is none. On the wire, with the hello in
	// one record, it is nine bytes further on.
	SNIOffset, SNIEnd int
}

// Extension returns the first extension of a type; false: there is none.
func (h *ClientHello) Extension(typ uint16) (Extension, bool) {
	return findExtension(h.Extensions, typ)
}

// ParseClientHello decodes the body of a ClientHello message. The result is
// never nil: together with an error it holds what could be decoded, a
// cut-off list up to the cut. It refers to body.
func ParseClientHello(body []byte) (*ClientHello, error) {
	var err error
	h := new(ClientHello)
	c := newCursor(body, &err)
	h.Version = c.uint16("legacy_version")
	copy(h.Random[:], c.bytes(len(h.Random), "random"))
	sid, _ := c.vector8("legacy_session_id")
	h.SessionID = sid.s
	suites, _ := c.vector16("cipher_suites")
	h.Ciphers = suites.uint16s("cipher_suites")
	methods, _ := c.vector8("legacy_compression_methods")
	h.Compression = methods.s
	h.Extensions = readExtensions(&c, func(typ uint16, in *cursor, fromEnd int) {
		if typ == ExtServerName && h.SNIEnd == 0 {
			h.SNIOffset = len(body) - fromEnd
			h.SNIEnd = h.SNIOffset + extensionHeader + len(in.s)
		}
		h.decode(typ, in)
	})
	if err != nil {
		return h, fmt.Errorf("decode ClientHello: %w", err)
	}
	return h, nil
}

// decode reads one extension into its field.
func (h *ClientHello) decode(typ uint16, in *cursor) {
	switch typ {
	case ExtServerName: // RFC 6066 section 3
		h.decodeServerName(in)
	case ExtSupportedGroups: // RFC 8446 section 4.2.7
		list, _ := in.vector16("named_group_list")
		h.Groups = groupsOf(&list)
	case ExtKeyShare: // RFC 8446 section 4.2.8
		h.decodeShares(in)
	case ExtSupportedVersions: // RFC 8446 section 4.2.1
		list, _ := in.vector8("versions")
		h.Versions = list.uint16s("versions")
	case ExtSignatureAlgorithms: // RFC 8446 section 4.2.3
		list, _ := in.vector16("supported_signature_algorithms")
		h.SigAlgs = list.uint16s("supported_signature_algorithms")
	case ExtSigAlgsCert: // RFC 8446 section 4.2.3
		list, _ := in.vector16("supported_signature_algorithms")
		h.SigAlgsCert = list.uint16s("supported_signature_algorithms")
	case ExtALPN: // RFC 7301 section 3.1
		h.decodeALPN(in)
	case ExtCookie: // RFC 8446 section 4.2.2
		cookie, _ := in.vector16("cookie")
		h.Cookie = cookie.s
	default:
		return // only its framing is ours to judge
	}
	in.end()
}

func (h *ClientHello) decodeServerName(in *cursor) {
	list, _ := in.vector16("server_name_list")
	for !list.empty() {
		typ := list.uint8("name_type")
		name, _ := list.vector16("host_name")
		if typ == 0 && h.ServerName == "" {
			h.ServerName = string(name.s)
		}
	}
}

func (h *ClientHello) decodeShares(in *cursor) {
	list, _ := in.vector16("client_shares")
	h.Shares = make([]KeyShare, 0, 3)
	for !list.empty() {
		if len(list.s) < 2 {
			list.bytes(2, "group")
			return
		}
		g := Group(list.uint16("group"))
		key, _ := list.vector16("key_exchange")
		h.Shares = append(h.Shares, KeyShare{Group: g, Data: key.s})
	}
}

func (h *ClientHello) decodeALPN(in *cursor) {
	list, _ := in.vector16("protocol_name_list")
	for !list.empty() {
		name, _ := list.vector8("protocol_name")
		h.ALPN = append(h.ALPN, string(name.s))
	}
}

func groupsOf(list *cursor) []Group {
	values := list.uint16s("named_group_list")
	groups := make([]Group, len(values))
	for i, v := range values {
		groups[i] = Group(v)
	}
	return groups
}

// Marshal encodes the body of the message. A decoded hello gives the bytes it
// was decoded from. Where Extensions is nil the list is made of the fields
// that are set; see Extension for how to mix the two. It panics if a field is
// longer than its vector can hold.
func (h *ClientHello) Marshal() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, 2048))
	b.AddUint16(h.Version)
	b.AddBytes(h.Random[:])
	addVector8(b, h.SessionID)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.Ciphers) })
	addVector8(b, h.Compression)
	exts := h.Extensions
	if exts == nil {
		exts = h.implied()
	}
	if exts != nil {
		addExtensions(b, exts, h.encode)
	}
	return b.BytesOrPanic()
}

// implied lists the extensions that the fields call for, in Go's order.
func (h *ClientHello) implied() (exts []Extension) {
	for _, e := range []struct {
		typ uint16
		set bool
	}{
		{ExtServerName, h.ServerName != ""},
		{ExtSupportedGroups, h.Groups != nil},
		{ExtSignatureAlgorithms, h.SigAlgs != nil},
		{ExtSigAlgsCert, h.SigAlgsCert != nil},
		{ExtALPN, h.ALPN != nil},
		{ExtSupportedVersions, h.Versions != nil},
		{ExtCookie, h.Cookie != nil},
		{ExtKeyShare, h.Shares != nil},
	} {
		if e.set {
			exts = append(exts, Extension{Type: e.typ})
		}
	}
	return exts
}

// encode is the reverse of decode.
func (h *ClientHello) encode(b *cryptobyte.Builder, typ uint16) {
	switch typ {
	case ExtServerName:
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint8(0) // host_name
			addVector16(b, []byte(h.ServerName))
		})
	case ExtSupportedGroups:
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.Groups) })
	case ExtKeyShare:
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, s := range h.Shares {
				b.AddUint16(uint16(s.Group))
				addVector16(b, s.Data)
			}
		})
	case ExtSupportedVersions:
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.Versions) })
	case ExtSignatureAlgorithms:
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.SigAlgs) })
	case ExtSigAlgsCert:
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addUint16s(b, h.SigAlgsCert) })
	case ExtALPN:
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, p := range h.ALPN {
				addVector8(b, []byte(p))
			}
		})
	case ExtCookie:
		addVector16(b, h.Cookie)
	}
}
