package rig

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"hybridlab/lab"
	"hybridlab/netem"
)

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
func (r road) travel(ctx context.Context, carrier netem.Carrier, c lab.Cell, seed uint64, ends func(v6 bool) (client, server netip.Addr),
	handshake func(netem.Link, uint16) (lab.Evidence, lab.Role, error)) (lab.Evidence, error) {
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
	if err := carrier.Open(netem.Path{Slot: slot, Name: c.ID, Seed: seed, Link: link, Boxes: boxes, Client: client, Server: server}); err != nil {
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
