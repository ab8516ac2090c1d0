package lab

import (
	"slices"

	"hybridlab/lab/capture"
	"hybridlab/lab/wire"
)

// Ladder is the packet-by-packet account of one attempt, as a report draws
// it: what each packet carried, and what the path did to it.
type Ladder struct {
	Rungs  []Rung      `json:"rungs"`
	Left   int         `json:"left,omitempty"`   // packets that entered or were made after the last rung
	Hellos []HelloPair `json:"hellos,omitempty"` // of the connection the verdict is about
}

// Rung is one packet: where it entered the path, what it carried, where it
// left.
type Rung struct {
	Dir     string   `json:"dir"`               // "to server", "to client"
	Sent    Sight    `json:"sent"`              // where it entered the path; if Made, where it left or would have left
	Made    bool     `json:"made,omitempty"`    // no end sent it: the path or a box did
	Arrived []Sight  `json:"arrived,omitempty"` // none: it did not; several: in fragments, or twice
	Drop    string   `json:"drop,omitempty"`    // why the engine dropped it
	Notes   []string `json:"notes,omitempty"`   // what was done to it, in the engine's words

	Conn    int     `json:"conn,omitempty"`  // TCP connection, from 1 in order of appearance; 0: none
	Proto   string  `json:"proto,omitempty"` // where it is no TCP segment: "ICMP", "UDP", "TCP fragment"
	Flags   string  `json:"flags,omitempty"` // "SYN ACK"; empty: only ACK, or PSH
	MSS     int     `json:"mss,omitempty"`   // announced in a SYN
	Seq     uint64  `json:"seq,omitempty"`   // offset of the payload in its stream
	Payload int     `json:"payload,omitempty"`
	Resent  bool    `json:"resent,omitempty"` // it repeats what was sent before
	TLS     []Piece `json:"tls,omitempty"`    // what of TLS the payload is
}

// Sight is a packet in the capture.
type Sight struct {
	Packet int   `json:"packet"` // number in the capture, from 1
	US     int64 `json:"us"`     // since the cell was opened, microseconds
	Bytes  int   `json:"bytes"`  // IP length
}

// Piece is the part of a handshake message or record that a segment carried:
// bytes From to To of Of, counted from 1. A message is as long as on the wire,
// record headers included.
type Piece struct {
	What    string `json:"what"` // "ClientHello", "alert handshake_failure", "application_data"
	From    int    `json:"from"`
	To      int    `json:"to"`
	Of      int    `json:"of"`
	Records int    `json:"records,omitempty"` // that carry the message, if several
	Count   int    `json:"count,omitempty"`   // so many whole ones in a row, Of bytes together
}

const (
	mostRungs  = 200 // a handshake takes some 20 packets
	mostPieces = 8   // in one segment
)

// NewLadder reads the account of one attempt from its packets. It is pure.
func NewLadder(packets []capture.Packet) Ladder {
	var w Wire
	near, far := w.talks(packets, capture.ClientSide), w.talks(packets, capture.ServerSide)
	l := Ladder{Hellos: helloPairs(near, far)}
	marks := markAll(near, far)
	byID := map[uint64]int{} // number of the rung, those left out included
	n := 0
	for i := range packets {
		p := &packets[i]
		at, known := byID[p.ID]
		if p.ID == 0 || !known || !p.Leaves() {
			at = n
			byID[p.ID] = n
			n++
		}
		if at >= mostRungs {
			continue
		}
		if at == len(l.Rungs) {
			l.Rungs = append(l.Rungs, Rung{Dir: p.Dir.String(), Proto: p.Protocol(), Sent: sight(i, p), Made: p.Leaves()})
		}
		l.Rungs[at].see(i, p, marks[i])
	}
	l.Left = n - len(l.Rungs)
	return l
}

// see adds one record of the packet to its rung.
func (r *Rung) see(i int, p *capture.Packet, m *mark) {
	if p.Leaves() && p.Drop == "" {
		r.Arrived = append(r.Arrived, sight(i, p))
	}
	if p.Drop != "" {
		r.Drop = p.Drop
	}
	if p.Note != "" {
		r.Notes = append(r.Notes, p.Note)
	}
	if m != nil && r.Conn == 0 {
		m.fill(r)
	}
}

func sight(i int, p *capture.Packet) Sight {
	return Sight{Packet: i + 1, US: p.At.Microseconds(), Bytes: len(p.Data)}
}

// mark is what is known of a packet as a segment of a connection.
type mark struct {
	conn   int
	seg    capture.Segment
	mss    uint16
	pieces []Piece
}

func (m *mark) fill(r *Rung) {
	r.Conn, r.Proto = m.conn, ""
	r.Seq, r.Payload, r.Resent, r.TLS = m.seg.Seq, m.seg.Len, m.seg.Retransmit, m.pieces
	r.Flags = flagWords(m.seg.Flags)
	if m.seg.Flags.Has(capture.SYN) {
		r.MSS = int(m.mss)
	}
}

func flagWords(f capture.Flags) string {
	words := ""
	for _, w := range []struct {
		flag capture.Flags
		name string
	}{{capture.SYN, "SYN "}, {capture.FIN, "FIN "}, {capture.RST, "RST "}} {
		if f.Has(w.flag) {
			words += w.name
		}
	}
	if words == "" {
		return ""
	}
	if f.Has(capture.ACK) {
		words += "ACK "
	}
	return words[:len(words)-1]
}

