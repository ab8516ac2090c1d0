package rig

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"hybridlab/lab"
	"hybridlab/netem"
	"hybridlab/peers"
)

// certOf is the kind of certificate the cell's server shows.
func certOf(c lab.Cell) string { return cmp.Or(c.Cert, lab.DefaultCert) }

// refusedToRun turns "this peer cannot be configured so" and "this server did
// not come up" into evidence; any other error is the lab's.
func refusedToRun(role lab.Role, err error) (lab.Evidence, error) {
	var stillborn *stillbornError
	if errors.As(err, &stillborn) { // the peer's doing, and the judge's to name
		return lab.Evidence{Server: stillborn.end, ServerSetup: stillborn.setup}, nil
	}
	if !errors.Is(err, peers.ErrUnsupported) {
		return lab.Evidence{}, err
	}
	end := lab.End{Exit: 127, Unsupported: err.Error()}
	if role == lab.ClientRole {
		return lab.Evidence{Client: end}, nil
	}
	return lab.Evidence{Server: end}, nil
}

// mostDrops bounds the drops listed in an observation; the count is whole.
const mostDrops = 64

// withTrace adds what the engine saw. pause is what the client waits of its
// own accord.
func withTrace(e lab.Evidence, t netem.Trace, l netem.Link, pause time.Duration, starved bool) lab.Evidence {
	e.Packets = t.Packets
	e.Path = lab.Path{
		Packets: t.Received, Delivered: t.Delivered, Dropped: t.Dropped, ICMP: t.ICMP, Uncounted: t.Uncounted,
		MaxLateUS: t.MaxLate.Microseconds(), BudgetMS: (budget(l) + pause).Milliseconds(),
		Late: starved || t.MaxLate > lateMost, Starved: starved,
	}
	for _, d := range t.Boxes {
		deed := lab.Deed{Box: d.Box, Action: d.Action, Times: d.Times}
		for _, i := range d.Packets {
			deed.Packets = append(deed.Packets, i+1)
		}
		e.Path.Boxes = append(e.Path.Boxes, deed)
	}
	for i, p := range t.Packets {
		if p.Drop != "" && len(e.Path.Drops) < mostDrops {
			e.Path.Drops = append(e.Path.Drops, lab.Drop{Packet: i + 1, Dir: p.Dir.String(), Reason: p.Drop, Bytes: len(p.Data)})
		}
		if strings.HasPrefix(p.Note, "corrupted") {
			e.Path.Corrupted++
		}
	}
	return e
}

// CertKinds and CheckCert are the peers' certificate kinds, for front ends.
func CertKinds() []string { return peers.CertKinds() }

// CheckCert refuses a kind that does not exist and names those that do.
func CheckCert(kind string) error { return peers.CheckCert(kind) }
