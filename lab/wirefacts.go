package lab

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/lab/wire"
)

// ObserveWire reads what the packets of one attempt prove. It is pure.
//
// Where a client opened several connections, the TLS facts are those of the
// first that carried a ClientHello, or else of the first: a client that tries
// again after a failure must not hide the failure. What tells whether the
// capture can be trusted (OverMSS, Unseen) and the two counts beside it
// (MaxPayload, Retransmits) are taken over all connections.
//
// Facts are taken where they are decisive. What an end sent is read where it
// enters the path, what it received where it leaves: application data counts
// once it arrived. A ClientHello that is not all there is reported with what
// could be decoded and without a hash; a ServerHello has to be whole.
func ObserveWire(packets []capture.Packet) Wire {
	var w Wire
	near := w.talks(packets, capture.ClientSide)
	far := w.talks(packets, capture.ServerSide)
	w.count(near, far)
	client := chosen(near)
	server := counterpart(far, client)
	if client != nil {
		w.connection(&client.flow)
		w.ClientHellos = client.hellos()
		w.HRR, w.ServerHello = client.hrr, client.hello
		w.AppToClient = client.ends[capture.ToClient].appBytes()
		w.HandshakeMS = client.handshakeMS()
		w.DecodeErr = cmp.Or(w.DecodeErr, client.fault())
	}
	if server != nil {
		w.AtServer = server.hellos()
		w.FromServer = server.hello
		w.AppToServer = server.ends[capture.ToServer].appBytes()
		w.DecodeErr = cmp.Or(w.DecodeErr, server.fault())
	}
	w.Alerts = alerts(client, server)
	w.compare(client, server)
	return w
}

// compare finds what the path did to the connection: what arrived and was
// never sent, and what was sent and never arrived.
func (w *Wire) compare(client, server *talk) {
	for dir, to := range []string{"server", "client"} {
		sent, got := stream(client, dir), stream(server, dir)
		if capture.Direction(dir) == capture.ToClient {
			sent, got = got, sent
		}
		for _, f := range []struct {
			what string
			is   bool
		}{{"rst", got.RST && !sent.RST}, {"fin", got.FIN && !sent.FIN}, {"data", !bytes.HasPrefix(sent.Data, got.Data)}} {
			if f.is {
				w.Forged = append(w.Forged, f.what+" to "+to)
			}
		}
		lost := max(0, len(sent.Data)-len(got.Data))
		if capture.Direction(dir) == capture.ToServer {
			w.LostUp = lost
		} else {
			w.LostDown = lost
		}
	}
}

// stream is one direction of a connection that may not be there.
func stream(t *talk, dir int) *capture.Stream {
	if t == nil {
		return &capture.Stream{}
	}
	return &t.flow.Streams[dir]
}

// talks reads the connections on one side as TLS.
func (w *Wire) talks(packets []capture.Packet, side capture.Side) []*talk {
	flows, err := capture.Flows(packets, side)
	if err != nil && w.DecodeErr == "" {
		w.DecodeErr = err.Error()
	}
	out := make([]*talk, len(flows))
	for i, f := range flows {
		out[i] = newTalk(f)
	}
	return out
}

// chosen is the connection the facts are taken from.
func chosen(talks []*talk) *talk {
	i := slices.IndexFunc(talks, (*talk).hasHello)
	if len(talks) == 0 {
		return nil
	}
	return talks[max(i, 0)]
}

// counterpart is the connection of the server's side that is one with the
// client's: translation keeps its initial sequence number. A middlebox that
// ends TCP makes a connection of its own, found like the client's.
func counterpart(talks []*talk, client *talk) *talk {
	if client != nil {
		up := &client.flow.Streams[capture.ToServer]
		for _, t := range talks {
			if s := &t.flow.Streams[capture.ToServer]; s.SYN && up.SYN && s.ISN == up.ISN {
				return t
			}
		}
	}
	return chosen(talks)
}

