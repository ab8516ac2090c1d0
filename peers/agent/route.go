package agent

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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
	if err := settle(); err != nil {
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

// A router asks for its neighbours in the name of its link-local address,
// which it may not use before nobody else is known to have it (RFC 4862 section
// 5.4). What comes to be forwarded by then waits for a second and more.
const (
	settleTime = 10 * time.Second
	settleLook = 20 * time.Millisecond
)

// settle waits, in a container that forwards, until it may use its addresses.
func settle() error {
	if on, _ := os.ReadFile("/proc/sys/net/ipv6/conf/all/forwarding"); strings.TrimSpace(string(on)) != "1" {
		return nil
	}
	for deadline := time.Now().Add(settleTime); ; time.Sleep(settleLook) {
		addrs, err := netlink.AddrList(nil, netlink.FAMILY_V6)
		if err != nil {
			return fmt.Errorf("list addresses: %w", err)
		}
		i := slices.IndexFunc(addrs, func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE != 0 })
		switch {
		case i < 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("wait for address %v: it is tentative for %v", addrs[i].IP, settleTime)
		}
	}
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
