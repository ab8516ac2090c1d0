// Package control is the one wire between the lab and its own processes in
// containers: the agent of a peer and the path engine.
//
// It is net/rpc (gob) over a single TCP connection, opened by the lab and
// greeted with a token that only the lab and that container know. The
// connection is also the lease: a process that is served by Server.Serve
// lives exactly as long as its controller is connected, so a lab that dies
// without a word leaves nothing running. That is why there is one connection,
// and why a second one is refused.
//
// The package knows neither containers nor TLS, so that both sides of the
// lab that must not import each other (peers and netem) can share it.
package control

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"strings"
	"sync"
	"time"
)

const (
	// Port is the TCP port a controlled process listens on in its container.
	Port = 6116
	// TokenEnv is the environment variable that carries the token into the container.
	TokenEnv = "HYBRIDLAB_TOKEN"
)

const (
	greeting = "hybridlab control 1 " // and the token
	welcome  = "ok"
	maxLine  = 256 // bytes of a greeting or its answer
)

// greetTime is how long a stranger may take to say the greeting. Greetings
// are read one after the other, so it is also what one silent stranger costs.
const greetTime = time.Second

// NewToken makes a token: 128 random bits or more, printable.
func NewToken() string { return rand.Text() }

// Server waits for its one controller.
type Server struct {
	Token string
	// Patience is how long to wait for the controller; 0 means a minute.
	// A container whose lab died before it could connect ends this way.
	Patience time.Duration
}

// Serve offers the exported RPC methods of service, under name, to the first
// connection on ln that knows the token. It closes ln as soon as that
// connection is there and returns nil when it is gone; calls may then still
// be running, and their results go nowhere.
func (s Server) Serve(ln net.Listener, name string, service any) error {
	defer ln.Close()
	if len(s.Token) == 0 {
		return fmt.Errorf("serve %s: no token: set %s", name, TokenEnv)
	}
	conn, err := s.accept(ln)
	if err != nil {
		return fmt.Errorf("wait for the controller of %s: %w", name, err)
	}
	ln.Close()
	r := rpc.NewServer()
	if err := r.RegisterName(name, service); err != nil {
		conn.Close()
		return fmt.Errorf("serve %s: %w", name, err)
	}
	if err := r.RegisterName(pulseName, pulse{}); err != nil {
		conn.Close()
		return fmt.Errorf("serve %s: %w", pulseName, err)
	}
	watched := watch(conn)
	go r.ServeConn(watched)
	<-watched.gone // ServeConn itself would wait for the calls in flight
	return nil
}

func (s Server) accept(ln net.Listener) (net.Conn, error) {
	patience := s.Patience
	if patience == 0 {
		patience = time.Minute
	}
	give := time.AfterFunc(patience, func() { ln.Close() })
	for {
		conn, err := ln.Accept()
		if err != nil {
			return nil, fmt.Errorf("nobody came within %v: %w", patience, err)
		}
		if err := s.greet(conn); err != nil {
			conn.Close()
			continue
		}
		give.Stop()
		return conn, nil
	}
}

// greet hears the token of a new connection.
func (s Server) greet(conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(greetTime))
	line, err := readLine(conn)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(line), []byte(greeting+s.Token)) != 1 {
		io.WriteString(conn, "wrong token\n")
		return errWrongToken
	}
	if _, err := io.WriteString(conn, welcome+"\n"); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

var errWrongToken = errors.New("wrong token")

// readLine reads up to a newline and not a byte further, because what
// follows belongs to the RPC codec.
func readLine(r io.Reader) (string, error) {
	var line strings.Builder
	for b := make([]byte, 1); line.Len() < maxLine; {
		if _, err := io.ReadFull(r, b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return line.String(), nil
		}
		line.WriteByte(b[0])
	}
	return "", fmt.Errorf("read greeting: no newline in %d bytes", maxLine)
}

// watchedConn notices the end of the connection: an RPC connection always has
// a read pending, so the first failed read is the end, at either side.
type watchedConn struct {
	net.Conn
	once sync.Once
	gone chan struct{}
}

func watch(c net.Conn) *watchedConn {
	return &watchedConn{Conn: c, gone: make(chan struct{})}
}

func (w *watchedConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.once.Do(func() { close(w.gone) })
	}
	return n, err
}
