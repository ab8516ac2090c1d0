package host

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// nic is a stack's interface: what the stack sends it gives to the engine in
// the sender's goroutine, and what the engine sends it gives to the stack in
// the engine's. It has no queue and loses nothing.
//
// ICMP is the exception. The engine may answer a segment with "too big"
// before the send has returned, and taking that in, the stack locks the very
// connection that is sending. So ICMP waits in an unbounded list for a
// goroutine of its own.
type nic struct {
	mtu uint32
	gso uint32 // size of the segments the stack may leave uncut, 0: none; only to show what that does

	send  func([]byte)
	mu    sync.Mutex
	stack stack.NetworkDispatcher // nil when detached
	icmp  [][]byte
	more  *sync.Cond // on mu: icmp has grown, or stopped
	ended bool
	done  chan struct{}
}

var (
	_ stack.LinkEndpoint = (*nic)(nil)
	_ stack.GSOEndpoint  = (*nic)(nil)
)

func (n *nic) start(send func([]byte)) {
	n.send = send
	n.more = sync.NewCond(&n.mu)
	n.done = make(chan struct{})
	go n.injectICMP()
}

func (n *nic) stop() {
	n.mu.Lock()
	n.ended = true
	n.more.Signal()
	n.mu.Unlock()
	<-n.done
}

// inject gives the stack a packet from the engine.
func (n *nic) inject(pkt []byte) {
	if !isICMP(pkt) {
		n.deliver(pkt)
		return
	}
	n.mu.Lock()
	n.icmp = append(n.icmp, pkt)
	n.more.Signal()
	n.mu.Unlock()
}

func isICMP(pkt []byte) bool {
	if header.IPVersion(pkt) == header.IPv6Version {
		return header.IPv6(pkt).NextHeader() == uint8(header.ICMPv6ProtocolNumber)
	}
	return header.IPv4(pkt).Protocol() == uint8(header.ICMPv4ProtocolNumber)
}

func (n *nic) injectICMP() {
	defer close(n.done)
	for {
		n.mu.Lock()
		for len(n.icmp) == 0 && !n.ended {
			n.more.Wait()
		}
		batch := n.icmp
		n.icmp = nil
		ended := n.ended
		n.mu.Unlock()
		if ended {
			return
		}
		for _, pkt := range batch {
			n.deliver(pkt)
		}
	}
}

func (n *nic) deliver(pkt []byte) {
	n.mu.Lock()
	d := n.stack
	n.mu.Unlock()
	if d == nil {
		return // the stack is being shut down
	}
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(pkt)})
	defer p.DecRef()
	if header.IPVersion(pkt) == header.IPv6Version {
		d.DeliverNetworkPacket(ipv6.ProtocolNumber, p)
	} else {
		d.DeliverNetworkPacket(ipv4.ProtocolNumber, p)
	}
}

// The stack's log is about single packets and goes to standard error, where
// a run of thousands of cells has its progress; the trace says more.
func init() { log.SetTarget(discard{}) }

type discard struct{}

func (discard) Emit(int, log.Level, time.Time, string, ...any) {}

// frames are buffers for packets on their way into the engine, which copies.
var frames = sync.Pool{New: func() any { b := make([]byte, 0, 1500); return &b }}

// WritePackets implements stack.LinkWriter.
func (n *nic) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	f := frames.Get().(*[]byte)
	defer frames.Put(f)
	for _, p := range pkts.AsSlice() {
		b := (*f)[:0]
		for _, s := range p.AsSlices() {
			b = append(b, s...)
		}
		*f = b
		n.send(b)
	}
	return pkts.Len(), nil
}

// Attach implements stack.NetworkLinkEndpoint.
func (n *nic) Attach(d stack.NetworkDispatcher) {
	n.mu.Lock()
	n.stack = d
	n.mu.Unlock()
}

// IsAttached implements stack.NetworkLinkEndpoint.
func (n *nic) IsAttached() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stack != nil
}

// GSOMaxSize implements stack.GSOEndpoint.
func (n *nic) GSOMaxSize() uint32 { return n.gso }

// SupportedGSO implements stack.GSOEndpoint.
func (n *nic) SupportedGSO() stack.SupportedGSO {
	if n.gso > 0 {
		return stack.HostGSOSupported
	}
	return stack.GSONotSupported
}

// The rest of stack.NetworkLinkEndpoint: an interface without a link layer.

func (n *nic) MTU() uint32                                  { return n.mtu }
func (n *nic) SetMTU(mtu uint32)                            {} // fixed: the lab's links say what fits
func (n *nic) MaxHeaderLength() uint16                      { return 0 }
func (n *nic) LinkAddress() tcpip.LinkAddress               { return "" }
func (n *nic) SetLinkAddress(tcpip.LinkAddress)             {}
func (n *nic) Capabilities() stack.LinkEndpointCapabilities { return 0 }
func (n *nic) Wait()                                        {}
func (n *nic) ARPHardwareType() header.ARPHardwareType      { return header.ARPHardwareNone }
func (n *nic) AddHeader(*stack.PacketBuffer)                {}
func (n *nic) ParseHeader(*stack.PacketBuffer) bool         { return true }
func (n *nic) Close()                                       {}
func (n *nic) SetOnCloseAction(func())                      {}
