package netem

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/netem/box"
)

// Path is one cell's way through the engine.
type Path struct {
	Slot    uint16        // which pair of virtual addresses, FirstSlot to LastSlot
	Name    string        // cell id; with Seed it keys every random fate
	Seed    uint64        // of the run
	Link    Link          // what the network does
	Boxes   []box.Program // between link and server, client to server
	Outside []Outside     // where those of them are that are of the layer box.Outside, in the same order
	Routed  []Routed      // and where those are that are of the layer box.Routed
	Decoy   uint16        // port at the server's address of another server, for boxes that misroute; 0: there is none
	TLS     box.Identity  // for boxes that end TLS
	Client  netip.Addr    // real address of the client, of the link's family
	Server  netip.Addr    // real address of the server
}

// Trace is what the engine saw and did.
//
// The books balance when Received + Made = Delivered + Dropped.
type Trace struct {
	Packets   []capture.Packet // both sides, in the order of events
	Received  int              // packets from both ends
	Made      int              // packets the path added: duplicates, each fragment after the first, a box's
	Delivered int              // packets handed to an end, a box that ends TCP being one; counts duplicates and fragments
	Dropped   int              // packets not handed on, each with its reason
	ICMP      int              // "too big" messages the engine sent
	Uncounted int              // packets the books do not explain: always 0, or the cell is void
	Boxes     []BoxDeed        // what the boxes did
	MaxLate   time.Duration    // worst lateness of a packet against the link's schedule
}

// Carrier carries cells: an Engine in this process, or one in a container.
// Everything it takes and gives can be gob-encoded.
type Carrier interface {
	Open(Path) error
	Close(slot uint16) (Trace, error)
}

var _ Carrier = (*Engine)(nil)

// Engine is the path of all cells. Its methods may be called from any
// goroutine: cells run in parallel, the packets of one cell one by one.
type Engine struct {
	out    func(pkt []byte)
	began  time.Time
	timer  *timer
	relays relays
	cells  [1 << 16]atomic.Pointer[cell] // by slot

	mu     sync.Mutex
	used   [1 << 16 / 64]uint64 // slots that were open at some time
	strays map[string]int
	down   bool
}

// NewEngine starts an engine that writes packets to a device with out, which
// finds the end by the destination address. out must not change pkt, which
// is part of the trace, but may keep it; and it may call Input. It is called
// by many goroutines, for one cell by one at a time.
func NewEngine(out func(pkt []byte)) *Engine {
	e := &Engine{out: out, began: time.Now(), strays: map[string]int{}}
	e.timer = newTimer(e.now)
	return e
}

// now is the engine's clock; it is monotonic.
func (e *Engine) now() time.Duration { return time.Since(e.began) }

