package peers

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"slices"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// goOrder is crypto/tls's fixed order of preference (defaults.go).
// Config.CurvePreferences takes groups out of it; it does not reorder them.
// The NIST hybrids came with Go 1.26, and MLKEM1024, never by default, with 1.27.
var goOrder = []wire.Group{
	wire.X25519MLKEM768, wire.SecP256r1MLKEM768, wire.SecP384r1MLKEM1024, wire.MLKEM1024,
	wire.X25519, wire.SecP256r1, wire.SecP384r1, wire.SecP521r1,
}

// The groups of a version.
var (
	go124Groups = without(goOrder, wire.SecP256r1MLKEM768, wire.SecP384r1MLKEM1024, wire.MLKEM1024)
	go126Groups = without(goOrder, wire.MLKEM1024)
)

// Its defaults; go123 is also everybody's with the setting tlsmlkem=0, and
// go124 with tlssecpmlkem=0.
const (
	go123 = "*x25519+secp256r1+secp384r1+secp521r1"
	go124 = "*x25519mlkem768+*x25519+secp256r1+secp384r1+secp521r1"
	go126 = "*x25519mlkem768+secp256r1mlkem768+secp384r1mlkem1024+*x25519+secp256r1+secp384r1+secp521r1"
)

func without(all []wire.Group, gs ...wire.Group) []wire.Group {
	return slices.DeleteFunc(slices.Clone(all), func(g wire.Group) bool { return slices.Contains(gs, g) })
}

// goClassical maps the hybrids to the share that rides along (key_schedule.go,
// hybridKeyExchange.keyShares).
var goClassical = map[wire.Group]wire.Group{
	wire.X25519MLKEM768:     wire.X25519,
	wire.SecP256r1MLKEM768:  wire.SecP256r1,
	wire.SecP384r1MLKEM1024: wire.SecP384r1,
}

// goRules are the rules of crypto/tls since Go 1.24 with such a default.
func goRules(byDefault string) lab.Rules {
	return lab.Rules{
		Default:   lab.MustOffer(byDefault),
		Order:     goOrder,
		Shares:    lab.ShareFirstAndClassical,
		Pick:      lab.PickPostQuantum,
		Classical: goClassical,
		NoMatch:   "handshake_failure",
		Old:       lab.OldRules{ClientOrder: true},
	}
}

// mlDSARules are those of Go 1.27, which has ML-DSA certificates in whatever
// configuration.
func mlDSARules(byDefault string) lab.Rules {
	r := goRules(byDefault)
	r.Certs = CertKinds()
	return r
}

// muted are the rules where a setting takes groups out of every list, also out
// of CurvePreferences, without a word. Go 1.27 does so to its default only.
func muted(r lab.Rules, cure string, gs ...wire.Group) lab.Rules {
	r.Withdrawn, r.Cure = gs, cure
	return r
}

const (
	goModCure = "go 1.24 or later in go.mod, or GODEBUG=tlsmlkem=1: with the settings of older versions crypto/tls has no hybrid, whatever CurvePreferences says"
	mlkemCure = "no GODEBUG=tlsmlkem=0: it takes the hybrids out of CurvePreferences too"
	secpCure  = "no GODEBUG=tlssecpmlkem=0: it takes the NIST hybrids out of CurvePreferences too"
)

// goPeer is a program on crypto/tls that follows the contract: one of
// docker/golang, or the lab's own.
func goPeer(argv ...string) contract { return contract{argv: argv, limits: expressGo} }

// mutedPeer is one whose settings take groups out of every list. A client with
// nothing left fails before it says hello.
func mutedPeer(gs []wire.Group, argv ...string) contract {
	return contract{argv: argv, limits: func(role lab.Role, o lab.Offer) error {
		if role == lab.ClientRole && !o.Default() && len(without(o.Groups(), gs...)) == 0 {
			return unsupported("with these settings crypto/tls has nothing left of the list")
		}
		return expressGo(role, o)
	}}
}

