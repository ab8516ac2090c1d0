package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hybridlab/netem"
)

// What the engine routes through a middlebox has an address of the cell's own,
// which this container's kernel leads to the middlebox when it comes from the
// device, and to the device when it comes from the middlebox. So the routes
// that lead there are in a table of their own, which only the device's packets
// are looked up in.
const (
	boxTable    = 1018
	boxPriority = 1018 // ahead of the main table's, 32766
)

// detours are the routes through middleboxes, by the slot of the cell.
type detours struct {
	mu    sync.Mutex
	ruled bool
	slots map[uint16][]*netlink.Route
}

// lead makes the routes of a cell.
func (d *detours) lead(p netem.Path) error {
	if len(p.Routed) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.rule(); err != nil {
		return err
	}
	for _, r := range p.Routed {
		for _, a := range []netip.Addr{netem.TargetAddr(r.Slot, p.Link.V6()), netem.ApparentAddr(r.Slot, p.Link.V6())} {
			route := &netlink.Route{Dst: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}, Gw: r.Via.AsSlice(), Table: boxTable}
			if err := netlink.RouteReplace(route); err != nil {
				return errors.Join(fmt.Errorf("route %v via middlebox %v: %w", a, r.Via, err), d.leave(p.Slot))
			}
			d.slots[p.Slot] = append(d.slots[p.Slot], route)
		}
	}
	return nil
}

// end takes the routes of a cell away.
func (d *detours) end(slot uint16) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.leave(slot)
}

func (d *detours) leave(slot uint16) (err error) {
	for _, r := range d.slots[slot] {
		if e := netlink.RouteDel(r); e != nil {
			err = errors.Join(err, fmt.Errorf("remove the route to %v: %w", r.Dst, e))
		}
	}
	delete(d.slots, slot)
	return err
}

// rule has what comes from the device looked up in the table of detours first.
func (d *detours) rule() error {
	if d.ruled {
		return nil
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		r := netlink.NewRule()
		r.Family, r.IifName, r.Table, r.Priority = family, name, boxTable, boxPriority
		if err := netlink.RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("lead packets from %s by a table of their own: %w (it takes a kernel with policy routing: CONFIG_IP_MULTIPLE_TABLES)", name, err)
		}
	}
	d.ruled, d.slots = true, map[uint16][]*netlink.Route{}
	return nil
}
