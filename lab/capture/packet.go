// Package capture turns the packets of one cell into evidence: ordered TCP
// streams for the judge and a pcapng file for a human with Wireshark.
package capture

import (
	"strconv"
	"time"
)

// Side names one of the two capture interfaces of a cell: the path engine
// sees every packet where it enters and where it leaves.
type Side uint8

const (
	ClientSide Side = iota // between the client and the engine
	ServerSide             // between the engine and the server
)

func (s Side) String() string { return [...]string{"client side", "server side"}[s] }

// Direction says which way a packet travels.
type Direction uint8

const (
	ToServer Direction = iota
	ToClient
)

func (d Direction) String() string { return [...]string{"to server", "to client"}[d] }

// Packet is one IP packet as the engine saw it on one side of the path.
//
// A packet that crosses the path unharmed appears twice: on the side it came
// from and on the side it left by, with the same ID. One that was dropped
// appears once, with Drop set.
type Packet struct {
	At   time.Duration // since the cell was opened, monotonic
	Side Side
	Dir  Direction
	Data []byte // from the first byte of the IP header
	Drop string // reason slug when the engine dropped it here ("loss", "mtu-icmp-eaten", ...); empty: it went on
	Note string // what was done to it, in words ("corrupted byte 57", "fragment 2/2"); empty: nothing
	ID   uint64 // the same where a packet enters and where it, its fragments and its duplicates leave; 0: not known
}

// Leaves reports whether this is the packet as it left the engine, or else as
// it came in.
func (p *Packet) Leaves() bool { return leaves(p.Side, p.Dir) }

// Protocol names what the IP packet carries: "TCP", "ICMP", "TCP fragment",
// "IP protocol 99"; "" if it is no IP packet.
func (p *Packet) Protocol() string {
	b := p.Data
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		return protocolName(b[9], b[6]&0x3f != 0 || b[7] != 0)
	case len(b) >= 48 && b[0]>>4 == 6 && b[6] == 44: // fragment header, RFC 8200 section 4.5
		return protocolName(b[40], true)
	case len(b) >= 40 && b[0]>>4 == 6:
		return protocolName(b[6], false)
	}
	return ""
}

func protocolName(n byte, fragment bool) string {
	s, ok := map[byte]string{1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}[n]
	if !ok {
		s = "IP protocol " + strconv.Itoa(int(n))
	}
	if fragment {
		s += " fragment"
	}
	return s
}
