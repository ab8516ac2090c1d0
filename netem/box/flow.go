package box

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"hybridlab/lab/capture"
)

// Seen is a packet as it reaches a box.
type Seen struct {
	Dir      capture.Direction
	Size     int  // bytes of the IP packet
	Fragment bool // an IP fragment
	TCP      bool // what follows is known
	Flags    capture.Flags
	Seq, Ack uint32
	Payload  []byte
}

// end is the sequence number after the packet.
func (p *Seen) end() uint32 {
	end := p.Seq + uint32(len(p.Payload))
	if p.Flags&(capture.SYN|capture.FIN) != 0 {
		end++
	}
	return end
}

// Made is a packet that a box adds, as if from the other end.
type Made struct {
	Dir      capture.Direction
	Flags    capture.Flags
	Seq, Ack uint32
	Window   uint16
	Payload  []byte
	Why      string // the action
}

// Ruling is what becomes of a packet, and what else happens.
type Ruling struct {
	Drop    string        // the action that drops it; empty: it goes on
	Hold    time.Duration // how long it is held back first
	Delay   string        // the action that holds it back
	Payload []byte        // what takes its payload's place, of equal length; nil: nothing does
	Patch   string        // the action that did that
	Send    []Made        // packets to be added, now
	Deeds   []string      // actions that show in no packet: "pass-uninspected", "leak(100)"
}

// fate is what a box does with what comes of a connection.
type fate uint8

const (
	passes fate = iota
	gone        // dropped
	deaf        // acknowledged and dropped
	shut        // acknowledged with a window of nothing and dropped
)

// Machine is a box on one path.
type Machine struct {
	program Program
	each    []Condition // of single packets
	whole   []Condition // of connections
	cooling map[uint16]time.Duration
	crashed string

	mu     sync.Mutex // on a stream connections run side by side
	leaked int
}

// NewMachine sets a box up on a path.
func NewMachine(p Program) *Machine {
	m := &Machine{program: p, cooling: map[uint16]time.Duration{}}
	for _, c := range p.When {
		if k, _ := lookupCondition(c.Name); k.each {
			m.each = append(m.each, c)
		} else {
			m.whole = append(m.whole, c)
		}
	}
	return m
}

// Name is the box's, as the cell names it.
func (m *Machine) Name() string { return m.program.Name }

// Leaked is how many bytes the box has lost for ever.
func (m *Machine) Leaked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leaked
}

func (m *Machine) leak(n int) {
	m.mu.Lock()
	m.leaked += n
	m.mu.Unlock()
}

// Flow is one connection through one box.
type Flow struct {
	machine *Machine
	port    uint16 // the server's
	luck    func(seed uint64) float64

	halves     [2]half
	spokeFirst capture.Direction
	hello      hello // the client's
	second     hello // the client's, after a HelloRetryRequest
	reply      hello // the server's last
	retried    bool  // a HelloRetryRequest came

	fate  fate
	why   string           // the action that decided the fate
	fired []Action         // what is done to it; nil: nothing was decided yet
	held  [2]time.Duration // when the last packet of a direction was let go
}

// NewFlow begins a connection to the server's port. luck draws a number from 0
// to 1 that is the same for the same connection and seed.
func (m *Machine) NewFlow(port uint16, luck func(seed uint64) float64) *Flow {
	return &Flow{machine: m, port: port, luck: luck, hello: hello{record: -1}, reply: hello{record: -1}}
}

// See takes a packet of the connection.
func (f *Flow) See(now time.Duration, p Seen) Ruling {
	var r Ruling
	m := f.machine
	switch {
	case m.crashed != "":
		f.fate, f.why = gone, m.crashed
	case f.fate == passes:
		f.learn(now, &p)
		f.decide(now, &p, &r)
	}
	f.apply(now, &p, &r)
	if r.Drop == "" {
		f.passed(&p)
	}
	return r
}

