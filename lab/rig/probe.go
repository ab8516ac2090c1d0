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
// itself for every group its row declares,
// alone, over the clean link. A client can do a group
// when its ClientHello offers it; a server when its ServerHello selects it.
func probe(ctx context.Context, f lab.Fabric, ids []lab.PeerID, provenance func(lab.PeerID) (version, image string)) []lab.PeerInfo {
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
		*info = lab.PeerInfo{ID: id}
		info.Version, info.Image = provenance(id)
		info.Client.Declared, info.Server.Declared = declared(p, lab.ClientRole), declared(p, lab.ServerRole)
		var mu sync.Mutex
		for _, g := range p.Groups {
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
