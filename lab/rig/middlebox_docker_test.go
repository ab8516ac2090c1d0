//go:build docker

package rig

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
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
	"go-sni-router":      {"", "decoy", "decoy"},
	"haproxy-sni-norule": {"server or decoy", "decoy", "server or decoy"}, // it does not wait: who is first?
	"sniproxy":           {"", "", "decoy"},
	"sslh":               {"", "", "decoy"},
}

// TestMiddleboxes puts every row between a client and two servers of this
// process, without a path: hybrid and classical, another name, a hello in
// halves.
func TestMiddleboxes(t *testing.T) {
	d := daemon(t)
	for _, m := range peers.Middleboxes() {
		t.Run(m.ID, func(t *testing.T) {
			if m.ID != "haproxy-sni@trixie" && !*everyBox {
				t.Skip("NOT tried: go test -tags docker -run TestMiddleboxes ./lab/rig -every does")
			}
			s := stand(t, d, m)
			name, _, _ := strings.Cut(m.ID, "@")
			flaw := flawed[name]
			s.check(t, "hybrid", s.dial(peers.ServerName, whole, hybrid...), cmp.Or(flaw.whole, "server"))
			s.check(t, "classical", s.dial(peers.ServerName, whole, tls.X25519), cmp.Or(flaw.whole, "server"))
			s.check(t, "in halves", s.dial(peers.ServerName, inHalves, hybrid...), cmp.Or(flaw.halves, "server"))
			s.check(t, "in two records", s.dial(peers.ServerName, inRecords, hybrid...), cmp.Or(flaw.records, "server"))
			elsewhere := map[peers.Others]string{peers.OthersServed: "server", peers.OthersDecoyed: "decoy", peers.OthersRefused: "nobody"}[m.Others]
			s.check(t, "another name", s.dial("other.test", whole, hybrid...), elsewhere)
		})
	}
}

// standing is a middlebox at work.
type standing struct {
	m    peers.Middlebox
	at   netip.AddrPort
	root *x509.CertPool
}

// stand starts a middlebox's container and the middlebox.
func stand(t *testing.T, d *docker.Daemon, m peers.Middlebox) *standing {
	t.Helper()
	ctx := t.Context()
	img, err := d.Build(ctx, m.Folder, m.Suite, false)
	if err != nil {
		t.Fatal(err)
	}
	n, err := d.CreateNetwork(ctx, NewRunID())
	if err != nil {
		t.Fatal(err)
	}
	late := context.WithoutCancel(ctx) // a test's context ends before its clean-up
	t.Cleanup(func() { d.Sweep(late, docker.OfRun(n.Run)) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Start(ctx, docker.Spec{Name: "middlebox", Image: img.ID, Network: n, Binary: self, Args: []string{"agent"}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.Dial(ctx, c.Control, c.Token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	res, err := a.Run(ctx, m.Version())
	if err != nil {
		t.Fatal(err)
	}
	version, err := peers.VersionText(res)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := peers.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	gateway := n.IPv4.Masked().Addr().Next()
	s := &standing{m: m, at: netip.AddrPortFrom(c.IPv4, 4433), root: x509.NewCertPool()}
	s.root.AppendCertsFromPEM(authority.PEM())
	between := peers.Between{Listen: s.at, SNI: peers.ServerName, CA: authority.PEM(), Identity: issue(t, authority, "middlebox"),
		Backend: backend(t, gateway, issue(t, authority, "server")), Decoy: backend(t, gateway, issue(t, authority, "decoy"))}
	if beside := m.Beside(); beside != nil {
		began := time.Now()
		if _, err := a.Start(ctx, *beside); err != nil {
			t.Fatal(err)
		}
		t.Logf("what runs beside it was ready after %v", time.Since(began).Round(time.Millisecond))
	}
	began := time.Now()
	id, err := a.Start(ctx, m.Command(between))
	if err != nil {
		t.Fatal(err)
	}
	ready := time.Since(began)
	t.Cleanup(func() {
		res, err := a.Stop(late, id)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: ready after %v, CPU %v in all", version, ready.Round(time.Millisecond), res.CPU.Round(time.Millisecond))
		if t.Failed() {
			t.Logf("it said: %s%s", res.Stdout, res.Stderr)
		}
	})
	return s
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
	ln, err := tls.Listen("tcp", netip.AddrPortFrom(at, 0).String(), &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
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
func (s *standing) dial(name string, cut func(net.Conn, []byte) error, groups ...tls.CurveID) (r reached) {
	tcp, err := net.Dial("tcp", s.at.String())
	if err != nil {
		return reached{err: err}
	}
	defer tcp.Close()
	tcp.SetDeadline(time.Now().Add(5 * time.Second))
	conn := tls.Client(&cutter{Conn: tcp, cut: cut}, &tls.Config{ServerName: name, RootCAs: s.root, CurvePreferences: groups,
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
