package netem

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/netem/box"
	"hybridlab/netem/host"
)

// town is a client, a server and a middlebox, each on a host of its own, with
// the engine between them.
type town struct {
	*Engine
	t      *testing.T
	hosts  map[netip.Addr]*host.Host
	router func(pkt []byte) [][]byte // what an inline middlebox gives back
}

var realMiddle = []map[bool]netip.Addr{
	{false: netip.MustParseAddr("172.22.0.7"), true: netip.MustParseAddr("fd02::7")},
	{false: netip.MustParseAddr("172.22.0.8"), true: netip.MustParseAddr("fd02::8")},
}

func newTown(t *testing.T, v6 bool) *town {
	t.Helper()
	w := &town{t: t, hosts: map[netip.Addr]*host.Host{}}
	w.Engine = NewEngine(func(pkt []byte) {
		switch dst, ok := host.Destination(pkt); {
		case ok && w.hosts[dst] != nil:
			w.hosts[dst].Inject(pkt)
		case ok && w.router != nil:
			for _, back := range w.router(bytes.Clone(pkt)) {
				w.Input(back)
			}
		}
	})
	for _, a := range []netip.Addr{realClient[v6], realServer[v6], realMiddle[0][v6], realMiddle[1][v6]} {
		h, err := host.New(host.Config{Send: w.Input, Addrs: []netip.Addr{a}, MTU: EthernetMTU})
		if err != nil {
			t.Fatal(err)
		}
		w.hosts[a] = h
	}
	t.Cleanup(func() {
		w.Shutdown()
		for _, h := range w.hosts {
			h.Close()
		}
	})
	return w
}

func any1(host.Endpoint) bool             { return true }
func any2(netip.Addr, host.Endpoint) bool { return true }

// listen serves connections at a port of a host.
func (w *town) listen(a netip.Addr, port uint16, serve func(net.Conn)) {
	w.t.Helper()
	ln, err := w.hosts[a].Listen(netip.AddrPortFrom(a, port), any2)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
}

// dial connects from a host.
func (w *town) dial(a netip.Addr, to netip.AddrPort) (*host.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return w.hosts[a].Dial(ctx, host.Dialed{To: to}, any1)
}

// proxy is a middlebox: it waits for a whole question and passes it on.
func (w *town) proxy(at netip.Addr, to netip.AddrPort) func(net.Conn) {
	return func(client net.Conn) {
		defer client.Close()
		b := make([]byte, len(question))
		if _, err := io.ReadFull(client, b); err != nil {
			return
		}
		server, err := w.dial(at, to)
		if err != nil {
			client.(*host.Conn).Reset()
			return
		}
		defer server.Close()
		server.Write(b)
		server.CloseWrite()
		io.Copy(client, server)
	}
}

var question, reply = bytes.Repeat([]byte("question"), 400), bytes.Repeat([]byte("reply"), 500)

func answering(c net.Conn) {
	defer c.Close()
	if got, err := io.ReadAll(c); err == nil && bytes.Equal(got, question) {
		c.Write(reply)
	}
}

// ask sends the question from the client and returns the answer.
func (w *town) ask(to netip.AddrPort, v6 bool) ([]byte, error) {
	c, err := w.dial(realClient[v6], to)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(question); err != nil {
		return nil, err
	}
	return io.ReadAll(c)
}

func outside(name string) box.Program { return box.Program{Name: name, Layer: box.Outside} }

func books(t *testing.T, tr Trace) {
	t.Helper()
	if tr.Uncounted != 0 || tr.Received+tr.Made != tr.Delivered+tr.Dropped {
		t.Errorf("books do not balance: received %d, made %d, delivered %d, dropped %d", tr.Received, tr.Made, tr.Delivered, tr.Dropped)
	}
}

// streamsOf are what went each way over the one connection on a side, and the
// client's initial sequence number.
func streamsOf(t *testing.T, tr Trace, side capture.Side) (up, down []byte, isn uint32) {
	t.Helper()
	flows, err := capture.Flows(tr.Packets, side)
	if err != nil || len(flows) != 1 {
		t.Fatalf("%s: %d connections, %v", side, len(flows), err)
	}
	s := flows[0].Streams
	return s[capture.ToServer].Data, s[capture.ToClient].Data, s[capture.ToServer].ISN
}