// learn reads the packet.
func (f *Flow) learn(now time.Duration, p *Seen) {
	if !p.TCP {
		return
	}
	h := &f.halves[p.Dir]
	if !h.begun || p.Flags.Has(capture.SYN) && h.segments == 0 {
		h.begun, h.base = true, p.Seq
		if p.Flags.Has(capture.SYN) {
			h.base++
		}
		h.edge, h.taken = h.base, h.base
	}
	if len(p.Payload) == 0 || h.spent() {
		return
	}
	if f.client().segments+f.server().segments == 0 {
		f.spokeFirst = p.Dir
	}
	h.take(now, p.Seq, p.Payload, !f.hello.whole)
	if p.Dir == capture.ToServer {
		f.readClient()
	} else {
		f.readServer()
	}
}

func (f *Flow) readClient() {
	if !f.hello.whole {
		f.hello = sniff(f.client().data, 0)
	}
	if f.hello.whole && !f.second.whole && f.retried {
		f.second = sniff(f.client().data, f.hello.end)
	}
}

func (f *Flow) readServer() {
	from := 0
	if f.retried {
		from = f.reply.end
	}
	if f.reply.whole && !f.reply.retry {
		return
	}
	next := sniff(f.server().data, from)
	if f.retried && !next.whole {
		return // what is known of the HelloRetryRequest is still the most
	}
	f.reply = next
	if next.whole && next.retry {
		f.retried = true
	}
}

// passed notes what the far end will have.
func (f *Flow) passed(p *Seen) {
	if !p.TCP {
		return
	}
	h := &f.halves[p.Dir]
	if end := p.end(); int32(end-h.edge) > 0 {
		h.edge = end
	}
	if int32(h.edge-h.taken) > 0 {
		h.taken = h.edge
	}
}

// decide fires the rule when its time has come.
func (f *Flow) decide(now time.Duration, p *Seen, r *Ruling) {
	m := f.machine
	if until, ok := m.cooling[f.port]; ok && now < until && f.fired == nil {
		f.fire(m.program.Do, now, p, r)
		return
	}
	switch holds := f.all(m.whole, p); {
	case len(m.each) > 0:
		f.eachPacket(holds, now, p, r)
	case f.fired != nil:
	case holds == yes:
		f.fire(m.program.Do, now, p, r)
	case holds == no:
		f.fire(m.program.Otherwise, now, p, r)
	}
}

// eachPacket decides about the packet at hand: what is done to a packet is
// done to every one of its kind, what ends a connection ends it once.
func (f *Flow) eachPacket(holds truth, now time.Duration, p *Seen, r *Ruling) {
	f.fired = nil
	switch {
	case holds == yes && f.all(f.machine.each, p) == yes:
		f.fire(f.machine.program.Do, now, p, r)
	case holds == no:
		f.fire(f.machine.program.Otherwise, now, p, r)
	}
}

// all is what is known of all the conditions together.
func (f *Flow) all(cs []Condition, p *Seen) truth {
	sum := yes
	for _, c := range cs {
		k, _ := lookupCondition(c.Name)
		switch k.holds(f, p, c) {
		case no:
			return no
		case unknown:
			sum = unknown
		}
	}
	return sum
}

// fire does what is done once, and remembers what is done to every packet.
func (f *Flow) fire(actions []Action, now time.Duration, p *Seen, r *Ruling) {
	f.fired = []Action{}
	for _, a := range actions {
		if a.Name == "probabilistic" {
			if f.luck(a.Seed) >= a.P {
				return
			}
			continue
		}
		f.fired = append(f.fired, a)
		f.once(a, now, p, r)
	}
}

// once is the part of an action that happens when the rule fires.
func (f *Flow) once(a Action, now time.Duration, p *Seen, r *Ruling) {
	switch a.Name {
	case "RST":
		for _, dir := range a.Ends {
			r.Send = append(r.Send, f.packet(dir, capture.RST|capture.ACK, nil, a))
		}
		f.end(gone, a)
	case "FIN":
		for _, dir := range a.Ends {
			r.Send = append(r.Send, f.say(dir, capture.FIN|capture.ACK, nil, a))
		}
		f.end(deaf, a)
	case "alert":
		r.Send = append(r.Send, f.say(capture.ToClient, capture.PSH|capture.ACK, alertRecord(a), a))
	case "drop":
		if a.Seg == 0 && !a.Packet {
			f.end(gone, a)
		}
	case "hang":
		f.end(deaf, a)
	case "zero-window":
		f.end(shut, a)
	case "cooldown":
		f.machine.cooling[f.port] = now + a.T
	case "crash":
		f.machine.crashed = a.Text
		f.end(gone, a)
	case "leak":
		f.machine.leak(a.N)
		r.Deeds = append(r.Deeds, a.Text)
	case "pass-uninspected":
		r.Deeds = append(r.Deeds, a.Text)
	}
}

