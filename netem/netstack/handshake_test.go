package netstack

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"hybridlab/netem"
)

// lab is a Net with a TLS server on it.
type lab struct {
	*Net
	client *tls.Config
}

func newLab(t testing.TB, n *Net) *lab {
	t.Helper()
	t.Cleanup(n.Shutdown)
	server, client := tlsConfigs(t)
	l := &lab{Net: n, client: client}
	for _, v6 := range []bool{false, true} {
		ln, err := n.ListenServer(netip.AddrPortFrom(n.ServerAddr(v6), 443))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go serve(ln, server)
	}
	return l
}

// tlsConfigs are both ends' configurations, hybrid key exchange only.
func tlsConfigs(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hybridlab.test"}, DNSNames: []string{"hybridlab.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	groups := []tls.CurveID{tls.X25519MLKEM768}
	server = &tls.Config{
		Certificates:     []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		CurvePreferences: groups, SessionTicketsDisabled: true, NextProtos: []string{"http/1.1"},
	}
	client = &tls.Config{RootCAs: roots, ServerName: "hybridlab.test", CurvePreferences: groups}
	return server, client
}

// serve answers every connection's first line with another.
func serve(ln net.Listener, config *tls.Config) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			s := tls.Server(c, config)
			var b [4]byte
			if _, err := io.ReadFull(s, b[:]); err == nil {
				s.Write([]byte("pong"))
				s.CloseWrite()
				io.Copy(io.Discard, s)
			}
		}()
	}
}

// run opens a cell, makes one handshake with data both ways through it, and
// closes it.
func (l *lab) run(ctx context.Context, slot uint16, name string, link netem.Link) (netem.Trace, error) {
	if err := l.Open(l.path(slot, name, link)); err != nil {
		return netem.Trace{}, err
	}
	err := l.handshake(ctx, netip.AddrPortFrom(netem.TargetAddr(slot, link.V6()), 443))
	trace, closeErr := l.Close(slot)
	return trace, errors.Join(err, closeErr)
}

func (l *lab) path(slot uint16, name string, link netem.Link) netem.Path {
	v6 := link.V6()
	return netem.Path{Slot: slot, Name: name, Seed: 1, Link: link, Client: l.ClientAddr(v6), Server: l.ServerAddr(v6)}
}

func (l *lab) handshake(ctx context.Context, to netip.AddrPort) error {
	raw, err := l.DialClient(ctx, to)
	if err != nil {
		return err
	}
	defer raw.Close()
	c := tls.Client(raw, l.client)
	if err := c.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if d, ok := ctx.Deadline(); ok {
		c.SetDeadline(d)
	}
	if _, err := c.Write([]byte("ping")); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if err == nil && string(answer) != "pong" {
		err = fmt.Errorf("answer %q", answer)
	}
	return err
}

func link(t testing.TB, name string) netem.Link {
	t.Helper()
	l, err := netem.LookupLink(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func start(t testing.TB) *lab {
	t.Helper()
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return newLab(t, n)
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
