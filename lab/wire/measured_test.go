package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// measured are bytes on the wire, record header included, of live crypto/tls
// of Go 1.26 at both ends; 0: there is none. Names of 11 characters
// ("example.com") unless said otherwise. Predictions about segments, MTUs and
// peek buffers rest on these numbers.
var measured = []struct {
	name            string
	godebug         string
	sni             string // empty: example.com
	alpn            []string
	client, server  []tls.CurveID // nil: default
	ch1, hrr, ch2   int
	sh              int
	group           Group
	firstGroupShare int // of the first ClientHello
}{
	{name: "default", ch1: 1503, sh: 1215, group: X25519MLKEM768, firstGroupShare: 1216},
	{name: "default, two protocols", alpn: []string{"h2", "http/1.1"}, ch1: 1521, sh: 1215, group: X25519MLKEM768, firstGroupShare: 1216},
	{name: "default, name of 44 characters", sni: strings.Repeat("n", 40) + ".com", ch1: 1536, sh: 1215, group: X25519MLKEM768, firstGroupShare: 1216},
	{name: "tlssecpmlkem=0", godebug: "tlssecpmlkem=0", ch1: 1499, sh: 1215, group: X25519MLKEM768, firstGroupShare: 1216},
	{name: "tlsmlkem=0", godebug: "tlsmlkem=0", ch1: 277, sh: 127, group: X25519, firstGroupShare: 32},
	{name: "as in a module of go 1.23", godebug: "tlsmlkem=0,tlssha1=1", ch1: 281, sh: 127, group: X25519, firstGroupShare: 32},
	{name: "X25519MLKEM768 alone", client: []tls.CurveID{tls.X25519MLKEM768}, ch1: 1455, sh: 1215, group: X25519MLKEM768, firstGroupShare: 1216},
	{name: "SecP256r1MLKEM768 alone", client: []tls.CurveID{tls.SecP256r1MLKEM768}, ch1: 1488, sh: 1248, group: SecP256r1MLKEM768, firstGroupShare: 1249},
	{name: "SecP384r1MLKEM1024 alone", client: []tls.CurveID{tls.SecP384r1MLKEM1024}, ch1: 1904, sh: 1760, group: SecP384r1MLKEM1024, firstGroupShare: 1665},
	{name: "X25519 alone", client: []tls.CurveID{tls.X25519}, ch1: 271, sh: 127, group: X25519, firstGroupShare: 32},
	{name: "retry to P-256", server: []tls.CurveID{tls.CurveP256}, ch1: 1503, hrr: 93, ch2: 316, sh: 160, group: SecP256r1, firstGroupShare: 1216},
	{name: "retry to SecP256r1MLKEM768", server: []tls.CurveID{tls.SecP256r1MLKEM768}, ch1: 1503, hrr: 93, ch2: 1500, sh: 1248, group: SecP256r1MLKEM768, firstGroupShare: 1216},
	{name: "retry to SecP384r1MLKEM1024", server: []tls.CurveID{tls.SecP384r1MLKEM1024}, ch1: 1503, hrr: 93, ch2: 1916, sh: 1760, group: SecP384r1MLKEM1024, firstGroupShare: 1216},
}

func TestMeasuredSizesOfLiveGo(t *testing.T) {
	if v := runtime.Version(); !strings.HasPrefix(v, "go1.26") {
		t.Skipf("the sizes were measured with Go 1.26; this is %s, which may offer more (1.27 adds ML-DSA signature schemes)", v)
	}
	cert := testCertificate(t)
	for _, m := range measured {
		t.Run(m.name, func(t *testing.T) {
			t.Setenv("GODEBUG", m.godebug)
			if m.sni == "" {
				m.sni = "example.com"
			}
			client := &tls.Config{ServerName: m.sni, InsecureSkipVerify: true, NextProtos: m.alpn, CurvePreferences: m.client}
			server := &tls.Config{Certificates: []tls.Certificate{cert}, CurvePreferences: m.server}
			c, s := handshake(t, client, server)
			hellos, answers := readAll(t, c), readAll(t, s)
			size := func(msgs []Message, i int) int {
				if i < 0 || i >= len(msgs) {
					return 0
				}
				return msgs[i].End - msgs[i].Offset
			}
			hrr := len(answers) - 2
			got := []int{size(hellos, 0), size(answers, hrr), size(hellos, 1), size(answers, len(answers)-1)}
			if want := []int{m.ch1, m.hrr, m.ch2, m.sh}; !slices.Equal(got, want) {
				t.Errorf("ClientHello, HelloRetryRequest, second ClientHello, ServerHello: %v bytes, want %v", got, want)
			}
			ch, err := ParseClientHello(hellos[0].Body)
			if err != nil || len(ch.Shares[0].Data) != m.firstGroupShare || ch.ServerName != m.sni || !slices.Equal(ch.ALPN, m.alpn) {
				t.Errorf("%+v, %v", ch, err)
			}
			sh, err := ParseServerHello(answers[len(answers)-1].Body)
			if err != nil || sh.Group != m.group || sh.HRR() || sh.Selected != tls.VersionTLS13 {
				t.Errorf("group %v, version %#x, %v", sh.Group, sh.Selected, err)
			}
		})
	}
}

// handshake connects two crypto/tls ends over loopback and returns what each
// wrote. (On a net.Pipe, which buffers nothing, both ends hang writing the
// ChangeCipherSpec they send at once around a HelloRetryRequest.)
func handshake(t *testing.T, client, server *tls.Config) (fromClient, fromServer []byte) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan []byte, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			served <- nil
			return
		}
		w := &writes{Conn: conn}
		tls.Server(w, server).Handshake()
		conn.Close()
		served <- w.data
	}()
	conn, err := net.DialTimeout("tcp", ln.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	w := &writes{Conn: conn}
	if err := tls.Client(w, client).Handshake(); err != nil {
		t.Errorf("handshake: %v", err)
	}
	conn.Close()
	return w.data, <-served
}

// writes keeps what goes out over a connection.
type writes struct {
	net.Conn
	data []byte
}

func (w *writes) Write(b []byte) (int, error) {
	w.data = append(w.data, b...)
	return w.Conn.Write(b)
}

func testCertificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
