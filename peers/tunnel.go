package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
)

// middleboxName is the hidden subcommand of our own programs that run in a
// middlebox's container.
const middleboxName = "middlebox"

const middleboxUsage = "usage: hybridlab middlebox version | " + snirouterName + " LISTEN SERVER NAME OTHERS | " + connectName + " LISTEN SERVER PROXY"

// MiddleboxMain is "hybridlab middlebox PROGRAM [ARGUMENT...]". It returns the
// exit code.
func MiddleboxMain(args []string) int {
	err := middlebox(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hybridlab middlebox:", err)
		return exitFailed
	}
	return exitOK
}

func middlebox(args []string) error {
	switch program := strings.Join(args[:min(1, len(args))], ""); {
	case program == "version" && len(args) == 1:
		_, err := fmt.Println("hybridlab's own, " + runtime.Version())
		return err
	case program == snirouterName && len(args) == 5:
		return serveAll(args[1], func(c *net.TCPConn) error { return snirouter(c, args[2], args[3], args[4]) })
	case program == connectName && len(args) == 4:
		return serveAll(args[1], func(c *net.TCPConn) error { return connect(c, args[2], args[3]) })
	}
	return fmt.Errorf("%q: %s", args, middleboxUsage)
}

// serveAll serves connections until the process ends.
func serveAll(listen string, serve func(*net.TCPConn) error) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			if err := serve(c.(*net.TCPConn)); err != nil {
				fmt.Fprintf(os.Stderr, "%v: %v\n", c.RemoteAddr(), err)
			}
		}()
	}
}

const connectName = "connect"

// connect brings a client to a server through a proxy that wants to be asked
// (RFC 9110 section 9.3.6), for clients that know nothing of proxies.
func connect(client *net.TCPConn, server, proxy string) error {
	p, err := net.Dial("tcp", proxy)
	if err != nil {
		return err
	}
	defer p.Close()
	if _, err := fmt.Fprintf(p, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", server); err != nil {
		return err
	}
	// The reader may be let go: a TLS server does not speak first.
	answer, err := http.ReadResponse(bufio.NewReader(p), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fmt.Errorf("ask proxy %s for %s: %w", proxy, server, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask proxy %s for %s: %s", proxy, server, answer.Status)
	}
	return relay(client, p.(*net.TCPConn))
}

// passOn connects to a server, repeats what the client has said already, and
// relays the rest.
func passOn(client *net.TCPConn, server string, said []byte) error {
	s, err := net.Dial("tcp", server)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Write(said); err != nil {
		return err
	}
	return relay(client, s.(*net.TCPConn))
}

// relay copies in both directions until both have ended.
func relay(a, b *net.TCPConn) error {
	back := make(chan error)
	go func() { back <- copyReads(a, b) }()
	return errors.Join(copyReads(b, a), <-back)
}

// copyReads makes a write of every read, so that cuts stay where they were,
// and then passes on how it ended: a reset is one on both sides.
func copyReads(to, from *net.TCPConn) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 64<<10))
	if err == nil {
		return to.CloseWrite()
	}
	for _, c := range []*net.TCPConn{to, from} {
		c.SetLinger(0)
		c.Close()
	}
	return err
}
