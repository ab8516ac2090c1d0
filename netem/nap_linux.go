package netem

import (
	"time"

	"golang.org/x/sys/unix"
)

// napper is a precise sleep that another thread can end.
type napper struct{ fd int }

func (n *napper) open() {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		panic("netem: no eventfd for the timer: " + err.Error()) // out of descriptors: nothing else would work either
	}
	n.fd = fd
}

func (n *napper) close() { unix.Close(n.fd) }

// prepare asks for this thread's sleeps not to be batched with others: the
// default slack is 50 microseconds.
func (n *napper) prepare() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// sleep returns after d, or when woken, or for no reason.
func (n *napper) sleep(d time.Duration) {
	var until *unix.Timespec
	if d != never {
		ts := unix.NsecToTimespec(int64(d))
		until = &ts
	}
	fds := [1]unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLIN}}
	if k, _ := unix.Ppoll(fds[:], until, nil); k > 0 {
		var count [8]byte
		_, _ = unix.Read(n.fd, count[:]) // resets it
	}
}

func (n *napper) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(n.fd, one[:]) // fails only when it is awake many times over
}
