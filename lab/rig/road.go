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
	decoy bool // another server of the same kind, for boxes that misroute
	tls   bool // a certificate in the server's name, for boxes that end TLS
}

func needsOf(boxes []box.Program) needs {
	var n needs
	for _, b := range boxes {
		n.decoy, n.tls = n.decoy || b.NeedsDecoy(), n.tls || b.Layer == box.TLS
	}
	return n
}

// extras are what meets the needs.
type extras struct {
	decoy uint16 // its port
	tls   box.Identity
	done  func()
}

// intercept is what a box shows that ends TLS: a certificate with the name of
// the server it stands before, as interception proxies make them.
func intercept(a *peers.Authority, cn string) (box.Identity, error) {
	id, err := a.Issue(cn, lab.DefaultCert)
	return box.Identity{Cert: id.Cert, Key: id.Key, Roots: a.PEM()}, err
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
// adds what the engine saw. The error of handshake is the doing of the role
// it names: "cannot do that" becomes evidence, anything else is the lab's.
// second brings up what boxes need of the server that end connections.
func (r road) travel(ctx context.Context, carrier netem.Carrier, c lab.Cell, seed uint64, ends func(v6 bool) (client, server netip.Addr),
	second func(netem.Link, needs) (extras, error), handshake func(netem.Link, uint16) (lab.Evidence, lab.Role, error)) (lab.Evidence, error) {
	link, err := r.links.Lookup(c.Link)
	if err != nil {
		return lab.Evidence{}, err
	}
	boxes, err := r.boxes.chain(c)
	if err != nil {
		return lab.Evidence{}, err
	}
	slot, err := r.slots.take(link.Jumbo())
	if err != nil {
		return lab.Evidence{}, err
	}
	defer r.slots.give(slot)
	release, err := r.tokens.take(ctx)
	if err != nil {
		return lab.Evidence{}, err
	}
	defer release()
	starved := r.pressure.since(time.Now())
	client, server := ends(link.V6())
	path := netem.Path{Slot: slot, Name: cmp.Or(c.Fates, c.ID), Seed: seed, Link: link, Boxes: boxes, Client: client, Server: server}
	if n := needsOf(boxes); n != (needs{}) {
		x, err := second(link, n)
		if err != nil {
			return refusedToRun(lab.ServerRole, err)
		}
		defer x.done()
		path.Decoy, path.TLS = x.decoy, x.tls
	}
	if err := carrier.Open(path); err != nil {
		return lab.Evidence{}, fmt.Errorf("open path: %w", err)
	}
	e, role, handshakeErr := handshake(link, slot)
	trace, err := carrier.Close(slot)
	switch {
	case err != nil:
		return lab.Evidence{}, fmt.Errorf("close path: %w", err)
	case handshakeErr != nil:
		return refusedToRun(role, handshakeErr)
	}
	e = withTrace(e, trace, link, starved(time.Now()))
	for i := range e.Path.Boxes {
		e.Path.Boxes[i].Fix = r.boxes.fix(e.Path.Boxes[i].Box)
	}
	return e, nil
}
