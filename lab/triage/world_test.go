package triage

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// The tests play the path: a world says which handshakes break, and how.

// shown is what a box could see of a handshake.
type shown struct {
	lab.Cell
	bytes, segments, firstSegment, records, firstRecord, packet int

	set   map[string]string
	share []wire.Group
	retry bool
}

// how a handshake breaks; empty: it does not.
const (
	resets  = "rst"
	silence = "silence"
	loses   = "loses" // and silence follows
)

type world func(shown) string

// stacks is a catalogue of peers that all choose alike.
type stacks struct{}

func (stacks) Rules(id lab.PeerID) lab.Rules {
	r := lab.Rules{Default: lab.MustOffer("*x25519mlkem768+*x25519"), Shares: lab.ShareFirst, Pick: lab.PickPostQuantum, NoMatch: "handshake_failure"}
	r.TLS12 = strings.HasPrefix(string(id), "go-tls12")
	return r
}

func (stacks) Unsupported(id lab.PeerID, role lab.Role, o lab.Offer) string {
	if strings.HasPrefix(string(id), "go-tls12") && slices.ContainsFunc(o.Groups(), wire.Group.PostQuantum) {
		return "it has no such group"
	}
	return ""
}

func settings(id lab.PeerID) (lab.PeerID, []lab.Setting) {
	name, set, err := lab.SplitSettings(string(id))
	if err != nil {
		panic(err)
	}
	return lab.PeerID(name), set
}

var field = Field{Known: stacks{}, CleanLink: func(string) string { return "clean" }, Settings: settings, Remedy: func(culprit string) string { return "mend " + culprit }}

const nameEnd = 109

// show is the handshake of a cell as it would be on the wire.
func show(c lab.Cell) shown {
	s := shown{Cell: c, set: map[string]string{}, bytes: 180}
	_, set := settings(c.Client)
	for _, one := range set {
		s.set[one.Key] = one.Value
	}
	if c.Client == "stock@1" {
		s.bytes = 280
	}
	p := lab.Predict(c, stacks{}.Rules(c.Client), stacks{}.Rules(c.Server))
	s.retry = len(p.Allowed) > 0 && p.Allowed[0].HRR
	for _, g := range p.Shares {
		n, _ := g.Info()
		s.share = append(s.share, g)
		s.bytes += n.ClientShare + 4
	}
	if n := s.number("pad"); n > s.bytes {
		s.bytes = n
	}
	mss := 1420
	_, link, _ := lab.SplitSettings(c.Link)
	for _, l := range link {
		switch n, _ := strconv.Atoi(l.Value); l.Key {
		case "mss":
			mss = min(mss, n-12)
		case "mtu":
			mss = n - 52
		}
	}
	s.records, s.firstRecord = 1, s.bytes-5
	if n := s.number("record"); n > 0 {
		s.records, s.firstRecord = 2, n
	}
	if n := s.number("records"); n > 0 {
		s.records, s.firstRecord = (s.bytes+n-1)/n, min(n, s.bytes-5)
	}
	s.firstSegment = min(s.bytes, mss)
	s.segments = (s.bytes + mss - 1) / mss
	if n := s.number("cut"); n > 0 && n < s.bytes {
		s.segments, s.firstSegment = max(2, s.segments), min(n, s.firstSegment)
	}
	s.packet = 52 + min(mss, s.bytes)
	return s
}

func (s shown) number(key string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(s.set[key], "ms"))
	return n
}

// observe is the lab's view of it in a world.
func (w world) observe(c lab.Cell) lab.Observation {
	s := show(c)
	o := lab.Observation{Cell: c, Attempt: 1, Addressed: "s", Client: lab.End{Reached: "s"}, Path: lab.Path{Packets: 10, BudgetMS: 1000}}
	h := lab.Hello{Bytes: s.bytes, Segments: s.segments, Records: s.records, Groups: c.Offer.Groups(), Shares: s.share, TLS13: true, NameEnd: nameEnd, SHA256: "x", GapMS: float64(s.number("gap")) + 0.1}
	if c.Offer.Default() {
		h.Groups = lab.MustOffer("x25519mlkem768+x25519").Groups()
	}
	o.Wire = lab.Wire{Connected: true, ClientHellos: []lab.Hello{h}, AtServer: []lab.Hello{h}, MaxPayload: s.packet - 52, AppToServer: 10, AppToClient: 10, HandshakeMS: 2}
	p := lab.Predict(c, stacks{}.Rules(c.Client), stacks{}.Rules(c.Server))
	r := p.Allowed[0]
	if r.HRR {
		o.Wire.HRR = &lab.ServerHello{Version: 0x0304, Group: r.Group}
		o.Wire.ClientHellos = append(o.Wire.ClientHellos, h)
	}
	version := uint16(0x0304)
	if strings.HasPrefix(string(c.Client), "go-tls12") {
		version = 0x0303
	}
	switch how := w(s); {
	case how == resets:
		o.Wire.ClientClose, o.Wire.AppToServer, o.Wire.AppToClient = "rst-server", 0, 0
	case how == silence || how == loses:
		o.Client.TimedOut, o.Wire.AppToServer, o.Wire.AppToClient = true, 0, 0
		if how == loses {
			o.Wire.LostUp = s.bytes
			o.Path.Drops = []lab.Drop{{Packet: 4, Dir: "to server", Reason: "box", Bytes: s.packet}}
		}
	case r.Outcome == lab.Refused:
		o.Wire.Alerts = []lab.Alert{{From: "server", Name: "handshake_failure", Code: 40}}
	default:
		o.Wire.ServerHello = &lab.ServerHello{Version: version, Group: r.Group}
		o.Client.Data, o.Client.Done = true, true
	}
	return o
}

func (w world) try(trials []Trial) []lab.Observation {
	out := make([]lab.Observation, len(trials))
	for i, t := range trials {
		out[i] = w.observe(t.Cell)
	}
	return out
}

// finding is a cell's, as a run would have it.
func (w world) finding(t *testing.T, cell string) Finding {
	t.Helper()
	c, err := lab.ParseCell(cell)
	if err != nil {
		t.Fatal(err)
	}
	o := w.observe(c)
	v := lab.Judge(stacks{}, o)
	if !v.Outcome.Finding() {
		t.Fatalf("%s is no finding: %s %s", cell, v.Outcome, v.Why)
	}
	return Finding{v, o}
}
