//go:build docker

package peers

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

// container runs commands as the agent would, by docker exec, in the host's
// network.
type container struct {
	id, dir string
	runs    int
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("docker", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// baseImage is the suite's image that is here: a registry's, or the lab's own.
func baseImage(suite string) string {
	official := "debian:" + suite + "-slim"
	if exec.Command("docker", "image", "inspect", official).Run() != nil {
		return "hybridlab-base:" + suite
	}
	return official
}

func startContainer(t *testing.T, p Peer) *container {
	t.Helper()
	if p.Missing != "" {
		t.Skipf("%s cannot be tried: %s", p.ID, p.Missing)
	}
	image := docker(t, "build", "-q", "--build-arg", "SUITE="+p.Suite, "--build-arg", "BASE="+baseImage(p.Suite), "../docker/"+p.Folder)
	c := &container{dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.id = docker(t, "run", "-d", "--rm", "--network", "host", "-v", c.dir+":/run/hybridlab", "-v", self+":"+Binary+":ro", "--label", "hybridlab=peers-test", image, "sleep", "900")
	t.Cleanup(func() { docker(t, "rm", "-f", c.id) })
	if beside, ok := p.Companion(testAuthority().PEM()); ok {
		c.start(t, beside)
	}
	return c
}

// prepare makes the docker command for cmd. Its files are on a shared folder.
func (c *container) prepare(t *testing.T, cmd agent.Command) (*exec.Cmd, string) {
	t.Helper()
	c.runs++
	name := strconv.Itoa(c.runs)
	dir := filepath.Join(c.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, data := range cmd.Files {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"exec", "-i", "-w", fileIn("")}
	for _, kv := range cmd.Env {
		args = append(args, "-e", kv)
	}
	limit := "20"
	if cmd.ReadyIn > 0 {
		limit = "900" // a companion stays
	}
	args = append(append(args, c.id, "timeout", limit), cmd.Argv...)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "{dir}", "/run/hybridlab/"+name)
	}
	x := exec.Command("docker", args...)
	x.Stdin = bytes.NewReader(cmd.Stdin)
	return x, dir
}

func collect(t *testing.T, cmd agent.Command, dir string, err error, stdout, stderr []byte) agent.Result {
	t.Helper()
	res := agent.Result{Stdout: stdout, Stderr: stderr, Files: map[string][]byte{}}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		res.Exit = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	for _, name := range cmd.Outputs {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			res.Files[name] = data
		}
	}
	return res
}

func (c *container) run(t *testing.T, cmd agent.Command) agent.Result {
	t.Helper()
	x, dir := c.prepare(t, cmd)
	var stdout, stderr bytes.Buffer
	x.Stdout, x.Stderr = &stdout, &stderr
	return collect(t, cmd, dir, x.Run(), stdout.Bytes(), stderr.Bytes())
}

// watched passes on what is written and says when it contains a text.
type watched struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	text string
	seen chan struct{}
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := bytes.Contains(w.buf.Bytes(), []byte(w.text))
	w.buf.Write(b)
	if !before && bytes.Contains(w.buf.Bytes(), []byte(w.text)) {
		close(w.seen)
	}
	return len(b), nil
}

// start starts a server and waits until it is ready. wait returns its result.
func (c *container) start(t *testing.T, cmd agent.Command) (wait func() agent.Result) {
	t.Helper()
	x, dir := c.prepare(t, cmd)
	stdout := &watched{text: cmd.Ready, seen: make(chan struct{})}
	if port, ok := strings.CutPrefix(cmd.Ready, "tcp:"); ok {
		stdout.text = "\x00 never printed"
		go awaitListener(port, stdout.seen)
	}
	var stderr bytes.Buffer
	x.Stdout, x.Stderr = stdout, &stderr
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- x.Wait() }()
	select {
	case <-stdout.seen:
	case err := <-ended:
		ended <- err // it refused to start: wait tells
	case <-time.After(max(10*time.Second, cmd.ReadyIn)):
		t.Fatalf("server is not ready: %s", &stderr)
	}
	return func() agent.Result { return collect(t, cmd, dir, <-ended, stdout.buf.Bytes(), stderr.Bytes()) }
}

