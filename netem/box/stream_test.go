package box

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hybridlab/fixtures"
)

// tcpConn is a kernel's connection as a box wants it.
type tcpConn struct{ *net.TCPConn }

func (c tcpConn) Reset() { c.SetLinger(0); c.Close() }

// pair is the two ends of a connection over loopback.
func pair(t *testing.T) (near, far tcpConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return tcpConn{a.(*net.TCPConn)}, tcpConn{b.(*net.TCPConn)}
}

// served is what came of a connection through a box.
type served struct {
	decoy    bool
	toServer []byte // nil: no server was dialled
	toClient []byte
	err      error // of the client's reading
	deeds    []string
}

// serve sends parts through a box, each a while after the one before, and has
// the server answer.
func serve(t *testing.T, layer Layer, when, do string, parts ...[]byte) served {
	t.Helper()
	p, err := Box{Name: "test", Layer: layer, When: when, Do: do}.Program("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	client, atBox := pair(t)
	var s served
	done := make(chan struct{})
	heard := make(chan []byte, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(done)
		NewMachine(p).Serve(ctx, atBox, Site{Port: 443, Now: func() time.Duration { return 0 }, Luck: func(uint64) float64 { return 0.5 },
			Deed: func(what string) { s.deeds = append(s.deeds, what) },
			Dial: func(_ context.Context, decoy bool) (Conn, error) {
				s.decoy = decoy
				dialled, server := pair(t)
				go func() {
					data, _ := io.ReadAll(server)
					heard <- data
					server.Write([]byte("answer"))
					server.CloseWrite()
				}()
				return dialled, nil
			}})
	}()
	go func() {
		for i, part := range parts {
			if i > 0 {
				// The gap is the input: a part must come after the box's one read.
				time.Sleep(20 * firstRead)
			}
			client.Write(part)
		}
		client.CloseWrite()
	}()
	s.toClient, s.err = io.ReadAll(client)
	client.Close()
	<-done
	select {
	case s.toServer = <-heard:
	default:
	}
	return s
}

// TestStream plays hellos, in one part and in two, through boxes that end TCP.
func TestStream(t *testing.T) {
	hello := plain.stream()
	whole, early, late := [][]byte{hello}, hello[:50], hello[50:]
	for _, tt := range []struct {
		when, do string
		parts    [][]byte
		toServer []byte
		toClient string
		decoy    bool
		err      error
		deeds    int
	}{
		{"read1_short", "RST(client)", whole, hello, "answer", false, nil, 0},
		{"read1_short", "RST(client)", [][]byte{early, late}, nil, "", false, syscall.ECONNRESET, 1},
		{"read1_short", "FIN(client)", [][]byte{early, late}, nil, "", false, nil, 1},
		{"read1_short", "hang", [][]byte{early, late}, nil, "", false, nil, 1},
		{"read1_short", "alert(2,50) + FIN(client)", [][]byte{early, late}, nil, "\x15\x03\x03\x00\x02\x02\x32", false, nil, 2},
		{"read1_short", "misroute", [][]byte{early, late}, hello, "answer", true, nil, 1},
		{"read1_short", "misroute", whole, hello, "answer", false, nil, 0},
		{"read1_short", "truncate", [][]byte{early, late}, early, "answer", false, nil, 1},
		{"read1_short", "pass-uninspected", [][]byte{early, late}, hello, "answer", false, nil, 1},
		{"ch>10", "leak(5)", whole, hello, "answer", false, nil, 1},
		{"ch>10", "probabilistic(40%) + misroute", whole, hello, "answer", false, nil, 0},
		{"ch>10", "probabilistic(60%) + misroute", whole, hello, "answer", true, nil, 1},
		{"gap>0s", "misroute", whole, hello, "answer", false, nil, 0},
		{"ch>10", "rewrite(groups,0x11ec,0x6399)", [][]byte{early, late}, with(func(s *shape) { s.groups = []uint16{0x6399, 29, 23} }).stream(), "answer", false, nil, 1},
		{"ch>10", "strip(groups,0x11ec)", [][]byte{early, late}, with(func(s *shape) { s.groups = []uint16{29, 23} }).stream(), "answer", false, nil, 1},
		{"ch>10", "strip(shares,0x11ec)", whole, with(func(s *shape) { s.shares = []uint16{29} }).stream(), "answer", false, nil, 1},
		{"ch>10", "strip(both,0x11ec,23)", whole, with(func(s *shape) { s.groups, s.shares = []uint16{29}, []uint16{29} }).stream(), "answer", false, nil, 1},
	} {
		s := serve(t, Stream, tt.when, tt.do, tt.parts...)
		if !bytes.Equal(s.toServer, tt.toServer) || string(s.toClient) != tt.toClient || s.decoy != tt.decoy || len(s.deeds) != tt.deeds || (tt.err != nil) != (s.err != nil) || tt.err != nil && !errors.Is(s.err, tt.err) {
			t.Errorf("%s -> %s, in %d parts: %+v", tt.when, tt.do, len(tt.parts), s)
		}
	}
	// A client that ends before anything is decided is let go.
	if s := serve(t, Stream, "ch>10", "RST(client)", early[:3]); s.toServer != nil || len(s.deeds) > 0 {
		t.Errorf("half a hello: %+v", s)
	}
	// What is no TLS passes.
	if s := serve(t, Stream, "ch>10", "RST(client)", []byte("GET / HTTP/1.0\r\n\r\n")); len(s.toServer) != 18 || string(s.toClient) != "answer" {
		t.Errorf("no TLS: %+v", s)
	}
}

// TestStripRealHellos: what real stacks sent, without a group, is a sound hello
// without the group.
func TestStripRealHellos(t *testing.T) {
	a, err := parseAction("strip(both,0x11ec,29)", Stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures.Flows() {
		h := sniff(f.Client, 0)
		out := h.edited(f.Client, a)
		g := sniff(out, 0)
		wantGroups := slices.DeleteFunc(slices.Clone(h.groups.values), func(v uint16) bool { return slices.Contains(a.Codes, v) })
		wantShares := slices.DeleteFunc(slices.Clone(h.shares.values), func(v uint16) bool { return slices.Contains(a.Codes, v) })
		if !g.whole || !slices.Equal(g.groups.values, wantGroups) || !slices.Equal(g.shares.values, wantShares) || g.name != h.name || !slices.Equal(g.schemes.values, h.schemes.values) {
			t.Errorf("%s: %+v", f.Name, g)
		}
		if !bytes.Equal(out[g.end:], f.Client[h.end:]) {
			t.Errorf("%s: what follows the hello was changed", f.Name)
		}
	}
}

// FuzzEdited: whatever the stream, what is edited ends as it did, and can be
// read again.
func FuzzEdited(f *testing.F) {
	f.Add(plain.stream(), "strip(both,0x11ec)")
	f.Add(with(func(s *shape) { s.records = []int{5, 9} }).stream(), "rewrite(shares,29,23)")
	for _, flow := range fixtures.Flows() {
		f.Add(flow.Client, "strip(groups,29)")
	}
	f.Fuzz(func(t *testing.T, stream []byte, action string) {
		a, err := parseAction(action, Stream)
		if err != nil || a.Name != "strip" && a.Name != "rewrite" {
			return
		}
		h := sniff(stream, 0)
		out := h.edited(stream, a)
		if h.whole && len(out) < len(stream)-h.end || !h.whole && !bytes.Equal(out, stream) {
			t.Fatalf("% x became % x", stream, out)
		}
		if g := sniff(out, 0); h.whole && h.tls && !g.whole {
			t.Fatalf("% x is no hello any more", out)
		}
	})
}

func TestLayers(t *testing.T) {
	for _, tt := range []struct {
		layer    Layer
		when, do string
		want     string
	}{
		{Packet, "ch2", "misroute", `action "misroute": a box of layer packet cannot do it`},
		{Stream, "ch2", "misroute", `condition "ch2": a box of layer stream cannot see it`},
		{Stream, "ch>1", "delay(1s)", `action "delay": a box of layer stream cannot do it`},
		{Stream, "ch>1", "strip(all,29)", `action "strip(all,29)": "all,29"; want strip(groups|shares|both,CODE,...)`},
		{Stream, "ch>1", "misroute + RST(client)", `action "misroute" has no effect: "RST(client)" ends the connection`},
		{TLS, "ch>1", "reencrypt(29)", `action "reencrypt(29)": 1 arguments; want reencrypt(CODE+CODE,CODE+CODE)`},
		{TLS, "ch>1", "misroute", `action "misroute": a box of layer tls cannot do it`},
	} {
		_, err := Box{Name: "a", Layer: tt.layer, When: tt.when, Do: tt.do}.Program("a", nil)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s, %s: %v\nwant %s", tt.when, tt.do, err, tt.want)
		}
	}
}
