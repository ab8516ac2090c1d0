package tc

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"hybridlab/netem"
)

// Probe says whether this kernel can do it at all: it applies a link to a
// network namespace made for the purpose. The error is ErrNoNetem where the
// kernel has no sch_netem; it takes root to find out.
func Probe() error {
	found := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, and with it the namespace, ends with the goroutine
		found <- probe()
	}()
	return <-found
}

func probe() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace to try it in: %w (it takes root)", err)
	}
	t, err := Translate(netem.Shape{Loss: netem.Loss{Rate: 0.5}})
	if err != nil {
		return err
	}
	return Apply("lo", t)
}
