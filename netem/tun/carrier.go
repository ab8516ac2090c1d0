package tun

import (
	"context"
	"fmt"
	"time"

	"hybridlab/docker/control"
	"hybridlab/netem"
)

// patience bounds one call: a path engine that does not answer for so long is
// as good as gone.
const patience = 30 * time.Second

// Carrier is the lab's handle on the path engine in its container. It is safe
// for concurrent use. Errors wrap control.ErrGone when the engine is gone.
type Carrier struct{ c *control.Client }

var _ netem.Carrier = (*Carrier)(nil)

// Dial connects to the path engine whose control port is published at addr.
// It tries until ctx ends, because the container may just have been started.
func Dial(ctx context.Context, addr, token string) (*Carrier, error) {
	c, err := control.Dial(ctx, addr, token)
	if err != nil {
		return nil, fmt.Errorf("connect to the path engine: %w", err)
	}
	return &Carrier{c}, nil
}

// Open opens a cell; see netem.Engine.Open.
func (c *Carrier) Open(p netem.Path) error { return c.call("Open", &p, new(none)) }

// Close closes a cell and fetches what was captured of it; see
// netem.Engine.Close.
func (c *Carrier) Close(slot uint16) (netem.Trace, error) {
	trace := new(netem.Trace)
	if err := c.call("Close", slot, trace); err != nil {
		return netem.Trace{}, err
	}
	return *trace, nil
}

// Strays counts packets that belonged to no open cell; see
// netem.Engine.Strays.
func (c *Carrier) Strays() (map[string]int, error) {
	strays := new(map[string]int)
	if err := c.call("Strays", none{}, strays); err != nil {
		return nil, err
	}
	return *strays, nil
}

func (c *Carrier) call(method string, args, reply any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.c.Call(ctx, rpcName+"."+method, args, reply)
}

// Gone is closed when the path engine is gone, and every cell with it.
func (c *Carrier) Gone() <-chan struct{} { return c.c.Gone() }

// End ends the path engine.
func (c *Carrier) End() error { return c.c.Close() }
