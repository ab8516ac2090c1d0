package rig

import (
	"context"
	"slices"
	"sync"

	"hybridlab/lab"
	"hybridlab/lab/wire"
	"hybridlab/peers"
)

// probe finds out on the wire what each peer can do: one real handshake with
// itself for every group, alone, over the clean link. A client can do a group
// when its ClientHello offers it; a server when its ServerHello selects it.
// The groups are those the row declares, and with all every final one of the
// registry, so that a peer that can do more than its row says is seen too.
func probe(ctx context.Context, f lab.Fabric, ids []lab.PeerID, all bool, provenance func(lab.PeerID) (version, image string)) []lab.PeerInfo {
	infos := make([]lab.PeerInfo, len(ids))
	var wg sync.WaitGroup
	busy := make(chan struct{}, probesInFlight)
	for i, id := range ids {
		p, err := peers.Lookup(id)
		if err != nil {
			infos[i] = lab.PeerInfo{ID: id, Unavailable: err.Error()}
			continue
		}
		info := &infos[i]
		*info = lab.PeerInfo{ID: id, Client: lab.Capability{Declared: declared(p, lab.ClientRole)}, Server: lab.Capability{Declared: declared(p, lab.ServerRole)}}
		info.Version, info.Image = provenance(id)
		var mu sync.Mutex
		for _, g := range candidates(p, all) {
			wg.Go(func() {
				busy <- struct{}{}
				defer func() { <-busy }()
				offers, selects := probeGroup(ctx, f, id, g)
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
	return infos
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
	gs := slices.Clone(p.Groups)
	slices.Sort(gs)
	return gs
}

func probeGroup(ctx context.Context, f lab.Fabric, id lab.PeerID, g wire.Group) (offers, selects bool) {
	alone := lab.Offer{Listed: []lab.ListedGroup{{Group: g}}}
	c := lab.NewCell(id, id, alone, alone, cleanV4)
	e, err := f.Run(ctx, c, 0)
	o := lab.Observe(c, 1, e, err)
	if len(o.Wire.ClientHellos) > 0 {
		offers = slices.Contains(o.Wire.ClientHellos[0].Groups, g)
	}
	return offers, o.Wire.ServerHello != nil && o.Wire.ServerHello.Group == g
}
