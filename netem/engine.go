// Package netem is the path engine.
package netem

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"hybridlab/lab/capture"
)

// Path is one cell's way through the engine.
type Path struct {
	Slot   uint16     // which pair of virtual addresses; FirstSlot to LastSlot
	Name   string     // cell id; with Seed it keys every random fate
	Seed   uint64     //
	Link   Link       //
	Client netip.Addr // real address of the client, of the link's family
	Server netip.Addr // real address of the server
}

// Trace is what the engine saw and did.
//
// The books balance when Received + Made = Delivered + Dropped.
type Trace struct {
	Packets   []capture.Packet // both sides, in the order of events
	Received  int              // packets from both ends
	Made      int              // packets the path added: duplicates, and each fragment after the first
	Delivered int              // packets handed to an end; counts duplicates and fragments
	Dropped   int              // packets not handed on, each with a reason in Packets
	ICMP      int              // "too big" messages the engine sent
	Uncounted int              // packets the books do not explain: always 0, or the cell is void
	MaxLate   time.Duration    // worst lateness of a packet against the link's schedule
}

// Carrier carries cells: an Engine here or in a container.
type Carrier interface {
	Open(Path) error
	Close(slot uint16) (Trace, error)
}

// Slots in use: the range's first and last addresses look like a network
// and a broadcast address to careless code.
const (
	FirstSlot uint16 = 1
	LastSlot  uint16 = 0xfffe
)

var _ Carrier = (*Engine)(nil)

// TargetAddr is what the client of a cell dials: 198.18.a.b or 2001:2:0:18::ab.
func TargetAddr(slot uint16, v6 bool) netip.Addr { return virtual(slot, v6, 18, 0x18) }

// ApparentAddr is what the server of a cell sees as its client: 198.19.a.b or 2001:2:0:19::ab.
func ApparentAddr(slot uint16, v6 bool) netip.Addr { return virtual(slot, v6, 19, 0x19) }

// virtual builds an address in the benchmarking ranges (RFC 2544, RFC 5180).
func virtual(slot uint16, v6 bool, side4, side6 byte) netip.Addr {
	hi, lo := byte(slot>>8), byte(slot)
	if v6 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0, 2, 7: side6, 14: hi, 15: lo})
	}
	return netip.AddrFrom4([4]byte{198, side4, hi, lo})
}

// Engine is the path.
type Engine struct{ out func([]byte) }

// NewEngine starts an engine; out writes one packet to the device.
func NewEngine(out func(pkt []byte)) *Engine { return &Engine{out: out} }

// Open opens a cell.
func (e *Engine) Open(p Path) error { return nil }

// Close closes a cell and returns its trace.
func (e *Engine) Close(slot uint16) (Trace, error) { return Trace{}, nil }

// Input takes one packet from the device.
func (e *Engine) Input(pkt []byte) {}

// Shutdown stops the engine.
func (e *Engine) Shutdown() {}

// Links are the links of the library.
func Links() []Link { return nil }

// LookupLink finds a link of the library by name.
func LookupLink(name string) (Link, error) { return Link{}, fmt.Errorf("unknown link %q", name) }

// LoadLinks reads links from YAML.
func LoadLinks(r io.Reader, name string) ([]Link, error) { return nil, nil }
