// Package netstack is the embedded fabric: a path engine between two
// userspace TCP/IP stacks in this process. It needs no root, no Docker and
// no network, and real Go peers talk over it through net.Conn.
//
//	n, err := netstack.New()
//	n.Open(netem.Path{Slot: 7, ..., Client: n.ClientAddr(false), Server: n.ServerAddr(false)})
//	l, err := n.ListenServer(netip.AddrPortFrom(n.ServerAddr(false), 443))
//	c, err := n.DialClient(ctx, netip.AddrPortFrom(netem.TargetAddr(7, false), 443))
//	...
//	trace, err := n.Close(7)
//
// Both stacks have one interface with an MTU of 1,500 bytes, 9,000 for the
// slots of jumbo cells, and do neither checksum nor segmentation offload, so the engine sees packets as a wire
// would, and damage done to them on the path is noticed. Packets go from
// stack to engine to stack by function calls: there is no queue in between
// that could overflow.
//
// One thing differs from kernels: this TCP keeps room for all options it
// might ever send, so its full segments are packets of 1,472 bytes, not
// 1,500, and a path of 1,476 or 1,492 bytes is no obstacle to them.
package netstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"hybridlab/netem"
	"hybridlab/netem/host"
)

// Addresses of the two ends: documentation ranges, which never collide with
// the engine's virtual addresses nor with anything real.
var (
	clientAddr4 = netip.MustParseAddr("192.0.2.1")
	serverAddr4 = netip.MustParseAddr("198.51.100.1")
	clientAddr6 = netip.MustParseAddr("2001:db8:c::1")
	serverAddr6 = netip.MustParseAddr("2001:db8:5::1")
)

// Net is a client stack and a server stack with a path engine between them.
// All methods may be called from any goroutine.
type Net struct {
	engine         *netem.Engine
	client, server *host.Host

	mu    sync.Mutex
	cells map[netip.Addr][]host.Endpoint // connections of open cells, by virtual address
}

var _ netem.Carrier = (*Net)(nil)

// New starts the two stacks and the engine. They run until Shutdown.
func New() (*Net, error) { return newNet(0) }

// newNet starts a Net whose client may leave segments of some size uncut.
func newNet(uncut int) (*Net, error) {
	n := &Net{cells: map[netip.Addr][]host.Endpoint{}}
	n.engine = netem.NewEngine(n.deliver)
	config := host.Config{Send: n.engine.Input, MTU: netem.EthernetMTU, Wide: netem.JumboRanges(), WideMTU: netem.JumboMTU}
	client, server := config, config
	client.Addrs, client.Uncut = []netip.Addr{clientAddr4, clientAddr6}, uncut
	server.Addrs = []netip.Addr{serverAddr4, serverAddr6}
	var err error
	if n.client, err = host.New(client); err == nil {
		n.server, err = host.New(server)
	}
	if err != nil {
		n.Shutdown()
		return nil, fmt.Errorf("start embedded network: %w", err)
	}
	return n, nil
}

// ClientAddr is the client's real address, for netem.Path.
func (n *Net) ClientAddr(v6 bool) netip.Addr { return pick(v6, clientAddr4, clientAddr6) }

// ServerAddr is the server's real address, for netem.Path and ListenServer.
func (n *Net) ServerAddr(v6 bool) netip.Addr { return pick(v6, serverAddr4, serverAddr6) }

func pick(v6 bool, a4, a6 netip.Addr) netip.Addr {
	if v6 {
		return a6
	}
	return a4
}

// Engine is the path engine between the stacks.
func (n *Net) Engine() *netem.Engine { return n.engine }

// Open opens a cell.
func (n *Net) Open(p netem.Path) error {
	if err := n.engine.Open(p); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range virtual(p.Slot) {
		n.cells[a] = nil
	}
	return nil
}

// Close closes a cell and returns its trace. What is left of its connections
// in either stack is then destroyed, without a packet in the trace: nothing
// lingers in TIME_WAIT or resends into a cell that is gone.
func (n *Net) Close(slot uint16) (netem.Trace, error) {
	trace, err := n.engine.Close(slot)
	if err != nil {
		return trace, err
	}
	var left []host.Endpoint
	n.mu.Lock()
	for _, a := range virtual(slot) {
		left = append(left, n.cells[a]...)
		delete(n.cells, a)
	}
	n.mu.Unlock()
	for _, ep := range left {
		ep.Abort()
	}
	return trace, nil
}

// virtual is every address a slot stands for.
func virtual(slot uint16) [4]netip.Addr {
	return [4]netip.Addr{
		netem.TargetAddr(slot, false), netem.ApparentAddr(slot, false),
		netem.TargetAddr(slot, true), netem.ApparentAddr(slot, true),
	}
}

// adopt notes a connection as one of the cell's; false: there is no such cell.
func (n *Net) adopt(a netip.Addr, ep host.Endpoint) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	eps, ok := n.cells[a]
	if ok {
		n.cells[a] = append(eps, ep)
	}
	return ok
}

// deliver takes a packet from the engine to the stack it is for.
func (n *Net) deliver(pkt []byte) {
	dst, ok := host.Destination(pkt)
	switch {
	case ok && (dst == clientAddr4 || dst == clientAddr6):
		n.client.Inject(pkt)
	case ok && (dst == serverAddr4 || dst == serverAddr6):
		n.server.Inject(pkt)
	default:
		// The engine sends to the two ends of a cell only, and Open was
		// given other ends than ours: there is nobody to deliver to.
	}
}

// DialClient connects from the client stack to the target address of an open
// cell. See host.Host.Dial for its errors.
func (n *Net) DialClient(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	c, err := n.client.Dial(ctx, host.Dialed{To: to}, func(ep host.Endpoint) bool { return n.adopt(to.Addr(), ep) })
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ListenServer listens on the server stack, at ServerAddr or, with an
// unspecified address, at all of its addresses of that family. Port 0 picks
// one. A connection whose cell was closed before it was accepted is destroyed
// and not returned.
func (n *Net) ListenServer(at netip.AddrPort) (net.Listener, error) {
	return n.server.Listen(at, n.adopt)
}

// Shutdown closes all cells, breaks all connections and ends all goroutines
// of both stacks and the engine.
func (n *Net) Shutdown() {
	n.engine.Shutdown()
	for _, h := range []*host.Host{n.client, n.server} {
		if h != nil {
			h.Close()
		}
	}
}
