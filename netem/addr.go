package netem

import "net/netip"

// Slots in use. The first and last address of the range look like a network
// and a broadcast address to careless code, and slot 0 is what a caller has
// who forgot to choose.
const (
	FirstSlot uint16 = 1
	LastSlot  uint16 = 0xfffe
)

// Cells of slots from FirstJumbo on lie on interfaces of JumboMTU at both
// ends, the others on interfaces of EthernetMTU: bytes of IP packet. So what
// one end sends in several segments over the one kind, it sends in one over
// the other, and nothing else is different.
const (
	EthernetMTU = 1500
	JumboMTU    = 9000

	FirstJumbo uint16 = 0xf000
)

// JumboRanges are the virtual addresses of those slots.
func JumboRanges() []netip.Prefix {
	var out []netip.Prefix
	for _, v6 := range []bool{false, true} {
		for _, a := range []netip.Addr{TargetAddr(FirstJumbo, v6), ApparentAddr(FirstJumbo, v6)} {
			out = append(out, netip.PrefixFrom(a, a.BitLen()-12))
		}
	}
	return out
}

// The benchmarking ranges, never anyone's real network: 198.18.0.0/15
// (RFC 2544) and 2001:2::/48 (RFC 5180).
var (
	target4   = [2]byte{198, 18}
	apparent4 = [2]byte{198, 19}
	target6   = [14]byte{0x20, 0x01, 0, 2, 0, 0, 0, 0x18}
	apparent6 = [14]byte{0x20, 0x01, 0, 2, 0, 0, 0, 0x19}
)

// TargetAddr is what the client of a cell dials: 198.18.a.b, or
// 2001:2:0:18::ab for IPv6.
func TargetAddr(slot uint16, v6 bool) netip.Addr { return virtual(slot, v6, target4, target6) }

// ApparentAddr is what the server of a cell sees as its client: 198.19.a.b,
// or 2001:2:0:19::ab for IPv6.
func ApparentAddr(slot uint16, v6 bool) netip.Addr { return virtual(slot, v6, apparent4, apparent6) }

func virtual(slot uint16, v6 bool, p4 [2]byte, p6 [14]byte) netip.Addr {
	hi, lo := byte(slot>>8), byte(slot)
	if v6 {
		return netip.AddrFrom16([16]byte(append(p6[:], hi, lo)))
	}
	return netip.AddrFrom4([4]byte{p4[0], p4[1], hi, lo})
}

// slotOf reads a virtual address: the slot and whether it is a target (the
// packet goes to the server) or an apparent client address.
func slotOf(dst []byte) (slot uint16, toServer, ok bool) {
	n := len(dst) - 2
	slot = uint16(dst[n])<<8 | uint16(dst[n+1])
	if n == 2 {
		p := [2]byte(dst)
		return slot, p == target4, p == target4 || p == apparent4
	}
	p := [14]byte(dst)
	return slot, p == target6, p == target6 || p == apparent6
}