// Open opens a cell. It fails when the slot is in use or the path makes no sense.
func (e *Engine) Open(p Path) error {
	if err := p.validate(); err != nil {
		return fmt.Errorf("open cell %q: %w", p.Name, err)
	}
	c := newCell(e, p)
	if err := c.stand(); err != nil {
		return fmt.Errorf("open cell %q: %w", p.Name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down {
		return fmt.Errorf("open cell %q: the engine is shut down", p.Name)
	}
	for i, slot := range p.everySlot() {
		if e.cells[slot].CompareAndSwap(nil, c) {
			e.used[slot/64] |= 1 << (slot % 64)
			continue
		}
		for _, taken := range p.everySlot()[:i] {
			e.cells[taken].Store(nil)
		}
		return fmt.Errorf("open cell %q: slot %d is in use", p.Name, slot)
	}
	return nil
}

// MaxBoxes bounds a chain.
const MaxBoxes = 8

func (p Path) validate() error {
	for i, slot := range p.everySlot() {
		if slot < FirstSlot || slot > LastSlot {
			return fmt.Errorf("slot %d is outside %d to %d", slot, FirstSlot, LastSlot)
		}
		if slices.Contains(p.everySlot()[:i], slot) {
			return fmt.Errorf("slot %d is that of two legs", slot)
		}
	}
	if err := p.Link.Validate(); err != nil {
		return err
	}
	if len(p.Boxes) > MaxBoxes {
		return fmt.Errorf("%d boxes: at most %d can stand in a row", len(p.Boxes), MaxBoxes)
	}
	if n := p.outsideBefore(len(p.Boxes)); n != len(p.Outside) {
		return fmt.Errorf("%d boxes are outside and %d of them are somewhere", n, len(p.Outside))
	}
	if n := p.routedBefore(len(p.Boxes)); n != len(p.Routed) {
		return fmt.Errorf("%d boxes are routed through and %d of them are somewhere", n, len(p.Routed))
	}
	for i, b := range p.Boxes {
		if err := b.Validate(); err != nil {
			return err
		}
		if b.NeedsDecoy() && p.decoy(p.outsideBefore(i)) == 0 {
			return fmt.Errorf("box %q: there is no other server to send a connection to", b.Name)
		}
		if b.Layer == box.TLS && len(p.TLS.Cert) == 0 {
			return fmt.Errorf("box %q: there is no certificate for it to show", b.Name)
		}
	}
	ends := []netip.Addr{p.Client, p.Server}
	for _, o := range p.Outside {
		ends = append(ends, o.Addr)
	}
	for _, r := range p.Routed {
		ends = append(ends, r.Via)
	}
	for _, a := range ends {
		if !a.IsValid() || a.Is4() == p.Link.V6() {
			return fmt.Errorf("address %s does not fit link %q, which is %s", a, p.Link.Name, p.Link.family())
		}
	}
	return nil
}

// Close closes a cell. Packets still on their way are dropped
// ("cell-closed"), and so is what arrives for it later; nothing of the cell
// is written to the device after Close. It must not be called from out.
func (e *Engine) Close(slot uint16) (Trace, error) {
	c := e.cells[slot].Load()
	if c == nil || c.path.Slot != slot || !e.cells[slot].CompareAndSwap(c, nil) {
		return Trace{}, fmt.Errorf("close slot %d: no cell is open there", slot)
	}
	for _, more := range c.path.everySlot()[1:] {
		e.cells[more].Store(nil)
	}
	return c.close(), nil
}

// Input takes one IP packet from the device. It copies what it keeps.
func (e *Engine) Input(pkt []byte) {
	l, b, err := parse(pkt)
	if err != nil {
		e.stray("malformed")
		return
	}
	slot, toServer, ok := slotOf(b[l.dst : l.dst+l.size])
	if !ok {
		e.stray("no-cell")
		return
	}
	c := e.cells[slot].Load()
	if c == nil || c.path.Link.V6() != l.v6 {
		e.strayTo(slot)
		return
	}
	dir := capture.ToClient
	if toServer {
		dir = capture.ToServer
	}
	c.input(slot, dir, b, l)
	e.timer.help()
}

// Strays counts, by reason, the packets that belonged to no open cell since
// the engine began: "no-cell", "cell-closed", "malformed".
func (e *Engine) Strays() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.strays)
}

func (e *Engine) stray(reason string) {
	e.mu.Lock()
	e.strays[reason]++
	e.mu.Unlock()
}

func (e *Engine) strayTo(slot uint16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.used[slot/64]&(1<<(slot%64)) != 0 {
		e.strays["cell-closed"]++
	} else {
		e.strays["no-cell"]++
	}
}

// Shutdown closes all cells and stops the timer thread. The engine is of no
// further use.
func (e *Engine) Shutdown() {
	e.mu.Lock()
	e.down = true
	e.mu.Unlock()
	for i := range e.cells {
		if c := e.cells[i].Swap(nil); c != nil && c.path.Slot == uint16(i) {
			c.close()
		}
	}
	e.relays.stop()
	e.timer.stop()
}
