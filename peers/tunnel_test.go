package peers

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// listener serves every connection on loopback.
func listener(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c.(*net.TCPConn)) }()
		}
	}()
	return ln.Addr().String()
}

// named answers everybody with a name and ends.
func named(t *testing.T, name string) string {
	return listener(t, func(c *net.TCPConn) {
		io.WriteString(c, name)
		c.CloseWrite()
		io.Copy(io.Discard, c)
	})
}

func connectTo(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn)
}

// helloFor is the ClientHello of crypto/tls for a name, in its record.
func helloFor(t testing.TB, name string) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	b := make([]byte, 16<<10)
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func TestSNIRouter(t *testing.T) {
	server, others := named(t, "server"), named(t, "others")
	router := listener(t, func(c *net.TCPConn) { snirouter(c, server, "a.test", others) })
	whole := helloFor(t, "a.test")
	for what, tc := range map[string]struct {
		first []byte
		want  string
	}{
		"whole hello":  {whole, "server"},
		"half a hello": {whole[:len(whole)/2], "others"},
		"other name":   {helloFor(t, "b.test"), "others"},
		"no TLS":       {[]byte("GET / HTTP/1.0\r\n\r\n"), "others"},
	} {
		c := connectTo(t, router)
		c.Write(tc.first)
		if got, err := io.ReadAll(c); err != nil || string(got) != tc.want {
			t.Errorf("%s: reached %q, %v; want %q", what, got, err, tc.want)
		}
	}
}

// Nothing is found in pieces of a hello.
func TestServerNameOfPrefixes(t *testing.T) {
	hello := helloFor(t, ServerName)
	for n := range hello {
		if got := serverName(hello[:n]); got != "" {
			t.Errorf("%d bytes of %d: %q", n, len(hello), got)
		}
	}
	if got := serverName(hello); got != ServerName {
		t.Errorf("the whole: %q", got)
	}
}

func FuzzServerName(f *testing.F) {
	f.Add(helloFor(f, ServerName))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := serverName(b); !bytes.Contains(b, []byte(got)) {
			t.Errorf("%q is not in it", got)
		}
	})
}

// proxy answers CONNECT with a status and then talks to the server itself.
func proxy(t *testing.T, status string, serve func(*net.TCPConn)) string {
	return listener(t, func(c *net.TCPConn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil || r.Method != http.MethodConnect || r.Host != "192.0.2.1:443" {
			t.Errorf("asked %+v, %v", r, err)
			return
		}
		io.WriteString(c, "HTTP/1.1 "+status+"\r\n\r\n")
		serve(c)
	})
}

func TestConnectKeepsCuts(t *testing.T) {
	heard := make(chan string)
	p := proxy(t, "200 Connection established", func(c *net.TCPConn) {
		b := make([]byte, 100)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
			c.Write([]byte{'!'})
		}
	})
	adapter := listener(t, func(c *net.TCPConn) { connect(c, "192.0.2.1:443", p) })
	c := connectTo(t, adapter)
	for _, piece := range []string{"first", "second"} {
		io.WriteString(c, piece)
		if got := <-heard; got != piece {
			t.Errorf("the proxy read %q, want %q", got, piece)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	c.CloseWrite()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

func TestConnectRefused(t *testing.T) {
	p := proxy(t, "403 Forbidden", func(*net.TCPConn) {})
	failed := make(chan error, 1)
	adapter := listener(t, func(c *net.TCPConn) { failed <- connect(c, "192.0.2.1:443", p) })
	if got, err := io.ReadAll(connectTo(t, adapter)); err != nil || len(got) > 0 {
		t.Errorf("the client read %q, %v", got, err)
	}
	if err := <-failed; err == nil {
		t.Error("no error")
	}
}

func TestRelayPassesOnAReset(t *testing.T) {
	server := listener(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, len("hello, server")))
		c.SetLinger(0)
	})
	adapter := listener(t, func(c *net.TCPConn) { passOn(c, server, []byte("hello")) })
	c := connectTo(t, adapter)
	io.WriteString(c, ", server")
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server reset, the client has %v", err)
	}
}

func TestMiddleboxArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"nonsense"}, {connectName, "127.0.0.1:0"}, {snirouterName}, {"version", "x"}} {
		if err := middlebox(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	if err := middlebox([]string{connectName, "nowhere", "a", "b"}); err == nil {
		t.Error("listens nowhere")
	}
}
