package crafted

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	circl "github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/hybrid"

	"hybridlab/lab/wire"
)

// identity is a CA with one server certificate for hybridlab.test.
type identity struct {
	roots *x509.CertPool
	chain [][]byte
	key   *ecdsa.PrivateKey
}

var testIdentity = sync.OnceValue(func() identity {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "one"}, DNSNames: []string{"hybridlab.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return identity{roots, [][]byte{der}, key}
})

func clientConfig(groups, shares []wire.Group) Config {
	return Config{Groups: groups, Shares: shares, ServerName: "hybridlab.test", Roots: testIdentity().roots}
}

func serverConfig(groups ...wire.Group) Config {
	return Config{Groups: groups, Chain: testIdentity().chain, Key: testIdentity().key}
}

// tap is a connection that keeps what was written and how it was cut.
type tap struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (t *tap) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.writes = append(t.writes, bytes.Clone(b))
	t.mu.Unlock()
	return t.Conn.Write(b)
}

func (t *tap) written() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Join(t.writes, nil)
}

// pair is a TCP connection over loopback: net.Pipe blocks both ends where
// they alert each other.
func pair(t *testing.T) (client, server *tap) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{c, s} {
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		t.Cleanup(func() { conn.Close() })
	}
	return &tap{Conn: c}, &tap{Conn: s}
}

// stream is what both crafted and crypto/tls connections are.
type stream interface {
	io.ReadWriter
	CloseWrite() error
}

// talk sends a line each way, larger than a record one way, and closes.
func talk(t *testing.T, client, server stream) {
	t.Helper()
	answer := bytes.Repeat([]byte("hybridlab\n"), 4000)
	var wg sync.WaitGroup
	wg.Go(func() {
		question := make([]byte, 5)
		if _, err := io.ReadFull(server, question); err != nil || string(question) != "hello" {
			t.Errorf("server read %q, %v", question, err)
		}
		if _, err := server.Write(answer); err != nil {
			t.Errorf("server write: %v", err)
		}
		if err := server.CloseWrite(); err != nil {
			t.Errorf("server close: %v", err)
		}
	})
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Errorf("client write: %v", err)
	}
	if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, answer) {
		t.Errorf("client read %d bytes, %v", len(got), err)
	}
	wg.Wait()
}

// both runs a handshake between crafted ends.
func both(t *testing.T, cc, sc Config) (client, server *Conn, cerr, serr error) {
	t.Helper()
	a, b := pair(t)
	var wg sync.WaitGroup
	wg.Go(func() { server, serr = Server(b, sc) })
	client, cerr = Client(a, cc)
	wg.Wait()
	return client, server, cerr, serr
}

func TestEveryGroupAgainstItself(t *testing.T) {
	for _, g := range Groups() {
		t.Run(g.String(), func(t *testing.T) {
			client, server, cerr, serr := both(t, clientConfig([]wire.Group{g}, nil), serverConfig(g))
			if cerr != nil || serr != nil {
				t.Fatalf("client: %v; server: %v", cerr, serr)
			}
			if client.State.Group != g || server.State.Group != g || client.State.Retry {
				t.Errorf("client %+v, server group %v", client.State.Group, server.State.Group)
			}
			if !bytes.Equal(client.State.KeyLog, server.State.KeyLog) || len(client.State.KeyLog) == 0 {
				t.Error("key logs differ or are empty")
			}
			talk(t, client, server)
		})
	}
}

// sharedGroups are those crypto/tls has too: two implementations of each KEM.
var sharedGroups = []wire.Group{wire.X25519, wire.SecP256r1, wire.SecP384r1, wire.SecP521r1,
	wire.X25519MLKEM768, wire.SecP256r1MLKEM768, wire.SecP384r1MLKEM1024}

func curveIDs(groups []wire.Group) []tls.CurveID {
	var ids []tls.CurveID
	for _, g := range groups {
		ids = append(ids, tls.CurveID(g))
	}
	return ids
}

