package netstack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hybridlab/lab/capture"
	"hybridlab/netem"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// silent are the links of the library over which a hybrid handshake of Go's
// cannot complete; with a deadline they cost what it says.
var silent = map[string]string{
	"mtu1280-icmp-eaten":    "mtu-icmp-eaten",
	"mtu1280-v6-icmp-eaten": "mtu-icmp-eaten",
	"mtu1280-up":            "mtu-icmp-eaten",
	"mtu1280-down":          "mtu-icmp-eaten",
	"frag-drop":             "fragment-dropped",
	"frag-drop-v6":          "fragment-dropped",
}

// slow are links that take seconds by design; netem's own tests cover what
// they are made of.
var slow = map[string]bool{"iot20k": true, "satellite": true, "lose-syn": true}

// TestEveryLink makes a hybrid handshake over every link of the library.
func TestEveryLink(t *testing.T) {
	l := start(t)
	for i, k := range netem.Links() {
		if slow[k.Name] {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			reason := silent[k.Name]
			deadline := 20 * time.Second
			if reason != "" {
				deadline = 500 * time.Millisecond
			}
			trace, err := l.run(within(t, deadline), uint16(i+1), t.Name(), k)
			switch {
			case reason != "":
				if !errors.Is(err, context.DeadlineExceeded) || !dropped(trace, reason) {
					t.Errorf("%v; dropped for %q is %t", err, reason, dropped(trace, reason))
				}
			case k.Name == "corrupt-unseen":
				if err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("TLS did not notice a changed hello: %v", err)
				}
			case err != nil:
				t.Error(err)
			}
			if trace.Uncounted != 0 || len(trace.Packets) == 0 {
				t.Errorf("%d packets uncounted, %d recorded", trace.Uncounted, len(trace.Packets))
			}
		})
	}
}

func dropped(tr netem.Trace, reason string) bool {
	return slices.ContainsFunc(tr.Packets, func(p capture.Packet) bool { return p.Drop == reason })
}

// TestPathMTUDiscovery: with the ICMP, the sender's segments shrink to what
// fits, in either direction; without it, they never do.
func TestPathMTUDiscovery(t *testing.T) {
	l := start(t)
	for i, c := range []struct {
		link string
		mtu  int
	}{{"mtu1280", 1280}, {"mtu1280-v6", 1280}, {"wireguard1420", 1420}} {
		trace, err := l.run(within(t, 10*time.Second), uint16(i+1), c.link, link(t, c.link))
		if err != nil {
			t.Errorf("%s: %v", c.link, err)
		}
		for dir := range capture.Direction(2) {
			big, fitting := 0, 0
			for _, p := range entries(trace, dir) {
				switch {
				case len(p.Data) > c.mtu:
					big++
				case len(p.Data) > c.mtu-60: // full but for options
					fitting++
				}
			}
			if big == 0 || fitting == 0 {
				t.Errorf("%s %s: %d segments too big, then %d that fill the MTU", c.link, dir, big, fitting)
			}
		}
		if trace.ICMP == 0 {
			t.Errorf("%s: no ICMP", c.link)
		}
	}
	trace, err := l.run(within(t, 300*time.Millisecond), 99, "control", link(t, "mtu1280-icmp-eaten"))
	if !errors.Is(err, context.DeadlineExceeded) || trace.ICMP != 0 {
		t.Errorf("the control: %v, %d ICMP", err, trace.ICMP)
	}
}

// entries are the packets of a direction as their sender sent them.
func entries(tr netem.Trace, dir capture.Direction) (in []capture.Packet) {
	for _, p := range tr.Packets {
		if p.Dir == dir && int(p.Side) == int(dir) && !strings.HasPrefix(p.Note, "made by") {
			in = append(in, p)
		}
	}
	return in
}

// overMSS counts segments with more payload than their receiver's MSS.
func overMSS(t *testing.T, tr netem.Trace) (over int) {
	t.Helper()
	var mss [2]int // announced by the sender of each direction
	for pass := range 2 {
		for _, p := range tr.Packets {
			b := header.TCP(header.IPv4(p.Data).Payload())
			switch {
			case p.Data[0]>>4 != 4 || header.IPv4(p.Data).Protocol() != uint8(header.TCPProtocolNumber):
			case b.Flags().Intersects(header.TCPFlagSyn):
				mss[p.Dir] = int(header.ParseSynOptions(b.Options(), false).MSS)
			case pass == 1 && len(b.Payload()) > mss[1-p.Dir]:
				over++
			}
		}
	}
	if mss[0] == 0 || mss[1] == 0 {
		t.Error("no MSS seen")
	}
	return over
}

