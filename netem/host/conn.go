package host

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

// Endpoint is a connection that can be destroyed from outside, without a
// word to whoever holds it.
type Endpoint interface{ Abort() }

// Dialed is where a connection is to come from and to go.
type Dialed struct {
	From netip.AddrPort // the zero value: as the host likes
	To   netip.AddrPort
}

// Dial connects. adopt takes charge of the endpoint before it sends anything;
// if it returns false nothing is sent. The errors of the connection match
// syscall.ECONNREFUSED, ECONNRESET, ETIMEDOUT and so on with errors.Is, as the
// kernel's do.
func (h *Host) Dial(ctx context.Context, d Dialed, adopt func(Endpoint) bool) (*Conn, error) {
	var wq waiter.Queue
	ep, terr := h.stack.NewEndpoint(tcp.ProtocolNumber, protocol(d.To.Addr()), &wq)
	if terr != nil {
		return nil, dialError(d.To, asErrno(terr))
	}
	if !adopt(ep) {
		ep.Close()
		return nil, dialError(d.To, errors.New("no cell is open at this address"))
	}
	if err := connect(ctx, ep, &wq, d); err != nil {
		ep.Close()
		return nil, dialError(d.To, err)
	}
	return newConn(&wq, ep), nil
}

func dialError(to netip.AddrPort, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
}

// connect waits for the handshake.
func connect(ctx context.Context, ep tcpip.Endpoint, wq *waiter.Queue, d Dialed) error {
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents)
	wq.EventRegister(&entry)
	defer wq.EventUnregister(&entry)
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.From.IsValid() {
		ep.SocketOptions().SetReuseAddress(true)
		if terr := ep.Bind(full(d.From)); terr != nil {
			return asErrno(terr)
		}
	}
	terr := ep.Connect(full(d.To))
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

func full(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nicID, Addr: address(a.Addr()), Port: a.Port()}
}

// listener accepts connections.
type listener struct {
	host  *Host
	adopt func(from netip.Addr, ep Endpoint) bool
	ep    tcpip.Endpoint
	wq    *waiter.Queue
	at    netip.AddrPort
}

// Listen listens at one of the host's addresses or, with an unspecified
// address, at all of its addresses of that family. Port 0 picks one. What
// adopt does not want is destroyed and not accepted.
func (h *Host) Listen(at netip.AddrPort, adopt func(from netip.Addr, ep Endpoint) bool) (net.Listener, error) {
	l := &listener{host: h, adopt: adopt, wq: &waiter.Queue{}, at: at}
	if err := l.open(); err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: err}
	}
	return l, nil
}

func (l *listener) open() error {
	ep, terr := l.host.stack.NewEndpoint(tcp.ProtocolNumber, protocol(l.at.Addr()), l.wq)
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
		if l.adopt(from, ep) {
			return newConn(wq, ep), nil
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

// Conn is a connection with the errors a kernel's has.
type Conn struct {
	*gonet.TCPConn
	ep tcpip.Endpoint
}

func newConn(wq *waiter.Queue, ep tcpip.Endpoint) *Conn { return &Conn{gonet.NewTCPConn(wq, ep), ep} }

// Reset ends the connection with a RST.
func (c *Conn) Reset() { c.ep.Abort() }

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	k, err := c.TCPConn.Read(b)
	return k, withErrno(err)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
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

// Forward has the host accept every connection, whomever it is to. handle is
// called in a goroutine of its own for each, with who asks for whom; accept
// completes the handshake.
func (h *Host) Forward(handle func(from, to netip.AddrPort, accept func(adopt func(Endpoint) bool) (*Conn, error))) {
	f := tcp.NewForwarder(h.stack, 0, backlog, func(r *tcp.ForwarderRequest) {
		id := r.ID()
		done := false
		handle(addrPort(id.RemoteAddress, id.RemotePort), addrPort(id.LocalAddress, id.LocalPort), func(adopt func(Endpoint) bool) (*Conn, error) {
			var wq waiter.Queue
			ep, terr := r.CreateEndpoint(&wq)
			done = true
			r.Complete(false)
			if terr != nil {
				return nil, asErrno(terr)
			}
			if !adopt(ep) {
				ep.Abort()
				return nil, net.ErrClosed
			}
			return newConn(&wq, ep), nil
		})
		if !done {
			r.Complete(false)
		}
	})
	h.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, f.HandlePacket)
}

func addrPort(a tcpip.Address, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return netip.AddrPortFrom(addr, port)
}
