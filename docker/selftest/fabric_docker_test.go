//go:build docker

package selftest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hybridlab/docker"
	"hybridlab/docker/control"
	"hybridlab/netem"
	"hybridlab/netem/tun"
	"hybridlab/peers/agent"
)

// fabric is a started container fabric: a path and two peers.
type fabric struct {
	d              *docker.Daemon
	path           *tun.Carrier
	client, server *agent.Client
	cs             []*docker.Container // path, client, server
	slot           atomic.Uint32
	port           atomic.Uint32
	cert, key      []byte
}

var (
	executable string // static executable with the container side of the lab
	daemon     *docker.Daemon
	image      docker.Image // with OpenSSL
	shared     *fabric
	theRun     string
	started    time.Duration
)

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "selftest")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	executable = filepath.Join(dir, "hybridlab")
	build := exec.Command("go", "build", "-o", executable, "./testdata/hybridlab")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%w: %s", err, out)
	}
	if daemon, err = docker.Connect(ctx); err != nil {
		return 1, err
	}
	daemon.Progress = func(line string) { fmt.Fprintln(os.Stderr, line) }
	if image, err = daemon.Build(ctx, "openssl", "trixie", false); err != nil {
		return 1, err
	}
	theRun = fmt.Sprintf("selftest-%d", os.Getpid())
	defer func() {
		_, sweepErr := daemon.Sweep(ctx, docker.OfRun(theRun))
		err = errors.Join(err, sweepErr)
	}()
	begun := time.Now()
	if shared, err = open(ctx, theRun); err != nil {
		return 1, err
	}
	started = time.Since(begun)
	return m.Run(), nil
}

// open starts network, path and peers.
func open(ctx context.Context, run string) (*fabric, error) {
	n, err := daemon.CreateNetwork(ctx, run)
	if err != nil {
		return nil, err
	}
	spec := docker.Spec{Image: image.Ref, Network: n, Binary: executable, Args: []string{"agent"}}
	path, client, server := spec, spec, spec
	path.Name, path.Args, path.Router = "path", []string{"path"}, true
	client.Name, server.Name = "client", "server"
	f := &fabric{d: daemon}
	if f.cs, err = daemon.StartAll(ctx, []docker.Spec{path, client, server}); err != nil {
		return nil, err
	}
	f.port.Store(10000)
	if err := f.connect(ctx); err != nil {
		return nil, err
	}
	f.cert, f.key, err = selfSigned()
	return f, err
}

func (f *fabric) connect(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if f.path, err = tun.Dial(ctx, f.cs[0].Control, f.cs[0].Token); err != nil {
		return err
	}
	for i, peer := range []**agent.Client{&f.client, &f.server} {
		c := f.cs[i+1]
		if *peer, err = agent.Dial(ctx, c.Control, c.Token); err != nil {
			return err
		}
		if err := (*peer).Route(ctx, f.cs[0].IPv4, f.cs[0].IPv6); err != nil {
			return err
		}
	}
	return nil
}

func selfSigned() (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "selftest"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, k.Public(), k)
	if err != nil {
		return nil, nil, err
	}
	kder, err := x509.MarshalPKCS8PrivateKey(k)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: kder}), err
}

// cell is one handshake and what came of it.
type cell struct {
	client, server agent.Result
	trace          netem.Trace
}

