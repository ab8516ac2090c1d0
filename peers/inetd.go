package peers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"

	"hybridlab/lab"
	"hybridlab/peers/agent"
)

// inetd makes a peer of CONTRACT.md out of a program that can do TLS on one
// connection and nothing else, as that of a library that comes without a
// server of its own (docker/nss): the connection is the program's standard
// input, which is how inetd(8) starts its services. The variables and the exit
// codes are the contract's; the line of JSON may leave out the error, which
// is then what the program wrote on standard error. A process for every
// connection also means that one that crashes takes no other with it.
type inetd struct {
	argv    []string
	timeout time.Duration // for one connection
}

// byInetd is the driver of such a peer.
func byInetd(limits func(lab.Role, lab.Offer) error, argv ...string) contract {
	return contract{argv: append([]string{Binary, "peer", inetdName}, argv...), limits: limits}
}

const inetdName = "inetd"

// maxSaid bounds what is kept of a program's output, bytes of each stream.
const maxSaid = 64 << 10

// main is "hybridlab peer inetd PROGRAM [ARGUMENT...]".
func (p inetd) main(ctx context.Context, getenv func(string) string, stdout, stderr io.Writer) int {
	// Without a connection it can only say what it is, or that it cannot do
	// what is wanted.
	res := p.run(ctx, nil)
	role := lab.Role(getenv(envRole))
	if role == roleVersion || res.Exit == exitUnsupported || res.Exit == exitUsage {
		stdout.Write(res.Stdout)
		stderr.Write(res.Stderr)
		return res.Exit
	}
	r, err := readRequest(getenv)
	if err != nil {
		fmt.Fprintln(stderr, "hybridlab peer:", err)
		return exitUsage
	}
	p.timeout = r.timeout()
	say := json.NewEncoder(stdout)
	if role == lab.ServerRole {
		err = p.listen(ctx, r.Addr, say)
	} else {
		err = p.connect(ctx, r.Addr, say)
	}
	if err != nil {
		fmt.Fprintln(stderr, "hybridlab peer:", err)
		return exitFailed
	}
	return exitOK
}

func (p inetd) connect(ctx context.Context, addr netip.AddrPort, say *json.Encoder) error {
	conn, err := (&net.Dialer{Timeout: p.timeout}).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return fmt.Errorf("connect: %s", words(err))
	}
	end := p.on(ctx, conn.(*net.TCPConn))
	say.Encode(line{End: end})
	if !end.Data {
		return fmt.Errorf("connect: %s", cmp.Or(end.Error, "no answer"))
	}
	return nil
}

func (p inetd) listen(ctx context.Context, addr netip.AddrPort, say *json.Encoder) error {
	ln, err := net.Listen("tcp", addr.String())
	if err != nil {
		return err
	}
	var mu sync.Mutex
	return accept(ctx, ln, func(conn net.Conn) {
		remote, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
		end := p.on(ctx, conn.(*net.TCPConn))
		mu.Lock()
		defer mu.Unlock()
		say.Encode(line{netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()).String(), end}) // nobody is left to tell when standard output is gone
	})
}

// on runs the program on a connection, and closes that.
func (p inetd) on(ctx context.Context, conn *net.TCPConn) lab.End {
	f, err := conn.File()
	conn.Close()
	if err != nil {
		return lab.End{Error: words(err)}
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	end, _ := contract{}.parse(Request{}, p.run(ctx, f))
	end.TimedOut = ctx.Err() != nil
	return end
}

// run runs the program to its end, on a connection or on none.
func (p inetd) run(ctx context.Context, conn *os.File) agent.Result {
	var stdout, stderr clipped
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // for what it may have left running
	if conn != nil {
		cmd.Stdin = conn
	}
	err := cmd.Run()
	res := agent.Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Exit: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || res.Exit < 0) { // not started, or ended by a signal
		res.Exit, res.Stderr = exitFailed, fmt.Appendf(nil, "%v: %s", err, res.Stderr)
	}
	return res
}

// clipped keeps the start of what is written to it.
type clipped struct{ bytes.Buffer }

func (c *clipped) Write(b []byte) (int, error) {
	c.Buffer.Write(b[:min(len(b), maxSaid-c.Len())])
	return len(b), nil
}
