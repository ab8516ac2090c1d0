// Package capture turns the packets of one cell into evidence: ordered TCP
// streams for the judge and a pcapng file for a human with Wireshark.
package capture

import "time"

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