// handshake runs OpenSSL against OpenSSL over a link, with one group; the
// client then fetches a page of that many bytes.
func (f *fabric) handshake(ctx context.Context, link netem.Link, group string, page int, timeout time.Duration) (c cell, err error) {
	slot, port := uint16(f.slot.Add(1)), uint16(10000+f.port.Add(1)%20000)
	if link.Jumbo() {
		slot += netem.FirstJumbo
	}
	from, to, version := f.cs[1].IPv4, f.cs[2].IPv4, "-4"
	if link.V6() {
		from, to, version = f.cs[1].IPv6, f.cs[2].IPv6, "-6"
	}
	if err := f.path.Open(netem.Path{Slot: slot, Name: fmt.Sprint("cell ", slot), Link: link, Client: from, Server: to}); err != nil {
		return c, err
	}
	id, err := f.server.Start(ctx, agent.Command{
		Argv:  []string{"openssl", "s_server", version, "-accept", fmt.Sprint(port), "-cert", "{dir}/cert", "-key", "{dir}/key", "-groups", group, "-WWW", "-naccept", "1", "-tls1_3"},
		Files: map[string][]byte{"cert": f.cert, "key": f.key, "page": bytes.Repeat([]byte("x"), page)},
		Ready: fmt.Sprintf("tcp:%d", port), Timeout: timeout + 5*time.Second,
	})
	if err != nil {
		return c, err
	}
	target := netip.AddrPortFrom(netem.TargetAddr(slot, link.V6()), port).String()
	c.client, err = f.client.Run(ctx, agent.Command{
		Argv:  []string{"openssl", "s_client", "-connect", target, "-groups", group, "-ign_eof", "-servername", "hybridlab.test"},
		Stdin: []byte("GET /page HTTP/1.0\r\nHost: hybridlab.test\r\n\r\n"), HoldStdin: true, Timeout: timeout,
	})
	if err != nil {
		return c, err
	}
	if c.server, err = f.server.StopAfter(ctx, id, time.Second); err != nil {
		return c, err
	}
	c.trace, err = f.path.Close(slot)
	return c, err
}

// done says whether the client got application data over the group.
func (c cell) done(group string) bool {
	out := string(c.client.Stdout)
	return c.client.Exit == 0 && strings.Contains(out, "HTTP/1.0 200") &&
		(strings.Contains(out, "Negotiated TLS1.3 group: "+group) || strings.Contains(out, "Peer Temp Key: "+group))
}

func link(t testing.TB, name string, family netem.Family) netem.Link {
	t.Helper()
	l, err := netem.LookupLink(name)
	if err != nil {
		t.Fatal(err)
	}
	l.Family = family
	return l
}