// awaitListener closes seen when something listens on the port, by the
// kernel's table: a connection to find out would be the only one that some
// servers take.
func awaitListener(port string, seen chan struct{}) {
	n, _ := strconv.Atoi(port)
	listens := regexp.MustCompile(fmt.Sprintf(`(?m)^ *\d+: [0-9A-F]+:%04X [0-9A-F]+:0000 0A`, n))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			if text, _ := os.ReadFile(table); listens.Match(text) {
				close(seen)
				return
			}
		}
		<-tick.C
	}
}

// freePort is a port nobody listens on now.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}

func startPeer(t *testing.T, id lab.PeerID) (Peer, *container) {
	t.Helper()
	p, err := Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return p, startContainer(t, p)
}

func opensslPeer(t *testing.T) (Peer, *container) {
	t.Helper()
	return startPeer(t, "openssl@trixie")
}

func command(t *testing.T, p Peer, r Request) agent.Command {
	t.Helper()
	r.Token, r.CA = "hybridlab", testAuthority().PEM()
	cmd, err := p.Command(r)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestRecordCommands runs the real binaries through everything that parse has
// to tell apart. With -update the recordings are rewritten; without, what they
// say must still be what was recorded.
func TestRecordCommands(t *testing.T) {
	for id, version := range map[lab.PeerID]string{"openssl@bullseye": "OpenSSL 1.1.1", "openssl@bookworm": "OpenSSL 3.0.", "openssl@trixie": "OpenSSL 3.5.",
		"openssl@forky": "OpenSSL 3.6.", "boringssl@trixie": "android-boringssl\t14."} {
		t.Run(string(id), func(t *testing.T) {
			costly(t, Peer{ID: id})
			recordCommands(t, id, version)
		})
	}
}

func recordCommands(t *testing.T, id lab.PeerID, want string) {
	p, c := startPeer(t, id)
	version, err := VersionText(c.run(t, p.Version()))
	if err != nil || !strings.HasPrefix(version, want) {
		t.Fatalf("the recordings are of %s, this is %q (%v)", want, version, err)
	}
	for _, r := range []struct {
		name           string // of the client's and the server's recording; empty: not kept
		client, server string // groups
		ask            func(*Request)
		cn             string
	}{
		{"hybrid", "x25519mlkem768", "x25519mlkem768>x25519", nil, "server-2001"},
		{"classical-p256", "secp256r1", "default", nil, "server-2002"},
		{"ffdhe", "0x0100", "default", nil, "server-2003"},
		{"classical", "x25519", "default", nil, "server-2008"},
		{"kyber", "x25519kyber768draft00", "x25519kyber768draft00+x25519", nil, "server-2009"},
		{"mlkem1024", "mlkem1024", "mlkem1024", nil, "server-2004"},
		{"no-common-group", "secp256r1", "x25519", nil, "server-2005"},
		{"wrong-name", "x25519", "default", func(r *Request) { r.SNI = "elsewhere.test" }, "server-2006"},
	} {
		if p.Supports(lab.ClientRole, lab.MustOffer(r.client)) != nil || p.Supports(lab.ServerRole, lab.MustOffer(r.server)) != nil {
			continue // of a later version
		}
		addr := freePort(t)
		sr := Request{Role: lab.ServerRole, Addr: addr, Offer: lab.MustOffer(r.server), Identity: identity(t, r.cn)}
		cr := Request{Role: lab.ClientRole, Addr: addr, Offer: lab.MustOffer(r.client)}
		if r.ask != nil {
			r.ask(&cr)
		}
		wait := c.start(t, command(t, p, sr))
		began := time.Now()
		clientRes := c.run(t, command(t, p, cr))
		t.Logf("%s: client took %v, docker exec included", r.name, time.Since(began).Round(time.Millisecond))
		record(t, p, "client-"+strings.Replace(r.name, "no-common-group", "alert", 1), cr, clientRes)
		record(t, p, "server-"+r.name, sr, wait())
	}
	record(t, p, "client-nonsense", Request{Role: lab.ClientRole}, c.run(t, command(t, p, Request{Role: lab.ClientRole, Addr: freePort(t), Offer: Nonsense})))
	record(t, p, "server-nonsense", Request{Role: lab.ServerRole},
		c.start(t, command(t, p, Request{Role: lab.ServerRole, Addr: freePort(t), Offer: Nonsense, Identity: identity(t, "x")}))())
	record(t, p, "client-refused", Request{Role: lab.ClientRole},
		c.run(t, command(t, p, Request{Role: lab.ClientRole, Addr: netip.MustParseAddrPort("127.0.0.1:1")})))

	// A client that goes away after the handshake: done, but no request came.
	addr := freePort(t)
	sr := Request{Role: lab.ServerRole, Addr: addr, Identity: identity(t, "server-2007")}
	wait := c.start(t, command(t, p, sr))
	quiet := command(t, p, Request{Role: lab.ClientRole, Addr: addr})
	quiet.Stdin = nil
	quiet.Argv = slices.DeleteFunc(quiet.Argv, func(a string) bool { return a == "-ign_eof" })
	if res := c.run(t, quiet); res.Exit != 0 {
		t.Errorf("quiet client: exit %d: %s", res.Exit, res.Stderr)
	}
	record(t, p, "server-no-request", sr, wait())
}

func record(t *testing.T, p Peer, name string, r Request, res agent.Result) {
	t.Helper()
	_, keylog := p.Parse(r, res)
	sections := map[string]string{"role": string(r.Role), "exit": strconv.Itoa(res.Exit), "stdout": string(res.Stdout),
		"stderr": string(res.Stderr), "keylog": string(keylog)}
	file := "testdata/" + string(p.ID) + "/" + name + ".txt"
	if *update {
		again, res := replay(t, sections)
		end, _ := p.Parse(again, res)
		sections["end"] = endJSON(t, end)
		writeRecording(t, file, sections)
		return
	}
	_, replayed := replay(t, sections)
	end, _ := p.Parse(r, replayed)
	if got, want := endJSON(t, end), readRecording(t, file)["end"]; got != want {
		t.Errorf("%s: got %swant %s", name, got, want)
	}
}

// boringTried are lists with the drafts that only BoringSSL has.
var boringTried = []string{"x25519kyber768draft00", "x25519kyber768draft00+x25519", "x25519+x25519kyber768draft00",
	"x25519kyber768draft00+secp256r1+x25519", "secp256r1+x25519+x25519kyber768draft00"}

// goTried are lists with the group that is not in any default.
var goTried = []string{"mlkem1024", "mlkem1024+x25519", "x25519mlkem768+mlkem1024+secp256r1"}

// triedAlso are experiments for what only some stacks can do.
var triedAlso = map[lab.PeerID]struct{ accepts, offers []string }{
	"openssl@trixie": {[]string{"secp384r1mlkem1024+mlkem512>secp384r1", "x448+x25519>0x0100"},
		[]string{"*x25519+*secp256r1+*secp384r1+*x25519mlkem768", "mlkem512+x448>*0x0100"}},
	"openssl@forky": {[]string{"secp384r1mlkem1024+mlkem512>secp384r1", "x448+x25519>0x0100"},
		[]string{"*x25519+*secp256r1+*secp384r1+*x25519mlkem768", "mlkem512+x448>*0x0100"}},
	"boringssl@trixie": {boringTried, boringTried},
	"gnutls@trixie":    {nil, []string{"secp256r1+x448+x25519", "secp384r1+0x0100+0x0101", "x25519+x448+0x0100"}},
	"nss@forky": {[]string{"secp384r1mlkem1024+secp384r1", "mlkem1024+x25519", "mlkem1024+secp384r1", "secp384r1+secp256r1", "x25519+secp384r1mlkem1024"},
		[]string{"secp384r1+~secp384r1mlkem1024", "x25519+~mlkem1024", "secp384r1+~mlkem1024", "secp256r1+~secp384r1", "secp384r1mlkem1024+~x25519"}},
	"nss@trixie": {[]string{"x25519kyber768draft00+x25519", "x25519kyber768draft00+secp384r1"},
		[]string{"x25519+~x25519kyber768draft00", "x25519kyber768draft00+x25519", "secp384r1+~x25519kyber768draft00"}},
	"openssl@bookworm": {[]string{"x448+x25519+0x0100"}, []string{"0x0100+x448"}},
	"go@1.27":          {goTried, goTried},
}

// everyPeer asks for the experiments with all peers.
var everyPeer = flag.Bool("every", false, "experiment with every peer, not only with the one that stands for all (half an hour)")

// costly passes over the experiments with all peers but one: hundreds of
// handshakes each, whose answers change only when the peer's package does.
func costly(t *testing.T, p Peer) {
	t.Helper()
	if p.ID != "openssl@trixie" && !*everyPeer && !*update {
		t.Skipf("the recorded behaviour of %s is NOT compared with the real one: make rules does", p.ID)
	}
}

// TestRecordRules tries stacks' rules by experiment: crafted offers anything
// to their servers, and looks at what their clients send.
func TestRecordRules(t *testing.T) {
	for _, p := range Table() {
		if _, stays := p.driver.(reporter); p.local != nil || stays || p.Rules.TLS12 {
			continue // TestRulesInProcess, TestRecordServices, TestRecordTLS12
		}
		t.Run(string(p.ID), func(t *testing.T) { costly(t, p); recordRules(t, p) })
	}
}

func recordRules(t *testing.T, p Peer) {
	c := startContainer(t, p)
	var lines []string
	for _, accept := range slices.Concat(triedAccepts, triedAlso[p.ID].accepts) {
		if p.Supports(lab.ServerRole, lab.MustOffer(accept)) == nil {
			lines = append(lines, choicesOf(t, p, c, accept)...)
		}
	}
	for _, offer := range slices.Concat(triedOffers, triedAlso[p.ID].offers) {
		if p.Supports(lab.ClientRole, lab.MustOffer(offer)) == nil {
			lines = append(lines, fmt.Sprintf("client %s: %s", offer, helloOf(t, p, c, offer)))
		}
	}
	got := fmt.Sprintf("# What %s does, seen on the wire. Written by: go test -tags docker -run TestRecordRules/%[1]s ./peers -update\n%s\n",
		p.ID, strings.Join(lines, "\n"))
	file := "testdata/" + string(p.ID) + ".rules"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s does otherwise than recorded:\n%s", p.ID, got)
	}
}

