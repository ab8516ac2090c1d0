package tun

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hybridlab/docker/control"
	"hybridlab/lab/capture"
	"hybridlab/netem"
)

// fakeDevice is one end of a socket pair, which keeps packets apart as a TUN
// device does; kernel is the other end.
func fakeDevice(t *testing.T) (dev *device, kernel *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	dev, kernel = &device{File: os.NewFile(uintptr(fds[0]), "device")}, os.NewFile(uintptr(fds[1]), "kernel")
	t.Cleanup(func() { dev.Close(); kernel.Close() })
	return dev, kernel
}

// start brings up everything but the kernel: device, engine, control
// connection, carrier.
func start(t *testing.T) (c *Carrier, dev *device, kernel *os.File) {
	t.Helper()
	dev, kernel = fakeDevice(t)
	engine := netem.NewEngine(dev.deliver)
	t.Cleanup(engine.Shutdown)
	go dev.feed(engine.Input)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go control.Server{Token: "t"}.Serve(ln, rpcName, &service{engine: engine, dev: dev})
	if c, err = Dial(t.Context(), ln.Addr().String(), "t"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.End() })
	return c, dev, kernel
}

var (
	client = netip.MustParseAddr("172.16.0.4")
	server = netip.MustParseAddr("172.16.0.3")
)

func path(t *testing.T, slot uint16, link string) netem.Path {
	t.Helper()
	l, err := netem.LookupLink(link)
	if err != nil {
		t.Fatal(err)
	}
	return netem.Path{Slot: slot, Name: "a cell", Seed: 7, Link: l, Client: client, Server: server}
}

// syn makes an IPv4 TCP SYN; its checksums are wrong, which is not the
// path's business.
func syn(from, to netip.Addr) []byte {
	pkt := make([]byte, 40)
	pkt[0], pkt[3], pkt[8], pkt[9] = 0x45, 40, 64, 6
	copy(pkt[12:], from.AsSlice())
	copy(pkt[16:], to.AsSlice())
	pkt[20], pkt[22], pkt[32], pkt[33] = 200, 17, 5<<4, 2
	return pkt
}

func TestPacketsGoThroughDeviceAndBackAndTheTraceComesHome(t *testing.T) {
	c, _, kernel := start(t)
	if err := c.Open(path(t, 9, "clean")); err != nil {
		t.Fatal(err)
	}
	sent := syn(client, netem.TargetAddr(9, false))
	if _, err := kernel.Write(sent); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, maxMTU)
	n, err := kernel.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	got := buf[:n]
	if dst, _ := netip.AddrFromSlice(got[16:20]); dst != server {
		t.Errorf("delivered to %v, want %v", dst, server)
	}
	trace, err := c.Close(9)
	if err != nil {
		t.Fatal(err)
	}
	if len(trace.Packets) != 2 || trace.Received != 1 || trace.Delivered != 1 || trace.Uncounted != 0 {
		t.Fatalf("trace: %+v", trace)
	}
	if p := trace.Packets[0]; p.Side != capture.ClientSide || !reflect.DeepEqual(p.Data, sent) {
		t.Errorf("client side: %+v", p)
	}
	if p := trace.Packets[1]; p.Side != capture.ServerSide || !reflect.DeepEqual(p.Data, got) {
		t.Errorf("server side: %+v", p)
	}
}

// TestEveryLinkTravels: what a link says must not get lost on the way to the
// container, or a cell runs over another link than its name says.
func TestEveryLinkTravels(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(mirror, 1)
	go control.Server{Token: "t"}.Serve(ln, rpcName, got)
	c, err := Dial(t.Context(), ln.Addr().String(), "t")
	if err != nil {
		t.Fatal(err)
	}
	defer c.End()
	for _, l := range netem.Links() {
		sent := path(t, 1, l.Name)
		if err := c.Open(sent); err != nil {
			t.Fatal(err)
		}
		if p := <-got; !reflect.DeepEqual(p, sent) {
			t.Errorf("link %s:\nsent %+v\ngot  %+v", l.Name, sent, p)
		}
	}
}

// mirror is a path that only looks at what it is asked.
type mirror chan netem.Path

func (m mirror) Open(p *netem.Path, _ *none) error { m <- *p; return nil }

func TestErrorsComeHome(t *testing.T) {
	c, _, kernel := start(t)
	if err := c.Open(path(t, 0, "clean")); err == nil || !strings.Contains(err.Error(), "slot 0") {
		t.Errorf("slot 0: %v", err)
	}
	if _, err := c.Close(5); err == nil || !strings.Contains(err.Error(), "slot 5") {
		t.Errorf("closing what is not open: %v", err)
	}
	if _, err := kernel.Write(syn(client, netem.TargetAddr(5, false))); err != nil {
		t.Fatal(err)
	}
	if err := c.Open(path(t, 6, "clean")); err != nil {
		t.Fatal(err)
	}
	if _, err := kernel.Write(syn(client, netem.TargetAddr(6, false))); err != nil {
		t.Fatal(err)
	}
	if _, err := kernel.Read(make([]byte, maxMTU)); err != nil { // so the one before was seen too
		t.Fatal(err)
	}
	if strays, err := c.Strays(); err != nil || strays["no-cell"] != 1 {
		t.Errorf("strays: %v, %v", strays, err)
	}
	c.End()
	<-c.Gone()
	if _, err := c.Close(6); !errors.Is(err, control.ErrGone) {
		t.Errorf("after the end: %v, want control.ErrGone", err)
	}
}

func TestPacketTheKernelRefusesIsAnError(t *testing.T) {
	c, dev, kernel := start(t)
	if err := c.Open(path(t, 9, "clean")); err != nil {
		t.Fatal(err)
	}
	kernel.Close() // what the engine delivers now, nobody takes
	dev.deliver(syn(client, server))
	if _, err := c.Close(9); err == nil || !strings.Contains(err.Error(), "deliver a packet of this or another cell") {
		t.Errorf("Close: %v", err)
	}
	if err := c.Open(path(t, 10, "clean")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Close(10); err != nil {
		t.Errorf("the next cell: %v", err)
	}
}

func TestFeedEndsWithTheDevice(t *testing.T) {
	dev, kernel := fakeDevice(t)
	ended := make(chan error)
	seen := make(chan string, 3)
	go func() { ended <- dev.feed(func(pkt []byte) { seen <- string(pkt) }) }()
	for _, pkt := range []string{"one", "two"} {
		if _, err := io.WriteString(kernel, pkt); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; got != pkt {
			t.Errorf("packet %q, want %q", got, pkt)
		}
	}
	dev.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("feed: %v", err)
	}
}

func TestRemedy(t *testing.T) {
	for err, want := range map[error]string{
		unix.ENOENT: "modprobe tun",
		unix.ENODEV: "modprobe tun",
		unix.EPERM:  "NET_ADMIN",
		unix.EBUSY:  "another path engine",
		unix.EINVAL: "a TUN device of its own",
	} {
		if got := remedy(err); !strings.Contains(got, want) {
			t.Errorf("%v: %q does not say %q", err, got, want)
		}
	}
}

func TestMainRefusesNonsense(t *testing.T) {
	if code := Main([]string{"-no-such-flag"}); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}
