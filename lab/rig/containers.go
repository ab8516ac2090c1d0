package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"hybridlab/docker"
	"hybridlab/lab"
	"hybridlab/netem"
	"hybridlab/netem/tun"
	"hybridlab/peers"
	"hybridlab/peers/agent"
)

// containers is the fabric of real kernels: one container per peer, playing
// client and server alike, and one for the path. Nothing of Docker is in the
// way of a cell: the agents are connected, servers that can stay up do.
type containers struct {
	daemon    *docker.Daemon
	network   *docker.Network
	all       []*docker.Container
	path      *tun.Carrier
	stations  map[lab.PeerID]*station
	authority *peers.Authority
	links     Links
	slots     *slots
	pressure  *pressure
	logs      string // directory for what servers printed; empty: nowhere
	stop      context.CancelFunc
}

// openContainers builds what images are missing, starts every container
// side by side and connects to it. On error nothing is left behind.
func openContainers(ctx context.Context, c Config) (_ *Rig, err error) {
	f := &containers{links: c.Links, logs: c.Logs, slots: newSlots(), pressure: &pressure{}, stations: map[lab.PeerID]*station{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if f.daemon, err = docker.Connect(ctx); err != nil {
		return nil, err
	}
	f.daemon.Progress = func(line string) { fmt.Fprintln(orDiscard(c.Progress), line) }
	// What a lab that was killed has left would take addresses and memory.
	if _, err := f.daemon.Sweep(ctx, docker.Orphans); err != nil {
		return nil, err
	}
	if f.authority, err = peers.NewAuthority(); err != nil {
		return nil, err
	}
	images, err := f.images(ctx, c.Peers)
	if err != nil {
		return nil, err
	}
	if f.network, err = f.daemon.CreateNetwork(ctx, c.Run); err != nil {
		return nil, err
	}
	if err := f.start(ctx, c.Peers, images); err != nil {
		return nil, err
	}
	watch, stop := context.WithCancel(context.Background())
	f.stop = stop
	go f.pressure.watch(watch)
	return f.rig(ctx, c, images)
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// pathFolder is the image of the path; any image would do.
const pathFolder, pathSuite = "path", "trixie"

// images builds or finds the images: the peers' in their order, then the path's.
func (f *containers) images(ctx context.Context, ids []lab.PeerID) ([]docker.Image, error) {
	var out []docker.Image
	for _, id := range ids {
		p, err := peers.Lookup(id)
		if err != nil {
			return nil, err
		}
		img, err := f.daemon.Build(ctx, p.Folder, p.Suite, false)
		if err != nil {
			return nil, err
		}
		out = append(out, img)
	}
	img, err := f.daemon.Build(ctx, pathFolder, pathSuite, false)
	return append(out, img), err
}

// start starts the containers and connects to what runs in them.
func (f *containers) start(ctx context.Context, ids []lab.PeerID, images []docker.Image) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find our own executable: %w", err)
	}
	var specs []docker.Spec
	for i, img := range images {
		s := docker.Spec{Name: "path", Image: img.ID, Network: f.network, Binary: self, Args: []string{"path"}, Router: true}
		if i < len(ids) {
			s = docker.Spec{Name: fmt.Sprintf("peer-%d", i), Image: img.ID, Network: f.network, Binary: self, Args: []string{"agent"}}
		}
		specs = append(specs, s)
	}
	if f.all, err = f.daemon.StartAll(ctx, specs); err != nil {
		return err
	}
	path := f.all[len(ids)]
	if f.path, err = tun.Dial(ctx, path.Control, path.Token); err != nil {
		return containerError(path, err)
	}
	for i, id := range ids {
		if f.stations[id], err = f.connect(ctx, id, f.all[i], path); err != nil {
			return containerError(f.all[i], err)
		}
	}
	return nil
}

// containerError adds a container's last words, if it has ended.
func containerError(c *docker.Container, err error) error {
	select {
	case <-c.Ended():
		return fmt.Errorf("%w (container %s ended: %s)", err, c.Name, c.Why())
	default:
		return err
	}
}

func (f *containers) connect(ctx context.Context, id lab.PeerID, c, path *docker.Container) (*station, error) {
	p, err := peers.Lookup(id)
	if err != nil {
		return nil, err
	}
	a, err := agent.Dial(ctx, c.Control, c.Token)
	if err != nil {
		return nil, err
	}
	return &station{peer: p, container: c, agent: a, fabric: f, servers: map[string]*instance{}, ports: firstPort}, a.Route(ctx, path.IPv4, path.IPv6)
}

// rig reads the peers' versions and probes them.
func (f *containers) rig(ctx context.Context, c Config, images []docker.Image) (*Rig, error) {
	info, err := f.stations[c.Peers[0]].agent.Info(ctx)
	if err != nil {
		return nil, err
	}
	versions := map[lab.PeerID]string{}
	for _, id := range c.Peers {
		if versions[id], err = f.stations[id].version(ctx); err != nil {
			return nil, err
		}
	}
	digest := func(id lab.PeerID) string {
		for i, other := range c.Peers {
			if other == id {
				return images[i].ID
			}
		}
		return ""
	}
	r := &Rig{Fabric: f, closer: f, kernel: "Linux " + info.Kernel}
	r.peers = probe(ctx, f, c.Peers, c.ProbeAll, func(id lab.PeerID) (string, string) { return versions[id], digest(id) })
	return r, ctx.Err()
}

// closing bounds the removal of everything.
const closing = 30 * time.Second

// Close removes every container and the network, also after an interrupt.
func (f *containers) Close() error {
	if f.stop != nil {
		f.stop()
	}
	if f.daemon == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	err := f.saveLogs(ctx)
	for _, s := range f.stations {
		if s != nil {
			s.agent.Close()
		}
	}
	if f.path != nil {
		f.path.End()
	}
	err = errors.Join(err, docker.StopAll(ctx, f.all))
	if f.network != nil {
		// By label, for what was created and never started.
		_, sweepErr := f.daemon.Sweep(ctx, docker.OfRun(f.network.Run))
		err = errors.Join(err, sweepErr)
	}
	return errors.Join(err, f.daemon.Close())
}

// Run implements lab.Fabric.
func (f *containers) Run(ctx context.Context, c lab.Cell, seed uint64) (lab.Evidence, error) {
	link, err := f.links.Lookup(c.Link)
	if err != nil {
		return lab.Evidence{}, err
	}
	client, server := f.stations[c.Client], f.stations[c.Server]
	if client == nil || server == nil {
		return lab.Evidence{}, fmt.Errorf("run cell %q: one of its peers was not started", c.ID)
	}
	slot, err := f.slots.take()
	if err != nil {
		return lab.Evidence{}, err
	}
	defer f.slots.give(slot)
	started := time.Now()
	v6 := link.V6()
	path := netem.Path{Slot: slot, Name: c.ID, Seed: seed, Link: link, Client: client.addr(v6), Server: server.addr(v6)}
	if err := f.path.Open(path); err != nil {
		return lab.Evidence{}, fmt.Errorf("open path: %w", err)
	}
	e, role, runErr := f.handshake(ctx, c, link, slot, client, server)
	trace, err := f.path.Close(slot)
	switch {
	case err != nil:
		return lab.Evidence{}, fmt.Errorf("close path: %w", err)
	case runErr != nil:
		return refusedToRun(role, runErr)
	}
	return withTrace(e, trace, link, f.pressure.during(started)), nil
}

// handshake runs the client against the server; an error names the role
// whose doing it was.
func (f *containers) handshake(ctx context.Context, c lab.Cell, link netem.Link, slot uint16, client, server *station) (lab.Evidence, lab.Role, error) {
	s, err := server.serve(ctx, c.Accept, link)
	if err != nil {
		return lab.Evidence{}, lab.ServerRole, err
	}
	e := lab.Evidence{Addressed: s.identity}
	to := netip.AddrPortFrom(netem.TargetAddr(slot, link.V6()), s.addr.Port())
	if e.Client, e.KeyLog, err = client.dial(ctx, c.Offer, to, link); err != nil {
		server.abandon(ctx, s)
		return e, lab.ClientRole, err
	}
	end, keylog, err := server.account(ctx, s, netem.ApparentAddr(slot, link.V6()), e.Client.Data)
	if err != nil {
		return e, lab.ServerRole, err
	}
	e.Server = end
	if len(e.KeyLog) == 0 {
		e.KeyLog = keylog
	}
	return e, "", nil
}
