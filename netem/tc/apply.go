package tc

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// handle is the major number of the first of our qdiscs; its children count
// up. It is how they are told from somebody else's.
const handle = 0x6879

// ErrNoNetem says that the kernel has no sch_netem.
var ErrNoNetem = errors.New("this kernel has no sch_netem: modprobe sch_netem as root, or take a kernel that has the module (Debian's has; many micro-VMs' have not); the path engine (hybridlab run) needs none")

// Apply puts the qdiscs on a device of this network namespace, for all that
// leaves by it, in place of those of an earlier Apply; a device that has a
// qdisc from somebody else is left alone. It reads back what the kernel made
// of it: an old one passes over in silence what it does not know.
func Apply(dev string, t Tree) (err error) {
	defer func() { err = wrap("apply link to", dev, err) }()
	link, err := find(dev)
	if err != nil {
		return err
	}
	overhead, err := headerOf(link)
	if err != nil {
		return err
	}
	t = t.on(overhead)
	if _, err := clearDevice(link); err != nil {
		return err
	}
	if err := put(link, t); err != nil {
		_, undo := clearDevice(link)
		return errors.Join(err, undo)
	}
	return nil
}

// ErrNoDevice says that there is no device of that name.
var ErrNoDevice = errors.New("there is no such device")

func find(dev string) (netlink.Link, error) {
	link, err := netlink.LinkByName(dev)
	var missing netlink.LinkNotFoundError
	if !errors.As(err, &missing) {
		return link, err
	}
	all, err := netlink.LinkList()
	if err != nil {
		return nil, ErrNoDevice
	}
	var names []string
	for _, l := range all {
		names = append(names, l.Attrs().Name)
	}
	return nil, fmt.Errorf("%w in this network namespace (there are: %s)", ErrNoDevice, strings.Join(names, ", "))
}

func wrap(what, dev string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s device %q: %w", what, dev, err)
}

// on is the tree for a device whose own header is that long: a link's rate
// counts the bytes of IP.
func (t Tree) on(header int) Tree {
	out := append(Tree(nil), t...)
	for i := range out {
		if out[i].Rate > 0 {
			out[i].Overhead = int32(-header)
		}
	}
	return out
}

// headerOf is how much longer the packets of a device are than IP's.
func headerOf(link netlink.Link) (int, error) {
	switch kind := link.Attrs().EncapType; kind {
	case "ether", "loopback":
		return 14, nil
	case "none":
		return 0, nil
	default:
		return 0, fmt.Errorf("it is of type %q, whose headers are not known: want an Ethernet or a TUN device", kind)
	}
}

func put(link netlink.Link, t Tree) error {
	index := link.Attrs().Index
	for i, q := range t {
		parent := uint32(netlink.HANDLE_ROOT)
		if i > 0 {
			parent = netlink.MakeHandle(uint16(handle+i-1), 1)
		}
		if err := add(index, parent, netlink.MakeHandle(uint16(handle+i), 0), q); err != nil {
			return err
		}
	}
	if len(t) > 0 {
		if err := netlink.LinkSetGSOMaxSegs(link, 1); err != nil {
			return fmt.Errorf("have its senders cut their segments themselves: %w", err)
		}
	}
	return check(index, t)
}

// add adds one qdisc.
func add(index int, parent, handle uint32, q Qdisc) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(index), Parent: parent, Handle: handle})
	req.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("netem")))
	req.AddData(nl.NewRtAttr(nl.TCA_OPTIONS, q.options()))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return ErrNoNetem
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("add %s: %w (it takes root, or NET_ADMIN in this network namespace)", q, err)
	case err != nil:
		return fmt.Errorf("add %s: %w", q, err)
	}
	return nil
}

// check holds what the kernel has against what it was given.
func check(index int, want Tree) error {
	got, err := list(index)
	if err != nil {
		return err
	}
	for i, w := range want {
		w.Table = nil // which it never tells
		g, ok := got[netlink.MakeHandle(uint16(handle+i), 0)]
		switch {
		case !ok || g.kind != "netem":
			return fmt.Errorf("the kernel took %s and does not have it", w)
		case g.netem.Seed != w.Seed && w.Seed != 0:
			return fmt.Errorf("the kernel passed over the seed: it takes Linux 6.6")
		}
		g.netem.Seed = w.Seed
		if !reflect.DeepEqual(g.netem, w) {
			return fmt.Errorf("the kernel took %s and made it %s", w, g.netem)
		}
	}
	return nil
}