// TestOutside: a middlebox on a host of its own stands between two legs, alone
// and in chains with boxes of the engine's; both legs are in the one trace.
func TestOutside(t *testing.T) {
	passes, err := box.Box{Name: "relay", Layer: box.Stream, When: "ch>60000", Do: "RST(client)"}.Program("relay", nil)
	if err != nil {
		t.Fatal(err)
	}
	looks := rule(t, "looks", "ch>60000", "RST(client)")
	chains := map[string][]box.Program{
		"alone":                  {outside("real@1")},
		"behind a relay":         {passes, outside("real@1")},
		"before a relay":         {outside("real@1"), passes},
		"between packet boxes":   {looks, outside("real@1"), looks},
		"two, relays all around": {passes, outside("real@1"), passes, outside("real@2"), passes},
	}
	for _, l := range []Link{{}, {Family: IPv6}, {Up: Shape{Delay: time.Millisecond}, Down: Shape{MTU: 1280}}} {
		v6 := l.V6()
		w := newTown(t, v6)
		w.listen(realServer[v6], 443, answering)
		slot := uint16(10)
		for name, chain := range chains {
			p := endsOf(slot, l).path
			p.Boxes = chain
			for n := range p.outsideBefore(len(chain)) {
				p.Outside = append(p.Outside, Outside{Addr: realMiddle[n][v6], Slot: slot + 1 + uint16(n)})
			}
			if err := w.Open(p); err != nil {
				t.Fatal(err)
			}
			// Each listens where the next is dialled, the last dials the server.
			port := 2000 + slot
			for n, o := range p.Outside {
				to := netip.AddrPortFrom(TargetAddr(o.Slot, v6), 443)
				if n+1 < len(p.Outside) {
					to = netip.AddrPortFrom(to.Addr(), port+uint16(n)+1)
				}
				w.listen(o.Addr, port+uint16(n), w.proxy(o.Addr, to))
			}
			got, err := w.ask(netip.AddrPortFrom(TargetAddr(slot, v6), port), v6)
			if err != nil || !bytes.Equal(got, reply) {
				t.Errorf("%s: answer of %d bytes, %v", name, len(got), err)
			}
			tr, err := w.Close(slot)
			if err != nil {
				t.Fatal(err)
			}
			books(t, tr)
			up, down, near := streamsOf(t, tr, capture.ClientSide)
			upFar, downFar, far := streamsOf(t, tr, capture.ServerSide)
			if !bytes.Equal(up, question) || !bytes.Equal(upFar, question) || !bytes.Equal(down, reply) || !bytes.Equal(downFar, reply) || near == far {
				t.Errorf("%s: client's side %d and %d bytes, server's %d and %d", name, len(up), len(down), len(upFar), len(downFar))
			}
			last := "box " + chain[len(chain)-1].Name
			if !slices.ContainsFunc(tr.Packets, func(p capture.Packet) bool { return strings.HasPrefix(p.Note, last+": ") }) && last != "box looks" {
				t.Errorf("%s: no packet is said to be of %s", name, last)
			}
			if len(tr.Boxes) != 0 {
				t.Errorf("%s: boxes that did nothing are said to have done %+v", name, tr.Boxes)
			}
			if _, err := w.Close(slot + 1); err == nil {
				t.Errorf("%s: the second leg can be closed", name)
			}
			slot += 10
		}
	}
}

// TestOutsideActs: what a middlebox does is on record under its name.
func TestOutsideActs(t *testing.T) {
	w := newTown(t, false)
	decoyed := make(chan net.Conn, 1)
	w.listen(realServer[false], 444, func(c net.Conn) { decoyed <- c; c.Close() })
	for slot, tt := range map[uint16]struct {
		acts func(net.Conn)
		deed string
		err  error
	}{
		10: {func(c net.Conn) { c.Read(make([]byte, 100)); c.(*host.Conn).Reset() }, "RST(client)", syscall.ECONNRESET},
		20: {w.proxy(realMiddle[0][false], netip.AddrPortFrom(TargetAddr(21, false), 444)), "misroute", nil},
	} {
		p := endsOf(slot, Link{}).path
		p.Boxes, p.Decoy = []box.Program{outside("real@1")}, 444
		p.Outside = []Outside{{Addr: realMiddle[0][false], Slot: slot + 1}}
		if err := w.Open(p); err != nil {
			t.Fatal(err)
		}
		w.listen(realMiddle[0][false], 2000+slot, tt.acts)
		if _, err := w.ask(netip.AddrPortFrom(TargetAddr(slot, false), 2000+slot), false); tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.deed, err)
		}
		tr, err := w.Close(slot)
		if err != nil {
			t.Fatal(err)
		}
		books(t, tr)
		if len(tr.Boxes) == 0 || tr.Boxes[0].Box != "real@1" || tr.Boxes[0].Action != tt.deed || len(tr.Boxes[0].Packets) < 2 {
			t.Errorf("%s: deeds %+v", tt.deed, tr.Boxes)
			continue
		}
		if first := tr.Packets[tr.Boxes[0].Packets[0]]; first.Side != capture.ClientSide || first.Dir != capture.ToServer {
			t.Errorf("%s: done to %+v", tt.deed, first)
		}
	}
	select {
	case <-decoyed:
	case <-t.Context().Done():
		t.Error("nothing reached the other server")
	}
}

