package peers

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// testAuthority is one CA for all tests: making it costs a few signatures.
var testAuthority = sync.OnceValue(func() *Authority {
	a, err := NewAuthority()
	if err != nil {
		panic(err)
	}
	return a
})

func identity(t testing.TB, cn string) Identity {
	t.Helper()
	id, err := testAuthority().Issue(cn, lab.DefaultCert)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// tap keeps what a connection wrote and read.
type tap struct {
	net.Conn
	mu                 sync.Mutex
	toServer, toClient []byte
}

func (c *tap) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.toServer = append(c.toServer, b...)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *tap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.toClient = append(c.toClient, b[:n]...)
	c.mu.Unlock()
	return n, err
}

// seen is what a connection's bytes prove.
type seen struct {
	groups, shares []wire.Group // of the first ClientHello
	extensions     []uint16     // its types, in order, one reserved value for all
	version        uint16       // of the ServerHello
	result         lab.Result
}

func messages(t testing.TB, stream []byte) (hellos []wire.Message, alert string) {
	t.Helper()
	recs, _, err := wire.ReadRecords(stream)
	if err != nil {
		t.Fatalf("read records: %v", err)
	}
	msgs, _, err := wire.ReadHandshake(recs)
	if err != nil {
		t.Fatalf("read handshake: %v", err)
	}
	for _, r := range recs {
		if r.Type == wire.RecordAlert && len(r.Fragment) == 2 {
			a, err := wire.ParseAlert(r.Fragment)
			if err != nil {
				t.Fatal(err)
			}
			alert = a.Name()
		}
	}
	return msgs, alert
}

// look reads a connection's two streams the way the judge does.
func look(t testing.TB, toServer, toClient []byte) seen {
	t.Helper()
	var s seen
	sent, _ := messages(t, toServer)
	hello, err := wire.ParseClientHello(sent[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	s.groups = hello.Groups
	for _, k := range hello.Shares {
		s.shares = append(s.shares, k.Group)
	}
	for _, e := range hello.Extensions {
		if wire.GREASE(e.Type) {
			e.Type = 0x0a0a
		}
		s.extensions = append(s.extensions, e.Type)
	}
	answers, alert := messages(t, toClient)
	if _, said := messages(t, toServer); alert == "" && said != "close_notify" {
		alert = said // a client may look at the certificate
	}
	for _, m := range answers {
		switch m.Type {
		case wire.HandshakeServerHello:
			sh, err := wire.ParseServerHello(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			if s.result.HRR = s.result.HRR || sh.HRR(); sh.HRR() {
				continue
			}
			s.version, s.result.Outcome, s.result.Group = sh.Selected, lab.Classical, sh.Group
		case wire.HandshakeServerKeyExchange:
			s.result.Group, _ = wire.ParseServerKeyExchange(m.Body) // finite fields: none
		}
	}
	switch {
	case s.result.Outcome == "", s.version < 0x0304 && !switched(t, toClient):
		s.result = lab.Result{Outcome: lab.Refused, Alert: cmp.Or(alert, lab.NoAlert)}
	case s.result.Group.PostQuantum():
		s.result.Outcome = lab.Hybrid
	}
	return s
}

// switched reports whether a server of TLS 1.2 came to its ChangeCipherSpec,
// which is its last flight.
func switched(t testing.TB, toClient []byte) bool {
	t.Helper()
	recs, _, err := wire.ReadRecords(toClient)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(recs, func(r wire.Record) bool { return r.Type == wire.RecordChangeCipherSpec })
}

// report is what a server said of one connection.
type report struct {
	remote netip.AddrPort
	end    lab.End
	keylog []byte
}

// served is a server in this process, listening on loopback.
type served struct {
	addr    netip.AddrPort
	reports chan report
}

func serve(t testing.TB, id lab.PeerID, r Request) served {
	t.Helper()
	local, err := InProcess(id)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.Role = lab.ServerRole
	if r.Identity.CN == "" {
		r.Identity = identity(t, "one")
	}
	s := served{netip.MustParseAddrPort(ln.Addr().String()), make(chan report, 1000)}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := local.Serve(ctx, ln, r, func(remote netip.AddrPort, end lab.End, keylog []byte) {
			s.reports <- report{remote, end, keylog}
		}); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() { stop(); wg.Wait() })
	return s
}

// await returns the server's report of the connection from remote.
func (s served) await(t testing.TB, remote net.Addr) report {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case r := <-s.reports:
			if r.remote.String() == remote.String() {
				return r
			}
		case <-timeout:
			t.Fatalf("no report of the connection from %v", remote)
		}
	}
}

// dial runs a client of this process against addr.
func dial(t testing.TB, id lab.PeerID, addr netip.AddrPort, r Request) (*tap, lab.End, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return talk(t, id, conn, r)
}

// talk runs a client of this process on a connection.
func talk(t testing.TB, id lab.PeerID, conn net.Conn, r Request) (*tap, lab.End, []byte) {
	t.Helper()
	local, err := InProcess(id)
	if err != nil {
		t.Fatal(err)
	}
	c := &tap{Conn: conn}
	r.Role, r.Addr, r.Token = lab.ClientRole, netip.MustParseAddrPort(conn.RemoteAddr().String()), "hybridlab"
	if r.CA == nil {
		r.CA = testAuthority().PEM()
	}
	end, keylog := local.Dial(context.Background(), c, r)
	return c, end, keylog
}

func (c *tap) look(t testing.TB) seen {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	return look(t, bytes.Clone(c.toServer), bytes.Clone(c.toClient))
}