// choicesOf runs a server with a list and makes it every offer.
func choicesOf(t *testing.T, p Peer, c *container, accept string) (lines []string) {
	t.Helper()
	var addr netip.AddrPort
	var wait func() agent.Result
	crafted, err := Lookup("crafted")
	if err != nil {
		t.Fatal(err)
	}
	for _, offer := range slices.Concat(triedOffers, triedAlso[p.ID].offers) {
		if crafted.Supports(lab.ClientRole, lab.MustOffer(offer)) != nil {
			continue // finite fields
		}
		if wait == nil || p.Exclusive() {
			addr = freePort(t)
			wait = c.start(t, command(t, p, Request{Role: lab.ServerRole, Addr: addr, Offer: lab.MustOffer(accept), Identity: identity(t, "one")}))
		}
		conn, _, _ := dial(t, "crafted", addr, Request{Offer: lab.MustOffer(offer)})
		conn.checkSizes(t, lab.NewCell(crafted.ID, p.ID, lab.MustOffer(offer), lab.MustOffer(accept), "clean"), crafted, p)
		lines = append(lines, fmt.Sprintf("server %s, offered %s: %v", accept, offer, conn.look(t).result))
		if p.Exclusive() {
			wait()
		}
	}
	return lines
}

// helloOf runs the client against a crafted server and describes its hello.
func helloOf(t *testing.T, p Peer, c *container, offer string) string {
	t.Helper()
	saw := against(t, p, c, offer, "crafted")
	text := fmt.Sprintf("%v; shares %v", noted(saw.groups), noted(saw.shares))
	if offer == "default" && !slices.Equal(saw.extensions, against(t, p, c, offer, "crafted").extensions) {
		text += orderVaries
	}
	return text
}

