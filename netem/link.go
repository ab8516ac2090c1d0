package netem

import (
	"fmt"
	"strconv"
	"time"
)

// Family is the IP version a link carries.
type Family string

const (
	IPv4 Family = "ipv4"
	IPv6 Family = "ipv6"
)

// Chance is a probability from 0 to 1; in YAML it is written in percent ("1%").
type Chance float64

// Bitrate is in bits per second; in YAML it is written "256kbit", "10mbit".
// Only the bytes of the IP packets are counted.
type Bitrate int64

// TooBig says what becomes of a packet larger than the MTU that may not be
// fragmented: IPv4 with "don't fragment" set, and all of IPv6. IPv4 without
// that bit is always fragmented, as any router does (RFC 791).
type TooBig string

const (
	SendICMP TooBig = "icmp"     // dropped, and the sender is told (RFC 1191, RFC 8201); the default
	EatICMP  TooBig = "eat"      // dropped without a word: a path MTU black hole
	Fragment TooBig = "fragment" // cut into IP fragments all the same, as a tunnel does
)

// Fragments says whether IP fragments pass.
type Fragments string

const (
	PassFragments Fragments = "pass" // the default
	DropFragments Fragments = "drop"
)

// Checksum says what corruption leaves behind.
type Checksum string

const (
	WrongChecksum Checksum = "wrong" // the receiver's TCP notices and drops; the default
	FixedChecksum Checksum = "fixed" // payload only, and nobody notices below TLS
)

// Link is the configuration of a path between one client and one server.
// The zero value of every field is "nothing happens".
type Link struct {
	Name   string // lower-case letters, digits, dots and dashes
	About  string // one sentence for people
	Family Family // IPv4 when empty
	Up     Shape  // client to server
	Down   Shape  // server to client
}

// V6 says whether the link carries IPv6.
func (l Link) V6() bool { return l.Family == IPv6 }

// Shape is what happens to the packets of one direction, in this order:
// incoming fragments, loss, MSS clamp, corruption, MTU, duplication, rate
// and queue, delay.
type Shape struct {
	Delay     time.Duration `yaml:"delay"`     // one way, added to every packet
	Jitter    time.Duration `yaml:"jitter"`    // further delay, uniform between 0 and this; order is kept
	Loss      Loss          `yaml:"loss"`      //
	Duplicate Chance        `yaml:"duplicate"` // a second copy follows the packet
	Reorder   Reorder       `yaml:"reorder"`   //
	Corrupt   Corrupt       `yaml:"corrupt"`   //
	Rate      Bitrate       `yaml:"rate"`      // bits per second; 0: unlimited
	Queue     int           `yaml:"queue"`     // packets waiting for the rate, tail drop; 0: DefaultQueue
	MTU       int           `yaml:"mtu"`       // bytes of IP packet; 0: unlimited
	TooBig    TooBig        `yaml:"too_big"`   // what happens to what does not fit the MTU
	ClampMSS  bool          `yaml:"clamp_mss"` // SYNs going the other way announce no more than fits the MTU
	MSS       int           `yaml:"mss"`       // SYNs going the other way announce no more than this, bytes of TCP payload; 0: no limit
	Fragments Fragments     `yaml:"fragments"` //
}

// Jumbo says whether the link carries packets larger than Ethernet's: its
// cells are then given a slot of the range whose interfaces have JumboMTU.
func (l Link) Jumbo() bool { return max(l.Up.MTU, l.Down.MTU) > EthernetMTU }

// Set is the link with a number put in: "mtu", the bytes of IP packet that
// fit, or "mss", what SYNs announce at most. It goes into the directions that
// have such a limit, else into both. The error names the valid keys.
func (l Link) Set(key, value string) (Link, error) {
	n, err := strconv.Atoi(value)
	if err != nil {
		return l, fmt.Errorf("%s: %q is not a whole number", key, value)
	}
	var field func(*Shape) *int
	switch key {
	case "mtu":
		field = func(s *Shape) *int { return &s.MTU }
	case "mss":
		field = func(s *Shape) *int { return &s.MSS }
	default:
		return l, fmt.Errorf("unknown setting %q: want mtu or mss", key)
	}
	both := *field(&l.Up) == 0 && *field(&l.Down) == 0
	for _, s := range []*Shape{&l.Up, &l.Down} {
		if f := field(s); both || *f > 0 {
			*f = n
		}
	}
	return l, l.Validate()
}

// DefaultQueue is the queue of a link that has a rate and names no queue.
const DefaultQueue = 100

// Loss drops packets: each by chance, in bursts, and by number. The three
// are independent of one another.
type Loss struct {
	Rate    Chance `yaml:"rate"`
	Burst   Burst  `yaml:"burst"`
	Nth     []int  `yaml:"nth"`      // the n-th packets of the cell in this direction, from 1 (1 is the SYN)
	NthData []int  `yaml:"nth_data"` // the n-th payload-carrying TCP segments of each connection, from 1; first transmission only
}

// Burst is the Gilbert-Elliott model: a good and a bad state, a chance to
// change at each packet, and a chance of loss in each. The bad state's
// share of the packets is Enter/(Enter+Leave), the mean burst 1/Leave packets.
type Burst struct {
	Enter Chance `yaml:"enter"` // good to bad, per packet
	Leave Chance `yaml:"leave"` // bad to good, per packet
	Bad   Chance `yaml:"bad"`   // loss in the bad state; 100% when not given
	Good  Chance `yaml:"good"`  // loss in the good state
}

// Reorder holds packets back so that those behind overtake them.
type Reorder struct {
	Rate Chance        `yaml:"rate"`
	By   time.Duration `yaml:"by"` // how long it is held back; 0: DefaultReorder
}

// DefaultReorder is how long a reordered packet is held back unless the link says.
const DefaultReorder = 5 * time.Millisecond

// Corrupt changes one byte of a packet.
type Corrupt struct {
	Rate     Chance   `yaml:"rate"`
	Nth      []int    `yaml:"nth"`      // as in Loss
	NthData  []int    `yaml:"nth_data"` // as in Loss
	Checksum Checksum `yaml:"checksum"`
}
