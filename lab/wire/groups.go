package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Group is a TLS NamedGroup code point (RFC 8446 section 4.2.7).
type Group uint16

// The groups the lab's peers negotiate by default. Everything else is in the
// registry: see Groups.
const (
	SecP256r1          Group = 0x0017
	SecP384r1          Group = 0x0018
	SecP521r1          Group = 0x0019
	X25519             Group = 0x001d
	X448               Group = 0x001e
	MLKEM512           Group = 0x0200
	MLKEM768           Group = 0x0201
	MLKEM1024          Group = 0x0202
	SecP256r1MLKEM768  Group = 0x11eb
	X25519MLKEM768     Group = 0x11ec
	SecP384r1MLKEM1024 Group = 0x11ed
)

// Kind says what a group is made of.
type Kind uint8

const (
	Classical Kind = iota // an elliptic curve, or nothing a peer can compute with (GREASE, a forced retry)
	FFDHE                 // finite-field Diffie-Hellman, RFC 7919
	Hybrid                // a curve and a KEM
	PureKEM               // a KEM alone
)

func (k Kind) String() string {
	return [...]string{"classical", "ffdhe", "hybrid", "pure-kem"}[k]
}

// MarshalText makes a Kind readable in JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Status says how firm the meaning of a code point is.
type Status uint8

const (
	Final   Status = iota // in the IANA registry, and implementations agree on it
	Draft                 // of an Internet-Draft that was superseded or is still moving
	Private               // one project's own number: experiments, private-use ranges
	Grease                // reserved to be ignored, RFC 8701
)

func (s Status) String() string {
	return [...]string{"final", "draft", "private", "grease"}[s]
}

// MarshalText makes a Status readable in JSON.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GroupInfo is what is known of one code point.
type GroupInfo struct {
	Group       Group    `json:"group"`
	Name        string   `json:"name"` // IANA name; where there is none, the project's, made unique
	Kind        Kind     `json:"kind"`
	Status      Status   `json:"status"`
	ClientShare int      `json:"client_share,omitempty"` // bytes of key_exchange in a ClientHello; 0: not known
	ServerShare int      `json:"server_share,omitempty"` // bytes of key_exchange in a ServerHello; 0: not known
	Layout      string   `json:"layout,omitempty"`       // order of a hybrid's halves: "ML-KEM-768, then X25519"
	Source      string   `json:"source"`                 // who defines it
	Also        string   `json:"also,omitempty"`         // what else the same number has meant
	Aliases     []string `json:"aliases,omitempty"`      // other names LookupGroup takes
}

// PostQuantum reports whether the group's secret depends on a KEM.
func (i GroupInfo) PostQuantum() bool { return i.Kind == Hybrid || i.Kind == PureKEM }

// Groups returns the whole registry, sorted by code point. The slice is the
// caller's.
func Groups() []GroupInfo { return slices.Clone(registry) }

// Info returns the registry's row for g; false: the code point is unknown.
func (g Group) Info() (GroupInfo, bool) {
	i, ok := rowOf[g]
	if !ok {
		return GroupInfo{}, false
	}
	return registry[i], true
}

// String returns the IANA name ("X25519MLKEM768"), "GREASE 0x0a0a", or the
// number of an unknown group ("0x1234").
func (g Group) String() string {
	if i, ok := rowOf[g]; ok {
		return registry[i].Name
	}
	return hex(g)
}

// Slug returns the name in a form fit for paths, URLs and lists: lower case,
// no blanks, unique; LookupGroup reads it back.
func (g Group) Slug() string {
	if i, ok := rowOf[g]; ok {
		return slugs[i]
	}
	return hex(g)
}

// PostQuantum reports whether g is a hybrid or a pure post-quantum group. An
// unknown code point is not: nothing may be claimed about it.
func (g Group) PostQuantum() bool {
	i, ok := rowOf[g]
	return ok && registry[i].PostQuantum()
}

// MarshalText writes the String form.
func (g Group) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads whatever LookupGroup does.
func (g *Group) UnmarshalText(b []byte) (err error) {
	*g, err = LookupGroup(string(b))
	return err
}

// LookupGroup reads an IANA name in any case, a slug, an alias ("p256",
// "prime256v1", "x25519_mlkem768") or a code point in hex ("0x11ec"). Names that
// have had several code points over the years mean the final one; the
// older ones carry the release that used them ("mlkem768-oqs0.6").
func LookupGroup(name string) (Group, error) {
	key := fold(name)
	if g, ok := byName[key]; ok {
		return g, nil
	}
	if digits, ok := strings.CutPrefix(key, "0x"); ok {
		n, err := strconv.ParseUint(digits, 16, 16)
		if err != nil {
			return 0, fmt.Errorf("read group %q: a code point is 0x and up to four hex digits", name)
		}
		return Group(n), nil
	}
	return 0, fmt.Errorf("unknown group %q: want one of %s, another name of the registry, or a code point such as 0x11ec",
		name, strings.Join(usable, ", "))
}

// Called reports whether somebody who says name means g. known is false where
// the name, or none, says nothing.
//
// It is more generous than LookupGroup: a name that has moved on to another
// number stands for each it has had, and Brainpool curves are called by their
// names of TLS 1.2 in TLS 1.3 (RFC 8734) as well.
func (g Group) Called(name string) (is, known bool) {
	named, err := LookupGroup(name)
	if err != nil {
		return false, false
	}
	own := g.Slug()
	for _, mark := range []string{"-oqs0.6", "-oqs0.7", "old", "tls13"} {
		if older, ok := strings.CutSuffix(own, mark); ok && byName[older] == named {
			return true, true
		}
	}
	return named == g, true
}

func hex(g Group) string { return fmt.Sprintf("0x%04x", uint16(g)) }

// fold maps every accepted spelling of a name to one key.
func fold(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "-") }

// The registry's indexes, built once: String and PostQuantum are called for
// every group of every hello.
var (
	registry = buildRegistry()
	rowOf    = map[Group]int{}
	slugs    []string
	byName   = map[string]Group{}
	usable   []string // what an error message offers
)

func init() {
	for i, row := range registry {
		rowOf[row.Group] = i
		slug := fold(row.Name)
		slugs = append(slugs, slug)
		byName[slug] = row.Group
		for _, alias := range row.Aliases {
			byName[fold(alias)] = row.Group
		}
		if row.Status == Final && row.ClientShare > 0 {
			usable = append(usable, slug)
		}
	}
}

func buildRegistry() []GroupInfo {
	all := slices.Concat(classicalGroups(), ffdheGroups, finalGroups, draftGroups, oqsGroups, frodoGroups(), greaseGroups())
	slices.SortFunc(all, func(a, b GroupInfo) int { return int(a.Group) - int(b.Group) })
	return all
}