func TestClientAgainstCryptoTLS(t *testing.T) {
	hybridAndX := []wire.Group{wire.X25519MLKEM768, wire.X25519}
	type row struct {
		name          string
		offer, shares []wire.Group
		accept        []wire.Group
		want          wire.Group
		retry         bool
		shape         Shape
	}
	rows := []row{
		{"share deferred", hybridAndX, []wire.Group{wire.X25519}, hybridAndX, wire.X25519MLKEM768, true, Shape{}},
		{"share deferred, server classical", hybridAndX, []wire.Group{wire.X25519}, hybridAndX[1:], wire.X25519, false, Shape{}},
		{"no share at all", hybridAndX, []wire.Group{}, hybridAndX, wire.X25519MLKEM768, true, Shape{}},
		{"classical share first", []wire.Group{wire.X25519, wire.X25519MLKEM768}, []wire.Group{wire.X25519, wire.X25519MLKEM768}, hybridAndX, wire.X25519MLKEM768, false, Shape{}},
		{"padded", hybridAndX, nil, hybridAndX, wire.X25519MLKEM768, false, Shape{PadTo: 3000}},
		{"greased", hybridAndX, nil, hybridAndX, wire.X25519MLKEM768, false, Shape{GREASE: true}},
		{"greased, retry", hybridAndX, []wire.Group{wire.X25519}, hybridAndX, wire.X25519MLKEM768, true, Shape{GREASE: true, PadTo: 600}},
		{"ML-DSA advertised", hybridAndX, nil, hybridAndX, wire.X25519MLKEM768, false, Shape{SigAlgs: []uint16{0x0904, 0x0905, 0x0906}}},
		{"cut into records", hybridAndX, nil, hybridAndX, wire.X25519MLKEM768, false, Shape{Records: []int{1, 100, 700}}},
		{"cut into writes", hybridAndX, nil, hybridAndX, wire.X25519MLKEM768, false, Shape{Segments: []int{1, 6, 1000}, Gap: time.Millisecond}},
	}
	for _, g := range sharedGroups {
		rows = append(rows, row{g.String(), []wire.Group{g}, nil, []wire.Group{g}, g, false, Shape{}})
		rows = append(rows, row{g.String() + " after retry", []wire.Group{wire.X25519, g}, []wire.Group{}, []wire.Group{g}, g, true, Shape{}})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			a, b := pair(t)
			id := testIdentity()
			server := tls.Server(b, &tls.Config{CurvePreferences: curveIDs(r.accept),
				Certificates: []tls.Certificate{{Certificate: id.chain, PrivateKey: id.key}}})
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := server.Handshake(); err != nil {
					t.Errorf("server: %v", err)
				}
			})
			cfg := clientConfig(r.offer, r.shares)
			cfg.Shape = r.shape
			client, err := Client(a, cfg)
			if err != nil {
				t.Fatalf("client: %v", err)
			}
			wg.Wait()
			if client.State.Group != r.want || client.State.Retry != r.retry || client.State.Leaf.Subject.CommonName != "one" {
				t.Errorf("got %v, retry %v; want %v, retry %v", client.State.Group, client.State.Retry, r.want, r.retry)
			}
			if cs := server.ConnectionState(); wire.Group(cs.CurveID) != r.want || cs.HelloRetryRequest != r.retry {
				t.Errorf("crypto/tls says %v, retry %v", cs.CurveID, cs.HelloRetryRequest)
			}
			talk(t, client, server)
		})
	}
}

func TestServerAgainstCryptoTLS(t *testing.T) {
	type row struct {
		name   string
		offer  []wire.Group
		accept Config
		want   wire.Group
		retry  bool
	}
	forced := serverConfig(wire.X25519MLKEM768)
	forced.Shape.Retry = true
	strict := serverConfig(wire.SecP256r1, wire.X25519, wire.X25519MLKEM768)
	strict.Tiers = []int{0, 1, 2}
	cut := serverConfig(wire.SecP384r1MLKEM1024)
	cut.Shape = Shape{Records: []int{1, 1000}, Segments: []int{3, 1460}}
	rows := []row{
		{"cookie alone", []wire.Group{wire.X25519MLKEM768}, forced, wire.X25519MLKEM768, true},
		{"better tier costs a retry", []wire.Group{wire.X25519MLKEM768, wire.X25519, wire.SecP256r1}, strict, wire.SecP256r1, true},
		{"post-quantum costs a retry", []wire.Group{wire.SecP256r1MLKEM768, wire.X25519, wire.X25519MLKEM768},
			serverConfig(wire.X25519, wire.SecP256r1MLKEM768), wire.SecP256r1MLKEM768, true},
		{"among classical groups the share wins", []wire.Group{wire.X25519MLKEM768, wire.X25519, wire.SecP256r1},
			serverConfig(wire.SecP256r1, wire.X25519), wire.X25519, false},
		{"cut", []wire.Group{wire.SecP384r1MLKEM1024}, cut, wire.SecP384r1MLKEM1024, false},
	}
	for _, g := range sharedGroups {
		rows = append(rows, row{g.String(), []wire.Group{g}, serverConfig(g), g, false})
		if g != wire.X25519MLKEM768 && g != wire.X25519 {
			rows = append(rows, row{g.String() + " after retry", []wire.Group{wire.X25519MLKEM768, g}, serverConfig(g), g, true})
		}
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			a, b := pair(t)
			client := tls.Client(a, &tls.Config{CurvePreferences: curveIDs(r.offer), RootCAs: testIdentity().roots, ServerName: "hybridlab.test"})
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := client.Handshake(); err != nil {
					t.Errorf("client: %v", err)
				}
			})
			server, err := Server(b, r.accept)
			if err != nil {
				t.Fatalf("server: %v", err)
			}
			wg.Wait()
			if server.State.Group != r.want || server.State.Retry != r.retry {
				t.Errorf("got %v, retry %v; want %v, retry %v", server.State.Group, server.State.Retry, r.want, r.retry)
			}
			if cs := client.ConnectionState(); wire.Group(cs.CurveID) != r.want || cs.HelloRetryRequest != r.retry {
				t.Errorf("crypto/tls says %v, retry %v", cs.CurveID, cs.HelloRetryRequest)
			}
			talk(t, client, server)
		})
	}
}

