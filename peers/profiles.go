package peers

import (
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// profile is the crafted stack set up to do one thing that stock stacks do
// not: the peer "crafted@NAME". One more is one row.
type profile struct {
	name  string
	about string // a clause
	role  lab.Role
	set   string // the settings of the crafted peer that it stands for
	// What a correct server must answer, see lab.Breach; none: nothing is wrong.
	alerts  []string
	mayPass bool
	with    profileGroups
}

// profileGroups are those that a profile has something to show with: the
// hybrids and their classical halves, which stay as they are.
type profileGroups struct {
	offer  lab.Offer // the untouched default
	groups []wire.Group
}

var (
	threeHybrids = with(craftedDefault, wire.X25519MLKEM768, wire.SecP256r1MLKEM768, wire.SecP384r1MLKEM1024)
	withX25519   = with(craftedDefault, wire.X25519MLKEM768)
	withNIST     = with(lab.MustOffer("*secp256r1mlkem768+*secp256r1+secp384r1"), wire.SecP256r1MLKEM768, wire.SecP384r1MLKEM1024)
)

// Those for flaws of classical shares have no other classical group.
var (
	onlyX25519 = profileGroups{lab.MustOffer("*x25519mlkem768+*x25519"), []wire.Group{wire.X25519MLKEM768, wire.X25519}}
	onlyNIST   = profileGroups{lab.MustOffer("*secp256r1mlkem768+*secp256r1+secp384r1"), []wire.Group{wire.SecP256r1MLKEM768, wire.SecP256r1, wire.SecP384r1}}
)

func with(offer lab.Offer, hybrids ...wire.Group) profileGroups {
	return profileGroups{offer, append(hybrids, wire.X25519, wire.SecP256r1, wire.SecP384r1)}
}

var (
	illegal   = []string{"illegal_parameter"}
	malformed = []string{"decode_error", "illegal_parameter"} // its length is wrong, and so it is no key
)

const either lab.Role = "" // both ends have a hello to cut

var profiles = []profile{
	// Shares that a server must refuse if it would use them.
	{"truncated", "every hybrid share lacks its last byte", lab.ClientRole, "flaw=truncated", illegal, false, threeHybrids},
	{"padded", "every hybrid share is one byte too long", lab.ClientRole, "flaw=padded", illegal, false, threeHybrids},
	{"empty", "every hybrid share is empty", lab.ClientRole, "flaw=empty", malformed, false, threeHybrids},
	{"non-canonical", "every ML-KEM key has a coefficient that is not below q", lab.ClientRole, "flaw=non-canonical", illegal, false, threeHybrids},
	{"swapped", "the halves of every hybrid share come in the other order", lab.ClientRole, "flaw=swapped", illegal, false, threeHybrids},
	{"zero-x25519", "the X25519 half of the hybrid share is all zero", lab.ClientRole, "flaw=zero-x25519", illegal, false, withX25519},
	{"point-hybrid", "the NIST point of every hybrid share has SEC 1's hybrid form", lab.ClientRole, "flaw=point-hybrid", illegal, false, withNIST},
	{"point-short", "the NIST point of every hybrid share is compressed", lab.ClientRole, "flaw=point-short", illegal, false, withNIST},

	// The same of classical groups. The RFC has no alert for a wrong length.
	{"classical-truncated", "every classical share lacks its last byte", lab.ClientRole, "flaw=truncated,classical", malformed, false, threeHybrids},
	{"classical-empty", "every classical share is empty", lab.ClientRole, "flaw=empty,classical", malformed, false, threeHybrids},
	{"classical-zero-x25519", "the X25519 share is all zero", lab.ClientRole, "flaw=zero-x25519,classical", illegal, false, onlyX25519},
	{"classical-point-hybrid", "the NIST point of every classical share has SEC 1's hybrid form", lab.ClientRole, "flaw=point-hybrid,classical", illegal, false, onlyNIST},
	{"classical-point-short", "the NIST point of every classical share is compressed", lab.ClientRole, "flaw=point-short,classical", malformed, false, onlyNIST},

	// Lists of shares that a server may refuse: RFC 8446 section 4.2.8.
	{"duplicate", "every hybrid share comes twice", lab.ClientRole, "flaw=duplicate", illegal, true, threeHybrids},
	{"unlisted", "a share comes for a hybrid that supported_groups does not list", lab.ClientRole, "flaw=unlisted", illegal, true, threeHybrids},
	{"reversed", "the shares come in the opposite order of supported_groups", lab.ClientRole, "flaw=reversed", illegal, true, threeHybrids},

	// Hellos that are sound and unusual: everybody must take them.
	{"records-2", "the hello's first 100 bytes are a TLS record of their own", either, "record=100", nil, false, threeHybrids},
	{"records-many", "no TLS record of the hello has more than 64 bytes", either, "records=64", nil, false, threeHybrids},
	{"bytes-1-1-1", "the first three bytes come in a segment each", either, "cut=1:2:3", nil, false, threeHybrids},
	{"cut-header", "the first segment ends inside the record header", either, "cut=3", nil, false, threeHybrids},
	{"cut-header-50ms", "the first segment ends inside the record header, and the rest comes 50 ms later", either, "cut=3,gap=50ms", nil, false, threeHybrids},
	{"grease", "reserved values stand first in every list of the hello, and among the shares", lab.ClientRole, "grease", nil, false, threeHybrids},
	{"pad-1700", "the hello is padded to 1,700 bytes", lab.ClientRole, "pad=1700", nil, false, threeHybrids},
	{"pad-4000", "the hello is padded to 4,000 bytes", lab.ClientRole, "pad=4000", nil, false, threeHybrids},
	{"pad-17000", "the hello is padded to 17,000 bytes and takes two TLS records", lab.ClientRole, "pad=17000", nil, false, threeHybrids},
	{"late-name", "server_name is the last extension, behind the shares", lab.ClientRole, "late-name", nil, false, threeHybrids},
	{"ml-dsa", "ML-DSA signature schemes are advertised, and understood", lab.ClientRole, "ml-dsa", nil, false, threeHybrids},

	// Servers. Those that die are findings, and must be told apart.
	{"hrr", "every hello is answered with a HelloRetryRequest, for a cookie where no share is missing", lab.ServerRole, "hrr", nil, false, threeHybrids},
	{"hrr-reset", "the second hello is answered with a TCP reset", lab.ServerRole, "hrr,death=reset", nil, false, threeHybrids},
	{"hrr-silent", "the second hello is not answered", lab.ServerRole, "hrr,death=silent", nil, false, threeHybrids},
	{"hrr-alert", "the second hello is answered with illegal_parameter", lab.ServerRole, "hrr,death=alert", nil, false, threeHybrids},
}

// withProfiles adds a row for every profile to the rows of stacks, and to each
// what is kept apart from the rows.
func withProfiles(rows []Peer) []Peer {
	for i := range rows {
		rows[i] = rows[i].complete()
	}
	stack := rows[slices.IndexFunc(rows, func(p Peer) bool { return p.ID == "crafted" })]
	for _, f := range profiles {
		rows = append(rows, f.of(stack))
	}
	slices.SortFunc(rows, func(a, b Peer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return rows
}

// of is the crafted peer's row, changed to the profile's.
func (f profile) of(p Peer) Peer {
	p.ID, p.Groups, p.Rules.Default = p.ID+"@"+lab.PeerID(f.name), f.with.groups, f.with.offer
	p, err := shaped(p, f.settings())
	if err != nil {
		panic(err)
	}
	p.About = f.about
	if f.role != either {
		p.Roles = []lab.Role{f.role}
	}
	return p
}

func (f profile) settings() []lab.Setting {
	_, set, err := lab.SplitSettings(f.name + "{" + f.set + "}")
	if err != nil {
		panic(err) // a row of the table
	}
	return set
}

// spoilt finds the profile whose key shares are spoilt like the shape's: it
// knows what a correct server answers, and which groups can be spoilt so.
func spoilt(s Shape) (profile, bool) {
	for _, f := range profiles {
		if other, err := shapeOf(f.settings()); err == nil && f.alerts != nil && other.Flaw == s.Flaw && other.Classical == s.Classical {
			return f, true
		}
	}
	return profile{}, false
}

// Profiles lists the crafted peer's profiles that have the role.
func Profiles(role lab.Role) []lab.PeerID {
	var out []lab.PeerID
	for _, p := range table {
		if p.About != "" && p.Plays(role) {
			out = append(out, p.ID)
		}
	}
	return out
}