func (f *Flow) end(to fate, a Action) {
	if f.fate == passes {
		f.fate, f.why = to, a.Text
	}
}

// apply does to the packet what the fired rule does to every packet.
func (f *Flow) apply(now time.Duration, p *Seen, r *Ruling) {
	if f.fate != passes {
		f.swallow(p, r)
		return
	}
	for _, a := range f.fired {
		switch {
		case a.Name == "drop" && (a.Packet || f.struck(a, p)):
			r.Drop = a.Text
			return
		case a.Name == "delay" && (a.Seg == 0 || f.struck(a, p)):
			due := max(now+a.T, f.held[p.Dir]) // in order
			f.held[p.Dir] = due
			r.Hold, r.Delay = due-now, a.Text
		case a.Name == "rewrite":
			f.rewrite(a, p, r)
		}
	}
}

// struck: the packet carries bytes of the segment that the action is about.
func (f *Flow) struck(a Action, p *Seen) bool {
	if p.Dir != capture.ToServer || !p.TCP || a.Seg == 0 {
		return false
	}
	from := f.client().at(p.Seq)
	to := from + len(p.Payload)
	if a.Onward && p.Flags.Has(capture.FIN) {
		to++
	}
	return f.client().covers(from, to, a.Seg, a.Onward)
}

// swallow drops a packet of a connection that is over, and answers it where
// the box does.
func (f *Flow) swallow(p *Seen, r *Ruling) {
	r.Drop = f.why
	if f.fate == gone || p.Dir != capture.ToServer || !p.TCP || p.Flags&(capture.RST|capture.SYN) != 0 {
		return
	}
	if len(p.Payload) == 0 && !p.Flags.Has(capture.FIN) {
		return // an acknowledgement is not answered
	}
	h := f.client()
	if f.fate == deaf && int32(p.Seq-h.taken) <= 0 && int32(p.end()-h.taken) > 0 {
		h.taken = p.end()
	}
	answered := false
	for i := range r.Send { // what the box has to say acknowledges what it answers
		if r.Send[i].Dir == capture.ToClient {
			r.Send[i].Ack, answered = h.taken, true
		}
	}
	if answered {
		return
	}
	ack := f.packet(capture.ToClient, capture.ACK, nil, Action{Text: f.why})
	if f.fate == shut {
		ack.Window = 0
	}
	r.Send = append(r.Send, ack)
}

// packet is one to be added: its numbers are what the receiver expects.
func (f *Flow) packet(dir capture.Direction, flags capture.Flags, payload []byte, a Action) Made {
	return Made{Dir: dir, Flags: flags, Seq: f.halves[dir].edge, Ack: f.halves[1-dir].taken, Window: 0xffff, Payload: payload, Why: a.Text}
}

// say is packet for what takes room in the stream.
func (f *Flow) say(dir capture.Direction, flags capture.Flags, payload []byte, a Action) Made {
	m := f.packet(dir, flags, payload, a)
	f.halves[dir].edge += uint32(len(payload))
	if flags.Has(capture.FIN) {
		f.halves[dir].edge++
	}
	return m
}

// rewrite writes over the code points that the packet carries.
func (f *Flow) rewrite(a Action, p *Seen, r *Ruling) {
	if p.Dir != capture.ToServer || !p.TCP || len(p.Payload) == 0 {
		return
	}
	from := f.client().at(p.Seq)
	for _, h := range []*hello{&f.hello, &f.second} {
		l := fields[a.Field](h)
		for i, at := range l.at {
			if l.values[i] != a.From || at < from || at+2 > from+len(p.Payload) {
				continue
			}
			if r.Payload == nil {
				r.Payload, r.Patch = slices.Clone(p.Payload), a.Text
			}
			binary.BigEndian.PutUint16(r.Payload[at-from:], a.To)
		}
	}
}