// TestRefusals: what must not come to a handshake, and the alert the other
// end hears.
func TestRefusals(t *testing.T) {
	x := []wire.Group{wire.X25519}
	otherRoots := clientConfig(x, nil)
	otherRoots.Roots = x509.NewCertPool()
	wrongName := clientConfig(x, nil)
	wrongName.ServerName = "elsewhere.test"
	wrongKey := serverConfig(wire.X25519)
	wrongKey.Key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	for _, r := range []struct {
		name   string
		client Config
		server Config
		heard  uint8 // by whom depends on the case
	}{
		{"no group in common", clientConfig(x, nil), serverConfig(wire.SecP256r1), alertHandshakeFailure},
		{"draft against final", clientConfig([]wire.Group{0x6399}, nil), serverConfig(wire.X25519MLKEM768), alertHandshakeFailure},
		{"unknown authority", otherRoots, serverConfig(wire.X25519), alertUnknownCA},
		{"wrong name", wrongName, serverConfig(wire.X25519), alertBadCertificate},
		{"wrong key", clientConfig(x, nil), wrongKey, alertDecryptError},
	} {
		t.Run(r.name, func(t *testing.T) {
			client, server, cerr, serr := both(t, r.client, r.server)
			var heard RemoteAlert
			if !errors.As(cerr, &heard) && !errors.As(serr, &heard) {
				t.Fatalf("nobody heard an alert: client %v, server %v", cerr, serr)
			}
			if heard.Code != r.heard {
				t.Errorf("heard %v, want code %d", heard, r.heard)
			}
			if client.State.Done || server.State.Done {
				t.Error("an end claims the handshake completed")
			}
		})
	}
}

func TestTLS12ServerIsRefused(t *testing.T) {
	a, b := pair(t)
	id := testIdentity()
	server := tls.Server(b, &tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: id.chain, PrivateKey: id.key}}})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Handshake(); err == nil {
			t.Error("a TLS 1.2 server took a TLS 1.3 hello")
		}
	})
	_, err := Client(a, clientConfig([]wire.Group{wire.X25519}, nil))
	var heard RemoteAlert
	if !errors.As(err, &heard) || heard.Code != alertProtocolVersion {
		t.Errorf("client: %v, want alert protocol_version", err)
	}
	wg.Wait()
}

// TestShape looks at the bytes: sizes, record cuts and write cuts are what
// was asked for.
func TestShape(t *testing.T) {
	a, b := pair(t)
	cfg := clientConfig([]wire.Group{wire.X25519MLKEM768, wire.X25519}, []wire.Group{wire.X25519, wire.X25519MLKEM768})
	cfg.Shape = Shape{PadTo: 2000, Records: []int{1, 500}, Segments: []int{1, 1448}}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := Server(b, serverConfig(wire.X25519MLKEM768)); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	if _, err := Client(a, cfg); err != nil {
		t.Fatalf("client: %v", err)
	}
	wg.Wait()
	stream := a.written()
	var records []int
	for at := 0; at < 2010; {
		n := int(stream[at+3])<<8 | int(stream[at+4])
		records = append(records, n)
		at += 5 + n
	}
	if want := []int{1, 499, 1495}; !slices.Equal(records, want) {
		t.Errorf("records of %v bytes, want %v", records, want)
	}
	var writes []int
	for _, w := range a.writes[:3] {
		writes = append(writes, len(w))
	}
	if want := []int{1, 1447, 562}; !slices.Equal(writes, want) {
		t.Errorf("writes of %v bytes, want %v", writes, want)
	}
	if x, h := bytes.Index(stream, []byte{0, 29, 0, 32}), bytes.Index(stream, []byte{0x11, 0xec, 0x04, 0xc0}); x < 0 || h < x {
		t.Errorf("shares at %d (X25519) and %d (hybrid), want that order", x, h)
	}
}