// TestSegmentsFitMSS: the engine sees segments as a wire would. The control
// is a client whose interface claims segmentation offload, as a veth pair
// does: it sends its whole hello as one, and a lab built on it tests nothing.
func TestSegmentsFitMSS(t *testing.T) {
	l := start(t)
	l.client.NextProtos = []string{strings.Repeat("a", 250), strings.Repeat("b", 250), "http/1.1"} // two segments for sure
	trace, err := l.run(within(t, 10*time.Second), 1, "wire", link(t, "clean"))
	if err != nil || overMSS(t, trace) != 0 {
		t.Errorf("%v, %d segments above the MSS", err, overMSS(t, trace))
	}
	n, err := newNet(1 << 15)
	if err != nil {
		t.Fatal(err)
	}
	offloading := newLab(t, n)
	offloading.client.NextProtos = l.client.NextProtos
	trace, _ = offloading.run(within(t, 300*time.Millisecond), 1, "offload", link(t, "clean"))
	if overMSS(t, trace) == 0 {
		t.Error("the control: an offloading interface was not noticed")
	}
}

// TestJumbo: what takes two segments over Ethernet takes one over a link that
// carries jumbo packets, and a link with an MSS decides how many it takes.
func TestJumbo(t *testing.T) {
	l := start(t)
	l.client.NextProtos = []string{strings.Repeat("a", 250), strings.Repeat("b", 250), "http/1.1"}
	for i, c := range []struct {
		name, key, value string
		slot             uint16
		segments         int
	}{
		{"clean", "mtu", "1500", 1, 2}, {"clean", "mtu", "9000", netem.FirstJumbo, 1}, {"clean", "mss", "300", 2, 8},
		{"clean-v6", "mtu", "1500", 3, 2}, {"clean-v6", "mtu", "9000", netem.FirstJumbo + 1, 1}, {"clean-v6", "mss", "300", 4, 8},
	} {
		k, err := link(t, c.name).Set(c.key, c.value)
		if err != nil || k.Jumbo() != (c.segments == 1) {
			t.Fatalf("%s with %s %s: %v, jumbo: %t", c.name, c.key, c.value, err, k.Jumbo())
		}
		trace, err := l.run(within(t, 10*time.Second), c.slot, fmt.Sprint("jumbo ", i), k)
		if err != nil {
			t.Fatal(err)
		}
		flows, err := capture.Flows(trace.Packets, capture.ClientSide)
		if err != nil || len(flows) != 1 {
			t.Fatalf("%d flows, %v", len(flows), err)
		}
		hello := flows[0].Streams[capture.ToServer]
		if got := len(hello.Carried(0, 5+uint64(binary.BigEndian.Uint16(hello.Data[3:])))); got != c.segments {
			t.Errorf("%s with %s %s: the hello took %d segments, want %d", c.name, c.key, c.value, got, c.segments)
		}
	}
}

// TestManyCells has 256 cells in flight on links that take time.
func TestManyCells(t *testing.T) {
	l := start(t)
	names := []string{"clean", "clean-v6", "mtu1280", "rtt20", "loss5", "dup2", "reorder5", "frag-pass-v6"}
	var wg sync.WaitGroup
	ctx := within(t, 60*time.Second)
	for i := range 256 {
		k := link(t, names[i%len(names)])
		wg.Go(func() {
			name := fmt.Sprintf("cell %d", i)
			if trace, err := l.run(ctx, uint16(i+1), name, k); err != nil || trace.Uncounted != 0 {
				t.Errorf("%s over %s: %v, %d uncounted", name, k.Name, err, trace.Uncounted)
			}
		})
	}
	wg.Wait()
	for reason, n := range l.Engine().Strays() {
		if reason != "cell-closed" { // what a stack resends after Close
			t.Errorf("%d packets strayed: %s", n, reason)
		}
	}
}

// TestSameFatesAnyParallelism runs the same lossy cells one by one on one
// core and all at once, in other slots, and compares what was lost of the
// first transmissions; what is sent again depends on timing. The cells' names
// are such that no handshake has to wait for more than two timeouts.
func TestSameFatesAnyParallelism(t *testing.T) {
	const cells = 40
	k := link(t, "loss5")
	k.Up.Loss.Rate, k.Down.Loss.Rate = 0.08, 0.08
	run := func(parallel, first int) []string {
		l := start(t)
		fates := make([]string, cells)
		tokens := make(chan struct{}, parallel)
		var wg sync.WaitGroup
		for i := range cells {
			tokens <- struct{}{}
			wg.Go(func() {
				defer func() { <-tokens }()
				trace, err := l.run(within(t, 60*time.Second), uint16(first+i), fmt.Sprintf("d %d", i), k)
				if err != nil {
					t.Errorf("cell %d: %v", i, err)
				}
				fates[i] = firstFates(trace)
			})
		}
		wg.Wait()
		return fates
	}
	old := runtime.GOMAXPROCS(1)
	one := run(cells/2, 1)
	runtime.GOMAXPROCS(max(old, 4))
	all := run(cells, 1000)
	runtime.GOMAXPROCS(old)
	if lost := strings.Count(strings.Join(one, ""), "x"); lost < 10 {
		t.Errorf("only %d packets were lost: this test shows nothing", lost)
	}
	for i := range one {
		if one[i] != all[i] {
			t.Errorf("cell %d: %s and %s", i, one[i], all[i])
		}
	}
}

