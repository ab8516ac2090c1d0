package rig

import (
	"context"
	"net/netip"
	"slices"

	"hybridlab/lab"
	"hybridlab/netem"
	"hybridlab/peers"
)

// contained is a trip between two containers.
type contained struct {
	f              *containers
	ctx            context.Context
	cell           lab.Cell
	client, server *station

	up, other *instance  // the server, and the one that boxes misroute to
	shaken    bool       // the server has served, or what was left of it was ended
	hosts     []*boxHost // of the real middleboxes
	real      []*posted  // their processes for this cell, those for the other server too
	port      uint16     // that the client goes to
}

func (t *contained) addrs(v6 bool) (client, server netip.Addr) {
	return t.client.addr(v6), t.server.addr(v6)
}

func (t *contained) prepare(link netem.Link, n needs) (x extras, err error) {
	if t.up, err = t.server.serve(t.ctx, t.cell, link); err != nil {
		t.up = nil
		return x, err
	}
	var id peers.Identity
	if n.tls {
		if id, x.tls, err = intercept(t.f.authority, t.up.identity); err != nil {
			return x, err
		}
	}
	t.port = t.up.addr.Port()
	if n.decoy {
		if t.other, err = t.server.decoy(t.ctx, t.cell, link); err != nil {
			t.other = nil
			return x, err
		}
		x.decoy = t.other.addr.Port()
	}
	return x, t.post(link.V6(), n.real, id, &x)
}

// post starts the real middleboxes, the one before the server first: each has
// to know where the next one listens.
func (t *contained) post(v6 bool, legs []leg, id peers.Identity, x *extras) error {
	decoy := x.decoy
	for _, l := range slices.Backward(legs) {
		h, err := t.f.boxHost(l.box.ID)
		if err != nil {
			return err
		}
		if t.hosts = append(t.hosts, h); l.box.Inline { // it is up, and serves everybody
			x.routed = slices.Insert(x.routed, 0, netem.Routed{Via: h.addr(v6), Slot: l.slot})
			continue
		}
		next := netem.TargetAddr(l.slot, v6)
		b := peers.Between{SNI: peers.ServerName, Identity: id, CA: t.f.authority.PEM(),
			Backend: netip.AddrPortFrom(next, t.port), Decoy: netip.AddrPortFrom(next, decoy)}
		at := netem.Outside{Addr: h.addr(v6), Slot: l.slot}
		if t.port, err = t.start(h, v6, b); err != nil {
			return err
		}
		if l.misrouted {
			// Who was sent to the other server passes this box on the way there.
			b.Backend = b.Decoy
			if decoy, err = t.start(h, v6, b); err != nil {
				return err
			}
			at.Decoy = decoy
		}
		x.outside = slices.Insert(x.outside, 0, at)
	}
	return nil
}

// start starts a process of a middlebox and returns its port.
func (t *contained) start(h *boxHost, v6 bool, b peers.Between) (uint16, error) {
	b.Listen = netip.AddrPortFrom(h.addr(v6), h.ports.next())
	p, err := h.post(t.ctx, t.f.starts, b)
	if err != nil {
		return 0, err
	}
	t.real = append(t.real, p)
	return b.Listen.Port(), nil
}

func (t *contained) shake(link netem.Link, first, last uint16) (lab.Evidence, lab.Role, error) {
	t.shaken = true
	e := lab.Evidence{Addressed: t.up.identity, ServerSetup: t.up.setup}
	to := netip.AddrPortFrom(netem.TargetAddr(first, link.V6()), t.port)
	wait := t.f.wait(t.ctx, t.client.peer.ID, link, len(t.hosts) > 0)
	if err := t.client.dial(t.ctx, t.cell.Offer, to, wait, &e); err != nil {
		t.server.abandon(t.ctx, t.up)
		return e, lab.ClientRole, err
	}
	end, keylog, err := t.server.account(t.ctx, t.up, netem.ApparentAddr(last, link.V6()), e.Client.Data)
	if err != nil {
		return e, lab.ServerRole, err
	}
	e.Server = end
	if len(e.KeyLog) == 0 {
		e.KeyLog = keylog
	}
	return e, "", nil
}

func (t *contained) finish() []lab.BoxEnd {
	if t.up != nil && !t.shaken {
		t.server.abandon(t.ctx, t.up)
	}
	if t.other != nil {
		t.server.abandon(t.ctx, t.other)
	}
	var ends []lab.BoxEnd
	for _, h := range slices.Backward(t.hosts) {
		if end := h.lost.Load(); end != nil {
			ends = append(ends, *end)
		}
	}
	for i := len(t.real) - 1; i >= 0; i-- { // client to server
		if end, ok := t.real[i].end(t.ctx); ok {
			ends = append(ends, end)
		}
	}
	return ends
}
