package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	node = "/dev/net/tun"
	name = "path0"
	// maxMTU is so large that the only MTU on the way is the engine's.
	maxMTU = 65535
	// addrGenNone keeps the kernel from giving the device an IPv6 address of
	// its own and talking to the engine from it (IN6_ADDR_GEN_MODE_NONE).
	addrGenNone = 1
)

// ranges are all virtual addresses: RFC 2544 and RFC 5180.
var ranges = []netip.Prefix{
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("2001:2::/48"),
}

// device is the TUN device: one read or write is one IP packet.
type device struct {
	*os.File
	refused atomic.Pointer[error] // last packet the kernel did not take
}

func openDevice() (*device, error) {
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w (%s)", node, err, remedy(err))
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		// Neither virtio headers nor offloads: see the package comment.
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err == nil {
		err = configure()
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set up TUN device %s: %w (%s)", name, err, remedy(err))
	}
	return &device{File: os.NewFile(uintptr(fd), node)}, nil
}

func remedy(err error) string {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return "the machine has no TUN driver: modprobe tun; in a container: --device " + node
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "it takes root with NET_ADMIN, and --device " + node + " in a container"
	case errors.Is(err, unix.EBUSY):
		return "another path engine runs in this network namespace"
	}
	return "the path engine needs a TUN device of its own"
}

// configure brings the device up and leads the virtual addresses to it.
func configure() error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find it: %w", err)
	}
	if err := netlink.LinkSetMTU(link, maxMTU); err != nil {
		return fmt.Errorf("set its MTU: %w", err)
	}
	if err := netlink.LinkSetIP6AddrGenMode(link, addrGenNone); err != nil {
		return fmt.Errorf("keep it without IPv6 address: %w", err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring it up: %w", err)
	}
	for _, p := range ranges {
		dst := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := netlink.RouteReplace(&netlink.Route{Dst: dst, LinkIndex: link.Attrs().Index}); err != nil {
			return fmt.Errorf("route %v to it: %w", p, err)
		}
	}
	return nil
}

// skipDAD gives this container's IPv6 addresses out for certain. The kernel
// will not ask for a neighbour in the name of a foreign packet before it has
// a link-local address that has stood the test of being nobody else's (RFC
// 4862 section 5.4), which takes a second or two: the first IPv6 cells would
// lose their first packets. On a network of the lab's own there is nobody.
func skipDAD() error {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V6)
	if err != nil {
		return fmt.Errorf("list IPv6 addresses: %w", err)
	}
	for _, a := range addrs {
		if a.Flags&unix.IFA_F_TENTATIVE == 0 {
			continue
		}
		link, err := netlink.LinkByIndex(a.LinkIndex)
		if err == nil {
			err = netlink.AddrDel(link, &a)
		}
		if err == nil {
			a.Flags = unix.IFA_F_NODAD
			err = netlink.AddrAdd(link, &a)
		}
		if err != nil {
			return fmt.Errorf("make %v usable at once: %w", a.IPNet, err)
		}
	}
	return nil
}

// feed hands every packet of the device to input, one after the other, until
// the device is closed or fails. As long as packets are waiting it does not
// go to sleep between them.
func (d *device) feed(input func(pkt []byte)) error {
	buf := make([]byte, maxMTU)
	for {
		n, err := d.Read(buf)
		if err != nil {
			return fmt.Errorf("read packets from %s: %w", name, err)
		}
		input(buf[:n])
	}
}

// deliver hands a packet to the kernel.
func (d *device) deliver(pkt []byte) {
	if _, err := d.Write(pkt); err != nil {
		d.refused.Store(&err)
	}
}

// refusal returns, once, the last failure to deliver.
func (d *device) refusal() error {
	if err := d.refused.Swap(nil); err != nil {
		return fmt.Errorf("deliver a packet of this or another cell: %w", *err)
	}
	return nil
}
