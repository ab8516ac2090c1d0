//go:build docker

package rig

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hybridlab/docker"
	"hybridlab/lab"
	"hybridlab/peers"
	"hybridlab/peers/agent"
)

// flawed is what is known to be wrong with middleboxes: where a hello goes that
// is all right ("" is the server), whose second half comes later, and that is
// in two records (RFC 8446 section 5.1 allows it).
var flawed = map[string]struct{ whole, halves, records string }{
	"go-sni-router":                 {"", "decoy", "decoy"},
	"haproxy-sni-norule":            {"server or decoy", "decoy", "server or decoy"}, // it does not wait: who is first?
	"sniproxy":                      {"", "", "decoy"},
	"sslh":                          {"", "", "decoy"},
	"suricata-sni-droptls":          {"", "nobody", ""},
	"suricata-sni-droptls@bullseye": {"", "nobody", "nobody"},
	"suricata-sni@bullseye":         {"", "nobody", "nobody"},
}

// TestMiddleboxes puts every row between a client and two servers of this
// process, without a path: hybrid and classical, another name, a hello in
// halves and in two records, IPv6.
func TestMiddleboxes(t *testing.T) {
	d := daemon(t)
	for _, m := range peers.Middleboxes() {
		t.Run(m.ID, func(t *testing.T) {
			// One stands for all: the images of the others take CI half an hour.
			if m.ID != "haproxy-sni@trixie" && !*everyBox {
				t.Skip("NOT tried: go test -tags docker -run TestMiddleboxes ./lab/rig -every does")
			}
			s := stand(t, d, m)
			name, _, _ := strings.Cut(m.ID, "@")
			flaw := cmp.Or(flawed[m.ID], flawed[name])
			at := s.up(t, false)
			s.check(t, "hybrid", s.dial(at, peers.ServerName, whole, hybrid...), cmp.Or(flaw.whole, "server"))
			s.check(t, "classical", s.dial(at, peers.ServerName, whole, tls.X25519), cmp.Or(flaw.whole, "server"))
			s.check(t, "in halves", s.dial(at, peers.ServerName, inHalves, hybrid...), cmp.Or(flaw.halves, "server"))
			s.check(t, "in two records", s.dial(at, peers.ServerName, inRecords, hybrid...), cmp.Or(flaw.records, "server"))
			elsewhere := map[peers.Others]string{peers.OthersServed: "server", peers.OthersDecoyed: "decoy", peers.OthersRefused: "nobody"}[m.Others]
			s.check(t, "another name", s.dial(at, "other.test", whole, hybrid...), elsewhere)
			s.check(t, "hybrid, IPv6", s.dial(s.up(t, true), peers.ServerName, whole, hybrid...), cmp.Or(flaw.whole, "server"))
		})
	}
}

// standing is a middlebox's container.
type standing struct {
	m         peers.Middlebox
	network   *docker.Network
	container *docker.Container
	agent     *agent.Client
	authority *peers.Authority
	roots     *x509.CertPool
	version   string
}

// stand starts a middlebox's container.
func stand(t *testing.T, d *docker.Daemon, m peers.Middlebox) *standing {
	t.Helper()
	ctx, s := t.Context(), &standing{m: m, roots: x509.NewCertPool()}
	img, err := d.Build(ctx, m.Folder, m.Suite, false)
	if err != nil {
		t.Fatal(err)
	}
	if s.network, err = d.CreateNetwork(ctx, NewRunID()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Sweep(context.WithoutCancel(ctx), docker.OfRun(s.network.Run)) }) // a test's context ends before its clean-up
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.container, err = d.Start(ctx, docker.Spec{Name: "middlebox", Image: img.ID, Network: s.network, Binary: self, Args: []string{"agent", fmt.Sprintf("-inline=%t", m.Inline)}, Router: m.Inline})
	if err != nil {
		t.Fatal(err)
	}
	if s.agent, err = agent.Dial(ctx, s.container.Control, s.container.Token); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.agent.Close() })
	if s.version, err = peers.VersionText(s.run(t, m.Version())); err != nil {
		t.Fatal(err)
	}
	if s.authority, err = peers.NewAuthority(); err != nil {
		t.Fatal(err)
	}
	s.roots.AppendCertsFromPEM(s.authority.PEM())
	if beside := m.Beside(); beside != nil {
		s.start(t, *beside)
	}
	return s
}

