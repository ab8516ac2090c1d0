package scenarios

import (
	"slices"

	"hybridlab/lab"
)

// helloShapes are what middleboxes are known to stumble over: where a hello is
// cut into TCP segments and how long the rest takes, into how many TLS records
// it is cut, how long it is, and where in it the server's name stands. Each is
// settings of the crafted client; one more is one more line.
//
// In a hello of its own the record header ends at 5, the message header at 9,
// the random at 43; server_name is from 86 to 109, the name in it from 95.
var helloShapes = []string{
	"", // whole

	"cut=1", "cut=5", "cut=20", "cut=43", "cut=86", "cut=100", "cut=109", "cut=200",
	"cut=5,gap=5ms", "cut=100,gap=5ms",
	"cut=1,gap=50ms", "cut=5,gap=50ms", "cut=43,gap=50ms", "cut=86,gap=50ms", "cut=100,gap=50ms", "cut=109,gap=50ms", "cut=200,gap=50ms",
	"cut=5,gap=1s", "cut=100,gap=1s", "cut=200,gap=1s",
	"cut=100,gap=6s", // longer than routers are mostly told to wait
	"pad=1600,cut=1000", "pad=1600,cut=1000,gap=50ms", "pad=1600,cut=1448", "pad=1600,cut=1448,gap=50ms",
	"segments=1", "segments=100",

	"record=1", "record=4", "record=100", "record=1:2:3", "records=64", "record=100,cut=105,gap=50ms",
	"pad=4100,records=1000",

	"pad=300", "pad=517", "pad=1449", "pad=2100", "pad=4100", "pad=8200", "pad=16000", "pad=17000", "pad=17000,records=1000",

	"late-name", "late-name,pad=1600,cut=1448,gap=50ms", "late-name,pad=4100", "late-name,pad=8200", "late-name,pad=16000",
}

func shapedClients() []lab.PeerID {
	var out []lab.PeerID
	for _, s := range helloShapes {
		client := lab.PeerID("crafted")
		if s != "" {
			client += lab.PeerID("{" + s + "}")
		}
		out = append(out, client)
	}
	return out
}

// browserCases are two clients, of yesterday and of today, each with all its
// shares, against servers as they come.
func browserCases(groups []string) []lab.Case {
	offers := slices.Clone(groups)
	for i, g := range offers {
		for _, h := range halves {
			if g == h.hybrid {
				offers[i] = "*" + h.hybrid + "+*" + h.classical
			}
		}
	}
	return product(offers, untouched)
}
