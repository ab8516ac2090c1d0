package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"hybridlab/docker"
	"hybridlab/lab"
	"hybridlab/netem"
	"hybridlab/peers"
	"hybridlab/peers/agent"
)

// station is one peer's container: it runs clients and servers of that peer.
type station struct {
	peer      peers.Peer
	container *docker.Container
	agent     *agent.Client
	fabric    *containers
	throttle  *throttle

	mu      sync.Mutex
	turns   chan struct{}        // one for each client at work; nil: any number may be
	servers map[string]*instance // those that stay up, by group list and family
	ports   *ports
}

// ports are those of the servers in one container, whoever's station they are.
type ports struct {
	mu   sync.Mutex
	last uint16
}

// Below Linux's ephemeral range, so that no client's port is in the way.
const (
	firstPort = 2000
	lastPort  = 32000
)

func (p *ports) next() uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last++; p.last < firstPort || p.last > lastPort {
		p.last = firstPort
	}
	return p.last
}

// instance is one running server process.
type instance struct {
	once     sync.Once
	err      error
	id       string // at the agent
	addr     netip.AddrPort
	identity string
	req      peers.Request
	setup    *lab.Setup
	one      bool // serves one cell and ends
}

func newStation(f *containers, p peers.Peer, c *docker.Container, a *agent.Client) *station {
	s := &station{peer: p, container: c, agent: a, fabric: f, servers: map[string]*instance{}, ports: &ports{}, throttle: newThrottle()}
	if n := p.AtOnce(); n > 0 {
		s.turns = make(chan struct{}, n)
	}
	return s
}

// accompany starts what the peer's clients need beside them, if anything. It
// ends with the container.
func (s *station) accompany(ctx context.Context) error {
	cmd, ok := s.peer.Companion(s.fabric.authority.PEM())
	if !ok {
		return nil
	}
	if _, err := s.agent.Start(ctx, cmd); err != nil {
		return s.gone(err)
	}
	return nil
}

// guest is a station of another peer in the same container. The peer must be
// one that the lab's own binary plays.
func (s *station) guest(p peers.Peer) *station {
	g := newStation(s.fabric, p, s.container, s.agent)
	g.ports, g.throttle = s.ports, s.throttle
	return g
}

// close ends the servers of a station whose container goes on.
func (s *station) close(ctx context.Context) {
	for _, i := range s.running() {
		s.agent.Stop(ctx, i.id) // its container's end is another's to report
	}
}

func (s *station) addr(v6 bool) netip.Addr {
	if v6 {
		return s.container.IPv6
	}
	return s.container.IPv4
}

func (s *station) version(ctx context.Context) (string, error) {
	res, err := s.agent.Run(ctx, s.peer.Version())
	if err != nil {
		return "", s.gone(err)
	}
	return peers.VersionText(res)
}

// gone explains a lost agent by the container's end.
func (s *station) gone(err error) error {
	return fmt.Errorf("peer %s: %w", s.peer.ID, containerError(s.container, err))
}

// serve returns a server for the group list: a fresh process where the
// program serves one connection at a time, else the one that is up.
func (s *station) serve(ctx context.Context, c lab.Cell, link netem.Link) (*instance, error) {
	if s.peer.Exclusive() {
		i := s.instance(link.V6())
		i.one = true
		i.err = s.launch(ctx, c, link, i)
		return i, i.err
	}
	return s.shared(ctx, c, link, "")
}

// shared is a server that is up for all cells of its configuration; which
// tells apart several of one.
func (s *station) shared(ctx context.Context, c lab.Cell, link netem.Link, which string) (*instance, error) {
	key := fmt.Sprintf("%s %s %t %s", c.Accept, c.Cert, link.V6(), which)
	s.mu.Lock()
	i := s.servers[key]
	if i == nil {
		i = s.instance(link.V6())
		s.servers[key] = i
	}
	s.mu.Unlock()
	i.once.Do(func() { i.err = s.launch(context.WithoutCancel(ctx), c, link, i) })
	return i, i.err
}

// decoy is another server than the one that a cell addresses.
func (s *station) decoy(ctx context.Context, c lab.Cell, link netem.Link) (*instance, error) {
	if s.peer.Exclusive() {
		return s.serve(ctx, c, link)
	}
	return s.shared(ctx, c, link, "decoy")
}

