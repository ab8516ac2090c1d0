package lab

import "hybridlab/lab/wire"

// Rules are a stack's selection rules as data, kept beside the peer. Predict
// computes from them what a cell may come to before it runs. Where a rule is
// not known, as with an image that somebody brought, its zero value says so,
// and everything that a rule of its kind could lead to is allowed.
type Rules struct {
	// Default is what the stack's untouched configuration amounts to, with
	// "*" on every share it sends.
	Default Offer
	// Order is the stack's own fixed preference order; nil: the configured
	// order counts.
	Order  []wire.Group
	Shares ShareRule
	Pick   PickRule
	// ClientOrder: among groups the server ranks alike it takes the one the
	// client names first, instead of its own first.
	ClientOrder bool
	// OwnRetry: where it has to ask for a share with a HelloRetryRequest, the
	// server goes by its own order even so.
	OwnRetry bool
	// Withdrawn are groups that the configuration takes without complaint, and
	// that are then never offered or negotiated.
	Withdrawn []wire.Group
	// Classical maps a hybrid to the classical group whose share rides along
	// when ShareFirstAndClassical sends the hybrid's.
	Classical map[wire.Group]wire.Group
	// NoMatch is the alert a server sends when no group is common, by its
	// RFC 8446 name, or NoAlert; empty: not known, any alert will do.
	NoMatch string
	// TLS12: it speaks TLS 1.2 at most, which has no post-quantum groups and
	// no key shares. TLS13: it speaks nothing older than TLS 1.3.
	TLS12, TLS13 bool
	// Old is how it chooses in TLS 1.2.
	Old OldRules
	// Certs are the kinds of server certificate it can verify as a client and
	// show as a server; nil: every kind there is.
	Certs []string
	// Shows, where there is one, is the list of a server in place of Certs.
	Shows []string
	// Breach is what is wrong on purpose with this client's key shares.
	Breach Breach
	// Hello is what its hellos weigh.
	Hello HelloSize
	// GREASE: reserved values, others each time, stand first among its groups and
	// key shares (RFC 8701). Shuffles: it sends its extensions in another order
	// each time.
	GREASE, Shuffles bool
	// Retry: the server asks every client for a second hello, also where
	// nothing is missing from the first.
	Retry bool
	// Cure is what to change where this server quietly accepts a classical
	// share although both ends could do better, or this client does not offer
	// what it is set up for; empty: nothing known.
	Cure string
}

// OldRules are what a stack does its own way in TLS 1.2.
type OldRules struct {
	// ClientOrder: the server takes the common curve that the client names
	// first, instead of its own first.
	ClientOrder bool
	// NoMatch is the alert where no curve is common; empty: that of TLS 1.3.
	NoMatch string
	// ClientCertCurve: as a client it refuses an ECDSA certificate whose curve
	// it did not list, with the alert CertAlert (empty: illegal_parameter).
	// ServerCertCurve: as a server it does not show one to a client that did
	// not.
	ClientCertCurve, ServerCertCurve bool
	CertAlert                        string
	// OwnCertCurve: as a server it does not show one either whose curve is not
	// on its own list.
	OwnCertCurve bool
	// NoList: as a server it takes a hello that lists no curve for one that
	// lists them all (RFC 8422 section 5.1); the others find none in common.
	NoList bool
	// NoCurve: where no curve is common and the certificate is RSA, it agrees
	// on a key exchange without one: RSA, or finite fields.
	NoCurve bool
}

// NoAlert stands for a server that closes the connection and sends no alert,
// although RFC 8446 section 4.1.1 requires one.
const NoAlert = "no alert"

// ShareRule says which key shares a client sends when the offer leaves it open.
type ShareRule string

const (
	ShareUnknown           ShareRule = ""                    // any of the groups it offers
	ShareFirst             ShareRule = "first"               // the most preferred group only
	ShareFirstAndClassical ShareRule = "first-and-classical" // and its classical half, if listed
	ShareFirstOfEachKind   ShareRule = "first-of-each-kind"  // the first post-quantum and the first classical group
	ShareTwoFamilies       ShareRule = "two-families"        // the first group, and the first computed in another way (NIST curve, Montgomery curve, finite field)
)

// PickRule says how a server chooses among the common groups.
type PickRule string

const (
	// PickUnknown: any common group may come out.
	PickUnknown PickRule = ""
	// PickPostQuantum: a common post-quantum group wins even where it costs a
	// HelloRetryRequest; after that a group whose share came; after that order.
	PickPostQuantum PickRule = "post-quantum-first"
	// PickTier: the best tier with a common group wins; inside it a group
	// whose share came beats a better one that needs a HelloRetryRequest.
	PickTier PickRule = "tier-then-share"
	// PickTierPostQuantum: the best tier with a common group wins; inside it a
	// post-quantum group, even where it costs a HelloRetryRequest; after that a
	// group whose share came; after that order.
	PickTierPostQuantum PickRule = "tier-then-post-quantum"
	// PickOrder: the first common group wins, whatever shares came.
	PickOrder PickRule = "order"
	// PickOrderOrNext: the first common group wins, even where it costs a
	// HelloRetryRequest; only the group right behind it in the server's list
	// beats it, if its share came and NSS counts it as strong.
	PickOrderOrNext PickRule = "order-or-next"
)