// firstFates writes a letter for the SYN and the first two segments with
// payload of each direction, sent for the first time: o arrived, x lost.
// They are sent whatever happens to the others.
func firstFates(tr netem.Trace) string {
	fates := ""
	for dir := range capture.Direction(2) {
		seen := map[uint32]bool{}
		for _, p := range entries(tr, dir) {
			b := header.TCP(header.IPv4(p.Data).Payload())
			isn := b.Flags().Intersects(header.TCPFlagSyn)
			if seen[b.SequenceNumber()] || (len(b.Payload()) == 0 && !isn) || len(seen) == 3 {
				continue
			}
			seen[b.SequenceNumber()] = true
			if p.Drop == "loss" {
				fates += "x"
			} else {
				fates += "o"
			}
		}
	}
	return fates
}

// TestConnectionErrors are the kernel's.
func TestConnectionErrors(t *testing.T) {
	l := start(t)
	target := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netem.TargetAddr(1, false), port) }
	if _, err := l.DialClient(within(t, time.Second), target(443)); err == nil || !strings.Contains(err.Error(), "no cell is open") {
		t.Errorf("dialled a cell that is not open: %v", err)
	}
	if err := l.Open(l.path(1, "errors", link(t, "clean"))); err != nil {
		t.Fatal(err)
	}
	if _, err := l.DialClient(within(t, time.Second), target(444)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialled a closed port: %v", err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.DialClient(gone, target(443)); !errors.Is(err, context.Canceled) {
		t.Errorf("dialled with a cancelled context: %v", err)
	}
	c, err := l.DialClient(within(t, time.Second), target(443))
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(-time.Second))
	var timeout net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("read after the deadline: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	if _, err := l.Net.Close(1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNABORTED) {
		t.Errorf("read from a connection of a closed cell: %v", err)
	}
	c.Close()
	if _, err := l.ListenServer(netip.AddrPortFrom(l.ServerAddr(false), 443)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listened twice: %v", err)
	}
	if _, err := l.ListenServer(netip.AddrPortFrom(l.ClientAddr(false), 443)); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("listened at the client's address: %v", err)
	}
}

// TestReset: a server that breaks the connection is told from one that ends it.
func TestReset(t *testing.T) {
	l := start(t)
	ln, err := l.ListenServer(netip.AddrPortFrom(l.ServerAddr(false), 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Open(l.path(1, "reset", link(t, "clean"))); err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	dial := func() (client, server net.Conn) {
		c, err := l.DialClient(within(t, time.Second), netip.AddrPortFrom(netem.TargetAddr(1, false), uint16(port)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.RemoteAddr().(*net.TCPAddr).IP.String(); got != netem.ApparentAddr(1, false).String() {
			t.Errorf("the server sees %s", got)
		}
		return c, s
	}
	c, s := dial()
	s.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("ended: %v, want EOF", err)
	}
	c, s = dial()
	c.Write([]byte("never read")) // closing now resets, as in every stack
	if _, err := s.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("broken: %v, want ECONNRESET", err)
	}
	ln.Close()
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept on a closed listener: %v", err)
	}
}

// TestShutdownLeaksNothing: no goroutine survives, with connections open,
// in the middle of a handshake and waiting to be accepted.
func TestShutdownLeaksNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := n.ListenServer(netip.AddrPortFrom(n.ServerAddr(false), 443))
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error)
	go func() {
		for {
			if _, err := ln.Accept(); err != nil {
				accepted <- err
				return
			}
		}
	}()
	for slot, name := range []string{"", "clean", "rtt100", "satellite"} {
		if name == "" {
			continue
		}
		l := lab{Net: n}
		if err := n.Open(l.path(uint16(slot), name, link(t, name))); err != nil {
			t.Fatal(err)
		}
		n.DialClient(within(t, 150*time.Millisecond), netip.AddrPortFrom(netem.TargetAddr(uint16(slot), false), 443))
	}
	n.Shutdown()
	<-accepted
	for runtime.NumGoroutine() > before {
		if t.Context().Err() != nil {
			t.Fatal("cancelled")
		}
		runtime.Gosched() // goroutines end after what they did; go test's own deadline ends this
	}
}
