package netstack

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/netem"
	"hybridlab/netem/box"
)

// stream is a box that ends TCP, in the text form; it must be right.
func stream(t *testing.T, name, when, do string) box.Program {
	t.Helper()
	p, err := box.Box{Name: name, Layer: box.Stream, When: when, Do: do}.Program(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// through makes a handshake through boxes, and checks the books.
func (l *lab) through(t *testing.T, link netem.Link, boxes ...box.Program) (netem.Trace, error) {
	t.Helper()
	p := l.path(7, "boxed", link)
	p.Boxes, p.Decoy = boxes, 444
	if err := l.Open(p); err != nil {
		t.Fatal(err)
	}
	err := l.handshake(within(t, 20*time.Second), netip.AddrPortFrom(netem.TargetAddr(7, link.V6()), 443))
	trace, closeErr := l.Close(7)
	if closeErr != nil {
		t.Fatal(closeErr)
	}
	if trace.Uncounted != 0 || trace.Received+trace.Made != trace.Delivered+trace.Dropped {
		t.Errorf("books do not balance: %+v", trace)
	}
	return trace, err
}

// isns are the initial sequence numbers of the client's connections on a side.
func isns(t *testing.T, trace netem.Trace, side capture.Side) []uint32 {
	t.Helper()
	flows, err := capture.Flows(trace.Packets, side)
	if err != nil {
		t.Fatal(err)
	}
	var out []uint32
	for _, f := range flows {
		out = append(out, f.Streams[capture.ToServer].ISN)
	}
	return out
}

// TestBoxesThatEndTCP: a handshake passes through one and through two, in both
// families and over links that delay, shrink and lose; on the server's side the
// connection is another one, and what the boxes made says so.
func TestBoxesThatEndTCP(t *testing.T) {
	l := start(t)
	passes := stream(t, "a", "ch>60000", "RST(client)")
	other := passes
	other.Name = "b"
	for _, name := range []string{"clean", "clean-v6", "rtt20", "mtu1280", "mtu1280-v6", "dup2"} {
		for _, chain := range [][]box.Program{{passes}, {passes, other}} {
			trace, err := l.through(t, link(t, name), chain...)
			if err != nil {
				t.Errorf("%s, %d boxes: %v", name, len(chain), err)
				continue
			}
			near, far := isns(t, trace, capture.ClientSide), isns(t, trace, capture.ServerSide)
			if len(near) != 1 || len(far) != 1 || near[0] == far[0] {
				t.Errorf("%s, %d boxes: connections %v on the client's side, %v on the server's", name, len(chain), near, far)
			}
			for _, p := range trace.Packets {
				leaving := (p.Side == capture.ClientSide) == (p.Dir == capture.ToClient)
				if leaving && !strings.Contains(p.Note, "box ") && !strings.Contains(p.Note, "too big") {
					t.Errorf("%s: a packet that no end sent has the note %q", name, p.Note)
				}
			}
			if len(trace.Boxes) != 0 {
				t.Errorf("%s: boxes that did nothing are said to have done %+v", name, trace.Boxes)
			}
		}
	}
}

// TestBoxesThatEndTCPAct: what a box does reaches the client, is booked, and
// names the hello it was done to.
func TestBoxesThatEndTCPAct(t *testing.T) {
	l := start(t)
	ln, err := l.ListenServer(netip.AddrPortFrom(l.ServerAddr(false), 444))
	if err != nil {
		t.Fatal(err)
	}
	reached := make(chan net.Conn, 1)
	go func() {
		if c, err := ln.Accept(); err == nil {
			reached <- c
			c.Close()
		}
	}()
	for _, tt := range []struct {
		do  string
		err error
	}{{"RST(client)", syscall.ECONNRESET}, {"FIN(client)", nil}, {"misroute", nil}} {
		trace, err := l.through(t, link(t, "clean"), stream(t, "a", "ch>100", tt.do))
		if err == nil || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.do, err)
		}
		if len(trace.Boxes) != 1 || trace.Boxes[0].Action != tt.do || len(trace.Boxes[0].Packets) < 2 {
			t.Errorf("%s: deeds %+v", tt.do, trace.Boxes)
			continue
		}
		first := trace.Packets[trace.Boxes[0].Packets[0]]
		if first.Side != capture.ClientSide || first.Dir != capture.ToServer {
			t.Errorf("%s: done to %+v", tt.do, first)
		}
	}
	select {
	case <-reached:
	case <-t.Context().Done():
		t.Error("nothing reached the other server")
	}
}

func TestOpenRefusesMisrouteToNowhere(t *testing.T) {
	l := start(t)
	p := l.path(7, "boxed", link(t, "clean"))
	p.Boxes = []box.Program{stream(t, "a", "ch>1", "misroute")}
	if err := l.Open(p); err == nil || !strings.Contains(err.Error(), "no other server") {
		t.Error(err)
	}
}
