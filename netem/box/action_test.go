package box

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab/capture"
)

const (
	rstAck = capture.RST | capture.ACK
	finAck = capture.FIN | capture.ACK
)

// edge is what an end expects next from the other.
func (c *talk) edge(dir capture.Direction) uint32 {
	isn := [...]uint32{clientISN, serverISN}[dir]
	return isn + 1 + uint32(len(c.received[dir]))
}

// TestEnds: what each end is sent is numbered so that it believes it.
func TestEnds(t *testing.T) {
	hello := plain.stream()
	for _, tt := range []struct {
		do   string
		want []Made // Seq and Ack: how many bytes after the stream's first
	}{
		{"RST(client)", []Made{{Dir: capture.ToClient, Flags: rstAck}}},
		{"RST(server)", []Made{{Dir: capture.ToServer, Flags: rstAck}}},
		{"RST(both)", []Made{{Dir: capture.ToClient, Flags: rstAck}, {Dir: capture.ToServer, Flags: rstAck}}},
		{"FIN(client)", []Made{{Dir: capture.ToClient, Flags: finAck, Ack: 100}}},
		{"FIN(both)", []Made{{Dir: capture.ToClient, Flags: finAck, Ack: 100}, {Dir: capture.ToServer, Flags: finAck}}},
		{"hang", []Made{{Dir: capture.ToClient, Flags: capture.ACK, Ack: 100}}},
		{"zero-window", []Made{{Dir: capture.ToClient, Flags: capture.ACK}}},
		{"alert(2,47) + FIN(client)", []Made{{Dir: capture.ToClient, Flags: capture.ACK | capture.PSH, Ack: 100}, {Dir: capture.ToClient, Flags: finAck, Seq: 7, Ack: 100}}},
		{"drop(flow)", nil},
		{"crash", nil},
	} {
		c := connect(machine(t, "seg1_incomplete_record", tt.do))
		r := c.up(hello[:100])
		if r.Drop == "" || len(r.Send) != len(tt.want) {
			t.Errorf("%s: %+v", tt.do, r)
			continue
		}
		for i, m := range r.Send {
			w := tt.want[i]
			w.Seq, w.Ack = w.Seq+c.edge(m.Dir), w.Ack+c.edge(1-m.Dir)
			if m.Dir != w.Dir || m.Flags != w.Flags || m.Seq != w.Seq || m.Ack != w.Ack {
				t.Errorf("%s: sends %+v, want %+v", tt.do, m, w)
			}
			if (m.Window == 0) != (tt.do == "zero-window") {
				t.Errorf("%s: window %d", tt.do, m.Window)
			}
		}
		later := []Ruling{c.up(hello[100:]), c.down([]byte("late"))}
		if later[0].Drop == "" || later[1].Drop == "" || len(later[1].Send) > 0 {
			t.Errorf("%s: then %+v", tt.do, later)
		}
		if answers := len(later[0].Send) == 1; answers != slices.Contains([]string{"FIN(client)", "FIN(both)", "hang", "zero-window", "alert(2,47) + FIN(client)"}, tt.do) {
			t.Errorf("%s: answers what comes later: %t", tt.do, answers)
		}
	}
}

// TestAlertBytes: level and code as written.
func TestAlertBytes(t *testing.T) {
	c := connect(machine(t, "ch>10", "alert(1,112) + RST(client)"))
	r := c.up(plain.stream())
	if len(r.Send) != 2 || !bytes.Equal(r.Send[0].Payload, []byte{21, 3, 3, 0, 2, 1, 112}) {
		t.Errorf("%+v", r.Send)
	}
}

// TestHangAcknowledges: every byte in order, once, and the client's FIN.
func TestHangAcknowledges(t *testing.T) {
	c := connect(machine(t, "seg1_incomplete_record", "hang"))
	c.up(make([]byte, 0))
	hello := plain.stream()
	for _, n := range []int{10, 20, 30} {
		if r := c.up(hello[:n]); r.Send[0].Ack != c.seq[capture.ToServer] {
			t.Errorf("after %d more bytes acknowledges %d, want %d", n, r.Send[0].Ack, c.seq[capture.ToServer])
		}
		hello = hello[n:]
	}
	r := c.see(Seen{TCP: true, Dir: capture.ToServer, Seq: c.seq[capture.ToServer] + 50, Flags: capture.ACK, Payload: []byte("x")})
	if r.Send[0].Ack != c.seq[capture.ToServer] {
		t.Error("acknowledges what is not there")
	}
	if r := c.put(Seen{Dir: capture.ToServer, Flags: finAck}); r.Send[0].Ack != c.seq[capture.ToServer] {
		t.Error("does not acknowledge the FIN")
	}
	if r := c.put(Seen{Dir: capture.ToServer, Flags: capture.ACK}); len(r.Send) > 0 {
		t.Error("answers an acknowledgement: two boxes would go on for ever")
	}
}

