package netem

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/netem/box"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// rule is a box in the text form; it must be right.
func rule(t testing.TB, name, when, do string) box.Program {
	t.Helper()
	p, err := box.Box{Name: name, Layer: box.Packet, When: when, Do: do}.Program(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// openBoxed is open for a path with boxes.
func openBoxed(t testing.TB, l Link, boxes ...box.Program) *bench {
	t.Helper()
	b := &bench{ends: endsOf(7, l), out: make(chan []byte, 1<<16)}
	b.path.Boxes = boxes
	b.Engine = NewEngine(func(p []byte) { b.out <- p })
	t.Cleanup(b.Shutdown)
	if err := b.Open(b.path); err != nil {
		t.Fatal(err)
	}
	return b
}

// record is a TLS record of n bytes that might be a ClientHello.
func record(n int) []byte {
	b := append([]byte{22, 3, 1}, binary.BigEndian.AppendUint16(nil, uint16(n))...)
	b = append(b, 1, 0, byte((n-4)>>8), byte(n-4))
	return append(b, make([]byte, n-4)...)
}

// greeting opens a connection and sends a hello in two segments.
func greeting(opts []byte) []segment {
	s := conversation(1000, 9000, 0)
	hello := record(300)
	s = append(s,
		segment{dir: capture.ToServer, seq: 1001, ack: 9001, flags: ack, opts: opts, payload: hello[:200]},
		segment{dir: capture.ToServer, seq: 1201, ack: 9001, flags: ack, opts: opts, payload: hello[200:]})
	for i := range s {
		s[i].opts = opts
	}
	return s
}

// run plays segments and returns the trace.
func (b *bench) run(t testing.TB, segs []segment) Trace {
	t.Helper()
	for _, s := range segs {
		b.Input(b.bytes(s))
	}
	return b.close(t)
}

// left are the packets that left the engine on a side, in words.
func left(tr Trace, side capture.Side) []string {
	var out []string
	for _, p := range tr.Packets {
		l, _, err := parse(p.Data)
		if p.Side != side || (p.Side == capture.ClientSide) == (p.Dir == capture.ToServer) || p.Drop != "" || err != nil {
			continue
		}
		tcp, _ := l.tcp(p.Data)
		out = append(out, fmt.Sprintf("%s%d", strings.ReplaceAll(capture.Flags(tcp.Flags()).String(), " ", ""), len(tcp.Payload())))
	}
	return out
}

// TestBoxes: what a box does is on record, with its name, and in the books.
func TestBoxes(t *testing.T) {
	both(t, func(t *testing.T, family Family) {
		for _, tt := range []struct {
			do       string
			toClient string // what reached the client, flags and payload length
			toServer string
			made     int
			dropped  int
		}{
			{"RST(client)", "[S.0 R.0]", "[S0 .0]", 1, 2},
			{"RST(both)", "[S.0 R.0]", "[S0 .0 R.0]", 2, 2},
			{"FIN(client)", "[S.0 F.0 .0]", "[S0 .0]", 2, 2},
			{"alert(2,47) + FIN(client)", "[S.0 P.7 F.0 .0]", "[S0 .0]", 3, 2},
			{"hang", "[S.0 .0 .0]", "[S0 .0]", 2, 2},
			{"zero-window", "[S.0 .0 .0]", "[S0 .0]", 2, 2},
			{"drop(flow)", "[S.0]", "[S0 .0]", 0, 2},
			{"drop(seg2)", "[S.0]", "[S0 .0 .200]", 0, 1},
			{"pass-uninspected", "[S.0]", "[S0 .0 .200 .105]", 0, 0},
		} {
			b := openBoxed(t, Link{Family: family}, rule(t, "test", "seg1_incomplete_record", tt.do))
			tr := b.run(t, greeting(nil))
			gotC, gotS := fmt.Sprint(left(tr, capture.ClientSide)), fmt.Sprint(left(tr, capture.ServerSide))
			if gotC != tt.toClient || gotS != tt.toServer || tr.Made != tt.made || tr.Dropped != tt.dropped {
				t.Errorf("%s: client gets %s, want %s; server gets %s, want %s; made %d, dropped %d", tt.do, gotC, tt.toClient, gotS, tt.toServer, tr.Made, tr.Dropped)
			}
			b.checkDeeds(t, tr, tt.do)
		}
	})
}

// checkDeeds: every packet dropped or made says by which box, and is listed.
func (b *bench) checkDeeds(t *testing.T, tr Trace, do string) {
	t.Helper()
	var listed []int
	for _, d := range tr.Boxes {
		if d.Box != "test" || d.Times == 0 || !strings.Contains(do, d.Action) {
			t.Errorf("%s: deed %+v", do, d)
		}
		listed = append(listed, d.Packets...)
	}
	if len(tr.Boxes) == 0 {
		t.Errorf("%s: no deed", do)
	}
	touched := 0
	for i, p := range tr.Packets {
		if p.Drop != "" && (p.Drop != dropBox || !strings.HasPrefix(p.Note, "box test: ")) {
			t.Errorf("%s: packet %d dropped as %q, %q", do, i, p.Drop, p.Note)
		}
		if strings.HasPrefix(p.Note, "box test: ") {
			touched++
			if !slices.Contains(listed, i) {
				t.Errorf("%s: packet %d (%s) is in no deed", do, i, p.Note)
			}
		}
		checkSums(t, p.Data)
	}
	if touched != tr.Made+tr.Dropped {
		t.Errorf("%s: %d packets have a note, %d were made and %d dropped", do, touched, tr.Made, tr.Dropped)
	}
}

// TestMadePacketsHaveTimestamps, because ends that agreed on them believe no
// others; and none where they did not.
func TestMadePacketsHaveTimestamps(t *testing.T) {
	for _, opts := range [][]byte{nil, {1, 1, 8, 10, 0, 0, 1, 5, 0, 0, 0, 9}} {
		b := openBoxed(t, Link{}, rule(t, "test", "seg1_incomplete_record", "FIN(client)"))
		tr := b.run(t, greeting(opts))
		made := tr.Packets[tr.Boxes[0].Packets[0]]
		for _, d := range tr.Boxes {
			for _, i := range d.Packets {
				if tr.Packets[i].Dir == capture.ToClient {
					made = tr.Packets[i]
				}
			}
		}
		l, _, _ := parse(made.Data)
		tcp, _ := l.tcp(made.Data)
		o := header.ParseTCPOptions(tcp.Options())
		if o.TS != (opts != nil) || o.TS && (o.TSVal != 0x105 || o.TSEcr != 0x105) {
			t.Errorf("options %+v", o)
		}
	}
}

// TestBoxesBehindTheLink: a box sees what the link did to the packets, and
// what it sends back has the link before it.
func TestBoxesBehindTheLink(t *testing.T) {
	frag := openBoxed(t, Link{Up: Shape{MTU: 600, TooBig: Fragment}}, rule(t, "test", "ip_frag", "drop(packet)"))
	tr := frag.run(t, []segment{{dir: capture.ToServer, seq: 5, flags: ack, payload: zeros(1000)}})
	if tr.Dropped != 2 || tr.Made != 1 || tr.Packets[0].Drop != dropBox {
		t.Errorf("fragments made by the link: %+v", tr)
	}
	lossy := openBoxed(t, Link{Down: Shape{Loss: Loss{Nth: []int{1}, Rate: 1}}}, rule(t, "test", "seg1_incomplete_record", "RST(client)"))
	tr = lossy.run(t, greeting(nil))
	last := tr.Packets[len(tr.Packets)-2]
	if last.Side != capture.ClientSide || last.Dir != capture.ToClient || last.Drop != "loss" || last.Note != "box test: RST(client)" {
		t.Errorf("a reset lost on the link: %+v", last)
	}
	slow := openBoxed(t, Link{Up: Shape{Delay: 20 * time.Millisecond}}, rule(t, "test", "gap>1ms", "drop(flow)"))
	for _, s := range greeting(nil) {
		slow.Input(slow.bytes(s))
	}
	for range 4 {
		slow.next(t) // SYN, SYN-ACK, ACK, first segment
	}
	slow.next(t) // and the second: the link held both alike
	if tr := slow.close(t); tr.Dropped != 0 {
		t.Errorf("a delay is no gap: %+v", tr.Boxes)
	}
}

// TestChain: the first box is the one at the client, and what it adds does
// not come past it again.
func TestChain(t *testing.T) {
	near := rule(t, "near", "seg1_incomplete_record", "drop(seg2)")
	far := rule(t, "far", "gap>0s", "RST(both)")
	b := openBoxed(t, Link{}, near, far)
	tr := b.run(t, greeting(nil))
	if len(tr.Boxes) != 1 || tr.Boxes[0].Box != "near" {
		t.Errorf("client's order: %+v", tr.Boxes)
	}
	b = openBoxed(t, Link{}, far, near)
	tr = b.run(t, greeting(nil))
	if fmt.Sprint(left(tr, capture.ClientSide)) != "[S.0 R.0]" || fmt.Sprint(left(tr, capture.ServerSide)) != "[S0 .0 .200 R.0]" {
		t.Errorf("server's order: %v, %v, %+v", left(tr, capture.ClientSide), left(tr, capture.ServerSide), tr.Boxes)
	}
	b = openBoxed(t, Link{}, rule(t, "a", "sh>1", "drop(flow)"), rule(t, "b", "server_first", "RST(client)"))
	tr = b.run(t, append(greeting(nil)[:3], segment{dir: capture.ToClient, seq: 9001, ack: 1001, flags: ack, payload: []byte("220 hello")}))
	if fmt.Sprint(left(tr, capture.ClientSide)) != "[S.0 R.0]" || tr.Boxes[0].Box != "b" {
		t.Errorf("what comes from the server: %v, %+v", left(tr, capture.ClientSide), tr.Boxes)
	}
}

// TestBoxDelay holds a packet for the time, by the link's timer.
func TestBoxDelay(t *testing.T) {
	b := openBoxed(t, Link{}, rule(t, "test", "seg1_incomplete_record", "delay(seg2,40ms)"))
	began := time.Now()
	for _, s := range greeting(nil) {
		b.Input(b.bytes(s))
	}
	for range 5 {
		b.next(t)
	}
	if took := time.Since(began); took < 40*time.Millisecond {
		t.Errorf("the second segment came after %v", took)
	}
	tr := b.close(t)
	if len(tr.Boxes) != 1 || tr.Boxes[0].Action != "delay(seg2,40ms)" || tr.Packets[tr.Boxes[0].Packets[0]].Side != capture.ClientSide {
		t.Errorf("%+v", tr.Boxes)
	}
}

// TestBoxRewrite changes the copy that goes on, and leaves the record of what
// came alone.
func TestBoxRewrite(t *testing.T) {
	hello := []byte{22, 3, 1, 0, 52, 1, 0, 0, 48}
	hello = append(hello, 3, 3)
	hello = append(hello, make([]byte, 32)...)
	hello = append(hello, 0, 0, 2, 0x13, 1, 1, 0, 0, 6, 0, 10, 0, 2, 0, 0)
	hello[4], hello[8] = byte(len(hello)-5), byte(len(hello)-9)
	hello = append(hello[:len(hello)-8], 0, 8, 0, 10, 0, 4, 0, 2, 0x11, 0xec)
	hello[4], hello[8] = byte(len(hello)-5), byte(len(hello)-9)
	b := openBoxed(t, Link{}, rule(t, "test", "port{443}", "rewrite(groups,0x11ec,0x6399)"))
	tr := b.run(t, append(conversation(1000, 9000, 0), segment{dir: capture.ToServer, seq: 1001, ack: 9001, flags: ack, payload: hello}))
	came, went := tr.Packets[len(tr.Packets)-2].Data, tr.Packets[len(tr.Packets)-1]
	want := append(slices.Clone(hello[:len(hello)-2]), 0x63, 0x99)
	if !bytes.HasSuffix(came, hello) || !bytes.HasSuffix(went.Data, want) || went.Note != "box test: rewrite(groups,0x11ec,0x6399)" {
		t.Errorf("came % x\nwent % x (%s)", came, went.Data, went.Note)
	}
	checkSums(t, went.Data)
	if len(tr.Boxes) != 1 || tr.Boxes[0].Times != 1 {
		t.Errorf("%+v", tr.Boxes)
	}
}

// TestBoxChance: the share of connections it hits is the one written, and the
// same ones in every run.
func TestBoxChance(t *testing.T) {
	const connections = 2000
	hit := func(seed uint64, do string) []bool {
		b := &bench{ends: endsOf(7, Link{}), out: make(chan []byte, 1<<16)}
		b.path.Boxes, b.path.Seed = []box.Program{rule(t, "test", "seg1_incomplete_record", do)}, seed
		b.Engine = NewEngine(func(p []byte) {})
		t.Cleanup(b.Shutdown)
		if err := b.Open(b.path); err != nil {
			t.Fatal(err)
		}
		for i := range connections {
			b.clientPort = uint16(10000 + i)
			for _, s := range greeting(nil)[:4] {
				b.Input(b.bytes(s))
			}
		}
		hits := make([]bool, 0, connections)
		for _, p := range b.close(t).Packets {
			if l, _, _ := parse(p.Data); p.Side == capture.ClientSide && p.Dir == capture.ToServer {
				if tcp, _ := l.tcp(p.Data); len(tcp.Payload()) > 0 {
					hits = append(hits, p.Drop != "")
				}
			}
		}
		return hits
	}
	one := hit(1, "probabilistic(5%) + drop(flow)")
	n := 0
	for _, h := range one {
		if h {
			n++
		}
	}
	if len(one) != connections || n < 70 || n > 130 { // 100, and three standard deviations
		t.Errorf("%d of %d", n, len(one))
	}
	if !slices.Equal(one, hit(1, "probabilistic(5%) + drop(flow)")) {
		t.Error("another run hits others")
	}
	if slices.Equal(one, hit(2, "probabilistic(5%) + drop(flow)")) || slices.Equal(one, hit(1, "probabilistic(5%,3) + drop(flow)")) {
		t.Error("another seed hits the same")
	}
}

func TestOpenRefusesBoxes(t *testing.T) {
	e := NewEngine(func([]byte) {})
	defer e.Shutdown()
	p := endsOf(7, Link{}).path
	p.Boxes = []box.Program{{Name: "x", Layer: box.Packet, Do: []box.Action{{Name: "dance"}}}}
	if err := e.Open(p); err == nil || !strings.Contains(err.Error(), `unknown action "dance"`) {
		t.Error(err)
	}
	p.Boxes = make([]box.Program, MaxBoxes+1)
	if err := e.Open(p); err == nil || !strings.Contains(err.Error(), "9 boxes") {
		t.Error(err)
	}
}
