package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"hybridlab/lab"
	"hybridlab/netem"
	"hybridlab/netem/netstack"
	"hybridlab/peers"
)

// embedded is the fabric of two netstacks in this process: no root, no
// Docker, Go peers only. Servers stay up for the whole run, one instance per
// peer, group list and family; a cell costs a connection.
type embedded struct {
	road
	net       *netstack.Net
	authority *peers.Authority

	ctx  context.Context // ends the servers
	stop context.CancelFunc

	mu      sync.Mutex
	servers map[serverKey]*server
	ports   uint16
	waiting sync.Map // netip.Addr a server sees as its client -> chan account
}

// serverKey tells server instances apart.
type serverKey struct {
	peer   lab.PeerID
	accept string
	cert   string
	v6     bool
	decoy  bool // another one, for boxes to misroute to
}

// server is one running instance.
type server struct {
	once     sync.Once
	err      error
	addr     netip.AddrPort
	identity string
	setup    *lab.Setup
}

// account is what a server says about one connection.
type account struct {
	end    lab.End
	keylog []byte
}

func openEmbedded(ctx context.Context, c Config) (*Rig, error) {
	n, err := netstack.New()
	if err != nil {
		return nil, fmt.Errorf("start netstack: %w", err)
	}
	authority, err := peers.NewAuthority()
	if err != nil {
		return nil, err
	}
	f := &embedded{net: n, authority: authority, road: newRoad(c.Links, c.Boxes, Embedded), servers: map[serverKey]*server{}, ports: 1024}
	f.ctx, f.stop = context.WithCancel(context.Background())
	go f.pressure.watch(f.ctx)
	r := &Rig{Fabric: f, closer: f, kernel: "gvisor netstack"}
	if r.peers, err = f.introduce(c); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !c.Unprobed {
		probe(ctx, r, reference, c, r.peers)
	}
	return r, nil
}

// introduce asks the peers what they are. They need no proof: what they
// cannot do is refused in this process, before their TLS is asked.
func (f *embedded) introduce(c Config) ([]lab.PeerInfo, error) {
	infos, err := c.infos()
	for i := range infos {
		local, err := peers.InProcess(infos[i].ID)
		if err != nil {
			return nil, err
		}
		infos[i].Version = local.Version() + " (in process)"
	}
	return infos, err
}

func (f *embedded) Close() error {
	f.stop()
	f.net.Shutdown()
	return nil
}

// Run implements lab.Fabric.
func (f *embedded) Run(ctx context.Context, c lab.Cell, seed uint64) (lab.Evidence, error) {
	return f.travel(ctx, f.net, c, seed, &inProcess{f: f, ctx: ctx, cell: c})
}

// inProcess is a trip between the two stacks.
type inProcess struct {
	f    *embedded
	ctx  context.Context
	cell lab.Cell
	srv  *server
}

func (t *inProcess) addrs(v6 bool) (client, server netip.Addr) {
	return t.f.net.ClientAddr(v6), t.f.net.ServerAddr(v6)
}

func (t *inProcess) finish() []lab.BoxEnd { return nil } // servers stay up

func (t *inProcess) shake(link netem.Link, slot, _ uint16) (lab.Evidence, lab.Role, error) {
	e, err := t.f.handshake(t.ctx, t.cell, link, slot, t.srv)
	return e, lab.ClientRole, err
}

func keyOf(c lab.Cell, link netem.Link) serverKey {
	return serverKey{peer: c.Server, accept: c.Accept.String(), cert: certOf(c), v6: link.V6()}
}

func (t *inProcess) prepare(link netem.Link, n needs) (x extras, err error) {
	if len(n.real) > 0 {
		return x, onlyContained(n.real[0].box.ID)
	}
	k := keyOf(t.cell, link)
	if t.srv, err = t.f.server(k, t.cell.Accept); err != nil {
		return x, err
	}
	if n.tls {
		if _, x.tls, err = intercept(t.f.authority, t.srv.identity); err != nil {
			return x, err
		}
	}
	if n.decoy {
		k.decoy = true
		other, err := t.f.server(k, t.cell.Accept)
		if err != nil {
			return x, err
		}
		x.decoy = other.addr.Port()
	}
	return x, nil
}

// handshake is one client run against one server instance.
func (f *embedded) handshake(ctx context.Context, c lab.Cell, link netem.Link, slot uint16, srv *server) (lab.Evidence, error) {
	client, err := peers.InProcess(c.Client)
	if err != nil {
		return lab.Evidence{}, err
	}
	told := make(chan account, 1)
	apparent := netem.ApparentAddr(slot, link.V6())
	f.waiting.Store(apparent, told)
	defer f.waiting.Delete(apparent)

	wait := f.wait(ctx, c.Client, link, false)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	to := netip.AddrPortFrom(netem.TargetAddr(slot, link.V6()), srv.addr.Port())
	req := request(f.authority, lab.ClientRole, c.Offer, to, wait)
	e := lab.Evidence{Addressed: srv.identity, ClientSetup: localSetup(c.Client, req), ServerSetup: srv.setup}
	conn, err := f.net.DialClient(ctx, to)
	if err != nil {
		e.Client = lab.End{Exit: 1, TimedOut: ctx.Err() != nil, Error: err.Error()}
		return e, nil
	}
	e.Client, e.KeyLog = client.Dial(ctx, conn, req)
	e.Client.TimedOut = e.Client.TimedOut || ctx.Err() != nil
	a := await(ctx, told, e.Client.Data)
	e.Server = a.end
	if len(e.KeyLog) == 0 {
		e.KeyLog = a.keylog
	}
	return e, nil
}

// grace is how long a server's account is awaited after its client ended
// badly; after a success it must come.
const grace = 50 * time.Millisecond

func await(ctx context.Context, told <-chan account, success bool) account {
	wait := grace
	if success {
		wait = time.Second
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case a := <-told:
		return a
	case <-timer.C:
	case <-ctx.Done():
	}
	return account{}
}

// server returns the running instance for a key, starting it the first time.
func (f *embedded) server(k serverKey, accept lab.Offer) (*server, error) {
	f.mu.Lock()
	s := f.servers[k]
	if s == nil {
		f.ports++
		s = &server{addr: netip.AddrPortFrom(f.net.ServerAddr(k.v6), f.ports), identity: fmt.Sprintf("server-%d", f.ports)}
		f.servers[k] = s
	}
	f.mu.Unlock()
	s.once.Do(func() { s.err = f.start(k, accept, s) })
	return s, s.err
}

func (f *embedded) start(k serverKey, accept lab.Offer, s *server) error {
	p, err := peers.InProcess(k.peer)
	if err != nil {
		return err
	}
	identity, err := f.authority.Issue(s.identity, k.cert)
	if err != nil {
		return err
	}
	l, err := f.net.ListenServer(s.addr)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", k.peer, err)
	}
	req := request(f.authority, lab.ServerRole, accept, s.addr, serverPatience)
	req.Identity = identity
	s.setup = localSetup(k.peer, req)
	go p.Serve(f.ctx, l, req, f.account)
	return nil
}

// account passes what a server says to the cell whose apparent address the
// connection came from. Nobody may be waiting any more.
func (f *embedded) account(remote netip.AddrPort, end lab.End, keylog []byte) {
	if told, ok := f.waiting.Load(remote.Addr().Unmap()); ok {
		select {
		case told.(chan account) <- account{end, keylog}:
		default:
		}
	}
}