func TestPadToIsExact(t *testing.T) {
	plain, err := testHello(t).marshal(Shape{})
	if err != nil {
		t.Fatal(err)
	}
	size := len(plain) + recordHeader
	for _, r := range []struct{ ask, want int }{
		{0, size}, {size - 1, size}, {size, size},
		{size + 1, size + 4}, {size + 4, size + 4}, {size + 5, size + 5}, {1500, 1500}, {16000, 16000},
	} {
		m, err := testHello(t).marshal(Shape{PadTo: r.ask})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(m) + recordHeader; got != r.want {
			t.Errorf("asked for %d bytes, got %d, want %d", r.ask, got, r.want)
		}
	}
}

// TestSharesHaveRegisteredSizes holds the groups against the lab's registry.
func TestSharesHaveRegisteredSizes(t *testing.T) {
	for g, x := range exchanges {
		info, ok := g.Info()
		share, answer := x.sizes()
		if !ok || info.ClientShare != share || info.ServerShare != answer {
			t.Errorf("%v: shares of %d and %d bytes, registry says %d and %d", g, share, answer, info.ClientShare, info.ServerShare)
		}
		if len(x) == 2 {
			first, _, _ := strings.Cut(info.Layout, ", then")
			kemFirst := strings.HasPrefix(first, "ML-KEM") || strings.HasPrefix(first, "Kyber")
			if _, isKEM := x[0].(circlKEM); isKEM != kemFirst {
				t.Errorf("%v: halves the other way round than the registry's %q", g, info.Layout)
			}
		}
	}
}

func TestMalformedSharesAreRefused(t *testing.T) {
	for g, x := range exchanges {
		share, _, err := x.generate()
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{nil, share[:len(share)-1], append(slices.Clone(share), 0)} {
			if _, _, err := x.seal(bad); err == nil {
				t.Errorf("%v: took a share of %d bytes for one of %d", g, len(bad), len(share))
			}
		}
	}
	for _, bad := range []struct {
		group wire.Group
		share []byte
	}{
		{wire.X25519, make([]byte, 32)},                                        // small order
		{wire.SecP256r1, append([]byte{4}, make([]byte, 64)...)},               // not on the curve
		{wire.MLKEM768, bytes.Repeat([]byte{0xff}, 1184)},                      // not reduced modulo q, FIPS 203 section 7.2
		{wire.SecP256r1MLKEM768, bytes.Repeat([]byte{6}, 65+1184)},             // hybrid point form of X9.62
		{wire.X25519MLKEM768, append(make([]byte, 1184), make([]byte, 32)...)}, // the KEM half is fine, the curve's is not
	} {
		if _, _, err := exchanges[bad.group].seal(bad.share); err == nil {
			t.Errorf("%v: took a malformed share", bad.group)
		}
	}
}

func TestUnknownGroup(t *testing.T) {
	a, _ := pair(t)
	_, err := Client(a, clientConfig([]wire.Group{0x1234}, nil))
	if err == nil || !strings.Contains(err.Error(), "X25519MLKEM768") {
		t.Errorf("error %v does not name the groups there are", err)
	}
	// Advertising what one cannot compute is fine as long as nobody picks it.
	client, _, cerr, serr := both(t, clientConfig([]wire.Group{0x1234, wire.X25519}, []wire.Group{wire.X25519}), serverConfig(wire.X25519))
	if cerr != nil || serr != nil || client.State.Group != wire.X25519 {
		t.Errorf("client %v, server %v", cerr, serr)
	}
}

func TestTruncatedStreamIsNotAClose(t *testing.T) {
	client, server, cerr, serr := both(t, clientConfig([]wire.Group{wire.X25519}, nil), serverConfig(wire.X25519))
	if cerr != nil || serr != nil {
		t.Fatal(cerr, serr)
	}
	server.net.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read after a bare FIN: %v, want unexpected EOF", err)
	}
}

// TestHybridsAgreeWithCircl: where circl has the hybrid as a whole, its halves
// and secrets are in the same order as ours.
func TestHybridsAgreeWithCircl(t *testing.T) {
	for g, scheme := range map[wire.Group]circl.Scheme{
		wire.X25519MLKEM768: hybrid.X25519MLKEM768(),
		0x6399:              hybrid.Kyber768X25519(),
		0xfe30:              hybrid.Kyber512X25519(),
		0xfe32:              hybrid.P256Kyber768Draft00(),
		0x2f90:              hybrid.Kyber768X448(),
	} {
		share, open, err := exchanges[g].generate()
		if err != nil {
			t.Fatal(err)
		}
		pub, err := scheme.UnmarshalBinaryPublicKey(share)
		if err != nil {
			t.Fatalf("%v: circl does not take our share: %v", g, err)
		}
		answer, want, err := scheme.Encapsulate(pub)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(answer); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: secrets differ (%v)", g, err)
		}
	}
}
