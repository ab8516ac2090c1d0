package lab

import (
	"fmt"
	"slices"
	"strings"

	"hybridlab/lab/wire"
)

// Share says what one end does about the key share of a group it lists.
type Share uint8

const (
	ShareDefault  Share = iota // the stack's own rule decides
	ShareSent                  // a key_share entry is sent, written "*group"
	ShareWithheld              // advertised in supported_groups only, written "~group"
)

// ListedGroup is one entry of an Offer.
type ListedGroup struct {
	Group wire.Group
	Share Share
	Tier  int // preference tier, 0 best; entries of one tier are equals (OpenSSL's tuples)
}

// Offer is a list of groups as configured at one end: what a client offers
// or what a server accepts. The zero Offer is the stack's untouched default.
//
// Its text form is used in cell ids and on the command line:
//
//	default                     the stack's own default
//	x25519mlkem768              one group
//	x25519mlkem768+x25519       two groups in one tier (a flat list)
//	x25519mlkem768>x25519       two tiers: the second only where the first cannot be had
//	x25519+~x25519mlkem768      X25519 share sent, the hybrid only advertised
type Offer struct{ Listed []ListedGroup }

// Groups returns the listed code points in order.
func (o Offer) Groups() []wire.Group {
	gs := make([]wire.Group, len(o.Listed))
	for i, l := range o.Listed {
		gs[i] = l.Group
	}
	return gs
}

// Has reports whether g is listed.
func (o Offer) Has(g wire.Group) bool { return slices.Contains(o.Groups(), g) }

// Default reports whether o leaves the stack's configuration untouched.
func (o Offer) Default() bool { return len(o.Listed) == 0 }

// Tiered reports whether o ranks its groups in more than one tier.
func (o Offer) Tiered() bool {
	return len(o.Listed) > 0 && o.Listed[len(o.Listed)-1].Tier > 0
}

// Explicit reports whether o says itself which key shares are sent.
func (o Offer) Explicit() bool {
	return slices.ContainsFunc(o.Listed, func(l ListedGroup) bool { return l.Share != ShareDefault })
}

// Sent returns the groups whose share an explicit offer sends: those marked
// "*" where there are any, otherwise everything not marked "~".
func (o Offer) Sent() []wire.Group {
	want := ShareDefault
	if slices.ContainsFunc(o.Listed, func(l ListedGroup) bool { return l.Share == ShareSent }) {
		want = ShareSent
	}
	var gs []wire.Group
	for _, l := range o.Listed {
		if l.Share == want {
			gs = append(gs, l.Group)
		}
	}
	return gs
}

func (o Offer) String() string {
	if o.Default() {
		return "default"
	}
	var b strings.Builder
	for i, l := range o.Listed {
		if i > 0 {
			b.WriteByte(separator(l.Tier > o.Listed[i-1].Tier))
		}
		b.WriteString([...]string{"", "*", "~"}[l.Share])
		b.WriteString(l.Group.Slug())
	}
	return b.String()
}

func separator(newTier bool) byte {
	if newTier {
		return '>'
	}
	return '+'
}

// ParseOffer reads the text form described at Offer. An unknown group is an
// error that names the known ones.
func ParseOffer(s string) (Offer, error) {
	if s == "default" {
		return Offer{}, nil
	}
	var o Offer
	for tier, part := range strings.Split(s, ">") {
		for name := range strings.SplitSeq(part, "+") {
			l, err := parseListed(name, tier)
			if err != nil {
				return Offer{}, fmt.Errorf("parse group list %q: %w", s, err)
			}
			if o.Has(l.Group) {
				return Offer{}, fmt.Errorf("parse group list %q: %s is listed twice", s, l.Group)
			}
			o.Listed = append(o.Listed, l)
		}
	}
	return o, nil
}

// MustOffer is ParseOffer for tables in code.
func MustOffer(s string) Offer {
	o, err := ParseOffer(s)
	if err != nil {
		panic(err)
	}
	return o
}

func parseListed(name string, tier int) (ListedGroup, error) {
	share := ShareDefault
	switch {
	case strings.HasPrefix(name, "*"):
		share, name = ShareSent, name[1:]
	case strings.HasPrefix(name, "~"):
		share, name = ShareWithheld, name[1:]
	}
	g, err := wire.LookupGroup(name)
	return ListedGroup{Group: g, Share: share, Tier: tier}, err
}

// MarshalText and UnmarshalText make the text form the JSON form as well.
func (o Offer) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the form written by MarshalText.
func (o *Offer) UnmarshalText(b []byte) (err error) {
	*o, err = ParseOffer(string(b))
	return err
}