// markAll reads both sides. A connection of the server's side has the number
// of the client's it continues, if it continues one.
func markAll(near, far []*talk) map[int]*mark {
	marks := map[int]*mark{}
	for i, t := range near {
		t.mark(marks, i+1)
	}
	next := len(near)
	for _, t := range far {
		n := 1 + slices.IndexFunc(near, t.continues)
		if n == 0 {
			next++
			n = next
		}
		t.mark(marks, n)
	}
	return marks
}

// continues reports whether the two are one connection on two sides:
// translation keeps the initial sequence number.
func (t *talk) continues(near *talk) bool {
	a, b := &near.flow.Streams[capture.ToServer], &t.flow.Streams[capture.ToServer]
	return a.SYN && b.SYN && a.ISN == b.ISN
}

func (t *talk) mark(marks map[int]*mark, conn int) {
	for dir := range t.ends {
		e := &t.ends[dir]
		units := e.units()
		for _, seg := range e.stream.Segments {
			marks[seg.Packet] = &mark{conn: conn, seg: seg, mss: e.stream.MSS, pieces: pieces(units, seg)}
		}
	}
}

// unit is a message, or a record that is no part of one, on its stream.
type unit struct {
	what       string
	start, end int // what was captured of it
	of         int
	records    int
}

// units lists what a stream is made of, in order: its messages, and the
// records that are no part of one.
func (e *speech) units() []unit {
	var out []unit
	msgs := e.msgs
	if e.cut != nil {
		msgs = append(slices.Clip(msgs), *e.cut)
	}
	next := 0 // message
	for _, r := range e.recs {
		for next < len(msgs) && msgs[next].Offset < r.End() {
			out = addMessage(out, msgs[next])
			next++
		}
		if len(out) == 0 || out[len(out)-1].end <= r.Offset {
			out = append(out, unit{what: recordWords(r), start: r.Offset, end: r.End(), of: r.End() - r.Offset})
		}
	}
	for _, m := range msgs[next:] {
		out = addMessage(out, m)
	}
	return e.withTail(out)
}

// addMessage adds a message, which may lack its end. One that is cut off is
// said to begin with its record: what comes before it there is not its own.
func addMessage(units []unit, m wire.Message) []unit {
	u := unit{what: messageName(m), start: m.Offset, end: m.End, of: m.End - m.Offset, records: m.Records}
	if len(m.Raw) >= 4 {
		announced := 4 + int(m.Raw[1])<<16 + int(m.Raw[2])<<8 + int(m.Raw[3])
		u.of += max(0, announced-len(m.Raw))
	}
	if n := len(units); n > 0 && units[n-1].end > u.start {
		u.of -= units[n-1].end - u.start
		u.start = units[n-1].end
	}
	return append(units, u)
}

// withTail adds what is behind the last whole record.
func (e *speech) withTail(units []unit) []unit {
	end, all := 0, len(e.stream.Data)
	if n := len(e.recs); n > 0 {
		end = e.recs[n-1].End()
	}
	if n := len(units); n > 0 {
		end = max(end, units[n-1].end)
	}
	if end >= all {
		return units
	}
	u := unit{what: "not TLS", start: end, end: all, of: all - end}
	if r, ok := wire.TailRecord(e.stream.Data[end:], all); ok {
		rest := e.stream.Data[end:]
		u.what, u.of = recordWords(r), max(u.of, 5+int(rest[3])<<8+int(rest[4]))
	}
	return append(units, u)
}

func messageName(m wire.Message) string {
	if m.Type == wire.HandshakeServerHello {
		if sh, _ := wire.ParseServerHello(m.Body); sh.HRR() {
			return "HelloRetryRequest"
		}
	}
	return wire.HandshakeName(m.Type)
}

// recordWords names a record that is no readable handshake message.
func recordWords(r wire.Record) string {
	switch {
	case r.Type == wire.RecordAlert && len(r.Fragment) == 2:
		a, _ := wire.ParseAlert(r.Fragment)
		return "alert " + a.Name()
	case r.Type == wire.RecordAlert, r.Type == wire.RecordHandshake:
		return "encrypted " + wire.RecordName(r.Type)
	}
	return wire.RecordName(r.Type)
}

// pieces cuts the units at a segment's ends.
func pieces(units []unit, seg capture.Segment) []Piece {
	var out []Piece
	start, end := int(seg.Seq), int(seg.End())
	i, _ := slices.BinarySearchFunc(units, start, func(u unit, at int) int { return u.end - at - 1 })
	for ; i < len(units) && units[i].start < end; i++ {
		u := units[i]
		p := Piece{What: u.what, From: max(start, u.start) - u.start + 1, To: min(end, u.end) - u.start, Of: u.of}
		if u.records > 1 {
			p.Records = u.records
		}
		out = addPiece(out, p)
	}
	return out
}

// addPiece counts whole ones of a kind that follow one another; what is too
// much becomes one piece.
func addPiece(all []Piece, p Piece) []Piece {
	whole := func(p Piece) bool { return p.From == 1 && p.To == p.Of && p.Records == 0 }
	if len(all) == 0 {
		return append(all, p)
	}
	last := &all[len(all)-1]
	switch {
	case len(all) == mostPieces:
		last.What, last.Records, last.Count = "more", 0, max(1, last.Count)+1
		last.To, last.Of = last.To+p.To-p.From+1, last.Of+p.To-p.From+1
	case last.What == p.What && whole(*last) && whole(p):
		last.Count, last.To, last.Of = max(1, last.Count)+1, last.To+p.To, last.Of+p.Of
	default:
		return append(all, p)
	}
	return all
}