// against runs the client against a server of this process.
func against(t *testing.T, p Peer, c *container, offer string, server lab.PeerID) seen {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tapped := &tapListener{Listener: ln, conns: make(chan *tap, 1)}
	local, err := InProcess(server)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := local.Serve(ctx, tapped, Request{Identity: identity(t, "one")}, func(netip.AddrPort, lab.End, []byte) {}); err != nil {
			t.Error(err)
		}
	})
	res := c.run(t, command(t, p, Request{Role: lab.ClientRole, Addr: netip.MustParseAddrPort(ln.Addr().String()), Offer: lab.MustOffer(offer)}))
	stop()
	wg.Wait()
	var conn *tap
	select {
	case conn = <-tapped.conns:
	default:
	}
	if conn == nil || len(conn.toClient) == 0 {
		t.Fatalf("%s, %s: no hello came: %+v", p.ID, offer, res)
	}
	return look(t, conn.toClient, conn.toServer) // from the server's side the directions are swapped
}

// TestInterop: every group OpenSSL shares with the Go stacks, both ways
// round, with data and with both ends' claims alike; once over IPv6.
func TestInterop(t *testing.T) {
	p, c := opensslPeer(t)
	for _, id := range inProcessIDs {
		other, err := Lookup(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range p.Groups {
			o := lab.Offer{Listed: []lab.ListedGroup{{Group: g}}}
			if other.Supports(lab.ClientRole, o) != nil {
				continue
			}
			addr := freePort(t)
			if g.PostQuantum() {
				addr = netip.AddrPortFrom(netip.IPv6Loopback(), addr.Port())
			}
			sr := Request{Role: lab.ServerRole, Addr: addr, Offer: o, Identity: identity(t, "server-o")}
			wait := c.start(t, command(t, p, sr))
			_, client, _ := dial(t, id, addr, Request{Offer: o})
			server, _ := p.Parse(sr, wait())
			if want := (lab.End{Done: true, Data: true, Group: g.String(), Version: "TLS 1.3", Reached: "server-o"}); client != want || !server.Data {
				t.Errorf("%s to OpenSSL, %v: client %+v, server %+v", id, g, client, server)
			}
			running := serve(t, id, Request{Offer: o, Identity: identity(t, "server-g")})
			cr := Request{Role: lab.ClientRole, Addr: running.addr, Offer: o}
			client, keylog := p.Parse(cr, c.run(t, command(t, p, cr)))
			if want := (lab.End{Done: true, Data: true, Group: g.String(), Version: "TLS 1.3", Reached: "server-g"}); client != want || len(keylog) == 0 {
				t.Errorf("OpenSSL to %s, %v: client %+v", id, g, client)
			}
			if r := <-running.reports; !r.end.Data || r.end.Group != g.String() {
				t.Errorf("OpenSSL to %s, %v: server %+v", id, g, r.end)
			}
		}
	}
}

// TestShellPeer takes the client of CONTRACT.md at its word: a peer no Go
// code knows, first proven with nonsense, then used.
func TestShellPeer(t *testing.T) {
	text, err := os.ReadFile("CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, ok := strings.Cut(string(text), "    #!/bin/sh\n")
	if !ok {
		t.Fatal("CONTRACT.md has no shell script")
	}
	_, c := opensslPeer(t)
	shell := Peer{ID: "shell", Roles: bothRoles, driver: contract{argv: []string{"sh", "{dir}/peer.sh"}}}
	run := func(r Request) lab.End {
		cmd := command(t, shell, r)
		cmd.Files["peer.sh"] = []byte(script)
		end, _ := shell.Parse(r, c.run(t, cmd))
		return end
	}
	running := serve(t, "go@1.26", Request{})
	client := Request{Role: lab.ClientRole, Addr: running.addr}
	for offer, unsupported := range map[string]bool{"0x1234": true, "*x25519mlkem768+*x25519": true, "x25519mlkem768>x25519": false, "default": false} {
		client.Offer = lab.MustOffer(offer)
		end := run(client)
		if (end.Unsupported != "") != unsupported || end.Data == unsupported {
			t.Errorf("%s: %+v, want unsupported %v", offer, end, unsupported)
		}
	}
	if end := run(Request{Role: lab.ServerRole, Addr: freePort(t), Identity: identity(t, "x")}); end.Exit != exitUnsupported {
		t.Errorf("as a server: %+v", end)
	}
}

type tapListener struct {
	net.Listener
	conns chan *tap
}

func (l *tapListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &tap{Conn: conn}
	select {
	case l.conns <- c:
	default: // a browser that tries again: the first connection counts
	}
	return c, nil
}
