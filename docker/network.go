package docker

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Network is the one network of a run: path and peers are on it.
type Network struct {
	ID, Name   string
	Run        string
	IPv4, IPv6 netip.Prefix
}

// pools are where a network's IPv4 subnet is taken from, in this order.
var pools = []netip.Prefix{
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("192.168.0.0/16"),
}

const (
	subnetBits   = 24   // of an IPv4 subnet: 250 peers
	networkMTU   = 9000 // of the interfaces; the agent lowers it for all but jumbo cells
	networkTries = 8
)

// CreateNetwork makes the network of a run, with an IPv4 subnet that neither
// Docker nor this machine uses and a random IPv6 one (RFC 4193). Several labs
// may do so at the same moment: the loser of a race for a subnet takes
// another.
func (d *Daemon) CreateNetwork(ctx context.Context, run string) (*Network, error) {
	labels, err := ownLabels(run)
	if err != nil {
		return nil, fmt.Errorf("create network: %w", err)
	}
	n := &Network{Name: "hybridlab-" + run, Run: run}
	for range networkTries {
		if err = d.pickSubnets(ctx, n); err != nil {
			break
		}
		if n.ID, err = d.createNetwork(ctx, n, labels); err == nil || !overlaps(err) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create network %s: %w", n.Name, err)
	}
	return n, nil
}

func (d *Daemon) createNetwork(ctx context.Context, n *Network, labels map[string]string) (id string, err error) {
	ipv6 := true
	made, err := d.cli.NetworkCreate(ctx, n.Name, client.NetworkCreateOptions{
		Driver: "bridge", EnableIPv6: &ipv6, Labels: labels,
		IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: n.IPv4}, {Subnet: n.IPv6}}},
		// Whatever the daemon's own MTU is: a cell's MTU is its link's business.
		Options: map[string]string{"com.docker.network.driver.mtu": fmt.Sprint(networkMTU)},
	})
	return made.ID, err
}

// overlaps recognises the daemon's refusal of a subnet that is in use. It has
// no error code of its own.
func overlaps(err error) bool { return strings.Contains(err.Error(), "overlap") }

// RemoveNetwork removes a network that no container uses any more.
func (d *Daemon) RemoveNetwork(ctx context.Context, n *Network) error {
	if err := d.removeNetwork(ctx, n.ID); err != nil {
		return fmt.Errorf("remove network %s: %w", n.Name, err)
	}
	return nil
}

func (d *Daemon) pickSubnets(ctx context.Context, n *Network) (err error) {
	taken, err := d.takenSubnets(ctx)
	if err != nil {
		return err
	}
	if n.IPv4, err = freeSubnet(taken, mathrand.IntN); err != nil {
		return err
	}
	n.IPv6 = randomULA()
	return nil
}

// takenSubnets lists what a new subnet must not overlap: Docker's networks,
// and this machine's addresses and routes.
func (d *Daemon) takenSubnets(ctx context.Context) (taken []netip.Prefix, err error) {
	networks, err := d.cli.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	for _, n := range networks.Items {
		for _, c := range n.IPAM.Config {
			taken = append(taken, c.Subnet)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list this machine's addresses: %w", err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			taken = append(taken, p)
		}
	}
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return taken, nil // no such table on the machine of a remote daemon's user
	}
	defer f.Close()
	return append(taken, readRoutes(f)...), nil
}

// freeSubnet picks a subnet at random, so that labs that start together
// rarely want the same one, and goes on from there until one is free.
func freeSubnet(taken []netip.Prefix, random func(n int) int) (netip.Prefix, error) {
	for _, pool := range pools {
		count := 1 << (subnetBits - pool.Bits())
		first := random(count)
		for i := range count {
			subnet := subnetOf(pool, (first+i)%count)
			if !overlapsAny(subnet, taken) {
				return subnet, nil
			}
		}
	}
	return netip.Prefix{}, errors.New("every private subnet is in use; remove networks nobody needs (docker network prune)")
}

// subnetOf is the n-th subnet of an IPv4 pool.
func subnetOf(pool netip.Prefix, n int) netip.Prefix {
	a := pool.Addr().As4()
	base := binary.BigEndian.Uint32(a[:]) + uint32(n)<<(32-subnetBits)
	binary.BigEndian.PutUint32(a[:], base)
	return netip.PrefixFrom(netip.AddrFrom4(a), subnetBits)
}

func overlapsAny(p netip.Prefix, taken []netip.Prefix) bool {
	for _, t := range taken {
		if p.Overlaps(t) {
			return true
		}
	}
	return false
}

// randomULA is a subnet of a random unique local prefix, RFC 4193 section 3.1.
func randomULA() netip.Prefix {
	a := [16]byte{0xfd}
	rand.Read(a[1:6]) // the global id; the subnet id stays 0
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

// readRoutes reads the destinations in the kernel's IPv4 routing table:
//
//	Iface Destination Gateway  Flags RefCnt Use Metric Mask     ...
//	eth0  0010A8C0    00000000 0001  0      0   0      00FFFFFF ...
//
// The numbers are in the byte order of the machine. The default route takes
// nothing; what cannot be read is left out.
func readRoutes(r io.Reader) (routes []netip.Prefix) {
	rows := bufio.NewScanner(r)
	rows.Scan() // the heading
	for rows.Scan() {
		f := strings.Fields(rows.Text())
		if len(f) < 8 {
			continue
		}
		dst, err1 := hex.DecodeString(f[1])
		mask, err2 := hex.DecodeString(f[7])
		if err1 != nil || err2 != nil || len(dst) != 4 || len(mask) != 4 {
			continue
		}
		ones := bits.OnesCount32(binary.NativeEndian.Uint32(mask))
		var a [4]byte
		binary.NativeEndian.PutUint32(a[:], binary.BigEndian.Uint32(dst))
		if ones > 0 {
			routes = append(routes, netip.PrefixFrom(netip.AddrFrom4(a), ones).Masked())
		}
	}
	return routes
}
