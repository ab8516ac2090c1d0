package wire

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// retryRandom marks a ServerHello as a HelloRetryRequest: the SHA-256 of
// "HelloRetryRequest" (RFC 8446 section 4.1.3).
var retryRandom = sha256.Sum256([]byte("HelloRetryRequest"))

// ServerHello is a ServerHello (RFC 8446 section 4.1.3) or a HelloRetryRequest
// (section 4.1.4), of TLS 1.3 or older. Extensions has everything that was
// sent; the fields after it are decoded from there.
type ServerHello struct {
	Version     uint16 // legacy_version
	Random      [32]byte
	SessionID   []byte // legacy_session_id_echo
	Cipher      uint16
	Compression uint8

	Extensions []Extension // nil: the hello ends before the list

	Group    Group  // of the key_share, or a HelloRetryRequest's selected_group; 0: none was sent
	Share    []byte // key_exchange; nil in a HelloRetryRequest
	ShareLen int    // bytes of key_exchange announced: more than len(Share) in a truncated hello
	Selected uint16 // version negotiated: of supported_versions, else Version
	Cookie   []byte // HelloRetryRequest only
}

// HRR reports whether h is a HelloRetryRequest.
func (h *ServerHello) HRR() bool { return h.Random == retryRandom }

// SetHRR makes h a HelloRetryRequest.
func (h *ServerHello) SetHRR() { h.Random = retryRandom }

// Extension returns the first extension of a type; false: there is none.
func (h *ServerHello) Extension(typ uint16) (Extension, bool) {
	return findExtension(h.Extensions, typ)
}

// ParseServerHello decodes the body of a ServerHello message. The result is
// never nil: together with an error it holds what could be decoded. It
// refers to body.
func ParseServerHello(body []byte) (*ServerHello, error) {
	var err error
	h := new(ServerHello)
	c := newCursor(body, &err)
	h.Version = c.uint16("legacy_version")
	h.Selected = h.Version
	copy(h.Random[:], c.bytes(len(h.Random), "random"))
	sid, _ := c.vector8("legacy_session_id_echo")
	h.SessionID = sid.s
	h.Cipher = c.uint16("cipher_suite")
	h.Compression = c.uint8("legacy_compression_method")
	h.Extensions = readExtensions(&c, func(typ uint16, in *cursor, _ int) { h.decode(typ, in) })
	if err != nil {
		return h, fmt.Errorf("decode ServerHello: %w", err)
	}
	return h, nil
}

// decode reads one extension into its field.
func (h *ServerHello) decode(typ uint16, in *cursor) {
	switch typ {
	case ExtSupportedVersions: // RFC 8446 section 4.2.1
		if v := in.uint16("selected_version"); v != 0 {
			h.Selected = v
		}
	case ExtKeyShare: // RFC 8446 section 4.2.8
		h.Group = Group(in.uint16("group"))
		if h.HRR() {
			break
		}
		key, n := in.vector16("key_exchange")
		h.Share, h.ShareLen = key.s, n
	case ExtCookie: // RFC 8446 section 4.2.2
		cookie, _ := in.vector16("cookie")
		h.Cookie = cookie.s
	default:
		return // only its framing is ours to judge
	}
	in.end()
}

// Marshal encodes the body of the message, by the rules of
// ClientHello.Marshal. supported_versions is implied by a Selected that is not
// Version.
func (h *ServerHello) Marshal() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, 2048))
	b.AddUint16(h.Version)
	b.AddBytes(h.Random[:])
	addVector8(b, h.SessionID)
	b.AddUint16(h.Cipher)
	b.AddUint8(h.Compression)
	exts := h.Extensions
	if exts == nil {
		exts = h.implied()
	}
	if exts != nil {
		addExtensions(b, exts, h.encode)
	}
	return b.BytesOrPanic()
}

// implied lists the extensions that the fields call for.
func (h *ServerHello) implied() (exts []Extension) {
	if h.Selected != 0 && h.Selected != h.Version {
		exts = append(exts, Extension{Type: ExtSupportedVersions})
	}
	if h.Group != 0 || h.Share != nil {
		exts = append(exts, Extension{Type: ExtKeyShare})
	}
	if h.Cookie != nil {
		exts = append(exts, Extension{Type: ExtCookie})
	}
	return exts
}

// encode is the reverse of decode.
func (h *ServerHello) encode(b *cryptobyte.Builder, typ uint16) {
	switch typ {
	case ExtSupportedVersions:
		b.AddUint16(h.Selected)
	case ExtKeyShare:
		b.AddUint16(uint16(h.Group))
		if !h.HRR() {
			addVector16(b, h.Share)
		}
	case ExtCookie:
		addVector16(b, h.Cookie)
	}
}

// ParseServerKeyExchange returns the curve of a TLS 1.2 ECDHE
// ServerKeyExchange (RFC 8422 section 5.4). The signature behind it is not
// looked at. A finite-field Diffie-Hellman message, which only the cipher suite
// tells apart, is an error: its first byte is a length, not a curve type.
func ParseServerKeyExchange(body []byte) (Group, error) {
	var err error
	c := newCursor(body, &err)
	curveType := c.uint8("curve_type")
	if err == nil && curveType != 3 { // named_curve
		return 0, fmt.Errorf("decode ServerKeyExchange: curve type %d is not a named curve", curveType)
	}
	g := Group(c.uint16("namedcurve"))
	c.vector8("public point")
	if err != nil {
		return g, fmt.Errorf("decode ServerKeyExchange: %w", err)
	}
	return g, nil
}