// TestDropSegment: the segment never gets through, however often and however
// cut it is sent; the others do.
func TestDropSegment(t *testing.T) {
	hello := plain.stream()
	for _, tt := range []struct {
		do   string
		want string // segments that pass
	}{{"drop(seg1)", "23"}, {"drop(seg2)", "13"}, {"drop(seg2+)", "1"}, {"drop(seg9)", "123"}} {
		c := connect(machine(t, "seg1_incomplete_record", tt.do))
		cuts := []int{0, 100, 150, len(hello)}
		passed := ""
		for i := range 3 {
			if r := c.up(hello[cuts[i]:cuts[i+1]]); r.Drop == "" {
				passed += string(rune('1' + i))
			}
		}
		if passed != tt.want {
			t.Errorf("%s: %q passed, want %q", tt.do, passed, tt.want)
		}
		again := func(from, to int) bool { // a retransmission
			return c.see(Seen{TCP: true, Dir: capture.ToServer, Seq: clientISN + 1 + uint32(from), Flags: capture.ACK, Payload: hello[from:to]}).Drop == ""
		}
		if tt.do == "drop(seg2)" && (again(100, 150) || again(120, 130) || again(90, 110) || !again(0, 100) || !again(150, 170)) {
			t.Errorf("%s: is not the same when sent again", tt.do)
		}
		if r := c.down([]byte("x")); r.Drop != "" {
			t.Errorf("%s: drops what comes from the server", tt.do)
		}
	}
}

func TestDropPacket(t *testing.T) {
	c := connect(machine(t, "pkt>1380 && port{443}", "drop(packet)"))
	big, small := make([]byte, 1341), make([]byte, 1340)
	for _, r := range []Ruling{c.up(big), c.down(big)} {
		if r.Drop != "drop(packet)" {
			t.Errorf("%+v", r)
		}
	}
	if r := c.up(small); r.Drop != "" {
		t.Errorf("1,380 bytes: %+v", r)
	}
	f := connect(machine(t, "ip_frag", "drop(packet)"))
	if r := f.see(Seen{Fragment: true, Size: 500}); r.Drop == "" {
		t.Error("a fragment passes")
	}
	if r := f.up(small); r.Drop != "" {
		t.Error("no fragment, and dropped")
	}
}

// TestRewrite changes the code point where it stands for a group and nowhere
// else, in whichever segment, as often as it is sent.
func TestRewrite(t *testing.T) {
	s := with(func(s *shape) { s.groups, s.shares = []uint16{0x11ec, 29}, []uint16{0x11ec} })
	hello := s.stream()
	changed := func(f func(*shape)) []byte { q := s; f(&q); return q.stream() }
	for _, tt := range []struct {
		do   string
		want []byte
	}{
		{"rewrite(groups,0x11ec,0x6399)", changed(func(s *shape) { s.groups = []uint16{0x6399, 29} })},
		{"rewrite(shares,0x11ec,0x6399)", changed(func(s *shape) { s.shares = []uint16{0x6399} })},
		{"rewrite(versions,0x0304,0x0303)", changed(func(s *shape) { s.versions = []uint16{0x0303} })},
		{"rewrite(groups,0x11ec,0x6399) + rewrite(shares,0x11ec,0x6399)", changed(func(s *shape) { s.groups, s.shares = []uint16{0x6399, 29}, []uint16{0x6399} })},
		{"rewrite(groups,23,24)", hello},
	} {
		c := connect(machine(t, "port{443}", tt.do))
		var got []byte
		for at := 0; at < len(hello); at += 90 {
			part := hello[at:min(at+90, len(hello))]
			if r := c.up(part); r.Payload != nil {
				part = r.Payload
			}
			got = append(got, part...)
		}
		if !bytes.Equal(got, tt.want) {
			t.Errorf("%s:\n got % x\nwant % x", tt.do, got, tt.want)
		}
		again := Seen{TCP: true, Dir: capture.ToServer, Seq: clientISN + 1, Flags: capture.ACK, Payload: hello}
		if r := c.see(again); r.Payload != nil && !bytes.Equal(r.Payload, tt.want) {
			t.Errorf("%s: sent again as a whole it is % x", tt.do, r.Payload)
		}
		if !bytes.Equal(s.stream(), hello) {
			t.Fatal("the packet's own bytes were written over")
		}
	}
}

// TestDelay holds what it is about, in order, and nothing else.
func TestDelay(t *testing.T) {
	hello := plain.stream()
	c := connect(machine(t, "seg1_incomplete_record", "delay(seg2+,50ms)"))
	first := c.up(hello[:50])
	second := c.up(hello[50:100])
	c.now += 30 * time.Millisecond
	third := c.up(hello[100:])
	if first.Hold != 0 || second.Hold != 50*time.Millisecond || third.Hold != 50*time.Millisecond || c.down([]byte("x")).Hold != 0 {
		t.Errorf("held %v, %v, %v", first.Hold, second.Hold, third.Hold)
	}
	c.now -= 20 * time.Millisecond // behind one that is still held
	if r := c.up([]byte("x")); r.Hold != 70*time.Millisecond {
		t.Errorf("overtakes: held %v", r.Hold)
	}
}

