package box

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"slices"
	"sync"
)

// Identity is what a box that ends TLS shows its clients, and whom it trusts
// itself: PEM. Like the interception proxies it stands for, its certificate
// has the server's name and an issuer the clients trust.
type Identity struct {
	Cert, Key []byte
	Roots     []byte
}

// legs are the groups that a box negotiates on either side, best first.
type legs struct{ client, server []tls.CurveID }

// everyGroup is what crypto/tls can do.
var everyGroup = []tls.CurveID{
	tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024,
	tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
}

func legsOf(a Action) *legs {
	if a.Name == "reencrypt" {
		return &legs{curves(a.Codes), curves(a.Back)}
	}
	left := slices.DeleteFunc(slices.Clone(everyGroup), func(g tls.CurveID) bool { return slices.Contains(a.Codes, uint16(g)) })
	return &legs{left, left}
}

func curves(codes []uint16) []tls.CurveID {
	var out []tls.CurveID
	for _, c := range codes {
		out = append(out, tls.CurveID(c))
	}
	return out
}

// decrypt ends TLS on both sides and passes on what was said: first with the
// server, whose refusal is then also the client's.
func (v *visit) decrypt(ctx context.Context, server Conn) {
	cert, err := tls.X509KeyPair(v.site.TLS.Cert, v.site.TLS.Key)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(v.site.TLS.Roots) {
		v.client.Reset()
		return
	}
	far := tls.Client(server, &tls.Config{ServerName: v.hello.name, RootCAs: roots, CurvePreferences: v.legs.server})
	near := tls.Server(&resumed{Conn: v.client, head: v.stream().data}, &tls.Config{Certificates: []tls.Certificate{cert}, CurvePreferences: v.legs.client})
	if far.HandshakeContext(ctx) != nil || near.HandshakeContext(ctx) != nil {
		v.client.CloseWrite()
		io.Copy(io.Discard, v.client)
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(far, near); far.CloseWrite() })
	wg.Go(func() { io.Copy(near, far); near.CloseWrite() })
	wg.Wait()
}

// resumed is a connection of which some was read already.
type resumed struct {
	net.Conn
	head []byte
}

func (c *resumed) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	c.head = c.head[n:]
	return n, nil
}
