package lab

import (
	"slices"

	"hybridlab/lab/wire"
)

// HelloSize is what a client's hellos weigh, in bytes on the wire, record
// headers included: a constant of the program and its version, to which
// Predict adds what the offer asks for. The zero HelloSize claims nothing.
type HelloSize struct {
	// Base is a ClientHello for the lab's server name without the entries of
	// supported_groups and key_share, without point formats and padding; 0: not
	// known.
	Base int
	// Points is what is there only if an elliptic curve is listed: ec_point_formats
	// (RFC 8422 section 5.1.2), and in NSS cipher suites of TLS 1.2 as well.
	Points int
	// First is what only the first hello has: a key share of GREASE.
	First int
	// PadFrom and PadTo: a hello of at least PadFrom bytes and fewer than PadTo
	// is padded to PadTo (RFC 7685).
	PadFrom, PadTo int
	// Chance are the bytes that a hello may have beyond that, one of these each
	// time: an empty Encrypted ClientHello (draft-ietf-tls-esni section 6.2) is of
	// one of several lengths. Both hellos of a connection have the same.
	Chance []int
	// PadOnce: the hello after a HelloRetryRequest is not padded.
	PadOnce bool
	// Cuts are the offsets of the message, a server's ServerHello too, at which a
	// new TLS record begins.
	Cuts []int
}

// Hellos are the hellos of a cell as the rules of both ends foresee them.
type Hellos struct {
	size   HelloSize // the client's
	listed []ListedGroup
	shares []wire.Group
	spoilt Breach
	cuts   []int // of the ServerHello
}

// hellos is no claim about the client's where its shares are not known, or
// broken on purpose.
func hellos(c Cell, client, server Rules) Hellos {
	h := Hellos{size: client.Hello, spoilt: client.Breach, cuts: server.Hello.Cuts}
	for _, l := range client.kept(client.listed(c.Offer)) {
		if client.Has(l.Group) {
			h.listed = append(h.listed, l)
		}
	}
	if !client.TLS12 {
		h.shares = client.shares(c.Offer, h.listed)
	}
	if client.Breach.What != "" || !client.TLS12 && !client.sharesKnown(c.Offer) {
		h.size = HelloSize{}
	}
	return h
}

// Settled are the hellos once the first is known to have so many bytes: what was
// left to chance is what makes it so, or nothing where nothing does.
func (h Hellos) Settled(first int) Hellos {
	chance := h.size.Chance
	h.size.Chance = nil
	for _, more := range chance {
		s := h
		s.size.Base += more
		if s.First() == first {
			return s
		}
	}
	return h
}

// First is the size of the first ClientHello; 0: no claim, as where chance has
// a part in it.
func (h Hellos) First() int { return h.size.with(h.listed, h.shares, h.size.First) }

// Second is the size of the ClientHello that answers a HelloRetryRequest (RFC
// 8446 section 4.1.2): with the one share asked for in place of all others, and
// with its cookie; 0: no claim.
func (h Hellos) Second(retry ServerHello) int {
	size, shares, more := h.size, h.shares, h.size.First
	if retry.Group != 0 {
		shares, more = []wire.Group{retry.Group}, 0
	}
	if size.PadOnce {
		size.PadTo = 0
	}
	return size.with(h.listed, shares, more+cookieBytes(retry))
}

const (
	recordBytes    = 5 // a record's header
	messageBytes   = 4 // a handshake message's
	extensionBytes = 4 // an extension's, and that of a key_share entry
	recordMost     = 1 << 14
)

// with is the size of a hello that lists these groups, has a share of those,
// and that many bytes more.
func (s HelloSize) with(listed []ListedGroup, shares []wire.Group, more int) int {
	if s.Base == 0 || len(s.Chance) > 0 {
		return 0
	}
	n := s.Base + more + 2*len(listed)
	if len(listed) == 0 {
		n -= extensionBytes + 2 // the list is left out
	}
	if slices.ContainsFunc(listed, func(l ListedGroup) bool { return isCurve(l.Group) }) {
		n += s.Points
	}
	for _, g := range shares {
		info, _ := g.Info()
		if info.ClientShare == 0 {
			return 0
		}
		n += extensionBytes + info.ClientShare
	}
	if n >= s.PadFrom && n < s.PadTo {
		if n+extensionBytes >= s.PadTo {
			return 0 // no room for an extension of one byte: every stack has its own way out
		}
		n = s.PadTo
	}
	return n + recordBytes*cutsIn(n-recordBytes, s.Cuts)
}

func isCurve(g wire.Group) bool {
	info, ok := g.Info()
	return ok && info.Kind == wire.Classical
}

// cutsIn is how many records a message takes beyond the first.
func cutsIn(message int, cuts []int) (n int) {
	if cuts == nil {
		return (message - 1) / recordMost
	}
	for _, at := range cuts {
		if at < message {
			n++
		}
	}
	return n
}

// ServerHello is the size of a TLS 1.3 ServerHello with a share of its group.
// RFC 8446 section 4.1.3 lets it carry supported_versions and key_share and
// nothing else, and makes it echo the client's session id of so many bytes, so
// it is the same for every stack; 0: no claim.
func (h Hellos) ServerHello(sh ServerHello, session *int) int {
	info, _ := sh.Group.Info()
	if session == nil || sh.Version != versionTLS13 || info.ServerShare == 0 {
		return 0
	}
	n := answerBytes(*session) + extensionBytes + 2 + 2 + info.ServerShare
	return n + recordBytes*cutsIn(n-recordBytes, h.cuts)
}

// Retry is the size of a HelloRetryRequest (RFC 8446 section 4.1.4), which names
// a group, or has a cookie, or both.
func (Hellos) Retry(retry ServerHello, session *int) int {
	if session == nil {
		return 0
	}
	n := answerBytes(*session) + cookieBytes(retry)
	if retry.Group != 0 {
		n += extensionBytes + 2
	}
	return n
}

// seen are the hellos of an attempt, each as it left its sender or, of a
// server, as it arrived; those that are not all there are passed over.
func (h Hellos) seen(w Wire) (out []HelloSeen) {
	add := func(message string, bytes, predicted int) { out = append(out, HelloSeen{message, bytes, predicted}) }
	if len(w.ClientHellos) == 0 || w.ClientHellos[0].SHA256 == "" {
		return nil
	}
	first := w.ClientHellos[0]
	add(messageClientHello, first.Bytes, h.First())
	if w.HRR != nil {
		add(messageRetry, w.HRR.Bytes, h.Retry(*w.HRR, first.Session))
	}
	if w.HRR != nil && len(w.ClientHellos) > 1 && w.ClientHellos[1].SHA256 != "" {
		second := h.Second(*w.HRR)
		if first.Session == nil { // of a run that did not record cookies either
			second = 0
		}
		add(messageClientHello, w.ClientHellos[1].Bytes, second)
	}
	if w.ServerHello != nil {
		add(messageServerHello, w.ServerHello.Bytes, h.ServerHello(*w.ServerHello, first.Session))
	}
	return out
}

// What a hello is called in a verdict.
const (
	messageClientHello = "ClientHello"
	messageRetry       = "HelloRetryRequest"
	messageServerHello = "ServerHello"
)

func cookieBytes(retry ServerHello) int {
	if retry.Cookie == 0 {
		return 0
	}
	return extensionBytes + 2 + retry.Cookie
}

// answerBytes is what both have: version, random, session id, cipher suite,
// compression method, the list of extensions and in it supported_versions.
func answerBytes(session int) int {
	return recordBytes + messageBytes + 2 + 32 + 1 + session + 2 + 1 + 2 + extensionBytes + 2
}