// goStack is crypto/tls as it comes: versions, ciphers and tickets are its
// defaults.
type goStack struct {
	max uint16 // the latest version it is allowed; 0: any
}

// expressGo says which offers CurvePreferences cannot express.
//
// A client sends the share of its first group, and if that is a hybrid, the
// share of its classical half as well if it is enabled
// (handshake_client.go, makeClientHello). A server takes a common
// post-quantum group first, then one whose share came, then its order
// (handshake_server_tls13.go, processClientHello); tiers among groups of one
// kind do not exist.
func expressGo(role lab.Role, o lab.Offer) error {
	groups := o.Groups()
	sorted := slices.SortedFunc(slices.Values(groups), inGoOrder)
	if role == lab.ClientRole && o.Explicit() && !slices.Equal(o.Sent(), goShares(sorted)) {
		return unsupported("a crypto/tls client chooses its key shares itself: its first group's, and of a hybrid the classical half's")
	}
	if !slices.Equal(groups, sorted) {
		return unsupported("crypto/tls has an order of its own: %v", goOrder)
	}
	for i := 1; role == lab.ServerRole && i < len(o.Listed); i++ {
		a, b := o.Listed[i-1], o.Listed[i]
		if a.Tier != b.Tier && a.Group.PostQuantum() == b.Group.PostQuantum() {
			return unsupported("a crypto/tls server ranks post-quantum above classical and has no other tiers")
		}
	}
	return nil
}

func inGoOrder(a, b wire.Group) int { return slices.Index(goOrder, a) - slices.Index(goOrder, b) }

// goShares are the shares a client sends whose groups are in goOrder.
func goShares(groups []wire.Group) []wire.Group {
	if half, ok := goClassical[groups[0]]; ok && slices.Contains(groups, half) {
		return []wire.Group{groups[0], half}
	}
	return groups[:1]
}

func curvePreferences(o lab.Offer) []tls.CurveID {
	var ids []tls.CurveID
	for _, g := range o.Groups() {
		ids = append(ids, tls.CurveID(g))
	}
	return ids // nil for the default
}

func (s goStack) client(conn net.Conn, r Request) (session, account, error) {
	roots, err := pool(r.CA)
	if err != nil {
		return nil, account{}, err
	}
	var keylog bytes.Buffer
	c := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: r.sni(), CurvePreferences: curvePreferences(r.Offer), MaxVersion: s.max, KeyLogWriter: &keylog})
	err = c.Handshake()
	a := goAccount(c, &keylog)
	var shown *tls.CertificateVerificationError
	if errors.As(err, &shown) && len(shown.UnverifiedCertificates) > 0 {
		a.end.Reached = clip(shown.UnverifiedCertificates[0].Subject.CommonName)
	}
	return c, a, err
}

func (s goStack) server(r Request) (func(net.Conn) (session, account, error), error) {
	chain, key, err := r.Identity.load()
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{{Certificate: chain, PrivateKey: key}}, CurvePreferences: curvePreferences(r.Offer), MaxVersion: s.max}
	return func(conn net.Conn) (session, account, error) {
		var keylog bytes.Buffer
		own := cfg.Clone()
		own.KeyLogWriter = &keylog
		c := tls.Server(conn, own)
		err := c.Handshake()
		return c, goAccount(c, &keylog), err
	}, nil
}

func goAccount(c *tls.Conn, keylog *bytes.Buffer) account {
	cs := c.ConnectionState()
	a := account{keylog: keylog.Bytes()}
	if cs.CurveID != 0 {
		a.end.Group = wire.Group(cs.CurveID).String()
	}
	if cs.Version != 0 {
		a.end.Version = tls.VersionName(cs.Version)
	}
	if len(cs.PeerCertificates) > 0 {
		a.end.Reached = clip(cs.PeerCertificates[0].Subject.CommonName)
	}
	return a
}
