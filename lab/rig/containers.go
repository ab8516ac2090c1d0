package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"hybridlab/docker"
	"hybridlab/lab"
	"hybridlab/netem/tun"
	"hybridlab/peers"
	"hybridlab/peers/agent"
)

// containers is the fabric of real kernels: one container per peer, playing
// client and server alike, and one for the path. Nothing of Docker is in the
// way of a cell: the agents are connected, servers that can stay up do.
type containers struct {
	road
	daemon    *docker.Daemon
	network   *docker.Network
	self      string // our executable, copied into every container
	kernel    string // release of the kernel of the containers
	path      *tun.Carrier
	stations  map[lab.PeerID]*station
	guests    map[lab.PeerID]*station // in containers of others
	absent    map[lab.PeerID]string   // peers that cannot be used, and why
	hosts     map[string]*boxHost     // of the real middleboxes, by id
	starts    chan struct{}           // one for each of them that is coming up
	authority *peers.Authority
	logs      string // directory for what servers printed; empty: nowhere
	stop      context.CancelFunc

	mu  sync.Mutex          // guards what follows, and guests
	all []*docker.Container // everything to be stopped
}

// openContainers builds what images are missing, starts every container
// side by side and connects to it. On error nothing is left behind. A peer
// that cannot be used is no error: it is listed with the reason, and its
// cells are faults.
func openContainers(ctx context.Context, c Config) (_ *Rig, err error) {
	f := &containers{road: newRoad(c.Links, c.Boxes, Containers), logs: c.Logs, stations: map[lab.PeerID]*station{}, guests: map[lab.PeerID]*station{}, absent: map[lab.PeerID]string{}, hosts: map[string]*boxHost{}, starts: make(chan struct{}, 4*runtime.NumCPU())}
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
	if f.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find our own executable: %w", err)
	}
	infos, err := c.infos()
	if err != nil {
		return nil, err
	}
	if f.network, err = f.daemon.CreateNetwork(ctx, c.Run); err != nil {
		return nil, err
	}
	path, err := f.startPath(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.startPeers(ctx, c, infos, path); err != nil {
		return nil, err
	}
	if err := f.startBoxes(ctx, c, path); err != nil {
		return nil, err
	}
	watch, stop := context.WithCancel(context.Background())
	f.stop = stop
	go f.pressure.watch(watch)
	for _, s := range f.stations {
		go s.watch(watch)
	}
	f.probe(ctx, c, infos)
	f.proveBoxes(ctx)
	return &Rig{Fabric: f, closer: f, kernel: "Linux " + f.kernel, peers: infos, real: f.hosts}, ctx.Err()
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// pathFolder is the image of the path; any image would do.
const pathFolder, pathSuite = "path", "trixie"

func (f *containers) startPath(ctx context.Context) (*docker.Container, error) {
	img, err := f.daemon.Build(ctx, pathFolder, pathSuite, false)
	if err != nil {
		return nil, err
	}
	c, err := f.container(ctx, docker.Spec{Name: "path", Image: img.ID, Args: []string{"path"}, Router: true})
	if err != nil {
		return nil, err
	}
	dialing, stop := whileUp(ctx, c)
	defer stop()
	if f.path, err = tun.Dial(dialing, c.Control, c.Token); err != nil {
		return nil, containerError(c, err)
	}
	return c, nil
}

// container starts a container that will be stopped with the fabric.
func (f *containers) container(ctx context.Context, s docker.Spec) (*docker.Container, error) {
	s.Network, s.Binary = f.network, f.self
	c, err := f.daemon.Start(ctx, s)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, c)
	return c, nil
}

// startTime bounds what a peer's start may take, its proof included.
const startTime = time.Minute