func TestHandshakes(t *testing.T) {
	const hybrid, classical = "X25519MLKEM768", "X25519"
	for _, tc := range []struct {
		link, group string
		done        bool
	}{
		{"clean", hybrid, true},
		{"clean", classical, true},
		{"mtu1280", hybrid, true},
		{"mtu1280-icmp-eaten", hybrid, false},
		{"mtu1280-icmp-eaten", classical, true},
	} {
		for _, family := range []netem.Family{netem.IPv4, netem.IPv6} {
			t.Run(fmt.Sprintf("%s/%s/%s", tc.link, tc.group, family), func(t *testing.T) {
				t.Parallel()
				c, err := shared.handshake(t.Context(), link(t, tc.link, family), tc.group, 5, 3*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if c.done(tc.group) != tc.done || c.client.TimedOut == tc.done {
					t.Errorf("done %v, want %v; exit %d, timed out %v\n%s\n%s", c.done(tc.group), tc.done, c.client.Exit, c.client.TimedOut, c.client.Stdout, c.client.Stderr)
				}
				if c.trace.Uncounted != 0 || c.trace.Received == 0 {
					t.Errorf("the path's books: %+v", c.trace)
				}
				reasons := map[string]int{}
				for _, p := range c.trace.Packets {
					reasons[p.Drop]++
				}
				if (reasons["mtu-icmp-eaten"] > 0) == tc.done || (reasons["mtu-icmp-sent"] > 0) != (tc.link == "mtu1280") {
					t.Errorf("packets by drop reason: %v", reasons)
				}
			})
		}
	}
}

// TestSegmentsAreWireSized is the reason why offloads may stay on: whatever
// the kernels hand each other, the engine sees no segment that its receiver
// did not allow.
func TestSegmentsAreWireSized(t *testing.T) {
	const page = 1 << 20
	for _, family := range []netem.Family{netem.IPv4, netem.IPv6} {
		before := sent(t, shared.server)
		c, err := shared.handshake(t.Context(), link(t, "clean", family), "X25519MLKEM768", page, 10*time.Second)
		if err != nil || !c.done("X25519MLKEM768") {
			t.Fatalf("%v, exit %d: %s", err, c.client.Exit, c.client.Stderr)
		}
		byKernel := sent(t, shared.server) - before
		faults, segments := oversized(c.trace.Packets)
		for _, fault := range faults {
			t.Errorf("%s: %s", family, fault)
		}
		t.Logf("%s: the server's kernel sent %d packets, the engine recorded %d segments at both sides", family, byKernel, segments)
		if segments < 2*page/1460 {
			t.Errorf("%s: %d segments at both sides cannot carry %d bytes", family, segments, page)
		}
		// The control: were there super-packets to be cut at all?
		if byKernel > page/1460/2 {
			t.Errorf("%s: the server sent %d packets for %d bytes: offloads are off here, and this test proves nothing about them", family, byKernel, page)
		}
	}
}

// TestJumbo: what takes two segments over Ethernet takes one where the link
// carries jumbo packets, and nothing else is different. The agent's routes and
// the engine's slots say so without knowing of each other.
func TestJumbo(t *testing.T) {
	for _, family := range []netem.Family{netem.IPv4, netem.IPv6} {
		for mtu, one := range map[string]bool{"1500": false, "9000": true} {
			l, err := link(t, "clean", family).Set("mtu", mtu)
			if err != nil {
				t.Fatal(err)
			}
			c, err := shared.handshake(t.Context(), l, "SecP384r1MLKEM1024", 5, 10*time.Second)
			if err != nil || !c.done("SecP384r1MLKEM1024") {
				t.Fatalf("%s, MTU %s: %v, exit %d: %s", family, mtu, err, c.client.Exit, c.client.Stderr)
			}
			var payloads []int
			for _, p := range c.trace.Packets {
				if s, ok := readSegment(p.Data); ok && p.Side == 0 && p.Dir == 0 && s.payload > 0 {
					payloads = append(payloads, s.payload)
				}
				if p.Drop != "" {
					t.Errorf("%s, MTU %s: dropped: %s", family, mtu, p.Drop)
				}
			}
			if hello := payloads[0]; (hello > 1700) != one {
				t.Errorf("%s, MTU %s: the hello's first segment has %d bytes", family, mtu, hello)
			}
		}
	}
}

// sent reads how many packets a peer's kernel has handed to its network device.
func sent(t *testing.T, peer *agent.Client) (packets int) {
	t.Helper()
	res, err := peer.Run(t.Context(), agent.Command{Argv: []string{"cat", "/sys/class/net/eth0/statistics/tx_packets"}})
	if err == nil {
		packets, err = strconv.Atoi(strings.TrimSpace(string(res.Stdout)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// TestFirstIPv6CellLosesNothing: on a fabric that is a moment old, the first
// IPv6 packets must not wait for address tests.
func TestFirstIPv6CellLosesNothing(t *testing.T) {
	run := theRun + "-f"
	t.Cleanup(func() { daemon.Sweep(context.Background(), docker.OfRun(run)) })
	f, err := open(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.handshake(t.Context(), link(t, "clean", netem.IPv6), "X25519MLKEM768", 5, 10*time.Second)
	if err != nil || !c.done("X25519MLKEM768") {
		t.Fatalf("%v, exit %d: %s", err, c.client.Exit, c.client.Stderr)
	}
	syns := 0
	for _, p := range c.trace.Packets {
		if s, ok := readSegment(p.Data); ok && s.syn && p.Side == 0 {
			syns++
		}
	}
	if syns != 2 {
		t.Errorf("%d SYN packets on the client side, want one each way", syns)
	}
}

// TestPeersReachNothingElse: no default route, and no right to set one.
func TestPeersReachNothingElse(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		exit   int
	}{
		"the internet, IPv4":           {"exec 3<>/dev/tcp/192.0.2.1/80", 1},
		"the internet, IPv6":           {"exec 3<>/dev/tcp/2001:db8::1/80", 1},
		"no default route":             {"grep -c '\t00000000\t.*\t00000000\t' /proc/net/route", 1},
		"no right to configure routes": {"grep -q '^CapBnd:.*[13579bdf][0-9a-f][0-9a-f][0-9a-f]$' /proc/self/status", 1}, // bit 12
		"the control: a virtual range": {"grep -q '000012C6' /proc/net/route", 0},
	} {
		res, err := shared.client.Run(t.Context(), agent.Command{Argv: []string{"bash", "-c", tc.script}, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if res.Exit != tc.exit {
			t.Errorf("%s: exit %d, want %d: %s%s", name, res.Exit, tc.exit, res.Stdout, res.Stderr)
		}
	}
}

func TestInfo(t *testing.T) {
	info, err := shared.client.Info(t.Context())
	if err != nil || !strings.HasPrefix(info.Image, "OpenSSL 3.5.") || !strings.Contains(info.Image, "libssl3") || info.Kernel == "" {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestHostilePeerIsContained(t *testing.T) {
	for name, script := range map[string]string{
		"floods its output":  "head -c 1073741824 /dev/zero",
		"floods a file":      "head -c 1073741824 /dev/zero >flood",
		"floods with lines":  "yes | head -c 268435456 >&2",
		"detaches and forks": "for i in $(seq 50); do setsid sleep 1000 <&- >&- 2>&- & done",
	} {
		res, err := shared.client.Run(t.Context(), agent.Command{Argv: []string{"bash", "-c", script}, Timeout: 20 * time.Second})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if res.TimedOut || len(res.Stdout) > 65<<10 || len(res.Stderr) > 65<<10 {
			t.Errorf("%s: timed out %v, %d and %d bytes kept", name, res.TimedOut, len(res.Stdout), len(res.Stderr))
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		res, err := shared.client.Run(t.Context(), agent.Command{Argv: []string{"bash", "-c", "grep -l '(sleep)' /proc/[0-9]*/stat | wc -l; ls /run/hybridlab | wc -l"}})
		if err != nil {
			t.Fatal(err)
		}
		if string(res.Stdout) == "0\n1\n" { // no sleeper, and this command's own directory
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left after 5 s (sleepers, directories): %q", res.Stdout)
		}
	}
}

// TestPeerKilled: the control connection says so, and the container says why.
func TestPeerKilled(t *testing.T) {
	f, err := open(t.Context(), theRun+"-k")
	t.Cleanup(func() { daemon.Sweep(context.Background(), docker.OfRun(theRun+"-k")) })
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan error)
	go func() {
		_, err := f.client.Run(t.Context(), agent.Command{Argv: []string{"sleep", "1000"}})
		running <- err
	}()
	if err := f.cs[1].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.cs[1].Explain(<-running); !errors.Is(err, control.ErrGone) || !strings.Contains(err.Error(), "container client ended: killed") {
		t.Errorf("the running command: %v", err)
	}
	<-f.client.Gone()
	if _, err := f.server.Run(t.Context(), agent.Command{Argv: []string{"true"}}); err != nil {
		t.Errorf("the other peer: %v", err)
	}
	begun := time.Now()
	if err := docker.StopAll(t.Context(), f.cs); err != nil {
		t.Error(err)
	}
	if removed, err := daemon.Sweep(t.Context(), docker.OfRun(theRun+"-k")); err != nil || len(removed) != 1 {
		t.Errorf("sweep: %v, %v", removed, err)
	}
	took := time.Since(begun)
	t.Logf("tearing down two containers and their network: %v", took)
	if took > 3*time.Second {
		t.Errorf("tearing down took %v, want less than 3 s", took)
	}
}

func TestContainerThatEndsAtOnceSaysWhy(t *testing.T) {
	n, err := daemon.CreateNetwork(t.Context(), theRun+"-d")
	t.Cleanup(func() { daemon.Sweep(context.Background(), docker.OfRun(theRun+"-d")) })
	if err != nil {
		t.Fatal(err)
	}
	for arg, words := range map[string][]string{
		"die":  {"exit code 7", "dying as told"},
		"path": {"exit code 1", "/dev/net/tun", "modprobe tun"}, // it is not started as a router, and has no TUN device
	} {
		c, err := daemon.Start(t.Context(), docker.Spec{Name: "mortal-" + arg, Image: image.Ref, Network: n, Binary: executable, Args: []string{arg}})
		if err == nil { // it may have lived long enough to be seen
			err = errors.New(c.Why())
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v; want %q", arg, err, w)
			}
		}
	}
}

// TestKilledLabLeavesNothing kills a controlling process with SIGKILL.
func TestKilledLabLeavesNothing(t *testing.T) {
	run := theRun + "-x"
	t.Cleanup(func() { daemon.Sweep(context.Background(), docker.OfRun(run)) })
	cmd := exec.Command(executable, "control", run, image.Ref)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if left := itemsOf(t, run); len(left) != 2 || left[0].Orphan {
		t.Fatalf("while it runs: %+v, want a container and a network with a live owner", left)
	}
	if removed, err := daemon.Sweep(t.Context(), func(i docker.Item) bool { return i.Run == run && docker.Orphans(i) }); err != nil || len(removed) != 0 {
		t.Fatalf("sweep took from a lab that runs: %+v, %v", removed, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	begun := time.Now()
	for left := itemsOf(t, run); len(left) != 1; left = itemsOf(t, run) {
		if time.Since(begun) > 5*time.Second {
			t.Fatalf("5 s later: %+v, want the network alone", left)
		}
	}
	t.Logf("the container went by itself after %v", time.Since(begun))
	removed, err := daemon.Sweep(t.Context(), func(i docker.Item) bool { return i.Run == run && docker.Orphans(i) })
	if err != nil || len(removed) != 1 || removed[0].Kind != "network" || len(itemsOf(t, run)) != 0 {
		t.Errorf("sweep: %+v, %v", removed, err)
	}
}

func itemsOf(t *testing.T, run string) (of []docker.Item) {
	t.Helper()
	items, err := daemon.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		if i.Run == run {
			of = append(of, i)
		}
	}
	return of
}

// TestManyCellsAtOnce: different links and both families side by side.
func TestManyCellsAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	names := []string{"clean", "rtt100", "mtu1280", "loss1"}
	for i := range 32 {
		l := link(t, names[i%len(names)], []netem.Family{netem.IPv4, netem.IPv6}[i/4%2])
		wg.Go(func() {
			c, err := shared.handshake(t.Context(), l, "X25519MLKEM768", 5, 10*time.Second)
			if err != nil || !c.done("X25519MLKEM768") {
				t.Errorf("%s %s: %v, exit %d: %s", l.Name, l.Family, err, c.client.Exit, c.client.Stderr)
			}
		})
	}
	wg.Wait()
}

func TestStartUp(t *testing.T) {
	t.Logf("network, path and two peers, connected and routed: %v", started)
	if started > 8*time.Second {
		t.Errorf("it took %v, want less than 8 s", started)
	}
}

func BenchmarkRunTrue(b *testing.B) {
	for b.Loop() {
		if res, err := shared.client.Run(b.Context(), agent.Command{Argv: []string{"true"}}); err != nil || res.Exit != 0 {
			b.Fatal(res, err)
		}
	}
}

func BenchmarkOpenSSLVersion(b *testing.B) {
	for b.Loop() {
		if res, err := shared.client.Run(b.Context(), agent.Command{Argv: []string{"openssl", "version"}}); err != nil || res.Exit != 0 {
			b.Fatal(res, err)
		}
	}
}

// BenchmarkCell is one hybrid handshake with a server of its own: start
// server, client, stop, both captures fetched.
func BenchmarkCell(b *testing.B) {
	l := link(b, "clean", netem.IPv4)
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			if c, err := shared.handshake(b.Context(), l, "X25519MLKEM768", 5, 5*time.Second); err != nil || !c.done("X25519MLKEM768") {
				b.Fatal(err)
			}
		}
	})
	b.Run("16 at once", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if c, err := shared.handshake(b.Context(), l, "X25519MLKEM768", 5, 5*time.Second); err != nil || !c.done("X25519MLKEM768") {
					b.Error(err, string(c.client.Stderr))
				}
			}
		})
	})
}
