package peers

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

func isUnsupportedBecause(err error, why string) bool {
	return errors.Is(err, ErrUnsupported) && strings.Contains(err.Error(), why)
}

var inProcessIDs = []lab.PeerID{"go@1.26", "crafted"}

// TestSizesDoNotWobble: two runs must cut the same packets, so certificates
// and signatures have one length, and so has everything a connection sends.
func TestSizesDoNotWobble(t *testing.T) {
	certs := map[int]bool{}
	for i := range 40 {
		id := identity(t, fmt.Sprintf("server-%02d", i))
		b, _ := pem.Decode(id.Cert)
		certs[len(b.Bytes)] = true
		_, key, err := id.load()
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(b.Bytes)
		sig, err := key.Sign(rand.Reader, digest[:], nil)
		if err != nil || len(sig) != usualLength || !ecdsa.VerifyASN1(&key.(signer).PublicKey, digest[:], sig) {
			t.Fatalf("signature of %d bytes, %v", len(sig), err)
		}
	}
	if len(certs) != 1 {
		t.Errorf("certificates of several sizes: %v", certs)
	}
	for _, server := range inProcessIDs {
		for _, client := range inProcessIDs {
			running := serve(t, server, Request{})
			sizes := map[[2]int]bool{}
			for range 12 {
				c, end, _ := dial(t, client, running.addr, Request{})
				if !end.Data {
					t.Fatalf("%s to %s: %+v", client, server, end)
				}
				sizes[[2]int{len(c.toServer), len(c.toClient)}] = true
			}
			if len(sizes) != 1 {
				t.Errorf("%s to %s: connections of several sizes: %v", client, server, sizes)
			}
		}
	}
}

func TestIdentity(t *testing.T) {
	id := identity(t, "server-7")
	chain, _, err := id.load()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	roots, err := pool(testAuthority().PEM())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: ServerName}); err != nil || cert.Subject.CommonName != "server-7" {
		t.Errorf("%s: %v", cert.Subject, err)
	}
	for _, broken := range []Identity{{}, {Cert: id.Cert}, {Cert: id.Cert, Key: id.Cert}, {Cert: []byte("x"), Key: id.Key}} {
		if _, _, err := broken.load(); err == nil {
			t.Error("loaded a broken identity")
		}
	}
	if _, err := pool([]byte("no PEM")); err == nil {
		t.Error("loaded a broken CA")
	}
}

// TestWhomAndWhat: a client says whom it reached, and refuses whom it does
// not trust while still saying who that was.
func TestWhomAndWhat(t *testing.T) {
	stranger, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range inProcessIDs {
		t.Run(string(id), func(t *testing.T) {
			a := serve(t, id, Request{Identity: identity(t, "server-a")})
			b := serve(t, id, Request{Identity: identity(t, "server-b")})
			for addr, want := range map[netip.AddrPort]string{a.addr: "server-a", b.addr: "server-b"} {
				_, end, keylog := dial(t, id, addr, Request{})
				if end.Exit != 0 || !end.Done || !end.Data || end.Reached != want || end.Version != "TLS 1.3" || end.Group != "X25519MLKEM768" || end.Error != "" {
					t.Errorf("%+v, want all well with %s", end, want)
				}
				for _, label := range []string{"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", "SERVER_HANDSHAKE_TRAFFIC_SECRET ", "CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "} {
					if !bytes.Contains(keylog, []byte(label)) {
						t.Errorf("key log lacks %s", label)
					}
				}
			}
			for what, r := range map[string]Request{"another CA": {CA: stranger.PEM()}, "another name": {SNI: "elsewhere.test"}} {
				c, end, _ := dial(t, id, a.addr, r)
				if end.Exit != 1 || end.Done || end.Data || end.Reached != "server-a" || end.Error == "" {
					t.Errorf("%s: %+v, want a refusal of server-a", what, end)
				}
				if said := a.await(t, c.LocalAddr()); said.end.Done && said.end.Data {
					t.Errorf("%s: server says %+v", what, said.end)
				}
			}
		})
	}
}

// TestManyAtOnce: one server, fifty clients in flight; every report is its
// own connection's.
func TestManyAtOnce(t *testing.T) {
	for _, id := range inProcessIDs {
		running := serve(t, id, Request{})
		local, err := InProcess(id)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		want := map[string]bool{}
		for range 50 {
			conn, err := net.Dial("tcp", running.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			want[conn.LocalAddr().String()] = true
			wg.Go(func() {
				if end, _ := local.Dial(t.Context(), conn, Request{CA: testAuthority().PEM()}); !end.Data {
					t.Errorf("%s: %+v", id, end)
				}
			})
		}
		wg.Wait()
		for range 50 {
			r := <-running.reports
			if !want[r.remote.String()] || !r.end.Data || len(r.keylog) == 0 {
				t.Errorf("%s: report %+v of nobody we know", id, r)
			}
			delete(want, r.remote.String())
		}
	}
}

// mute is a server that accepts and says nothing, or what it is given.
func mute(t *testing.T, says string) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			conn.Write([]byte(says))
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String())
}