// whileUp is ctx for as long as the container runs, at most startTime.
func whileUp(ctx context.Context, c *docker.Container) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithTimeout(ctx, startTime)
	go func() {
		select {
		case <-c.Ended():
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, stop
}

// containerError adds a container's last words, if it has ended.
func containerError(c *docker.Container, err error) error {
	if explained := c.Explain(err); explained != err {
		return explained
	}
	select {
	case <-c.Ended():
		return fmt.Errorf("%w (%s)", err, c.Why())
	default:
		return err
	}
}

// startPeers brings up every peer; infos is filled in. Of those that the lab's
// own binary plays and that differ in settings alone, one has a container and
// the others are its guests. The error is the end of ctx.
func (f *containers) startPeers(ctx context.Context, c Config, infos []lab.PeerInfo, path *docker.Container) error {
	stations, errs := make([]*station, len(infos)), make([]error, len(infos))
	var wg sync.WaitGroup
	first := map[lab.PeerID]int{} // of those that differ in settings alone
	like := make([]int, len(infos))
	for i := range infos {
		p, err := c.Known.all().Lookup(infos[i].ID)
		if err != nil {
			return err
		}
		if like[i] = i; p.Ours() && p.Image == "" {
			name, _, _ := lab.SplitSettings(string(p.ID))
			if at, met := first[lab.PeerID(name)]; met {
				like[i] = at
				continue
			}
			first[lab.PeerID(name)] = i
		}
		img, err := f.image(ctx, p) // one after the other: two might want the same base
		if err != nil {
			errs[i] = err
			continue
		}
		infos[i].Image = img.ID
		wg.Go(func() {
			spec := docker.Spec{Name: fmt.Sprintf("peer-%d", i), Image: img.ID, Args: []string{"agent"}}
			stations[i], errs[i] = f.startPeer(ctx, p, spec, path, &infos[i])
		})
	}
	wg.Wait()
	for i := range infos {
		id, err := infos[i].ID, errs[like[i]]
		if like[i] != i && err == nil { // it moves in with the other; see station
			infos[i].Version, infos[i].Image = infos[like[i]].Version, infos[like[i]].Image
			continue
		}
		if err == nil {
			f.stations[id] = stations[i]
			continue
		}
		infos[i].Unavailable = err.Error()
		f.absent[id] = err.Error()
		fmt.Fprintf(orDiscard(c.Progress), "peer %s cannot be used: %v\n", id, err)
	}
	return ctx.Err()
}

// image finds the image that the user brought, or builds the peer's.
func (f *containers) image(ctx context.Context, p peers.Peer) (docker.Image, error) {
	switch {
	case p.Image != "":
		return f.daemon.Find(ctx, p.Image)
	case p.Missing != "":
		return docker.Image{}, errors.New(p.Missing)
	}
	return f.daemon.Build(ctx, p.Folder, p.Suite, false)
}

// startPeer starts a peer's container, connects to it, asks for the version
// and has the peer prove itself. The container lives until the fabric ends.
func (f *containers) startPeer(ctx context.Context, p peers.Peer, spec docker.Spec, path *docker.Container, info *lab.PeerInfo) (*station, error) {
	c, err := f.container(ctx, spec)
	if err != nil {
		return nil, err
	}
	ctx, stop := whileUp(ctx, c)
	defer stop()
	a, err := agent.Dial(ctx, c.Control, c.Token)
	if err != nil {
		return nil, containerError(c, err)
	}
	s := newStation(f, p, c, a)
	if err := a.Route(ctx, path.IPv4, path.IPv6); err != nil {
		return nil, s.gone(err)
	}
	if info.Version, err = s.version(ctx); err != nil {
		return nil, err
	}
	if err := s.accompany(ctx); err != nil {
		return nil, err
	}
	return s, s.prove(ctx)
}

// probe looks at the peers that are there. Guests are not probed: what they can
// do is known of the one they are guests of.
func (f *containers) probe(ctx context.Context, c Config, infos []lab.PeerInfo) {
	for _, s := range f.stations {
		if info, err := s.agent.Info(ctx); err == nil {
			f.kernel = info.Kernel
		}
		break
	}
	var own []lab.PeerInfo
	var at []int
	for i := range infos {
		if f.stations[infos[i].ID] != nil {
			own, at = append(own, infos[i]), append(at, i)
		}
	}
	probe(ctx, f, reference, c, own)
	for n, i := range at {
		infos[i] = own[n]
	}
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
	for _, h := range f.hosts {
		if h.agent != nil {
			h.agent.Close()
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
	client, err := f.station(c.Client)
	if err != nil {
		return lab.Evidence{}, err
	}
	server, err := f.station(c.Server)
	if err != nil {
		return lab.Evidence{}, err
	}
	mark := throttled(ctx, client, server)
	e, err := f.travel(ctx, f.path, c, seed, &contained{f: f, ctx: ctx, cell: c, client: client, server: server})
	mark(&e)
	return e, err
}

// station is the peer's. One that was not started for the run and that the
// lab's own binary plays, as triage needs them by the dozen, is a guest in
// another's container.
func (f *containers) station(id lab.PeerID) (*station, error) {
	if why := f.absent[id]; why != "" {
		return nil, fmt.Errorf("peer %s cannot be used: %s", id, why)
	}
	if s := f.stations[id]; s != nil {
		return s, nil
	}
	p, err := peers.Lookup(id)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if g := f.guests[id]; g != nil {
		return g, nil
	}
	for _, host := range slices.Sorted(maps.Keys(f.stations)) {
		if p.Ours() {
			f.guests[id] = f.stations[host].guest(p)
			return f.guests[id], nil
		}
	}
	return nil, fmt.Errorf("peer %s was not started for this run", id)
}
