package fidelity

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hybridlab/netem/tc"
)

// moduleFolder is where docker/uml has the modules of its kernel that are
// loaded, in this order.
const moduleFolder = "/modules"

var modules = []string{"sch_netem.ko", "veth.ko"}

// Answer is what the guest found out.
type Answer struct {
	Kernel string
	Stats  []Stats // of Cases
	Trials []Trial // of the driver
	Error  string  // why it could not
}

// Guest is the first process of a user-mode kernel: it measures everything,
// writes the Answer to a file as JSON and ends the machine.
func Guest(file string, times int) {
	a, err := measureAll(times)
	if err != nil {
		a.Error = err.Error()
	}
	said, err := json.Marshal(a)
	if err == nil {
		err = os.WriteFile(file, said, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {} // the first process may not end
}

func measureAll(times int) (a Answer, err error) {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return a, fmt.Errorf("mount /proc: %w", err)
	}
	version, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return a, err
	}
	a.Kernel = string(version[:len(version)-1])
	// What is due at once after a delay of this machine must not be dropped
	// behind the qdisc.
	if err := os.WriteFile("/proc/sys/net/core/netdev_max_backlog", []byte("100000"), 0); err != nil {
		return a, err
	}
	a.Trials = try()
	for _, c := range Cases(times) {
		s, err := kernel(c, seed)
		if err != nil {
			return a, fmt.Errorf("case %q: %w", c.Name, err)
		}
		a.Stats = append(a.Stats, s)
	}
	return a, nil
}

func load(module string) error {
	f, err := os.Open(filepath.Join(moduleFolder, module))
	if err != nil {
		return fmt.Errorf("load kernel module: %w", err)
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load kernel module %s: %w", module, err)
	}
	return nil
}

// wire is a pair of devices of this machine, each the other's far end, and a
// socket at each.
type wire struct {
	lane    int
	near    string
	in, out int
	pkt     []byte // to be sent
	got     []arrival
	dropped int
}

// etherType of the frames: none that the machine itself would look at (IEEE
// 802, local experimental).
const etherType = 0x88b5

const etherHeader = 14

var native = binary.NativeEndian

// kernel sends the packets of a case through tc-netem qdiscs of this
// machine's kernel.
func kernel(c Case, seed uint64) (s Stats, err error) {
	tree, err := tc.Translate(c.Shape)
	if err != nil {
		return s, err
	}
	wires := make([]*wire, c.Lanes)
	for lane := range wires {
		w, err := newWire(lane, c.Size)
		if err != nil {
			return s, err
		}
		defer w.remove()
		if err := tc.Apply(w.near, tree.Seeded(seed+uint64(lane*len(tree)))); err != nil {
			return s, err
		}
		wires[lane] = w
	}
	return through(c, wires)
}

// batch is how many packets are sent before any are received, where time does
// not matter.
const batch = 2000

func through(c Case, wires []*wire) (s Stats, err error) {
	late := watch()
	s.Sending, err = pace(c, func(lane int, seq uint32) error { return wires[lane].send(c, seq) })
	for _, w := range wires {
		if err == nil {
			err = w.drain()
		}
	}
	s.Stalled = late()
	if err != nil {
		return s, err
	}
	for _, w := range wires {
		s.add(c, w.got)
	}
	if dropped := wires[0].dropped; c.Lanes == 1 && c.Shape.Duplicate == 0 && s.Lost != dropped {
		return s, fmt.Errorf("%d packets are missing, and the qdisc dropped %d", s.Lost, dropped)
	}
	return s, nil
}

// send sends one packet. That the qdisc drops it is no error: it counts.
func (w *wire) send(c Case, seq uint32) error {
	if c.longest() == 0 && seq%batch == 0 {
		if err := w.drain(); err != nil {
			return err
		}
	}
	at := time.Duration(0)
	if c.Timed {
		at = realtime()
	}
	stamp(w.pkt[etherHeader:], seq, at)
	if _, err := unix.Write(w.out, w.pkt); !errors.Is(err, unix.ENOBUFS) {
		return err
	}
	return nil
}

// realtime is the clock that the kernel stamps arrivals with.
func realtime() time.Duration { return time.Duration(time.Now().UnixNano()) }

func newWire(lane, size int) (*wire, error) {
	w := &wire{lane: lane, near: fmt.Sprintf("near%d", lane), in: -1, out: -1}
	far := fmt.Sprintf("far%d", lane)
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: w.near}, PeerName: far}
	if err := netlink.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("make a pair of devices: %w", err)
	}
	err := w.open(far)
	if err != nil {
		w.remove()
		return nil, fmt.Errorf("listen at both ends of a pair of devices: %w", err)
	}
	w.pkt = append(make([]byte, etherHeader), packet(client, server, size, lane)...)
	w.pkt[0], w.pkt[6] = 0x02, 0x02 // locally administered, and nobody's
	w.pkt[12], w.pkt[13] = etherType>>8, etherType&0xff
	return w, nil
}

func (w *wire) open(far string) (err error) {
	for _, end := range []struct {
		dev string
		fd  *int
	}{{w.near, &w.out}, {far, &w.in}} {
		link, err := netlink.LinkByName(end.dev)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		if *end.fd, err = listen(link.Attrs().Index, etherType); err != nil {
			return err
		}
	}
	return nil
}

// listen opens a packet socket that can hold a whole batch of one type.
func listen(dev, etherType int) (int, error) {
	proto := uint16(etherType>>8 | etherType<<8) // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 32<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: dev}),
	)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// patience is how long a qdisc may hold packets beyond what it was told.
const patience = 30 * time.Second

// drain receives until the qdisc is empty and all that left it has come.
func (w *wire) drain() error {
	for deadline := time.Now().Add(patience); ; wait(5 * ms) {
		count, err := tc.Count(w.near)
		if err != nil {
			return err
		}
		if err := w.receive(); err != nil {
			return err
		}
		if count.Waiting == 0 && len(w.got) >= count.Sent {
			w.dropped = count.Dropped
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d packets left device %s, %d came, %d wait", count.Sent, w.near, len(w.got), count.Waiting)
		}
	}
}

// receive takes what has arrived.
func (w *wire) receive() error {
	buf, oob := make([]byte, 2048), make([]byte, 128)
	for {
		n, noob, _, _, err := unix.Recvmsg(w.in, buf, oob, 0)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		at, err := arrived(oob[:noob])
		if err != nil {
			return err
		}
		_, a := stamped(buf[etherHeader:n], at)
		w.got = append(w.got, a)
	}
}

// arrived reads the kernel's time stamp.
func arrived(oob []byte) (time.Duration, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, err
	}
	for _, m := range msgs {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Duration(native.Uint64(m.Data))*time.Second + time.Duration(native.Uint64(m.Data[8:])), nil
		}
	}
	return 0, errors.New("a packet came without a time stamp")
}

func (w *wire) remove() {
	unix.Close(w.in)
	unix.Close(w.out)
	if link, err := netlink.LinkByName(w.near); err == nil {
		_ = netlink.LinkDel(link) // the machine is about to end anyway
	}
}