// TestOutsideWrongSource: a leg takes packets of its two ends alone.
func TestOutsideWrongSource(t *testing.T) {
	b := &bench{ends: endsOf(7, Link{}), out: make(chan []byte, 16)}
	b.path.Boxes, b.path.Outside = []box.Program{outside("real@1")}, []Outside{{Addr: realMiddle[0][false], Slot: 8}}
	b.Engine = NewEngine(func(p []byte) { b.out <- p })
	t.Cleanup(b.Shutdown)
	if err := b.Open(b.path); err != nil {
		t.Fatal(err)
	}
	second := b.ends
	second.path.Slot = 8
	from := func(e ends, dir capture.Direction, src netip.Addr) []byte {
		if dir == capture.ToServer {
			e.path.Client = src
		} else {
			e.path.Server = src
		}
		return e.bytes(segment{dir: dir, seq: 1, flags: ack, payload: []byte("x")})
	}
	middle := realMiddle[0][false]
	for _, pkt := range [][]byte{
		from(b.ends, capture.ToClient, realServer[false]),    // the server, to the client's leg
		from(second, capture.ToServer, realClient[false]),    // the client, to the server's
		from(b.ends, capture.ToServer, middle),               // the box, as if it were the client
		from(second, capture.ToClient, middle),               // or the server
		from(second, capture.ToServer, realMiddle[1][false]), // somebody else
	} {
		b.Input(pkt)
	}
	// Beside them, the same of those who may.
	for _, pkt := range [][]byte{
		from(b.ends, capture.ToServer, realClient[false]), from(b.ends, capture.ToClient, middle),
		from(second, capture.ToServer, middle), from(second, capture.ToClient, realServer[false]),
	} {
		b.Input(pkt)
	}
	tr := b.close(t)
	books(t, tr)
	wrong := 0
	for _, p := range tr.Packets {
		if p.Drop == "wrong-source" {
			wrong++
		}
	}
	if wrong != 5 || tr.Delivered != 4 || tr.Made != 2 || len(b.out) != 4 {
		t.Errorf("%d refused, %d delivered, %d made, %d left", wrong, tr.Delivered, tr.Made, len(b.out))
	}
}

func TestOpenRefusesLegs(t *testing.T) {
	e := NewEngine(func([]byte) {})
	t.Cleanup(e.Shutdown)
	there := Outside{Addr: realMiddle[0][false], Slot: 8}
	misroutes, err := box.Box{Name: "misroutes", Layer: box.Stream, When: "ch>1", Do: "misroute"}.Program("misroutes", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		want    string
		boxes   []box.Program
		outside []Outside
	}{
		{"1 boxes are outside and 0 of them", []box.Program{outside("a")}, nil},
		{"0 boxes are outside and 1 of them", nil, []Outside{there}},
		{"slot 7 is that of two legs", []box.Program{outside("a")}, []Outside{{Addr: there.Addr, Slot: 7}}},
		{"slot 0 is outside", []box.Program{outside("a")}, []Outside{{Addr: there.Addr}}},
		{"does not fit link", []box.Program{outside("a")}, []Outside{{Addr: realMiddle[0][true], Slot: 8}}},
		{"no other server", []box.Program{misroutes, outside("a")}, []Outside{there}},
	} {
		p := endsOf(7, Link{}).path
		p.Boxes, p.Outside, p.Decoy = tt.boxes, tt.outside, 444
		if err := e.Open(p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want %q: %v", tt.want, err)
		}
	}
	// A leg's slot that is another cell's is refused, and what was taken given back.
	other := endsOf(8, Link{}).path
	if err := e.Open(other); err != nil {
		t.Fatal(err)
	}
	p := endsOf(7, Link{}).path
	p.Boxes, p.Outside = []box.Program{outside("a")}, []Outside{there}
	if err := e.Open(p); err == nil || !strings.Contains(err.Error(), "slot 8 is in use") {
		t.Error(err)
	}
	if _, err := e.Close(8); err != nil {
		t.Fatal(err)
	}
	if err := e.Open(p); err != nil {
		t.Error(err)
	}
}
