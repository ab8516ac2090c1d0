package agent

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"hybridlab/docker/control"
)

// Client talks to the agent of one peer. It is safe for concurrent use, and
// commands run side by side. Errors wrap control.ErrGone when the agent, and
// with it the container, is gone.
type Client struct {
	c    *control.Client
	last atomic.Uint64
}

// EndedError is the error of a server that was started and did not become
// ready: it ended by itself, or was killed for being late.
type EndedError struct {
	Why    string // in words, with the end of what it said
	Result Result // how it ended
}

func (e *EndedError) Error() string { return e.Why }

// Dial connects to the agent whose control port is published at addr. It
// tries until ctx ends, because the container may just have been started.
func Dial(ctx context.Context, addr, token string) (*Client, error) {
	c, err := control.Dial(ctx, addr, token)
	if err != nil {
		return nil, fmt.Errorf("connect to the agent: %w", err)
	}
	return &Client{c: c}, nil
}

// Run runs cmd to its end and returns what came of it. A command that fails
// or cannot be started is a Result; an error means that nothing is known.
// When ctx ends first, the command is killed.
func (c *Client) Run(ctx context.Context, cmd Command) (Result, error) {
	id := c.newID()
	res := new(Result)
	if err := c.c.Call(ctx, rpcName+".Run", &runArgs{id, cmd}, res); err != nil {
		return Result{}, c.abandon(ctx, id, err)
	}
	return *res, nil
}

// Start starts a server and returns when it is ready, as cmd.Ready says. For
// a server that ends instead, or is not ready in time, the error is an
// *EndedError. The server has to be ended by Stop.
func (c *Client) Start(ctx context.Context, cmd Command) (id string, err error) {
	id = c.newID()
	early := new(startReply)
	if err := c.c.Call(ctx, rpcName+".Start", &runArgs{id, cmd}, early); err != nil {
		return "", c.abandon(ctx, id, err)
	}
	if early.Why != "" {
		return "", &EndedError{Why: early.Why, Result: early.Result}
	}
	return id, nil
}

// Lines returns the lines in the output of a started command, both streams,
// that contain text: the oldest want of them, or with want 0 all that are
// there. It waits at most wait for that many and returns fewer when the time
// is up or the command has ended. The latest MiB of lines is kept.
func (c *Client) Lines(ctx context.Context, id, text string, want int, wait time.Duration) ([]string, error) {
	lines := new([]string)
	if err := c.c.Call(ctx, rpcName+".Lines", &lineArgs{id, text, want, wait}, lines); err != nil {
		return nil, err
	}
	return *lines, nil
}

// Wait waits for a started command to end by itself. When ctx ends first the
// command goes on. The result can be asked for until Stop fetches it.
func (c *Client) Wait(ctx context.Context, id string) (Result, error) {
	return c.end(ctx, "Wait", id)
}

// Stop ends a started command and fetches its result: SIGTERM, and SIGKILL
// half a second later. One that has ended already is fetched all the same.
func (c *Client) Stop(ctx context.Context, id string) (Result, error) {
	return c.StopAfter(ctx, id, 0)
}

// StopAfter is Stop for a server that ends by itself when it has served: it
// gets that long to say its last words first.
func (c *Client) StopAfter(ctx context.Context, id string, grace time.Duration) (Result, error) {
	return c.end(ctx, "Stop", &stopArgs{id, grace})
}

func (c *Client) end(ctx context.Context, method string, args any) (Result, error) {
	res := new(Result)
	if err := c.c.Call(ctx, rpcName+"."+method, args, res); err != nil {
		return Result{}, err
	}
	return *res, nil
}

// Kill kills a started command at once. Its result is still there for Wait.
func (c *Client) Kill(ctx context.Context, id string) error {
	return c.c.Call(ctx, rpcName+".Kill", id, new(none))
}

// Route makes the path container, with its addresses via (one per IP version
// at most), the only way out of the peer's own network.
func (c *Client) Route(ctx context.Context, via ...netip.Addr) error {
	return c.c.Call(ctx, rpcName+".Route", via, new(none))
}

// Info asks what the container is.
func (c *Client) Info(ctx context.Context) (Info, error) {
	info := new(Info)
	if err := c.c.Call(ctx, rpcName+".Info", none{}, info); err != nil {
		return Info{}, err
	}
	return *info, nil
}

// Gone is closed when the agent is gone, and with it every command.
func (c *Client) Gone() <-chan struct{} { return c.c.Gone() }

// Close ends the agent and everything it runs.
func (c *Client) Close() error { return c.c.Close() }

func (c *Client) newID() string { return strconv.FormatUint(c.last.Add(1), 10) }

// abandon kills a command whose caller stopped waiting.
func (c *Client) abandon(ctx context.Context, id string, err error) error {
	if ctx.Err() == nil {
		return err
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if killErr := c.Kill(late, id); killErr != nil {
		return fmt.Errorf("%w (and then could not kill it: %v)", err, killErr)
	}
	return err
}
