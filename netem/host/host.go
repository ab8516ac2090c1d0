// Package host is an end of TCP in this process: a gVisor stack whose one
// interface is a pair of functions. The embedded fabric has two for its
// client and server, and the path engine has some for the boxes that end TCP.
package host

import (
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Config is how a host is set up.
type Config struct {
	// Send takes the packets that the host sends, in the sender's goroutine. It
	// must copy what it keeps.
	Send  func(pkt []byte)
	Addrs []netip.Addr // its own
	// Any makes every address its own: it answers for whomever a packet is to,
	// and may send in anybody's name.
	Any  bool
	MTU  int            // bytes of IP packet it sends
	Wide []netip.Prefix // destinations to which it sends packets of WideMTU bytes
	// WideMTU is 0 where there are none.
	WideMTU int
	// Uncut is the size of the segments the host may leave uncut, as a network
	// card that segments lets it; 0: none. Only to show what that does.
	Uncut int
}

// Host is one TCP/IP stack. Its methods may be called from any goroutine.
type Host struct {
	stack *stack.Stack
	nic   *nic
}

const nicID = 1

// New starts a host; it runs until Close. It does neither checksum nor
// segmentation offload, so packets are what they would be on a wire.
func New(c Config) (*Host, error) {
	h := &Host{nic: &nic{mtu: uint32(max(c.MTU, c.WideMTU)), gso: uint32(c.Uncut)}, stack: stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			ipv4.NewProtocol,
			ipv6.NewProtocolWithOptions(ipv6.Options{}), // no duplicate address detection, nothing sent unasked
		},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})}
	h.nic.start(c.Send)
	if err := h.configure(c); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Host) configure(c Config) error {
	sack := tcpip.TCPSACKEnabled(true)
	if err := h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); err != nil {
		return fmt.Errorf("turn SACK on: %v", err)
	}
	if err := h.stack.CreateNIC(nicID, h.nic); err != nil {
		return fmt.Errorf("create interface: %v", err)
	}
	for _, a := range c.Addrs {
		own := tcpip.ProtocolAddress{Protocol: protocol(a), AddressWithPrefix: address(a).WithPrefix()}
		if err := h.stack.AddProtocolAddress(nicID, own, stack.AddressProperties{}); err != nil {
			return fmt.Errorf("add address %s: %v", a, err)
		}
	}
	if c.Any {
		if err := h.stack.SetPromiscuousMode(nicID, true); err != nil {
			return fmt.Errorf("take packets for any address: %v", err)
		}
		if err := h.stack.SetSpoofing(nicID, true); err != nil {
			return fmt.Errorf("send from any address: %v", err)
		}
	}
	h.stack.SetRouteTable(c.routes())
	return nil
}

// routes lead everything to the one interface.
func (c Config) routes() []tcpip.Route {
	var out []tcpip.Route
	for _, p := range c.Wide {
		subnet := tcpip.AddressWithPrefix{Address: address(p.Addr()), PrefixLen: p.Bits()}.Subnet()
		out = append(out, tcpip.Route{Destination: subnet, NIC: nicID})
	}
	return append(out,
		tcpip.Route{Destination: header.IPv4EmptySubnet, NIC: nicID, MTU: uint32(c.MTU)},
		tcpip.Route{Destination: header.IPv6EmptySubnet, NIC: nicID, MTU: uint32(c.MTU)})
}

// Inject gives the host a packet, which it keeps.
func (h *Host) Inject(pkt []byte) { h.nic.inject(pkt) }

// Close breaks all connections and ends all goroutines of the host.
func (h *Host) Close() {
	h.stack.Destroy()
	h.nic.stop()
}

// Destination is the address a packet is for.
func Destination(pkt []byte) (netip.Addr, bool) {
	if header.IPVersion(pkt) == header.IPv6Version {
		return netip.AddrFromSlice(pkt[24:40])
	}
	return netip.AddrFromSlice(pkt[16:20])
}

func address(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }

func protocol(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is6() {
		return ipv6.ProtocolNumber
	}
	return ipv4.ProtocolNumber
}
