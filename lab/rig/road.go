package rig

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"hybridlab/lab"
	"hybridlab/netem"
	"hybridlab/netem/box"
	"hybridlab/peers"
)

// needs are what boxes that end connections need besides the packets.
type needs struct {
	decoy bool  // another server of the same kind, for boxes that misroute
	tls   bool  // a certificate in the server's name, for boxes that end TLS
	real  []leg // the real middleboxes, client to server
}

// leg is a real middlebox of a cell and the leg of the path behind it.
type leg struct {
	box  peers.Middlebox
	slot uint16 // of the leg, or of the way through one that is inline
	// misrouted: a box before it may send the client to another server.
	misrouted bool
}

// needsOf reads them off a chain of boxes; the slots of the legs are to be
// filled in.
func needsOf(boxes []box.Program) (needs, error) {
	var n needs
	for _, b := range boxes {
		if Real(b.Name) {
			m, err := peers.LookupMiddlebox(b.Name)
			if err != nil {
				return n, err
			}
			n.real = append(n.real, leg{box: m, misrouted: n.decoy})
			n.decoy, n.tls = n.decoy || !m.Inline, n.tls || m.EndsTLS
			continue
		}
		n.decoy, n.tls = n.decoy || b.NeedsDecoy(), n.tls || b.Layer == box.TLS
	}
	return n, nil
}

// extras are what meets the needs.
type extras struct {
	decoy   uint16 // the other server's port
	tls     box.Identity
	outside []netem.Outside
	routed  []netem.Routed
}

// trip is a cell on its way, as the fabric brings it about.
type trip interface {
	// addrs are the real addresses of the ends.
	addrs(v6 bool) (client, server netip.Addr)
	// prepare brings up the server and what boxes need besides.
	prepare(netem.Link, needs) (extras, error)
	// shake lets the two ends shake hands over the path, whose slots are those of
	// its first and its last leg. The error is the doing of the role it names.
	shake(link netem.Link, first, last uint16) (lab.Evidence, lab.Role, error)
	// finish ends what prepare brought up for this cell alone, and says how the
	// real middleboxes ended.
	finish() []lab.BoxEnd
}

// intercept is what a box shows that ends TLS: a certificate with the name of
// the server it stands before, as interception proxies make them; as real
// middleboxes take it, and as those of the engine do.
func intercept(a *peers.Authority, cn string) (peers.Identity, box.Identity, error) {
	id, err := a.Issue(cn, lab.DefaultCert)
	return id, box.Identity{Cert: id.Cert, Key: id.Key, Roots: a.PEM()}, err
}

// road is what both fabrics have between client and server: the links and
// boxes that may be asked for, addresses for cells, a bound on those at work, an eye on
// the machine. What carries the packets is the fabric's.
type road struct {
	links    Links
	boxes    Boxes
	kind     Kind
	slots    *slots
	tokens   tokens
	pressure *pressure
}

func newRoad(links Links, boxes Boxes, kind Kind) road {
	return road{links: links, boxes: boxes, kind: kind, slots: newSlots(), tokens: make(tokens, kind.working()), pressure: &pressure{}}
}

// travel opens a path for the cell, lets the two ends shake hands over it and
// adds what the engine saw. Of the errors "cannot do that" becomes evidence,
// and so does a server that does not start; anything else is the lab's.
func (r road) travel(ctx context.Context, carrier netem.Carrier, c lab.Cell, seed uint64, t trip) (lab.Evidence, error) {
	link, err := r.links.Lookup(c.Link)
	if err != nil {
		return lab.Evidence{}, err
	}
	boxes, err := r.boxes.chain(c)
	if err != nil {
		return lab.Evidence{}, err
	}
	n, err := needsOf(boxes)
	if err != nil {
		return lab.Evidence{}, err
	}
	slots, give, err := r.slots.takeSome(1+len(n.real), link.Jumbo())
	if err != nil {
		return lab.Evidence{}, err
	}
	defer give()
	last := slots[0]
	for i := range n.real {
		n.real[i].slot = slots[1+i]
		if !n.real[i].box.Inline {
			last = slots[1+i]
		}
	}
	release, err := r.tokens.take(ctx)
	if err != nil {
		return lab.Evidence{}, err
	}
	defer release()
	starved := r.pressure.since(time.Now())
	x, err := t.prepare(link, n)
	if err != nil {
		t.finish()
		return refusedToRun(lab.ServerRole, err)
	}
	client, server := t.addrs(link.V6())
	path := netem.Path{Slot: slots[0], Name: cmp.Or(c.Fates, c.ID), Seed: seed, Link: link, Boxes: boxes, Client: client, Server: server,
		Decoy: x.decoy, TLS: x.tls, Outside: x.outside, Routed: x.routed}
	if err := carrier.Open(path); err != nil {
		t.finish()
		return lab.Evidence{}, fmt.Errorf("open path: %w", err)
	}
	e, role, shakeErr := t.shake(link, slots[0], last)
	trace, err := carrier.Close(slots[0])
	ends := t.finish()
	switch {
	case err != nil:
		return lab.Evidence{}, fmt.Errorf("close path: %w", err)
	case shakeErr != nil:
		return refusedToRun(role, shakeErr)
	}
	e = withTrace(e, trace, link, pauseOf(c.Client), starved(time.Now()))
	e.Path.Ends = ends
	for i := range e.Path.Boxes {
		e.Path.Boxes[i].Fix = r.boxes.Fix(e.Path.Boxes[i].Box)
	}
	return e, nil
}

// pauseOf is how long the client waits by itself during a handshake.
func pauseOf(client lab.PeerID) time.Duration {
	p, err := peers.Lookup(client)
	if err != nil {
		return 0
	}
	return p.Pause()
}
