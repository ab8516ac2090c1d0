package rig

import (
	"context"
	"slices"
	"sync"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers"
)

// reference is the peer that stands in at the other end for a peer that
// cannot be both.
const reference lab.PeerID = "crafted"

// probe finds out on the wire what each peer can do: one real handshake with
// itself for every group, alone, over the clean link. A client can do a group
// when its ClientHello has a share of it; a server when its ServerHello selects
// it for TLS 1.3. What older versions can do besides is nobody's question here,
// unless the peer is held to TLS 1.2, which has no shares.
// The groups are those the row declares, and with ProbeAll every final one of
// the registry, so that a peer that can do more than its row says is seen too.
// Unavailable peers are passed over.
func probe(ctx context.Context, f lab.Fabric, ref lab.PeerID, c Config, infos []lab.PeerInfo) {
	var wg sync.WaitGroup
	busy := make(chan struct{}, probesInFlight)
	for i := range infos {
		info := &infos[i]
		p, err := c.Known.all().Lookup(info.ID)
		if err != nil || info.Unavailable != "" {
			continue
		}
		var mu sync.Mutex
		for _, g := range candidates(p, c.ProbeAll) {
			wg.Go(func() {
				busy <- struct{}{}
				defer func() { <-busy }()
				offers, selects := probeGroup(ctx, f, p, ref, c.asker(p, ref, infos, g), g)
				mu.Lock()
				defer mu.Unlock()
				if offers {
					info.Client.Probed = append(info.Client.Probed, g)
				}
				if selects {
					info.Server.Probed = append(info.Server.Probed, g)
				}
			})
		}
	}
	wg.Wait()
	for i := range infos {
		slices.Sort(infos[i].Client.Probed)
		slices.Sort(infos[i].Server.Probed)
	}
}

// candidates are the groups worth a probe.
func candidates(p peers.Peer, all bool) []wire.Group {
	gs := slices.Clone(p.Groups)
	for _, info := range wire.Groups() {
		if all && info.Status == wire.Final {
			gs = append(gs, info.Group)
		}
	}
	slices.Sort(gs)
	return slices.Compact(gs)
}

// probesInFlight bounds the handshakes of the probe.
const probesInFlight = 8

func declared(p peers.Peer, role lab.Role) []wire.Group {
	if !p.Plays(role) {
		return nil
	}
	gs := slices.DeleteFunc(slices.Clone(p.Groups), func(g wire.Group) bool { return !p.Rules.Has(g) })
	slices.Sort(gs)
	return gs
}

func only(g wire.Group) lab.Offer { return lab.Offer{Listed: []lab.ListedGroup{{Group: g}}} }

// asker is who asks a server for the group: the reference, or where that does
// not know it or the server's version, one of the run's peers that does.
func (c Config) asker(of peers.Peer, ref lab.PeerID, infos []lab.PeerInfo, g wire.Group) lab.PeerID {
	ids := []lab.PeerID{ref}
	for _, i := range infos {
		if i.Unavailable == "" {
			ids = append(ids, i.ID)
		}
	}
	for _, id := range ids {
		if p, err := c.Known.all().Lookup(id); err == nil && p.Image == "" && !(p.Rules.TLS13 && of.Rules.TLS12) && p.Supports(lab.ClientRole, only(g)) == nil {
			return id
		}
	}
	return ref
}

// probeGroup runs the peer against itself where it can be both. Where it has
// one role, or can be told of the group in one, the server at the other end
// is ref and the client asker.
func probeGroup(ctx context.Context, f lab.Fabric, p peers.Peer, ref, asker lab.PeerID, g wire.Group) (offers, selects bool) {
	alone := only(g)
	run := func(client, server lab.PeerID, offer, accept lab.Offer) lab.Observation {
		c := lab.NewCell(client, server, offer, accept, cleanV4)
		if p.Rules.TLS12 {
			c = c.WithCert("rsa2048") // an ECDSA certificate wants its curve on the list
		}
		e, err := f.Run(ctx, c, 0)
		o := lab.Observe(c, 1, e, err)
		for _, h := range o.Wire.ClientHellos {
			offers = offers || client == p.ID && (slices.Contains(h.Shares, g) || p.Rules.TLS12 && slices.Contains(h.Groups, g))
		}
		if server == p.ID && o.Wire.ServerHello != nil {
			selects = selects || o.Wire.ServerHello.Group == g && (o.Wire.ServerHello.Version == tls13) != p.Rules.TLS12
		}
		return o
	}
	client, server := p.Plays(lab.ClientRole), p.Plays(lab.ServerRole)
	if client && server {
		o := run(p.ID, p.ID, alone, alone)
		client, server = o.Server.Unsupported != "", o.Client.Unsupported != ""
	}
	if client {
		o := run(p.ID, ref, alone, anyGroup) // a hello is all that is wanted
		if o.Client.Unsupported != "" {
			run(p.ID, ref, lab.Offer{}, alone) // of its own accord it may send the share, or when asked for it
		}
	}
	if server {
		run(asker, p.ID, alone, alone)
	}
	return offers, selects
}

const tls13 = 0x0304

// anyGroup is something the reference can be.
var anyGroup = lab.MustOffer("x25519")
