package box

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Record and message types, and extensions: RFC 8446 sections 5.1, 4 and 4.2.
const (
	recordHeader  = 5
	messageHeader = 4

	changeCipherSpec = 20
	handshake        = 22

	clientHello = 1
	serverHello = 2

	extServerName  = 0
	extGroups      = 10
	extSchemes     = 13
	extVersions    = 43
	extKeyShare    = 51
	extCertSchemes = 50
)

// retryRandom marks a HelloRetryRequest, RFC 8446 section 4.1.3.
var retryRandom = []byte{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

// hello is what a box makes of the beginning of a stream: a ClientHello or a
// ServerHello as far as it came.
type hello struct {
	tls     bool // it begins like a handshake record
	record  int  // bytes of the first record, its header not counted; -1: not known yet
	records int  // records begun
	message int  // bytes of the message, its header counted; 0: not known yet
	whole   bool // all of it came
	end     int  // offset behind it in the stream; valid when whole

	// Of a ClientHello.
	ciphers     bool // cipher_suites came
	sni         list // no values, only seen
	name        string
	groups      list
	shares      list // groups that have a share
	schemes     list
	certSchemes list
	versions    list

	// Of a ServerHello.
	retry bool
	group uint16
}

// list is an extension that lists code points.
type list struct {
	seen   bool // all of the extension came
	values []uint16
	at     []int // offset of each value in the stream
}

func (h *hello) offeredGroups() list      { return h.groups }
func (h *hello) offeredShares() list      { return h.shares }
func (h *hello) offeredSchemes() list     { return h.schemes }
func (h *hello) offeredCertSchemes() list { return h.certSchemes }
func (h *hello) offeredVersions() list    { return h.versions }

// sniff reads the hello that begins at an offset of a stream. ChangeCipherSpec
// records before it are passed over: a second ClientHello has them (RFC 8446
// appendix D.4).
func sniff(stream []byte, from int) hello {
	h, _ := read(stream, from)
	return h
}

// read also returns the message.
func read(stream []byte, from int) (hello, *message) {
	h := hello{record: -1}
	var m message
	at := from
	for at < len(stream) && !h.whole {
		if stream[at] == changeCipherSpec && h.records == 0 && len(stream)-at >= recordHeader {
			at += recordHeader + int(binary.BigEndian.Uint16(stream[at+3:]))
			continue
		}
		if stream[at] != handshake {
			break
		}
		h.tls = true
		if len(stream)-at < recordHeader {
			break
		}
		n := int(binary.BigEndian.Uint16(stream[at+3:]))
		if h.records++; h.records == 1 {
			h.record = n
		}
		at += recordHeader
		m.add(stream, at, min(at+n, len(stream)))
		at += n
		h.measure(&m)
	}
	h.parse(&m)
	return h, &m
}

// measure notes the message's length and whether it is all there.
func (h *hello) measure(m *message) {
	if len(m.data) < messageHeader {
		return
	}
	if h.message == 0 {
		h.message = messageHeader + (int(m.data[1])<<16 | int(m.data[2])<<8 | int(m.data[3]))
	}
	if len(m.data) >= h.message {
		h.whole = true
		h.end = m.offset(h.message-1) + 1
		m.data = m.data[:h.message]
	}
}

// message is a handshake message put together from the records that carry it.
type message struct {
	data   []byte
	pieces []piece
}

type piece struct{ at, offset int } // of data, of the stream

func (m *message) add(stream []byte, from, to int) {
	if from < to {
		m.pieces = append(m.pieces, piece{len(m.data), from})
		m.data = append(m.data, stream[from:to]...)
	}
}

// offset is where in the stream a byte of the message is.
func (m *message) offset(at int) int {
	for _, p := range slices.Backward(m.pieces) {
		if p.at <= at {
			return p.offset + at - p.at
		}
	}
	return 0
}

// reader reads forward until the bytes run out; what is read then is nothing.
type reader struct {
	m   *message
	at  int
	end int
	out bool // ran out
}

func (r *reader) bytes(n int) []byte {
	if r.out || r.end-r.at < n {
		r.out = true
		return nil
	}
	b := r.m.data[r.at : r.at+n]
	r.at += n
	return b
}

func (r *reader) number(size int) int {
	n := 0
	for _, b := range r.bytes(size) {
		n = n<<8 | int(b)
	}
	return n
}

// vector is the reader of a vector whose length takes size bytes.
func (r *reader) vector(size int) *reader {
	n := r.number(size)
	sub := &reader{m: r.m, at: r.at, end: r.at + n}
	if r.bytes(n) == nil && n > 0 || r.out {
		return &reader{m: r.m, out: true}
	}
	return sub
}

func (r *reader) more() bool { return !r.out && r.at < r.end }

// parse reads the message as far as it came.
func (h *hello) parse(m *message) {
	r := &reader{m: m, end: len(m.data)}
	switch typ := r.number(1); {
	case r.out:
		return
	case typ == clientHello:
		r.bytes(3 + 2 + 32)
		r.vector(1)
		r.vector(2)
		h.ciphers = !r.out
		r.vector(1)
	case typ == serverHello:
		r.bytes(3 + 2)
		h.retry = bytes.Equal(r.bytes(32), retryRandom)
		r.vector(1)
		r.bytes(3)
	default:
		h.tls = false // a handshake record of something else
		return
	}
	r.number(2) // length of the extensions: whatever came of them is read
	for r.more() {
		typ := r.number(2)
		body := r.vector(2)
		if r.out {
			return
		}
		h.extension(typ, body)
	}
}

func (h *hello) extension(typ int, r *reader) {
	switch typ {
	case extServerName:
		h.sni.seen = true
		names := r.vector(2)
		names.number(1)
		name := names.vector(2)
		h.name = string(name.bytes(name.end - name.at))
	case extGroups:
		h.groups = r.vector(2).codes(0)
	case extSchemes:
		h.schemes = r.vector(2).codes(0)
	case extCertSchemes:
		h.certSchemes = r.vector(2).codes(0)
	case extVersions:
		if r.end-r.at > 2 { // two bytes are a server's
			h.versions = r.vector(1).codes(0)
		}
	case extKeyShare:
		if r.end-r.at >= 2 {
			h.group = binary.BigEndian.Uint16(r.m.data[r.at:]) // of a ServerHello
		}
		h.shares = r.vector(2).codes(2)
	}
}

// codes reads the rest as code points, each of which a vector may follow.
func (r *reader) codes(vectorSize int) list {
	l := list{seen: true}
	for r.more() {
		at := r.m.offset(r.at)
		v := r.number(2)
		if vectorSize > 0 {
			r.vector(vectorSize)
		}
		if r.out {
			break
		}
		l.values, l.at = append(l.values, uint16(v)), append(l.at, at)
	}
	return l
}
