package capture

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Segment is one TCP segment of a stream as it was captured.
type Segment struct {
	Packet     int           // index in the packets; the last one of a datagram that came in IP fragments
	At         time.Duration // since the cell was opened
	Seq        uint64        // of its first payload byte; the stream's first byte is 0
	Len        int           // payload bytes
	Fresh      int           // payload bytes that no earlier segment carried
	Flags      Flags
	Retransmit bool // it repeats data, a SYN or a FIN
}

// End is the sequence number after the last payload byte.
func (s Segment) End() uint64 { return s.Seq + uint64(s.Len) }

// Stream is what one end of a connection sent, as seen on one side.
type Stream struct {
	Dir      Direction
	Data     []byte    // in order, up to the first gap
	Gap      bool      // bytes were captured beyond Data
	Segments []Segment // in order of capture, pure acknowledgements included
	SYN      bool      // its SYN was captured, so ISN is known
	ISN      uint32
	MSS      uint16 // announced in its SYN, bytes; 0: it announced none
	FIN, RST bool
	Closed   Segment // the first segment with FIN or RST, if there is one
	Acked    uint64  // payload bytes the other end acknowledged
	Unseen   uint64  // of these, bytes that were never captured
}

// Carried returns the segments that brought bytes from start up to end,
// without those that only repeated them.
func (s *Stream) Carried(start, end uint64) []Segment {
	var out []Segment
	for _, seg := range s.Segments {
		if seg.Fresh > 0 && seg.Seq < end && start < seg.End() {
			out = append(out, seg)
		}
	}
	return out
}

// At is the time at which the byte at offset was first captured.
func (s *Stream) At(offset uint64) (time.Duration, bool) {
	for _, seg := range s.Segments {
		if seg.Seq <= offset && offset < seg.End() {
			return seg.At, true
		}
	}
	return 0, false
}

// Flow is one TCP connection as seen on one side.
type Flow struct {
	Side           Side
	Client, Server netip.AddrPort // as they appear on this side
	Streams        [2]Stream      // by Direction
	SYN            time.Duration  // of the client's first SYN, or of its first packet
	Established    bool           // the three-way handshake completed
}

// Flows returns the TCP connections seen on one side, in order of their first
// packet. A client that connects again from the same port makes a new flow.
//
// On the side where a packet enters the engine it counts as sent, whatever the
// link then did to it. On the side where it leaves, packets the engine dropped
// and packets that arrive damaged do not count: the receiver never saw them.
//
// The error says which packets could not be read; the flows are those made of
// the others.
func Flows(packets []Packet, side Side) ([]Flow, error) {
	t := trackers.Get().(*tracker)
	sound, err := t.run(packets, side)
	flows := make([]Flow, len(t.conns))
	for i, c := range t.conns {
		flows[i] = c.flow(side)
	}
	if sound && len(t.conns) <= 64 { // after more than that it is big
		t.reset()
		trackers.Put(t)
	}
	return flows, err
}

var trackers = sync.Pool{New: func() any {
	return &tracker{decoder: newDecoder(), order: newOrderer(), open: map[addresses]*conn{}}
}}

// tracker sorts packets into connections. It is expensive to make (gopacket
// allocates 2 MiB of pages up front), so trackers are used again.
type tracker struct {
	decoder *decoder
	order   *orderer
	conns   []*conn             // in order of appearance
	open    map[addresses]*conn // the newest connection between two addresses
}

type addresses struct{ client, server netip.AddrPort }

// run reports whether gopacket came through it without a panic, which leaves
// locks held.
func (t *tracker) run(packets []Packet, side Side) (sound bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			sound, err = false, errors.Join(err, fmt.Errorf("reassemble TCP streams: panic: %v", r))
		}
	}()
	err = t.add(packets, side)
	t.order.flush()
	return true, err
}

func (t *tracker) reset() {
	clear(t.conns)
	t.conns = t.conns[:0]
	clear(t.open)
	clear(t.decoder.fragments)
}

func (t *tracker) add(packets []Packet, side Side) error {
	var first error
	bad := 0
	for i := range packets {
		p := &packets[i]
		leaving := leaves(side, p.Dir)
		if p.Side != side || p.Dir > ToClient || leaving && p.Drop != "" {
			continue
		}
		seg, ok, err := t.decoder.decode(p.Data, leaving)
		if ok {
			t.conn(p.Dir, seg).add(t.order, i, p, seg)
		}
		if err != nil {
			bad++
			if first == nil {
				first = fmt.Errorf("packet %d, %s, %s: %w", i+1, side, p.Dir, err)
			}
		}
	}
	if bad > 1 {
		return fmt.Errorf("%w (and %d more packets)", first, bad-1)
	}
	return first
}

// leaves reports whether packets of that direction leave the engine there; on
// the other side they enter it.
func leaves(s Side, d Direction) bool { return (s == ClientSide) == (d == ToClient) }

// conn finds the connection a segment belongs to, or starts one. A SYN with
// another initial sequence number is another connection (RFC 9293 section
// 3.4.1): the same one would repeat its number.
func (t *tracker) conn(dir Direction, seg tcpPacket) *conn {
	key := addresses{seg.src, seg.dst}
	if dir == ToClient {
		key = addresses{seg.dst, seg.src}
	}
	c := t.open[key]
	again := c != nil && dir == ToServer && seg.flags&(SYN|ACK|RST) == SYN && c.halves[ToServer].base != seg.seq+1
	if c == nil || again {
		c = &conn{addresses: key}
		c.halves[ToClient].Dir = ToClient
		t.conns = append(t.conns, c)
		t.open[key] = c
	}
	return c
}
