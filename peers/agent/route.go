package agent

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// The cells' virtual addresses live in the ranges set aside for benchmarks:
// RFC 2544 section C.2.2 and RFC 5180 section 8.
//
// The network's interfaces have the MTU of jumbo cells, whose addresses are
// the last sixteenth; towards all others it is Ethernet's, and TCP goes by
// that as if the interface had it.
var ranges = []struct {
	dst netip.Prefix
	mtu int // 0: the interface's
}{
	{netip.MustParsePrefix("198.18.0.0/15"), 1500},
	{netip.MustParsePrefix("198.18.240.0/20"), 0},
	{netip.MustParsePrefix("198.19.240.0/20"), 0},
	{netip.MustParsePrefix("2001:2::/48"), 1500},
	{netip.MustParsePrefix("2001:2:0:18::f000/116"), 0},
	{netip.MustParsePrefix("2001:2:0:19::f000/116"), 0},
}

// route removes every default route, so that a peer reaches its own network
// and nothing else, and then leads the cells' ranges to the path container,
// whose addresses are via.
func route(via []netip.Addr) error {
	if err := removeDefaults(); err != nil {
		return err
	}
	for _, gw := range via {
		for _, to := range ranges {
			if to.dst.Addr().Is4() != gw.Is4() {
				continue
			}
			r := &netlink.Route{Dst: ipNet(to.dst), Gw: gw.AsSlice(), MTU: to.mtu}
			if err := netlink.RouteReplace(r); err != nil {
				return fmt.Errorf("route %v via %v: %w (the container needs NET_ADMIN)", to.dst, gw, err)
			}
		}
	}
	return nil
}

func removeDefaults() error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if !isDefault(r) {
			continue
		}
		if err := netlink.RouteDel(&r); err != nil {
			return fmt.Errorf("remove default route %v: %w (the container needs NET_ADMIN)", r, err)
		}
	}
	return nil
}

// isDefault recognises both ways in which a default route is listed.
func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return r.Gw != nil
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0 && r.Dst.IP.IsUnspecified() && r.Gw != nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
