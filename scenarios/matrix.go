package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/rig"
)

// Level says how much is run.
type Level struct {
	About  string
	Peers  map[rig.Kind][]lab.PeerID
	Groups []string
	Links  []string // nil: all
	// Clients and Servers join the peers at one end.
	Clients, Servers []lab.PeerID
	Cases            func(groups []string) []lab.Case // nil: Cases
	Boxes            []string                         // chains; nil: none
}

// core are two stacks of each fabric: with them every way of choosing a
// group is met. The crafted peer stands in where no stock stack can run.
var core = map[rig.Kind][]lab.PeerID{
	rig.Embedded:   {"crafted", "go@1.26"},
	rig.Containers: {"go@1.26", "openssl@trixie"},
}

// named are the stacks that people's traffic mostly meets.
var named = map[rig.Kind][]lab.PeerID{
	rig.Embedded:   core[rig.Embedded],
	rig.Containers: {"crafted", "go@1.26", "openssl@trixie", "boringssl@trixie", "nginx@trixie", "haproxy@trixie", "openssl-oqs"},
}

// held are stacks that are told to speak TLS 1.2 only, on the same programs.
var held = []lab.PeerID{"boringssl-tls12@trixie", "go-tls12@1.26", "haproxy-tls12@trixie", "nginx-tls12@trixie", "openssl-tls12@bullseye", "openssl-tls12@trixie"}

// Levels of thoroughness.
var Levels = map[string]Level{
	"smoke": {
		About:  "a few dozen cells that every change must pass",
		Peers:  core,
		Groups: []string{"x25519", "x25519mlkem768"},
		Links:  []string{"clean", "mtu1280", "mtu1280-icmp-eaten"},
	},
	"quick": {
		About:  "the three hybrids and their classical halves over the links that matter most",
		Peers:  core,
		Groups: Groups[:6],
		Links:  []string{"clean", "clean-v6", "mtu1280", "mtu1280-icmp-eaten", "mss536", "frag-drop", "loss1", "rtt100"},
	},
	"malformed": {
		About:   "broken key shares and unusual hellos against every stack",
		Peers:   named,
		Clients: rig.Profiles(lab.ClientRole),
		Servers: []lab.PeerID{"crafted@hrr"}, // those that die are findings whoever meets them
		Groups:  Groups[3:6],
		Links:   []string{"clean"},
		Cases:   shareCases,
	},
	"tls12": {
		About:   "stacks held to TLS 1.2, at either end, beside the same without",
		Peers:   named,
		Clients: held,
		Servers: held,
		Groups:  []string{"x25519", "secp256r1", "x25519mlkem768", "secp256r1mlkem768"},
		Links:   []string{"clean"},
		Cases:   oldCases,
	},
	"middleboxes": {
		About:   "hellos of every shape through every real middlebox",
		Clients: shapedClients(),
		Servers: []lab.PeerID{"go@1.26"},
		Groups:  []string{"x25519", "x25519mlkem768"},
		Links:   []string{"clean"},
		Cases:   browserCases,
		Boxes:   append([]string{NoBox}, rig.Middleboxes()...),
	},
	"full": {
		About:  "every group over every link of the library",
		Peers:  named,
		Groups: slices.Concat(Groups, Drafts),
		Cases:  AllCases,
	},
}

// shareCases put every group's key share to the test where the server uses
// it, in the first hello and in the second, and where it does not.
func shareCases(groups []string) []lab.Case {
	out := product([]string{"default"}, []string{"default"})
	for i, g := range groups {
		other := groups[(i+1)%len(groups)]
		out = slices.Concat(out,
			product([]string{g, "~" + g}, []string{g}),
			product([]string{g}, []string{"default"}),
			product([]string{"*" + g + "+*" + other}, []string{g, other}),
			product([]string{"*" + g + "+*x25519"}, []string{"x25519"}),
		)
	}
	return out
}

// oldCases leave out what TLS 1.2 knows nothing of: shares and tiers.
func oldCases(groups []string) []lab.Case {
	s := shapes(groups)
	all := slices.Concat(untouched, s.alone, s.lists, []string{strings.Join(groups, "+")})
	return product(all, all)
}

// LookupLevel names the valid levels when the given one is not.
func LookupLevel(name string) (Level, error) {
	l, ok := Levels[name]
	if !ok {
		return Level{}, fmt.Errorf("look up level %q: want one of %s", name, strings.Join(levelNames(), ", "))
	}
	return l, nil
}

// LevelsHelp describes the levels for a flag's help.
func LevelsHelp() string {
	var b strings.Builder
	for i, n := range levelNames() {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %s", n, Levels[n].About)
	}
	return b.String()
}

func levelNames() []string {
	var names []string
	for n := range Levels {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
