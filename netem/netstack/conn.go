package netstack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// backlog is how many connections may wait to be accepted. It is above any
// number of cells in flight, because a SYN dropped by a full backlog would
// look like loss on the path.
const backlog = 1 << 14

// DialClient connects from the client stack to the target address of an open
// cell. The errors of the connection match syscall.ECONNREFUSED, ECONNRESET,
// ETIMEDOUT and so on with errors.Is, as the kernel's do.
func (n *Net) DialClient(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var wq waiter.Queue
	ep, terr := n.client.stack.NewEndpoint(tcp.ProtocolNumber, protocol(to.Addr()), &wq)
	if terr != nil {
		return nil, dialError(to, asErrno(terr))
	}
	if !n.adopt(to.Addr(), ep) {
		ep.Close()
		return nil, dialError(to, errors.New("no cell is open at this address"))
	}
	if err := connect(ctx, ep, &wq, to); err != nil {
		ep.Close()
		return nil, dialError(to, err)
	}
	return &conn{gonet.NewTCPConn(&wq, ep)}, nil
}

func dialError(to netip.AddrPort, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
}

// connect waits for the handshake.
func connect(ctx context.Context, ep tcpip.Endpoint, wq *waiter.Queue, to netip.AddrPort) error {
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents)
	wq.EventRegister(&entry)
	defer wq.EventUnregister(&entry)
	if err := ctx.Err(); err != nil {
		return err
	}
	terr := ep.Connect(tcpip.FullAddress{NIC: nicID, Addr: address(to.Addr()), Port: to.Port()})
	if _, started := terr.(*tcpip.ErrConnectStarted); started {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ready:
			terr = ep.LastError()
		}
	}
	if terr != nil {
		return asErrno(terr)
	}
	return nil
}

// listener accepts connections on the server stack.
type listener struct {
	net *Net
	ep  tcpip.Endpoint
	wq  *waiter.Queue
	at  netip.AddrPort
}

// ListenServer listens on the server stack, at ServerAddr or, with an
// unspecified address, at all of its addresses of that family. Port 0 picks one.
func (n *Net) ListenServer(at netip.AddrPort) (net.Listener, error) {
	l := &listener{net: n, wq: &waiter.Queue{}, at: at}
	if err := l.open(); err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: err}
	}
	return l, nil
}

func (l *listener) open() error {
	ep, terr := l.net.server.stack.NewEndpoint(tcp.ProtocolNumber, protocol(l.at.Addr()), l.wq)
	if terr != nil {
		return asErrno(terr)
	}
	local := tcpip.FullAddress{Port: l.at.Port()}
	if !l.at.Addr().IsUnspecified() {
		local.Addr = address(l.at.Addr())
	}
	if terr = ep.Bind(local); terr == nil {
		terr = ep.Listen(backlog)
	}
	if terr == nil {
		local, terr = ep.GetLocalAddress()
	}
	if terr != nil {
		ep.Close()
		return asErrno(terr)
	}
	l.ep, l.at = ep, netip.AddrPortFrom(l.at.Addr(), local.Port)
	return nil
}

// Accept implements net.Listener. A connection whose cell was closed
// meanwhile is destroyed and not returned.
func (l *listener) Accept() (net.Conn, error) {
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventHUp)
	l.wq.EventRegister(&entry)
	defer l.wq.EventUnregister(&entry)
	for {
		var peer tcpip.FullAddress
		ep, wq, terr := l.ep.Accept(&peer)
		switch terr.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			<-ready
			continue
		case *tcpip.ErrInvalidEndpointState: // no longer listening
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
		default:
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: asErrno(terr)}
		}
		from, _ := netip.AddrFromSlice(peer.Addr.AsSlice())
		if l.net.adopt(from, ep) {
			return &conn{gonet.NewTCPConn(wq, ep)}, nil
		}
		ep.Abort()
	}
}

// Close implements net.Listener. Connections not yet accepted are reset.
func (l *listener) Close() error {
	l.ep.Close()
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

// conn gives a connection the errors a kernel's has.
type conn struct{ *gonet.TCPConn }

func (c *conn) Read(b []byte) (int, error) {
	k, err := c.TCPConn.Read(b)
	return k, withErrno(err)
}

func (c *conn) Write(b []byte) (int, error) {
	k, err := c.TCPConn.Write(b)
	return k, withErrno(err)
}

// errnos are the stack's errors that a peer's report depends on.
var errnos = []struct {
	stack tcpip.Error
	errno syscall.Errno
}{
	{&tcpip.ErrConnectionReset{}, syscall.ECONNRESET},
	{&tcpip.ErrConnectionRefused{}, syscall.ECONNREFUSED},
	{&tcpip.ErrConnectionAborted{}, syscall.ECONNABORTED},
	{&tcpip.ErrAborted{}, syscall.ECONNABORTED},
	{&tcpip.ErrTimeout{}, syscall.ETIMEDOUT},
	{&tcpip.ErrHostUnreachable{}, syscall.EHOSTUNREACH},
	{&tcpip.ErrNetworkUnreachable{}, syscall.ENETUNREACH},
	{&tcpip.ErrClosedForSend{}, syscall.EPIPE},
	{&tcpip.ErrPortInUse{}, syscall.EADDRINUSE},
	{&tcpip.ErrBadLocalAddress{}, syscall.EADDRNOTAVAIL},
}

func asErrno(terr tcpip.Error) error {
	for _, e := range errnos {
		if e.stack.String() == terr.String() {
			return e.errno
		}
	}
	return errors.New(terr.String())
}

// withErrno finds the system's error for one the adapter has made text of.
func withErrno(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	for _, e := range errnos {
		if op.Err.Error() == e.stack.String() {
			op.Err = e.errno
		}
	}
	return err
}
