//go:build !linux

package netem

import "time"

// napper is a sleep that another goroutine can end, as precise as the
// runtime's timers: a link's schedule is kept to a millisecond here.
type napper struct{ woken chan struct{} }

func (n *napper) open()    { n.woken = make(chan struct{}, 1) }
func (n *napper) close()   {}
func (n *napper) prepare() {}

// sleep returns after d or when woken.
func (n *napper) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-n.woken:
	}
}

func (n *napper) wake() {
	select {
	case n.woken <- struct{}{}:
	default:
	}
}
