package crafted

import (
	"crypto/rand"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"hybridlab/lab/wire"
)

// Handshake message types, RFC 8446 section 4.
const (
	msgClientHello         = 1
	msgServerHello         = 2
	msgEncryptedExtensions = 8
	msgCertificate         = 11
	msgCertificateVerify   = 15
	msgFinished            = 20
	msgKeyUpdate           = 24
	msgMessageHash         = 254
)

// Extensions, RFC 8446 section 4.2.
const (
	extServerName        = 0
	extSupportedGroups   = 10
	extSignatureAlgs     = 13
	extPadding           = 21
	extSupportedVersions = 43
	extSignatureAlgsCert = 50
	extCookie            = 44
	extKeyShare          = 51
)

const (
	tls12 = 0x0303
	tls13 = 0x0304
)

// grease is the reserved value this peer uses in every list; fixed, so that
// hellos are the same size and shape in every run (RFC 8701 section 2).
const grease = 0x6a6a

// retryRandom marks a ServerHello as a HelloRetryRequest, RFC 8446 section 4.1.3:
// the SHA-256 of that name.
var retryRandom = suites[0].sum([]byte("HelloRetryRequest"))

type keyShare struct {
	group wire.Group
	data  []byte
}

// clientHello is RFC 8446 section 4.1.2: what we send, or what we understood
// of what was received.
type clientHello struct {
	random     []byte
	sessionID  []byte
	suites     []uint16
	groups     []wire.Group
	shares     []keyShare
	versions   []uint16
	sigAlgs    []uint16
	certAlgs   []uint16 // nil: no signature_algorithms_cert
	serverName string
	cookie     []byte
	again      bool // asked for one share by a HelloRetryRequest: it brings that one, and no GREASE beside it
}

// newClientHello draws the random values.
func newClientHello(groups []wire.Group, serverName string) (*clientHello, error) {
	h := &clientHello{random: make([]byte, 32), sessionID: make([]byte, 32), groups: groups, serverName: serverName,
		versions: []uint16{tls13}}
	for _, b := range [][]byte{h.random, h.sessionID} {
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
	}
	for _, s := range suites {
		h.suites = append(h.suites, s.id)
	}
	for _, s := range schemes {
		h.sigAlgs = append(h.sigAlgs, s.id)
	}
	return h, nil
}

// marshal encodes the message, dressed up as the shape says.
func (h *clientHello) marshal(shape Shape) ([]byte, error) {
	dressed := *h
	var err error
	if dressed.shares, err = shape.Flaw.spoil(h.shares, h.groups, shape.Classical); err != nil {
		return nil, err
	}
	dressed.sigAlgs = slices.Concat(h.sigAlgs, shape.SigAlgs)
	if shape.CertSigAlgs != nil {
		dressed.certAlgs = slices.Concat(h.sigAlgs, shape.CertSigAlgs)
	}
	if shape.GREASE {
		dressed.suites = slices.Insert(slices.Clone(h.suites), 0, grease)
		dressed.versions = slices.Insert(slices.Clone(h.versions), 0, grease)
		dressed.groups = slices.Insert(slices.Clone(h.groups), 0, wire.Group(grease))
		if !h.again {
			dressed.shares = slices.Insert(dressed.shares, 0, keyShare{grease, []byte{0}})
		}
	}
	exts := dressed.extensions(shape.GREASE)
	if shape.LateName {
		exts = moveLast(exts, extServerName)
	}
	m, err := dressed.message(exts)
	if short := shape.PadTo - recordHeader - len(m); err == nil && short > 0 {
		padding := extension{extPadding, raw(make([]byte, max(0, short-4)))}
		return dressed.message(append(exts, padding))
	}
	return m, err
}

func moveLast(exts []extension, typ uint16) []extension {
	i := slices.IndexFunc(exts, func(e extension) bool { return e.typ == typ })
	e := exts[i]
	return append(slices.Delete(exts, i, i+1), e)
}

func (h *clientHello) extensions(greased bool) []extension {
	exts := []extension{
		{extServerName, vector16(func(b *cryptobyte.Builder) {
			b.AddUint8(0) // host_name, RFC 6066 section 3
			vector16(raw([]byte(h.serverName)))(b)
		})},
		{extSupportedGroups, vector16(list(h.groups))},
		{extSignatureAlgs, vector16(list(h.sigAlgs))},
		{extSupportedVersions, vector8(list(h.versions))},
		{extKeyShare, vector16(func(b *cryptobyte.Builder) {
			for _, s := range h.shares {
				s.add(b)
			}
		})},
	}
	if h.certAlgs != nil {
		exts = append(exts, extension{extSignatureAlgsCert, vector16(list(h.certAlgs))})
	}
	if h.cookie != nil {
		exts = append(exts, extension{extCookie, vector16(raw(h.cookie))})
	}
	if greased {
		exts = slices.Insert(exts, 0, extension{grease, raw(nil)})
		exts = append(exts, extension{0x7a7a, raw([]byte{0})})
	}
	return exts
}

func (h *clientHello) message(exts []extension) ([]byte, error) {
	return message(msgClientHello, func(b *cryptobyte.Builder) {
		b.AddUint16(tls12)
		b.AddBytes(h.random)
		vector8(raw(h.sessionID))(b)
		vector16(list(h.suites))(b)
		b.AddBytes([]byte{1, 0}) // no compression
		extensions(exts)(b)
	})
}