func (w *Wire) connection(f *capture.Flow) {
	w.Connected = f.Established
	up, down := &f.Streams[capture.ToServer], &f.Streams[capture.ToClient]
	first, from := up, "client"
	if ended(down) && (!ended(up) || down.Closed.Packet < up.Closed.Packet) {
		first, from = down, "server"
	}
	switch {
	case !ended(first):
	case first.Closed.Flags.Has(capture.RST):
		w.ClientClose, w.ClosePacket = "rst-"+from, first.Closed.Packet+1
	default:
		w.ClientClose, w.ClosePacket = "fin-"+from, first.Closed.Packet+1
	}
}

func ended(s *capture.Stream) bool { return s.FIN || s.RST }

// count takes over all connections what can be counted.
func (w *Wire) count(near, far []*talk) {
	var unseen [2][2]uint64 // by side, by direction
	for _, t := range slices.Concat(near, far) {
		for dir := range t.flow.Streams {
			s := &t.flow.Streams[dir]
			unseen[t.flow.Side][dir] += s.Unseen
			if (t.flow.Side == capture.ClientSide) == (s.Dir == capture.ToServer) {
				w.countSent(s, t.flow.Streams[1-dir].MSS)
			}
		}
	}
	// A byte missing on both sides is one byte.
	for dir := range 2 {
		w.Unseen += int(max(unseen[capture.ClientSide][dir], unseen[capture.ServerSide][dir]))
	}
}

// countSent looks at segments as they came from an end, against the MSS the
// receiver announced, if it announced one.
func (w *Wire) countSent(s *capture.Stream, mss uint16) {
	for _, seg := range s.Segments {
		w.MaxPayload = max(w.MaxPayload, seg.Len)
		if mss > 0 && seg.Len > int(mss) {
			w.OverMSS++
		}
		if seg.Retransmit {
			w.Retransmits++
		}
	}
}

