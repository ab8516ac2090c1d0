package netem

import (
	"slices"

	"hybridlab/netem/box"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// class is a packet's role in its connection.
type class uint8

const (
	classSYN      class = iota // SYN or SYN-ACK
	classSegment               // takes sequence space otherwise: payload, FIN
	classACK                   // nothing but an acknowledgement
	classRST                   //
	classFragment              // an IP fragment made by an end
	classOther                 // ICMP, UDP, anything else
)

// identity is what a packet is, in terms that two runs of the same cell
// share. Ports, initial sequence numbers and times differ between runs;
// lengths differ by a byte or two, because an ECDSA signature is not of fixed
// size; how many pure acknowledgements there are depends on scheduling. So:
//
//   - a segment is the n-th start among the segment starts seen in its
//     direction, and the k-th time it is sent;
//   - an acknowledgement is the number of the other end's segments it covers,
//     and the k-th that covers so many;
//   - anything else is counted by class.
type identity struct {
	flow    uint32 // connections of the cell in order of appearance
	class   class
	ordinal uint32 // n, from 0
	times   uint32 // k, from 0
	payload bool   // carries TCP payload
}

// flow is one connection of a cell: a TCP 4-tuple from SYN to the next SYN.
type flow struct {
	num    uint32
	tracks [2]track // by direction
	ports  flowKey
	boxes  []*box.Flow // what each box of the path knows of it
	clocks [2]clock    // of the sender in each direction; for boxes
}

// flowKey tells the connections of a cell apart; its addresses are fixed.
type flowKey struct {
	proto          uint8
	leg            uint8  // boxes that end TCP between the client and it
	client, server uint16 // ports
}

// track is what the identities of one direction of a flow are made from.
type track struct {
	isn    uint32
	begun  bool
	starts []start  // by sequence number
	acks   []uint32 // how many acknowledgements covered n segments, by n
	counts [classOther + 1]uint32
	bursts map[burstKey]burstState
}

// start is a sequence number, relative to the initial one, at which a
// segment was seen to begin.
type start struct {
	seq, ordinal, times uint32
}

// maxStarts bounds the memory of one direction of a flow: 65,536 segments
// are 90 MB at full size, far beyond what a cell records. Beyond it, a
// segment goes by its sequence number.
const maxStarts = 1 << 16

// identify names one TCP packet and remembers that it was seen.
func (f *flow) identify(l *lane, t header.TCP) identity {
	us, them := &f.tracks[l.dir], &f.tracks[1-l.dir]
	id := identity{flow: f.num}
	seq, payload := t.SequenceNumber(), len(t.Payload())
	flags := t.Flags()
	switch {
	case flags.Intersects(header.TCPFlagRst):
		return us.count(id, classRST)
	case flags.Intersects(header.TCPFlagSyn):
		us.begin(seq)
		return us.count(id, classSYN)
	case payload == 0 && !flags.Intersects(header.TCPFlagFin):
		us.begin(seq - 1)
		id.class, id.ordinal = classACK, them.covered(t.AckNumber())
		id.times = us.acked(id.ordinal)
		return id
	}
	us.begin(seq - 1)
	id.class, id.payload = classSegment, payload > 0
	id.ordinal, id.times = us.segment(seq - us.isn)
	return id
}

// begin notes the initial sequence number, from whatever comes first: the
// path must cope with a connection whose beginning it did not see.
func (t *track) begin(isn uint32) {
	if !t.begun {
		t.isn, t.begun = isn, true
	}
}

// count names a packet by its class and how many came before it.
func (t *track) count(id identity, c class) identity {
	id.class, id.ordinal = c, t.counts[c]
	t.counts[c]++
	return id
}

// segment finds the start seq among those seen, or adds it.
func (t *track) segment(seq uint32) (ordinal, times uint32) {
	n := len(t.starts)
	at, known := n, false
	if n > 0 && seq <= t.starts[n-1].seq {
		at, known = t.find(seq)
	}
	switch {
	case known:
		t.starts[at].times++
	case n >= maxStarts:
		return seq, 0
	default:
		t.starts = slices.Insert(t.starts, at, start{seq: seq, ordinal: uint32(n)})
	}
	return t.starts[at].ordinal, t.starts[at].times
}

func (t *track) find(seq uint32) (int, bool) {
	return slices.BinarySearchFunc(t.starts, seq, func(s start, seq uint32) int {
		switch {
		case s.seq < seq:
			return -1
		case s.seq > seq:
			return 1
		}
		return 0
	})
}

// covered is how many of this direction's segments begin below ack.
func (t *track) covered(ack uint32) uint32 {
	if !t.begun || len(t.starts) == 0 {
		return 0
	}
	at, _ := t.find(ack - t.isn)
	return uint32(at)
}

// acked is how often n segments were acknowledged before.
func (t *track) acked(n uint32) uint32 {
	for uint32(len(t.acks)) <= n {
		t.acks = append(t.acks, 0)
	}
	t.acks[n]++
	return t.acks[n] - 1
}