// parseClientHello reads a ClientHello message. It keeps what a server needs
// and passes over extensions it does not know.
func parseClientHello(m []byte) (*clientHello, error) {
	h := &clientHello{}
	var legacy, comp, exts cryptobyte.String
	var suiteList cryptobyte.String
	body, err := messageBody(m, msgClientHello)
	if err != nil {
		return nil, err
	}
	if !body.Skip(2) || !body.ReadBytes(&h.random, 32) || !body.ReadUint8LengthPrefixed(&legacy) ||
		!body.ReadUint16LengthPrefixed(&suiteList) || !body.ReadUint8LengthPrefixed(&comp) ||
		!body.ReadUint16LengthPrefixed(&exts) || !body.Empty() || !readList(suiteList, &h.suites) {
		return nil, alertf(alertDecodeError, "malformed ClientHello")
	}
	h.sessionID = legacy
	err = eachExtension(exts, func(typ uint16, data cryptobyte.String) bool {
		var list cryptobyte.String
		switch typ {
		case extServerName:
			var kind uint8
			var name cryptobyte.String
			ok := data.ReadUint16LengthPrefixed(&list) && list.ReadUint8(&kind) && list.ReadUint16LengthPrefixed(&name)
			h.serverName = string(name)
			return ok
		case extSupportedGroups:
			return data.ReadUint16LengthPrefixed(&list) && readList(list, &h.groups)
		case extSignatureAlgs:
			return data.ReadUint16LengthPrefixed(&list) && readList(list, &h.sigAlgs)
		case extSupportedVersions:
			return data.ReadUint8LengthPrefixed(&list) && readList(list, &h.versions)
		case extCookie:
			return data.ReadUint16LengthPrefixed((*cryptobyte.String)(&h.cookie))
		case extKeyShare:
			return data.ReadUint16LengthPrefixed(&list) && h.readShares(list)
		}
		return true
	})
	return h, err
}

func (h *clientHello) readShares(list cryptobyte.String) bool {
	for !list.Empty() {
		var group uint16
		var data cryptobyte.String
		if !list.ReadUint16(&group) || !list.ReadUint16LengthPrefixed(&data) || data.Empty() {
			return false
		}
		h.shares = append(h.shares, keyShare{wire.Group(group), data})
	}
	return true
}

func (h *clientHello) share(g wire.Group) ([]byte, bool) {
	for _, s := range h.shares {
		if s.group == g {
			return s.data, true
		}
	}
	return nil, false
}

// serverHello is a ServerHello or, with retry set, a HelloRetryRequest:
// RFC 8446 sections 4.1.3 and 4.1.4.
type serverHello struct {
	retry     bool
	random    []byte
	sessionID []byte
	suite     uint16
	version   uint16
	group     wire.Group // 0: no key_share extension
	share     []byte
	cookie    []byte
}

func (h *serverHello) marshal() ([]byte, error) {
	exts := []extension{{extSupportedVersions, list([]uint16{tls13})}}
	switch {
	case h.retry && h.group != 0:
		exts = append(exts, extension{extKeyShare, list([]wire.Group{h.group})})
	case !h.retry:
		exts = append(exts, extension{extKeyShare, keyShare{h.group, h.share}.add})
	}
	if h.cookie != nil {
		exts = append(exts, extension{extCookie, vector16(raw(h.cookie))})
	}
	return message(msgServerHello, func(b *cryptobyte.Builder) {
		b.AddUint16(tls12)
		b.AddBytes(h.random)
		vector8(raw(h.sessionID))(b)
		b.AddUint16(h.suite)
		b.AddUint8(0)
		extensions(exts)(b)
	})
}

func parseServerHello(m []byte) (*serverHello, error) {
	h := &serverHello{version: tls12}
	var legacy, exts cryptobyte.String
	var compression uint8
	body, err := messageBody(m, msgServerHello)
	if err != nil {
		return nil, err
	}
	if !body.Skip(2) || !body.ReadBytes(&h.random, 32) || !body.ReadUint8LengthPrefixed(&legacy) ||
		!body.ReadUint16(&h.suite) || !body.ReadUint8(&compression) || compression != 0 ||
		!body.ReadUint16LengthPrefixed(&exts) || !body.Empty() {
		return nil, alertf(alertDecodeError, "malformed ServerHello")
	}
	h.sessionID = legacy
	h.retry = slices.Equal(h.random, retryRandom)
	err = eachExtension(exts, func(typ uint16, data cryptobyte.String) bool {
		switch typ {
		case extSupportedVersions:
			return data.ReadUint16(&h.version) && data.Empty()
		case extCookie:
			return data.ReadUint16LengthPrefixed((*cryptobyte.String)(&h.cookie)) && data.Empty()
		case extKeyShare:
			var share cryptobyte.String
			ok := data.ReadUint16((*uint16)(&h.group))
			if !h.retry {
				ok = ok && data.ReadUint16LengthPrefixed(&share)
				h.share = share
			}
			return ok && data.Empty()
		}
		return true
	})
	return h, err
}
