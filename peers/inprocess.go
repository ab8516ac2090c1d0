package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"hybridlab/lab"
)

// Local is a peer that runs in this process, over connections it is given.
type Local struct {
	peer Peer
}

// stack is a TLS implementation in Go.
type stack interface {
	// client performs a handshake. The account holds what is known even where
	// there is an error; the session is nil then.
	client(net.Conn, Request) (session, account, error)
	// server prepares what many connections share.
	server(Request) (func(net.Conn) (session, account, error), error)
}

// session is an established TLS connection.
type session interface {
	io.ReadWriter
	CloseWrite() error
}

// account is what a stack claims of one connection.
type account struct {
	end    lab.End
	keylog []byte
}

// InProcess finds a peer that runs in this process; the error names those
// that do.
func InProcess(id lab.PeerID) (Local, error) {
	p, err := Lookup(id)
	if err != nil {
		return Local{}, err
	}
	if p.local == nil {
		var ids []string
		for _, q := range table {
			if q.local != nil && q.About == "" {
				ids = append(ids, string(q.ID))
			}
		}
		return Local{}, fmt.Errorf("run %s in this process: it needs a container, unlike %s", id, strings.Join(ids, ", "))
	}
	return Local{p}, nil
}

// Dial is a client's whole part on conn: handshake, request, answer, close. It
// returns when conn is closed, at the latest at the request's timeout or when
// ctx ends. An offer the peer has no words for comes back as exit 127.
func (l Local) Dial(ctx context.Context, conn net.Conn, r Request) (lab.End, []byte) {
	defer conn.Close()
	if err := l.peer.Supports(lab.ClientRole, r.Offer); err != nil {
		return refused(err), nil
	}
	defer limit(ctx, conn, r)()
	s, a, err := l.peer.local.client(conn, r)
	if err == nil {
		a.end.Done = true
		a.end.Data, err = ask(s, r)
	}
	return a.settle(err), a.keylog
}

// Serve is a server's part: it serves every connection of ln at once and
// reports each to report, which must be safe for concurrent use, as soon as
// its answer is sent or it failed. It returns when ctx ends, after closing ln and
// its connections, or with an error when it cannot start.
func (l Local) Serve(ctx context.Context, ln net.Listener, r Request, report func(netip.AddrPort, lab.End, []byte)) error {
	if err := l.peer.Supports(lab.ServerRole, r.Offer); err != nil {
		ln.Close()
		return err
	}
	handshake, err := l.peer.local.server(r)
	if err != nil {
		ln.Close()
		return err
	}
	return accept(ctx, ln, func(conn net.Conn) { serveOne(ctx, conn, r, handshake, report) })
}

// accept hands every connection of ln to serve, all at once. It returns when
// ctx has ended and all are served, after closing ln.
func accept(ctx context.Context, ln net.Listener, serve func(net.Conn)) error {
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			ln.Close()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept connections: %w", err)
		}
		wg.Go(func() { serve(conn) })
	}
}

func serveOne(ctx context.Context, conn net.Conn, r Request, handshake func(net.Conn) (session, account, error), report func(netip.AddrPort, lab.End, []byte)) {
	defer conn.Close()
	defer limit(ctx, conn, r)()
	addr := conn.RemoteAddr()
	if addr == nil {
		return // reset before it was our turn: nobody is left to serve
	}
	remote, _ := netip.ParseAddrPort(addr.String())
	s, a, err := handshake(conn)
	if err == nil {
		a.end.Done = true
		a.end.Data, err = answer(s)
	}
	report(remote, a.settle(err), a.keylog)
	if err == nil {
		drain(s)
	}
}

// limit makes conn fail at the request's timeout or when ctx ends. The
// function it returns lets go of ctx.
func limit(ctx context.Context, conn net.Conn, r Request) (release func() bool) {
	conn.SetDeadline(time.Now().Add(r.timeout()))
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

// settle completes an account with how it ended.
func (a account) settle(err error) lab.End {
	end := a.end
	if err != nil {
		var timeout net.Error
		end.TimedOut = errors.As(err, &timeout) && timeout.Timeout()
		end.Error = clip(words(err))
	}
	if !end.Done || !end.Data {
		end.Exit = 1
	}
	return end
}

// words is the error without addresses and ports, which differ from run to
// run and would make equal failures look different.
func words(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Sprintf("%s: %v", op.Op, op.Err)
	}
	return err.Error()
}

func refused(err error) lab.End {
	return lab.End{Exit: exitUnsupported, Unsupported: err.Error()}
}

// The application data of a cell is one HTTP/1.0 exchange: the simplest
// protocol every TLS tool and server speaks, with the end of the answer
// marked by the end of the connection.
const (
	maxRequest = 8 << 10
	maxAnswer  = 64 << 10
)

const httpAnswer = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhybridlab\n"

// request is what a client sends.
func (r Request) request() []byte {
	return fmt.Appendf(nil, "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n", r.Token, r.sni())
}

// isAnswer reports whether a client's application data is an HTTP answer.
func isAnswer(data []byte) bool { return bytes.HasPrefix(data, []byte("HTTP/1.")) }

// ask sends the request and reads the answer to its end.
func ask(s session, r Request) (got bool, err error) {
	if _, err := s.Write(r.request()); err != nil {
		return false, fmt.Errorf("send request: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(s, maxAnswer))
	switch {
	case isAnswer(data):
		s.CloseWrite() // the answer is there: what happens to the goodbye does not matter
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read answer: %w", err)
	case len(data) == 0:
		return false, errors.New("read answer: the server closed without one")
	}
	return false, fmt.Errorf("read answer: not HTTP: it begins with %q", data[:min(16, len(data))])
}

// answer reads a request and answers it.
func answer(s session) (got bool, err error) {
	var req []byte
	buf := make([]byte, 1024)
	for !bytes.Contains(req, []byte("\r\n\r\n")) {
		n, err := s.Read(buf)
		req = append(req, buf[:n]...)
		if err != nil {
			return false, fmt.Errorf("read request: %w", err)
		}
		if len(req) > maxRequest {
			return false, fmt.Errorf("read request: no end in %d bytes", len(req))
		}
	}
	if !bytes.HasPrefix(req, []byte("GET /")) {
		return false, fmt.Errorf("read request: want GET, it begins with %q", req[:min(16, len(req))])
	}
	if _, err := io.WriteString(s, httpAnswer); err != nil {
		return true, fmt.Errorf("send answer: %w", err)
	}
	return true, s.CloseWrite()
}

// drain waits for the client to close. Closing first, with its goodbye still
// under way, would answer it with a TCP reset.
func drain(s session) {
	buf := make([]byte, 1024)
	for {
		if _, err := s.Read(buf); err != nil {
			return
		}
	}
}