func TestHungAndGarbled(t *testing.T) {
	silent, garbage := mute(t, ""), mute(t, "220 smtp ready\r\n")
	for _, id := range inProcessIDs {
		_, end, _ := dial(t, id, silent, Request{Timeout: 50 * time.Millisecond})
		if !end.TimedOut || end.Done || end.Exit != 1 {
			t.Errorf("%s and silence: %+v", id, end)
		}
		if strings.Contains(end.Error, "127.0.0.1") {
			t.Errorf("%s: %q has addresses in it, and differs from run to run", id, end.Error)
		}
		if _, end, _ = dial(t, id, garbage, Request{}); end.TimedOut || end.Done || end.Error == "" {
			t.Errorf("%s and garbage: %+v", id, end)
		}
	}
}

// TestCancel: the end of ctx ends clients and servers at once, however long
// their timeouts.
func TestCancel(t *testing.T) {
	for _, id := range inProcessIDs {
		local, err := InProcess(id)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", mute(t, "").String())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		end, _ := local.Dial(ctx, conn, Request{CA: testAuthority().PEM(), Timeout: time.Hour})
		cancel()
		if !end.TimedOut {
			t.Errorf("%s: %+v", id, end)
		}
		// A client that connects and says nothing must not keep the server: the
		// clean-up of serve waits for Serve to return.
		running := serve(t, id, Request{Timeout: time.Hour})
		idle, err := net.Dial("tcp", running.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { idle.Close() })
	}
}

func TestUnsupportedInProcess(t *testing.T) {
	running := serve(t, "go@1.26", Request{})
	_, end, _ := dial(t, "go@1.26", running.addr, Request{Offer: lab.MustOffer("mlkem768")})
	if end.Exit != 127 || end.Unsupported == "" {
		t.Errorf("%+v, want unsupported", end)
	}
	local, err := InProcess("go@1.26")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = local.Serve(context.Background(), ln, Request{Offer: lab.MustOffer("mlkem768"), Identity: identity(t, "x")}, nil)
	if !errors.Is(err, ErrUnsupported) {
		t.Errorf("serve: %v, want unsupported", err)
	}
	if err := local.Serve(context.Background(), ln, Request{}, nil); err == nil {
		t.Error("served without an identity")
	}
}

// TestShapeOfHello: the options of a crafted peer reach the wire.
func TestShapeOfHello(t *testing.T) {
	running := serve(t, "go@1.26", Request{})
	c, end, _ := dial(t, "crafted", running.addr, Request{Offer: lab.MustOffer("x25519"), Shape: Shape{PadTo: 1600, GREASE: true}})
	if !end.Data {
		t.Fatalf("%+v", end)
	}
	if n := 5 + int(c.toServer[3])<<8 + int(c.toServer[4]); n != 1600 {
		t.Errorf("hello of %d bytes, want 1600", n)
	}
	forced := serve(t, "crafted", Request{Shape: Shape{Retry: true}})
	if c, end, _ = dial(t, "go@1.26", forced.addr, Request{}); !end.Data || !c.look(t).result.HRR {
		t.Errorf("no HelloRetryRequest: %+v", end)
	}
}

func TestRequestIsChecked(t *testing.T) {
	good := Request{Role: lab.ClientRole, Addr: netip.MustParseAddrPort("198.18.0.1:443"), Token: "cell-1"}
	for _, p := range Table() {
		good.Role = p.Roles[0]
		if _, err := p.Command(good); err != nil {
			t.Errorf("%s: %v", p.ID, err)
		}
		for what, change := range map[string]func(*Request){
			"path":     func(r *Request) { r.Token = "../etc/passwd" },
			"dot file": func(r *Request) { r.Token = ".profile" },
			"header":   func(r *Request) { r.Token = "x HTTP/1.0\r\nEvil: 1" },
			"name":     func(r *Request) { r.SNI = "a b" },
			"address":  func(r *Request) { r.Addr = netip.AddrPort{} },
		} {
			bad := good
			change(&bad)
			if _, err := p.Command(bad); err == nil || errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: bad %s: %v", p.ID, what, err)
			}
		}
	}
}

func TestVersionText(t *testing.T) {
	text, err := VersionText(agent.Result{Stdout: []byte("OpenSSL 3.5.7 9 Jun 2026 (Library: OpenSSL 3.5.7 9 Jun 2026)\nmore\n")})
	if err != nil || text != "OpenSSL 3.5.7 9 Jun 2026 (Library: OpenSSL 3.5.7 9 Jun 2026)" {
		t.Errorf("%q, %v", text, err)
	}
	for _, res := range []agent.Result{{}, {Exit: 1, Stdout: []byte("x")}, {Exit: -1, Err: "no such program"}} {
		if text, err := VersionText(res); err == nil {
			t.Errorf("read version %q from %+v", text, res)
		}
	}
}