// alerts lists the plaintext alerts that left the client or reached it, then
// those the other side saw in addition: sent by a server and lost, or made
// by a box.
func alerts(client, server *talk) []Alert {
	type timed struct {
		Alert
		at time.Duration
	}
	var all []timed
	for _, t := range []*talk{client, server} {
		var here []timed
		for dir := range 2 {
			if t == nil {
				continue
			}
			from := [...]string{"client", "server"}[dir]
			for _, a := range t.ends[dir].alerts {
				seen := Alert{From: from, Name: a.Name(), Code: a.Code, Packet: a.packet}
				if !slices.ContainsFunc(all, func(b timed) bool { return b.From == from && b.Code == a.Code }) {
					here = append(here, timed{seen, a.at})
				}
			}
		}
		all = append(all, here...)
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	var out []Alert
	for _, a := range all {
		out = append(out, a.Alert)
	}
	return out
}

// talk is a connection read as TLS.
type talk struct {
	flow    capture.Flow
	ends    [2]speech // by capture.Direction
	hrr     *ServerHello
	hello   *ServerHello
	helloAt time.Duration // when the ServerHello was seen
}

// speech is what one end said.
type speech struct {
	stream *capture.Stream
	recs   []wire.Record  // whole ones
	msgs   []wire.Message // plaintext handshake messages
	cut    *wire.Message  // a message the stream ends in
	alerts []timedAlert   // plaintext ones
	err    error          // first fault that is not just the end of the stream
}

type timedAlert struct {
	wire.Alert
	at     time.Duration
	packet int
}

func newTalk(f capture.Flow) *talk {
	t := &talk{flow: f}
	for dir := range t.ends {
		t.ends[dir] = listen(&t.flow.Streams[dir])
	}
	t.readServer()
	return t
}

// listen decodes one direction of a connection.
func listen(s *capture.Stream) speech {
	e := speech{stream: s}
	recs, rest, err := wire.ReadRecords(s.Data)
	e.note(err)
	e.recs = recs
	if tail, ok := wire.TailRecord(rest, len(s.Data)); ok && err == nil {
		recs = append(slices.Clip(recs), tail)
	}
	msgs, partial, err := wire.ReadHandshake(recs)
	e.note(err)
	e.msgs = msgs
	if len(partial) > 0 {
		e.cut = tail(recs, partial)
	}
	e.readAlerts()
	return e
}

func (e *speech) note(err error) {
	if e.err == nil && err != nil && !errors.Is(err, wire.ErrTruncated) {
		e.err = err
	}
}

// tail makes a message of the beginning of one, which the last handshake
// records carried.
func tail(recs []wire.Record, partial []byte) *wire.Message {
	m := &wire.Message{Type: partial[0], Body: partial[min(4, len(partial)):], Raw: partial}
	for i, n := len(recs)-1, 0; i >= 0 && n < len(partial); i-- {
		if r := recs[i]; r.Type == wire.RecordHandshake {
			m.End = max(m.End, r.End())
			m.Offset = r.Offset
			m.Records++
			n += len(r.Fragment)
		}
	}
	return m
}

// readAlerts keeps those in plaintext, which are two bytes long (RFC 8446
// section 6): encryption makes them longer, and TLS 1.3 hides them in
// application data. What comes before them proves nothing: a TLS 1.3 client
// sends a ChangeCipherSpec ahead of a second ClientHello, and a box may put an
// alert anywhere.
func (e *speech) readAlerts() {
	for _, r := range e.recs {
		if r.Type != wire.RecordAlert || len(r.Fragment) != 2 {
			continue
		}
		a, err := wire.ParseAlert(r.Fragment)
		e.note(err)
		at, _ := e.stream.At(uint64(r.Offset))
		seen := timedAlert{Alert: a, at: at}
		if packets := e.packets(r.Offset, r.End()); len(packets) > 0 {
			seen.packet = packets[0]
		}
		e.alerts = append(e.alerts, seen)
	}
}

// appBytes counts the payload of application_data records, in TLS 1.3 the
// encrypted part of the handshake included.
func (e *speech) appBytes() int {
	n := 0
	for _, r := range e.recs {
		if r.Type == wire.RecordApplicationData {
			n += len(r.Fragment)
		}
	}
	return n
}

func (t *talk) hasHello() bool {
	e := &t.ends[capture.ToServer]
	return slices.ContainsFunc(e.msgs, isClientHello) || e.cut != nil && isClientHello(*e.cut)
}

func isClientHello(m wire.Message) bool { return m.Type == wire.HandshakeClientHello }

// hellos sums up the client's hellos.
func (t *talk) hellos() []Hello {
	e := &t.ends[capture.ToServer]
	var out []Hello
	for _, m := range e.msgs {
		if isClientHello(m) {
			out = append(out, e.hello(m, true))
		}
	}
	if e.cut != nil && isClientHello(*e.cut) {
		out = append(out, e.hello(*e.cut, false))
	}
	return out
}

// hello sums up one of them; of one that is not all there, neither the digest
// nor the last share can be judged.
func (e *speech) hello(m wire.Message, whole bool) Hello {
	ch, err := wire.ParseClientHello(m.Body)
	e.note(err)
	session := len(ch.SessionID)
	packets := e.packets(m.Offset, m.End)
	h := Hello{
		GapMS:    e.gap(m.Offset, m.End),
		Bytes:    m.End - m.Offset,
		Segments: len(packets),
		Packets:  packets,
		Records:  m.Records,
		Traits:   traits(ch),
		Schemes:  len(ch.SigAlgs),
		Groups:   append([]wire.Group{}, ch.Groups...),
		Shares:   make([]wire.Group, 0, len(ch.Shares)),
		TLS13:    slices.Contains(ch.Versions, versionTLS13),
		Session:  &session,
	}
	for _, s := range ch.Shares {
		h.Shares = append(h.Shares, s.Group)
		if what := s.Group.ShareFault(s.Data, true); what != "" && whole {
			h.Faults = append(h.Faults, ShareFault{s.Group, what})
		}
	}
	if whole {
		sum := sha256.Sum256(m.Raw)
		h.SHA256 = hex.EncodeToString(sum[:])
	}
	if m.Records == 1 && ch.SNIEnd > 0 {
		h.NameEnd = headers + ch.SNIEnd
	}
	return h
}

// headers are a record's and a handshake message's.
const headers = 5 + 4

// packets are those that carried the bytes from start up to end, from 1.
func (e *speech) packets(start, end int) []int {
	var out []int
	for _, s := range e.stream.Carried(uint64(start), uint64(end)) {
		out = append(out, s.Packet+1)
	}
	return out
}

// gap is the longest time between two segments that carried the bytes, in
// milliseconds.
func (e *speech) gap(start, end int) float64 {
	var most time.Duration
	segs := e.stream.Carried(uint64(start), uint64(end))
	for i := 1; i < len(segs); i++ {
		most = max(most, segs[i].At-segs[i-1].At)
	}
	return float64(most) / float64(time.Millisecond)
}

// mlDSA are the signature schemes ML-DSA-44, 65 and 87, draft-ietf-tls-mldsa.
var mlDSA = []uint16{0x0904, 0x0905, 0x0906}

func isGREASE(g wire.Group) bool {
	info, _ := g.Info()
	return info.Status == wire.Grease
}

// traits are what is unusual about a hello.
func traits(ch *wire.ClientHello) []string {
	at := func(typ uint16) int {
		return slices.IndexFunc(ch.Extensions, func(e wire.Extension) bool { return e.Type == typ })
	}
	has := func(list []uint16) bool {
		return slices.ContainsFunc(list, func(s uint16) bool { return slices.Contains(mlDSA, s) })
	}
	var out []string
	for _, t := range []struct {
		name string
		is   bool
	}{
		{"late-name", at(wire.ExtServerName) > at(wire.ExtKeyShare)},
		{"grease", slices.ContainsFunc(ch.Groups, isGREASE)},
		{"ml-dsa", has(ch.SigAlgs)},
		{"ml-dsa-cert", has(ch.SigAlgsCert)},
	} {
		if t.is {
			out = append(out, t.name)
		}
	}
	return out
}

const versionTLS13 = 0x0304

// readServer finds the HelloRetryRequest and the ServerHello, and the group
// of TLS 1.2.
func (t *talk) readServer() {
	e := &t.ends[capture.ToClient]
	for _, m := range e.msgs {
		switch {
		case m.Type == wire.HandshakeServerHello && t.hello == nil:
			sh, err := wire.ParseServerHello(m.Body)
			e.note(err)
			h := &ServerHello{Bytes: m.End - m.Offset, Version: sh.Selected, Group: sh.Group, Cipher: sh.Cipher, Cookie: len(sh.Cookie)}
			if sh.HRR() {
				t.hrr = cmp.Or(t.hrr, h)
				continue
			}
			if sh.Selected == versionTLS13 && sh.Group != 0 {
				h.Fault = sh.Group.ShareFault(sh.Share, false)
			}
			t.hello = h
			t.helloAt, _ = e.stream.At(uint64(m.End - 1))
		case m.Type == wire.HandshakeServerKeyExchange && t.hello != nil && t.hello.Group == 0:
			// Finite-field Diffie-Hellman has no group to name: not a fault.
			t.hello.Group, _ = wire.ParseServerKeyExchange(m.Body)
		}
	}
}

// handshakeMS is the time from the client's first SYN to its Finished: in TLS
// 1.3 its first encrypted record after the ServerHello, before 1.3 the handshake
// record behind its ChangeCipherSpec. 0: it never came.
func (t *talk) handshakeMS() float64 {
	if t.hello == nil {
		return 0
	}
	e := &t.ends[capture.ToServer]
	changed := false
	for _, r := range e.recs {
		finished := r.Type == wire.RecordApplicationData
		if t.hello.Version < versionTLS13 {
			finished = changed && r.Type == wire.RecordHandshake
			changed = changed || r.Type == wire.RecordChangeCipherSpec
		}
		if at, ok := e.stream.At(uint64(r.Offset)); finished && ok && at >= t.helloAt {
			return float64(at-t.flow.SYN) / float64(time.Millisecond)
		}
	}
	return 0
}

// fault is the first thing of a connection that could not be read.
func (t *talk) fault() string {
	for dir := range t.ends {
		if err := t.ends[dir].err; err != nil {
			return fmt.Sprintf("%s, %s: %v", t.flow.Side, capture.Direction(dir), err)
		}
	}
	return ""
}
