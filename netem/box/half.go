package box

import (
	"slices"
	"time"
)

// What a box keeps of one direction of a connection, at most.
const (
	maxSniffed  = 72 << 10 // bytes of the stream: a hello of 64 KiB and its record headers
	maxParked   = 64       // segments that came too early
	maxSegments = 4096     // segments after which the box stops reading
)

// half is one direction of a connection as the box has seen it. Offsets count
// from the byte after the SYN.
type half struct {
	begun    bool
	base     uint32 // sequence number of offset 0
	data     []byte // in order
	parked   []part // beyond data
	first    []byte // payload of the first segment that had any
	segments int    // segments that brought something new
	spans    []span // their places, the first maxSegments
	last     time.Duration
	gap      time.Duration // longest time between two of them
	edge     uint32        // sequence number after the last byte its receiver was given
	taken    uint32        // sequence number after the last byte its sender was relieved of
}

type part struct {
	at   int
	data []byte
}

type span struct{ from, to int }

// spent: the box reads no further.
func (h *half) spent() bool { return len(h.data) >= maxSniffed || h.segments >= maxSegments }

// at is the offset of a sequence number.
func (h *half) at(seq uint32) int { return int(int32(seq - h.base)) }

// take reads a segment's payload; watch says whether gaps still count.
func (h *half) take(now time.Duration, seq uint32, payload []byte, watch bool) {
	from := h.at(seq)
	if len(payload) == 0 || from < 0 {
		return
	}
	s := span{from, from + len(payload)}
	if s.to <= len(h.data) || slices.ContainsFunc(h.spans, func(o span) bool { return o.from <= s.from && s.to <= o.to }) {
		return // sent again
	}
	if h.segments == 0 {
		h.first = slices.Clone(payload[:min(len(payload), maxSniffed)])
	} else if watch {
		h.gap = max(h.gap, now-h.last)
	}
	h.last = now
	h.segments++
	if h.spent() {
		return
	}
	h.spans = append(h.spans, s)
	h.put(part{from, payload})
}

// put adds a part to the data, and what it connects to.
func (h *half) put(p part) {
	if p.at > len(h.data) {
		if len(h.parked) < maxParked {
			h.parked = append(h.parked, part{p.at, slices.Clone(p.data)})
		}
		return
	}
	if fresh := len(h.data) - p.at; fresh < len(p.data) {
		h.data = append(h.data, p.data[fresh:]...)
		h.data = h.data[:min(len(h.data), maxSniffed)]
	}
	for i, q := range h.parked {
		if q.at <= len(h.data) {
			h.parked = slices.Delete(h.parked, i, i+1)
			h.put(q)
			return
		}
	}
}

// covers reports whether a segment from offset from to offset to has bytes of
// the k-th segment, or with onward of anything from there on.
func (h *half) covers(from, to, k int, onward bool) bool {
	if k > len(h.spans) {
		return false
	}
	s := h.spans[k-1]
	return to > s.from && (onward || from < s.to)
}