// instance makes one with a port of its own.
func (s *station) instance(v6 bool) *instance {
	port := s.ports.next()
	return &instance{addr: netip.AddrPortFrom(s.addr(v6), port), identity: fmt.Sprintf("%s-%d", s.container.Name, port)}
}

func (s *station) launch(ctx context.Context, c lab.Cell, link netem.Link, i *instance) error {
	identity, err := s.fabric.authority.Issue(i.identity, certOf(c))
	if err != nil {
		return err
	}
	i.req = request(s.fabric.authority, lab.ServerRole, c.Accept, i.addr, serverPatience)
	i.req.Identity = identity
	cmd, err := s.peer.Command(i.req)
	if err != nil {
		return err
	}
	i.setup = setupOf(cmd)
	if i.id, err = s.agent.Start(ctx, cmd); err != nil {
		return s.notStarted(i, err)
	}
	return nil
}

// stillbornError is a server that ended, or was not ready in time, instead of
// serving.
type stillbornError struct {
	end   lab.End
	setup *lab.Setup
}

func (e *stillbornError) Error() string { return "start server: " + e.end.Error }

// notStarted asks why a server did not come up: exit 127 and words that mean
// "cannot do that" are the peer's answer, as is any other end; neither is the
// lab's failure.
func (s *station) notStarted(i *instance, err error) error {
	var ended *agent.EndedError
	if !errors.As(err, &ended) {
		return s.gone(fmt.Errorf("start server: %w", err))
	}
	end, _ := s.peer.Parse(i.req, ended.Result)
	if end.Unsupported != "" {
		return fmt.Errorf("%w: %s", peers.ErrUnsupported, end.Unsupported)
	}
	end.Done, end.Data, end.Error = false, false, ended.Why
	return &stillbornError{end, i.setup}
}

// dial runs one client, which may wait so long.
func (s *station) dial(ctx context.Context, offer lab.Offer, to netip.AddrPort, wait time.Duration, e *lab.Evidence) error {
	req := request(s.fabric.authority, lab.ClientRole, offer, to, wait)
	cmd, err := s.peer.Command(req)
	if err != nil {
		return err
	}
	e.ClientSetup = setupOf(cmd)
	if s.turns != nil {
		select {
		case s.turns <- struct{}{}:
			defer func() { <-s.turns }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	res, err := s.agent.Run(ctx, cmd)
	if err != nil {
		return s.gone(err)
	}
	e.Client, e.KeyLog = s.peer.Parse(req, res)
	return nil
}

// account is what a server says about the cell's connection.
func (s *station) account(ctx context.Context, i *instance, from netip.Addr, success bool) (lab.End, []byte, error) {
	wait := grace
	if success {
		wait = time.Second
	}
	if i.one {
		res, err := s.agent.StopAfter(ctx, i.id, wait)
		if err != nil {
			return lab.End{}, nil, s.gone(err)
		}
		end, keylog := s.peer.Parse(i.req, res)
		return end, keylog, nil
	}
	lines, err := s.agent.Lines(ctx, i.id, s.peer.LineFrom(from), 1, wait)
	if err != nil {
		return lab.End{}, nil, s.gone(err)
	}
	if len(lines) == 0 {
		return lab.End{}, nil, nil // the connection never reached it, or is not over: it says nothing
	}
	end, err := s.peer.ParseLine(lines[0])
	if err != nil {
		end = lab.End{Error: err.Error()} // what a peer prints is its own affair
	}
	return end, nil, nil
}

// abandon ends a server that was started for a cell that then did not run.
func (s *station) abandon(ctx context.Context, i *instance) {
	if i.one {
		s.agent.Kill(context.WithoutCancel(ctx), i.id)
	}
}

// serverPatience outlasts every client: a server that stays up serves cells
// of all links, and must not be the one that gives up.
const serverPatience = 2 * time.Minute

// request is what both ends are asked in either fabric.
func request(a *peers.Authority, role lab.Role, o lab.Offer, addr netip.AddrPort, wait time.Duration) peers.Request {
	return peers.Request{Role: role, Offer: o, Addr: addr, SNI: peers.ServerName, CA: a.PEM(), Timeout: wait, Token: "hybridlab"}
}
