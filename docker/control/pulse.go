package control

import (
	"fmt"
	"time"
)

// A process that is stopped and not dead, as all those of a paused container
// are, keeps its connection and never answers. So the client asks all the time
// for a sign of life, and without one takes the process for gone: no call may
// wait for ever.
const (
	pulseName  = "Pulse"
	pulseEvery = 2 * time.Second
	// silence is how long there may be no answer. A process that gets one
	// percent of a CPU answers in less.
	silence = 20 * time.Second
)

// pulse is what every server answers beside its service.
type pulse struct{}

// Beat answers.
func (pulse) Beat(struct{ OK bool }, *struct{ OK bool }) error { return nil }

// keepAsking closes the connection once the other end has been silent for most.
func (c *Client) keepAsking(every, most time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-c.conn.gone:
			return
		case <-tick.C:
		}
		beat := c.rpc.Go(pulseName+".Beat", struct{ OK bool }{}, new(struct{ OK bool }), nil)
		late := time.NewTimer(most)
		select {
		case <-beat.Done:
			late.Stop()
		case <-c.conn.gone:
			late.Stop()
			return
		case <-late.C:
			c.silent.CompareAndSwap(nil, fmt.Errorf("no answer for %v: is its container paused?", most))
			c.rpc.Close()
			return
		}
	}
}