// Clear removes what Apply put on a device. It is an error when there is
// nothing of ours.
func Clear(dev string) (err error) {
	defer func() { err = wrap("clear", dev, err) }()
	link, err := find(dev)
	if err != nil {
		return err
	}
	ours, err := clearDevice(link)
	if err == nil && !ours {
		err = errors.New("there is no link on it")
	}
	return err
}

// clearDevice removes our qdiscs; it fails on somebody else's.
func clearDevice(link netlink.Link) (ours bool, err error) {
	a := link.Attrs()
	all, err := list(a.Index)
	if err != nil {
		return false, err
	}
	for h, q := range all {
		if q.parent != netlink.HANDLE_ROOT || h == 0 { // the kernel's own default has no handle
			continue
		}
		if h != netlink.MakeHandle(handle, 0) || q.kind != "netem" {
			return false, fmt.Errorf("it has a qdisc of its own, %s %x: (remove it first: tc qdisc del dev %s root)", q.kind, h>>16, a.Name)
		}
		ours = true
	}
	if !ours {
		return false, nil
	}
	req := nl.NewNetlinkRequest(unix.RTM_DELQDISC, unix.NLM_F_ACK)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(a.Index), Parent: netlink.HANDLE_ROOT, Handle: netlink.MakeHandle(handle, 0)})
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return true, fmt.Errorf("remove its qdisc: %w", err)
	}
	if a.TSOMaxSegs > 1 {
		if err := netlink.LinkSetGSOMaxSegs(link, int(a.TSOMaxSegs)); err != nil {
			return true, fmt.Errorf("let its senders leave segments uncut again: %w", err)
		}
	}
	return true, nil
}

// installed is a qdisc as the kernel tells of it.
type installed struct {
	kind   string
	parent uint32
	netem  Qdisc
	counts Counts
}

// list is the qdiscs of a device by handle.
func list(index int) (map[uint32]installed, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETQDISC, unix.NLM_F_DUMP)
	req.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(index)})
	answers, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWQDISC)
	if err != nil {
		return nil, fmt.Errorf("list its qdiscs: %w", err)
	}
	out := map[uint32]installed{}
	for _, b := range answers {
		if len(b) < nl.SizeofTcMsg {
			continue
		}
		if m := nl.DeserializeTcMsg(b); int(m.Ifindex) == index {
			q := installed{parent: m.Parent}
			if err := q.parse(b[nl.SizeofTcMsg:]); err != nil {
				return nil, err
			}
			out[m.Handle] = q
		}
	}
	return out, nil
}

func (q *installed) parse(b []byte) error {
	var options []byte
	err := eachAttr(b, func(kind uint16, v []byte) error {
		switch kind {
		case nl.TCA_KIND:
			q.kind = strings.TrimRight(string(v), "\x00")
		case nl.TCA_OPTIONS:
			options = v
		case nl.TCA_STATS2:
			return eachAttr(v, q.counts.set)
		}
		return nil
	})
	if err == nil && q.kind == "netem" {
		q.netem, err = parseOptions(options)
	}
	return err
}

// Counts is what a device's first qdisc counted.
type Counts struct {
	Sent    int // packets that left
	Dropped int // by it and its children
	Waiting int // packets it and its children hold
}

func (c *Counts) set(kind uint16, v []byte) error {
	switch {
	case kind == nl.TCA_STATS_BASIC && len(v) >= 12:
		c.Sent = int(native.Uint32(v[8:]))
	case kind == nl.TCA_STATS_QUEUE && len(v) >= 12:
		c.Waiting, c.Dropped = int(native.Uint32(v)), int(native.Uint32(v[8:]))
	}
	return nil
}

// Count reads the counters of the link on a device.
func Count(dev string) (Counts, error) {
	link, err := find(dev)
	if err != nil {
		return Counts{}, wrap("count packets on", dev, err)
	}
	all, err := list(link.Attrs().Index)
	if err != nil {
		return Counts{}, wrap("count packets on", dev, err)
	}
	q, ok := all[netlink.MakeHandle(handle, 0)]
	if !ok {
		return Counts{}, wrap("count packets on", dev, errors.New("there is no link on it"))
	}
	return q.counts, nil
}