func (s *standing) run(t *testing.T, cmd agent.Command) agent.Result {
	t.Helper()
	res, err := s.agent.Run(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// start starts a program that ends with the test, and tells what it took.
func (s *standing) start(t *testing.T, cmd agent.Command) {
	t.Helper()
	began := time.Now()
	id, err := s.agent.Start(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	ready, late := time.Since(began), context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		res, err := s.agent.Stop(late, id)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: %s ready after %v, CPU %v in all", s.version, cmd.Argv[0], ready.Round(time.Millisecond), res.CPU.Round(time.Millisecond))
		if t.Failed() {
			t.Logf("it said: %s%s", res.Stdout, res.Stderr)
		}
	})
}

// up puts the middlebox between two new servers and the address it returns.
func (s *standing) up(t *testing.T, v6 bool) netip.AddrPort {
	t.Helper()
	at, gateway := netip.AddrPortFrom(s.container.IPv4, 4434), s.network.IPv4.Masked().Addr().Next()
	if v6 {
		at, gateway = netip.AddrPortFrom(s.container.IPv6, 4436), s.network.IPv6.Masked().Addr().Next()
	}
	server, decoy := backend(t, gateway, issue(t, s.authority, "server")), backend(t, gateway, issue(t, s.authority, "decoy"))
	if s.m.Inline {
		s.forward(t, at, server)
		return at
	}
	s.start(t, s.m.Command(peers.Between{Listen: at, SNI: peers.ServerName, CA: s.authority.PEM(), Identity: issue(t, s.authority, "middlebox"), Backend: server, Decoy: decoy}))
	return at
}

// forward has the container hand on what comes to at, and what comes back.
func (s *standing) forward(t *testing.T, at, to netip.AddrPort) {
	t.Helper()
	iptables := "iptables"
	if at.Addr().Is6() {
		iptables = "ip6tables"
	}
	for _, rule := range []string{
		fmt.Sprintf("PREROUTING -p tcp --dport %d -j DNAT --to-destination %s", at.Port(), to),
		fmt.Sprintf("POSTROUTING -p tcp --dport %d -j MASQUERADE", to.Port()),
	} {
		if res := s.run(t, agent.Command{Argv: []string{"sh", "-c", fmt.Sprintf("%s-nft -t nat -A %s || %[1]s-legacy -t nat -A %[2]s", iptables, rule)}}); res.Exit != 0 {
			t.Fatalf("%s: %s", rule, res.Stderr)
		}
	}
}

func issue(t *testing.T, a *peers.Authority, cn string) peers.Identity {
	t.Helper()
	id, err := a.Issue(cn, lab.DefaultCert)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// backend is an https server that answers with its name, the group and the version.
func backend(t *testing.T, at netip.Addr, id peers.Identity) netip.AddrPort {
	t.Helper()
	cert, err := tls.X509KeyPair(id.Cert, id.Key)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	for deadline := time.Now().Add(10 * time.Second); errors.Is(err, syscall.EADDRNOTAVAIL) && time.Now().Before(deadline); { // IPv6 looks for duplicates first
		tcp, err = net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	}
	if err != nil {
		t.Fatal(err)
	}
	ln := tls.NewListener(tcp, &tls.Config{Certificates: []tls.Certificate{cert}})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %v over %s", id.CN, r.TLS.CurveID, tls.VersionName(r.TLS.Version))
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return netip.MustParseAddrPort(ln.Addr().String())
}

// reached is what a client found behind a middlebox.
type reached struct {
	cert         string // name in the certificate it was shown
	group        tls.CurveID
	server, last string // who answered the request, and group and version of the last leg
	err          error
}

func (r reached) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("%v with %q, and %.40q %.40q", r.group, r.cert, r.server, r.last)
}

var hybrid = []tls.CurveID{tls.X25519MLKEM768, tls.X25519}

// dial makes one request.
func (s *standing) dial(at netip.AddrPort, name string, cut func(net.Conn, []byte) error, groups ...tls.CurveID) (r reached) {
	tcp, err := net.Dial("tcp", at.String())
	if err != nil {
		return reached{err: err}
	}
	defer tcp.Close()
	tcp.SetDeadline(time.Now().Add(5 * time.Second))
	conn := tls.Client(&cutter{Conn: tcp, cut: cut}, &tls.Config{ServerName: name, RootCAs: s.roots, CurvePreferences: groups,
		InsecureSkipVerify: name != peers.ServerName}) // of another name nobody has a certificate
	if r.err = conn.Handshake(); r.err != nil {
		return r
	}
	state := conn.ConnectionState()
	r.cert, r.group = state.PeerCertificates[0].Subject.CommonName, state.CurveID
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name)
	answer, err := io.ReadAll(conn)
	if r.err = err; err == nil {
		_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
		r.server, r.last, _ = strings.Cut(body, " ")
	}
	return r
}

// cutter writes the first thing, which is the hello, in its own way.
type cutter struct {
	net.Conn
	cut func(net.Conn, []byte) error
}

func (c *cutter) Write(b []byte) (int, error) {
	if c.cut == nil {
		return c.Conn.Write(b)
	}
	err := c.cut(c.Conn, b)
	c.cut = nil
	return len(b), err
}

// cutAt is within a hybrid's key share.
const cutAt = 700

func whole(c net.Conn, hello []byte) error {
	_, err := c.Write(hello)
	return err
}

func inHalves(c net.Conn, hello []byte) error {
	if _, err := c.Write(hello[:cutAt]); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond) // the gap under test: longer than any program takes to read the first half
	_, err := c.Write(hello[cutAt:])
	return err
}

func inRecords(c net.Conn, hello []byte) error {
	var cut []byte
	for _, part := range [][]byte{hello[5:cutAt], hello[cutAt:]} {
		cut = append(cut, hello[0], hello[1], hello[2], byte(len(part)>>8), byte(len(part)))
		cut = append(cut, part...)
	}
	_, err := c.Write(cut)
	return err
}

// check holds what a client found against what it should have.
func (s *standing) check(t *testing.T, what string, r reached, want string) {
	t.Helper()
	t.Logf("%s: %v", what, r)
	shown := r.server
	if s.m.EndsTLS {
		shown = "middlebox"
	}
	switch {
	case want == "nobody":
		if r.server == "server" || r.server == "decoy" {
			t.Errorf("%s: answered by %q, want nobody", what, r.server)
		}
	case r.err != nil:
		t.Errorf("%s: %v", what, r.err)
	case r.cert != shown || !slices.Contains(strings.Split(want, " or "), r.server):
		t.Errorf("%s: answered by %q, shown the certificate of %q; want %s", what, r.server, r.cert, want)
	case !s.m.EndsTLS && !strings.HasPrefix(r.last, r.group.String()+" "):
		t.Errorf("%s: the client has %v, the server %s", what, r.group, r.last)
	}
}
