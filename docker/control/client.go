package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"sync/atomic"
	"time"
)

// ErrGone is what calls return, wrapped, once the process at the other end is
// gone: killed, out of memory, or its container stopped.
var ErrGone = errors.New("control connection lost")

// dialPause is the pause between attempts to reach a process that is still
// starting.
const dialPause = 5 * time.Millisecond

// Client is the lab's end of a control connection. It is safe for concurrent
// use; calls run side by side.
type Client struct {
	rpc    *rpc.Client
	conn   *watchedConn
	silent atomic.Value // the error of a process that stopped answering
}

// Dial connects to the process at addr ("127.0.0.1:49153") and says the
// token. It goes on trying until ctx ends, because a container is "started"
// before its process listens; a wrong token ends it at once.
func Dial(ctx context.Context, addr, token string) (*Client, error) {
	tick := time.NewTicker(dialPause)
	defer tick.Stop()
	var last error // what the other end did, not how our patience ended
	for {
		conn, err := dial(ctx, addr, token)
		if err == nil {
			w := watch(conn)
			c := &Client{rpc: rpc.NewClient(w), conn: w}
			go c.keepAsking(pulseEvery, silence)
			return c, nil
		}
		if errors.Is(err, errWrongToken) {
			return nil, fmt.Errorf("dial %s: %w", addr, err)
		}
		if last == nil || !errors.Is(err, context.DeadlineExceeded) {
			last = err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("dial %s: %w (last answer: %v)", addr, ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// dial makes one attempt. A port published by Docker accepts connections
// before anything listens behind it, so only the answer counts.
func dial(ctx context.Context, addr, token string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(5 * greetTime))
	if err := sayHello(conn, token); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

func sayHello(conn net.Conn, token string) error {
	if _, err := io.WriteString(conn, greeting+token+"\n"); err != nil {
		return err
	}
	answer, err := readLine(conn)
	switch {
	case err != nil:
		return err
	case answer == errWrongToken.Error():
		return errWrongToken
	case answer != welcome:
		return fmt.Errorf("unexpected answer %q", answer)
	}
	return nil
}

// Call calls the method ("Agent.Run") and waits for its reply or for the end
// of ctx. After ctx ends the call may still be running at the other end and
// may still write to reply: the caller must not look at reply again.
func (c *Client) Call(ctx context.Context, method string, args, reply any) error {
	call := c.rpc.Go(method, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if why, ok := c.silent.Load().(error); ok && call.Error != nil {
			return fmt.Errorf("call %s: %w: %v", method, ErrGone, why)
		}
		return callError(method, call.Error)
	case <-ctx.Done():
		return fmt.Errorf("call %s: %w", method, ctx.Err())
	}
}

func callError(method string, err error) error {
	var answered rpc.ServerError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answered):
		return errors.New(string(answered))
	}
	return fmt.Errorf("call %s: %w: %v", method, ErrGone, err)
}

// Gone is closed when the process at the other end is gone.
func (c *Client) Gone() <-chan struct{} { return c.conn.gone }

// Close ends the connection, and with it the process at the other end.
func (c *Client) Close() error { return c.rpc.Close() }
