package fidelity

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hybridlab/netem"
	"hybridlab/netem/tc"
)

// Trial is one thing the driver must do on a real kernel, and what went wrong.
type Trial struct{ Name, Problem string }

// trials are in order: the first needs a kernel without the module.
var trials = []struct {
	name string
	run  func() error
}{
	{"a kernel without sch_netem is told from one with it", tryModule},
	{"every link of the library is taken as it is, or refused", tryLibrary},
	{"a link replaces the one before, and is cleared", tryReplace},
	{"somebody else's qdisc is left alone", tryForeign},
	{"the same seed, the same losses", trySeed},
	{"the qdisc sees packets, not super-packets", trySegments},
}

func try() (out []Trial) {
	for _, t := range trials {
		found := Trial{Name: t.name}
		if err := t.run(); err != nil {
			found.Problem = err.Error()
		}
		out = append(out, found)
	}
	return out
}

func tryModule() error {
	if err := tc.Probe(); !errors.Is(err, tc.ErrNoNetem) {
		return fmt.Errorf("before it is loaded: %w", err)
	}
	for _, m := range modules {
		if err := load(m); err != nil {
			return err
		}
	}
	return tc.Probe()
}

// withPair calls f with a pair of devices.
func withPair(f func(near string) error) error {
	w, err := newWire(0, small)
	if err != nil {
		return err
	}
	defer w.remove()
	return f(w.near)
}

func tryLibrary() error {
	return withPair(func(near string) error {
		applied := 0
		for _, l := range netem.Links() {
			for _, s := range []netem.Shape{l.Up, l.Down} {
				tree, err := tc.Translate(s)
				if err != nil {
					continue
				}
				applied++
				if err := tc.Apply(near, tree.Seeded(seed)); err != nil { // which reads it back
					return fmt.Errorf("link %q: %w", l.Name, err)
				}
			}
		}
		if applied < 20 {
			return fmt.Errorf("only %d directions were applied", applied)
		}
		return nil
	})
}

func tryReplace() error {
	return withPair(func(near string) error {
		for _, s := range []netem.Shape{{Delay: ms, Rate: 8000}, {Delay: 2 * ms}} {
			tree, err := tc.Translate(s)
			if err == nil {
				err = tc.Apply(near, tree)
			}
			if err == nil {
				err = senders(near, true)
			}
			if err != nil {
				return err
			}
		}
		if err := tc.Clear(near); err != nil {
			return err
		}
		if err := tc.Clear(near); err == nil {
			return errors.New("it can be cleared twice")
		}
		return senders(near, false)
	})
}

// senders looks whether a device's own senders cut their segments themselves.
func senders(dev string, cut bool) error {
	link, err := netlink.LinkByName(dev)
	if err != nil {
		return err
	}
	if n := link.Attrs().GSOMaxSegs; cut != (n == 1) {
		return fmt.Errorf("its senders have up to %d segments in a packet; want one: %t", n, cut)
	}
	return nil
}

func tryForeign() error {
	return withPair(func(near string) error {
		link, err := netlink.LinkByName(near)
		if err != nil {
			return err
		}
		theirs := &netlink.GenericQdisc{QdiscType: "pfifo", QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(5, 0), Parent: netlink.HANDLE_ROOT}}
		if err := netlink.QdiscAdd(theirs); err != nil {
			return err
		}
		if err := tc.Apply(near, tc.Tree{{Limit: 1}}); err == nil {
			return errors.New("a link was applied over it")
		}
		if err := tc.Clear(near); err == nil {
			return errors.New("it was cleared")
		}
		all, err := netlink.QdiscList(link)
		if err == nil && !slices.ContainsFunc(all, func(q netlink.Qdisc) bool { return q.Type() == "pfifo" }) {
			err = errors.New("it is gone")
		}
		return err
	})
}

func trySeed() error {
	c := Case{Name: "seed", Shape: lossy(0.3), Lanes: 1, Packets: 500, Size: small}
	var first Stats
	for i, s := range []uint64{1, 1, 2} {
		got, err := kernel(c, s)
		if err != nil {
			return err
		}
		switch same := slices.Equal(got.Bursts, first.Bursts); {
		case i == 0:
			first = got
		case same != (s == 1):
			return fmt.Errorf("seed %d: the losses of seed 1 are the same: %t", s, same)
		}
	}
	return nil
}

// trySegments sends a stream over the loopback device, without a link and
// with one, and looks at the largest frame.
func trySegments() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = errors.Join(netlink.LinkSetMTU(lo, netem.EthernetMTU), netlink.LinkSetUp(lo))
	}
	if err != nil {
		return err
	}
	for _, linked := range []bool{false, true} {
		if linked {
			if err := tc.Apply("lo", tc.Tree{{Limit: 1000}}); err != nil {
				return err
			}
			defer tc.Clear("lo")
		}
		largest, err := largestFrame(lo.Attrs().Index)
		if err != nil {
			return err
		}
		if fits := largest <= netem.EthernetMTU+etherHeader; fits != linked {
			return fmt.Errorf("with a link: %t; the largest frame has %d bytes", linked, largest)
		}
	}
	return nil
}

func largestFrame(dev int) (largest int, err error) {
	tap, err := listen(dev, unix.ETH_P_ALL)
	if err != nil {
		return 0, err
	}
	defer unix.Close(tap)
	if err := stream(256 << 10); err != nil {
		return 0, err
	}
	for {
		n, _, err := unix.Recvfrom(tap, nil, unix.MSG_TRUNC)
		if errors.Is(err, unix.EAGAIN) {
			return largest, nil
		}
		if err != nil {
			return 0, err
		}
		largest = max(largest, n)
	}
}

// stream sends n bytes by TCP to ourselves.
func stream(n int) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer ln.Close()
	sent := make(chan error, 1)
	go func() {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err == nil {
			_, err = conn.Write(make([]byte, n))
			err = errors.Join(err, conn.Close())
		}
		sent <- err
	}()
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.Copy(io.Discard, conn)
	return errors.Join(err, <-sent)
}
