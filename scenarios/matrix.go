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
