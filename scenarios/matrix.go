package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"hybridlab/lab"
)

// Level says how much is run.
type Level struct {
	About  string
	Groups []string
	Links  []string
}

// Levels of thoroughness.
var Levels = map[string]Level{
	"smoke": {
		About:  "a few dozen cells that every change must pass",
		Groups: []string{"x25519", "x25519mlkem768"},
		Links:  []string{"clean", "mtu1280", "mtu1280-icmp-eaten"},
	},
	"quick": {
		About:  "the three hybrids and their classical halves over the links that matter most",
		Groups: Groups[:6],
		Links:  []string{"clean", "clean-v6", "mtu1280", "mtu1280-icmp-eaten", "mss536", "frag-drop", "loss1", "rtt100"},
	},
	"full": {
		About:  "every group over every link of the library",
		Groups: Groups,
		Links:  nil, // all
	},
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

// Matrix is the product of the axes.
func Matrix(clients, servers []lab.PeerID, groups, links []string) lab.Matrix {
	return lab.Matrix{Clients: clients, Servers: servers, Cases: Cases(groups), Links: links}
}
