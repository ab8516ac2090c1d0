package capture

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// conn is a connection while its packets come in.
type conn struct {
	addresses
	halves      [2]half
	established bool
}

func (c *conn) add(o *orderer, i int, p *Packet, seg tcpPacket) {
	c.halves[p.Dir].add(o, i, p, seg)
	other := &c.halves[1-p.Dir]
	if seg.flags&(ACK|RST) != ACK || !other.started {
		return // what a reset acknowledges is not to be relied on
	}
	other.ack(seg.ack)
	if p.Dir == ToServer && other.SYN && c.halves[ToServer].SYN && other.rel(seg.ack) >= 0 {
		c.established = true
	}
}

func (c *conn) flow(side Side) Flow {
	f := Flow{Side: side, Client: c.client, Server: c.server, Established: c.established}
	for d := range c.halves {
		f.Streams[d] = c.halves[d].finish()
	}
	f.SYN = c.opened()
	return f
}

// opened is the time of the client's first packet, or else of any.
func (c *conn) opened() time.Duration {
	for _, h := range &c.halves {
		if len(h.Segments) > 0 {
			return h.Segments[0].At
		}
	}
	return 0
}

// half is a stream while its segments come in. Sequence numbers are counted
// from the byte after the SYN and in 64 bits, so that nothing below wraps.
type half struct {
	Stream
	started bool
	base    uint32 // sequence number on the wire of byte 0
	top     int64  // end of the highest byte captured
	acked   int64  // highest acknowledgement
	finAt   int64  // position of the FIN; valid when Stream.FIN
	seen    spans
	sink    *sink // where the orderer puts this stream's bytes
}

// rel is the position of a sequence number, taken to be within 2 GiB of the
// highest captured.
func (h *half) rel(seq uint32) int64 {
	return h.top + int64(int32(seq-h.base-uint32(h.top)))
}

func (h *half) add(o *orderer, i int, p *Packet, t tcpPacket) {
	seg := Segment{Packet: i, At: p.At, Len: len(t.payload), Flags: t.flags}
	if t.flags.Has(RST) {
		// Its number need only be acceptable to the receiver (RFC 5961), and
		// what it carries is text for humans: it is no part of the stream.
		seg.Len = 0
		if h.started {
			seg.Seq = uint64(max(0, h.rel(t.seq)))
		}
		h.note(seg)
		return
	}
	if !h.started {
		h.start(t)
	}
	at := h.rel(t.seq)
	if t.flags.Has(SYN) {
		seg.Retransmit = h.SYN
		h.SYN, h.MSS = true, cmp.Or(h.MSS, t.mss)
		at++
	}
	payload := t.payload
	if at < 0 { // a keep-alive probe (RFC 9293 section 3.8.4)
		payload = payload[min(int(-at), len(payload)):]
		at = 0
	}
	end := at + int64(len(payload))
	seg.Seq, seg.Fresh = uint64(at), h.seen.add(at, end)
	seg.Retransmit = seg.Retransmit || seg.Fresh < seg.Len || t.flags.Has(FIN) && h.FIN
	h.top = max(h.top, end)
	if t.flags.Has(FIN) && !h.FIN {
		h.finAt = end
	}
	h.note(seg)
	if seg.Fresh > 0 {
		o.add(h, at, payload)
	}
}

// start sets byte 0: after the SYN, or where the capture begins.
func (h *half) start(t tcpPacket) {
	h.started, h.base = true, t.seq
	if t.flags.Has(SYN) {
		h.base, h.ISN = t.seq+1, t.seq
	}
}

func (h *half) note(seg Segment) {
	if seg.Flags&(FIN|RST) != 0 && !h.FIN && !h.RST {
		h.Closed = seg
	}
	h.FIN = h.FIN || seg.Flags.Has(FIN)
	h.RST = h.RST || seg.Flags.Has(RST)
	h.Segments = append(h.Segments, seg)
}

func (h *half) ack(ack uint32) { h.acked = max(h.acked, h.rel(ack)) }

func (h *half) finish() Stream {
	s := h.Stream
	acked := h.acked
	if s.FIN && acked > h.finAt {
		acked-- // the FIN has a number of its own
	}
	s.Acked = uint64(acked)
	s.Unseen = uint64(acked - h.seen.below(acked))
	s.Gap = h.seen.below(math.MaxInt64) > int64(len(s.Data))
	return s
}

// span is a run of captured bytes, from start up to end.
type span struct{ start, end int64 }

// spans are the captured bytes of a stream: sorted, disjoint, not touching.
type spans []span

// add returns how many bytes of start up to end are new.
func (s *spans) add(start, end int64) int {
	if start >= end {
		return 0
	}
	i, _ := slices.BinarySearchFunc(*s, start, func(x span, v int64) int { return cmp.Compare(x.end, v) })
	j, old, merged := i, int64(0), span{start, end}
	for ; j < len(*s) && (*s)[j].start <= end; j++ {
		x := (*s)[j]
		old += max(0, min(x.end, end)-max(x.start, start))
		merged = span{min(merged.start, x.start), max(merged.end, x.end)}
	}
	*s = slices.Replace(*s, i, j, merged)
	return int(end - start - old)
}

// below counts the captured bytes before limit.
func (s spans) below(limit int64) int64 {
	var n int64
	for _, x := range s {
		n += max(0, min(x.end, limit)-x.start)
	}
	return n
}