// TestCooldown: further connections fare alike until the time is over; those
// to another port do not.
func TestCooldown(t *testing.T) {
	m := machine(t, "seg1_incomplete_record", "RST(client) + cooldown(2m)")
	connect(m).cutUp(plain.stream(), 100)
	for _, tt := range []struct {
		port uint16
		at   time.Duration
		dies bool
	}{{443, time.Minute, true}, {8443, time.Minute, false}, {443, 3*time.Minute - 1, true}, {443, 6 * time.Minute, false}} {
		f := m.NewFlow(tt.port, nil)
		r := f.See(tt.at, Seen{TCP: true, Dir: capture.ToServer, Flags: capture.SYN, Seq: 77, Size: 40})
		if (r.Drop != "") != tt.dies || tt.dies && (len(r.Send) != 1 || r.Send[0].Ack != 78) {
			t.Errorf("port %d at %v: %+v", tt.port, tt.at, r)
		}
	}
}

// TestCrash ends every connection, TestLeak none.
func TestCrash(t *testing.T) {
	m := machine(t, "ch>10", "crash")
	other := connect(m)
	connect(m).up(plain.stream())
	if r := other.down([]byte("x")); r.Drop == "" {
		t.Error("another connection survives")
	}
	if r := connect(m).rulings[0]; r.Drop == "" {
		t.Error("a new connection gets through")
	}
}

func TestLeak(t *testing.T) {
	m := machine(t, "ch>10", "leak(1700)")
	for range 3 {
		c := connect(m)
		c.up(plain.stream())
		c.up([]byte("more"))
		if deeds := slices.DeleteFunc(c.rulings, func(r Ruling) bool { return len(r.Deeds) == 0 }); len(deeds) != 1 || deeds[0].Drop != "" {
			t.Errorf("%+v", deeds)
		}
	}
	if m.Leaked() != 3*1700 {
		t.Errorf("leaked %d", m.Leaked())
	}
}

// TestProbabilistic: the chance decides once for a connection.
func TestProbabilistic(t *testing.T) {
	for _, tt := range []struct {
		do   string
		luck float64
		dies bool
	}{
		{"probabilistic(5%) + RST(client)", 0.0499, true},
		{"probabilistic(5%) + RST(client)", 0.05, false},
		{"probabilistic(0.05) + RST(client)", 0.0499, true},
		{"probabilistic(100%) + RST(client)", 0.999, true},
		{"probabilistic(0%) + RST(client)", 0, false},
	} {
		drawn := 0
		f := machine(t, "ch>10", tt.do).NewFlow(443, func(uint64) float64 { drawn++; return tt.luck })
		p := Seen{TCP: true, Dir: capture.ToServer, Flags: capture.ACK, Seq: 1, Payload: plain.stream()}
		first, second := f.See(0, p), f.See(0, p)
		if drawn != 1 || (first.Drop != "") != tt.dies || (second.Drop != "") != tt.dies {
			t.Errorf("%s, luck %v: drawn %d times, %q then %q", tt.do, tt.luck, drawn, first.Drop, second.Drop)
		}
	}
	var seeds []uint64
	f := machine(t, "ch>10", "probabilistic(5%,99) + RST(client)").NewFlow(443, func(s uint64) float64 { seeds = append(seeds, s); return 1 })
	f.See(0, Seen{TCP: true, Dir: capture.ToServer, Flags: capture.ACK, Payload: plain.stream()})
	if !slices.Equal(seeds, []uint64{99}) {
		t.Errorf("seeds %v", seeds)
	}
}

// TestOtherwise: what is done where the conditions do not hold, once that is
// certain.
func TestOtherwise(t *testing.T) {
	p, err := Box{Name: "test", Layer: Packet, When: "seg1_no_sni", Do: "pass-uninspected", Otherwise: "RST(client)"}.Program("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	whole, cut := connect(NewMachine(p)), connect(NewMachine(p))
	if r := whole.up(plain.stream()); r.Drop != "RST(client)" {
		t.Errorf("inspected: %+v", r)
	}
	if r := cut.cutUp(plain.stream(), 20); r.Drop != "" || !slices.Equal(cut.rulings[3].Deeds, []string{"pass-uninspected"}) {
		t.Errorf("not inspected: %+v", cut.rulings)
	}
}

// TestEveryActionIsTested: every row of the table is named here or in stream_test.go.
func TestEveryActionIsTested(t *testing.T) {
	for _, k := range acts {
		if k.parse == nil || k.about == "" || !strings.Contains("RST FIN alert drop hang zero-window rewrite delay pass-uninspected cooldown leak crash probabilistic misroute truncate strip reencrypt", k.name) {
			t.Errorf("%s: half a row, or not tested", k.name)
		}
	}
}
