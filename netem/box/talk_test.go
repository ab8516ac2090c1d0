package box

import (
	"encoding/binary"
	"testing"
	"time"

	"hybridlab/lab/capture"
)

// talk plays a connection through a box and keeps what the box says.
type talk struct {
	*Flow
	now      time.Duration
	seq      [2]uint32 // next of each direction
	rulings  []Ruling
	received [2][]byte // payload that passed, by direction
}

const (
	clientISN = 1000
	serverISN = 4294967290 // wraps a few bytes into the stream
)

// machine makes a box of a rule in the text form; it must be right.
func machine(t testing.TB, when, do string) *Machine {
	t.Helper()
	b := Box{Name: "test", Layer: Packet, When: when, Do: do}
	p, err := b.Program("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	return NewMachine(p)
}

// connect opens a connection through the box.
func connect(m *Machine) *talk {
	c := &talk{Flow: m.NewFlow(443, func(uint64) float64 { return 0.5 }), seq: [2]uint32{clientISN, serverISN}}
	c.put(Seen{Dir: capture.ToServer, Flags: capture.SYN})
	c.put(Seen{Dir: capture.ToClient, Flags: capture.SYN | capture.ACK})
	c.put(Seen{Dir: capture.ToServer, Flags: capture.ACK})
	return c
}

// put sends the packet, which comes next in its direction.
func (c *talk) put(p Seen) Ruling {
	p.TCP, p.Seq, p.Ack = true, c.seq[p.Dir], c.seq[1-p.Dir]
	c.seq[p.Dir] = p.end()
	return c.see(p)
}

func (c *talk) see(p Seen) Ruling {
	p.Size = max(p.Size, 40+len(p.Payload))
	r := c.See(c.now, p)
	c.rulings = append(c.rulings, r)
	if r.Drop == "" {
		c.received[p.Dir] = append(c.received[p.Dir], p.Payload...)
	}
	return r
}

func (c *talk) up(data []byte) Ruling {
	return c.put(Seen{Dir: capture.ToServer, Flags: capture.ACK | capture.PSH, Payload: data})
}

func (c *talk) down(data []byte) Ruling {
	return c.put(Seen{Dir: capture.ToClient, Flags: capture.ACK | capture.PSH, Payload: data})
}

// cutUp sends data in segments that end at the given offsets.
func (c *talk) cutUp(data []byte, cuts ...int) (last Ruling) {
	from := 0
	for _, to := range append(cuts, len(data)) {
		last = c.up(data[from:to])
		from = to
	}
	return last
}

// shape is a ClientHello to be made.
type shape struct {
	groups, shares, schemes, certSchemes, versions []uint16
	name                                           string
	pad                                            int
	records                                        []int // lengths of records, the rest in a last one
}

var plain = shape{groups: []uint16{0x11ec, 29, 23}, shares: []uint16{0x11ec, 29}, schemes: []uint16{0x0403, 0x0804}, versions: []uint16{0x0304}, name: "hybridlab.test"}

func u16(b []byte, v int) []byte { return binary.BigEndian.AppendUint16(b, uint16(v)) }

func codeList(vs []uint16) []byte {
	var b []byte
	for _, v := range vs {
		b = u16(b, int(v))
	}
	return b
}

func sized(n int, b []byte) []byte {
	if n == 1 {
		return append([]byte{byte(len(b))}, b...)
	}
	return append(u16(nil, len(b)), b...)
}

// message is the handshake message.
func (s shape) message() []byte {
	var exts []byte
	ext := func(typ int, body []byte) { exts = append(u16(exts, typ), sized(2, body)...) }
	if s.name != "" {
		ext(extServerName, sized(2, append([]byte{0}, sized(2, []byte(s.name))...)))
	}
	if s.groups != nil {
		ext(extGroups, sized(2, codeList(s.groups)))
	}
	if s.schemes != nil {
		ext(extSchemes, sized(2, codeList(s.schemes)))
	}
	if s.certSchemes != nil {
		ext(extCertSchemes, sized(2, codeList(s.certSchemes)))
	}
	if s.versions != nil {
		ext(extVersions, sized(1, codeList(s.versions)))
	}
	var shares []byte
	for _, g := range s.shares {
		shares = append(u16(shares, int(g)), sized(2, make([]byte, 32))...)
	}
	ext(extKeyShare, sized(2, shares))
	if s.pad > 0 {
		ext(21, make([]byte, s.pad))
	}
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0)
	body = append(body, sized(2, codeList([]uint16{0x1301, 0x1302}))...)
	body = append(body, 1, 0)
	body = append(body, sized(2, exts)...)
	return append([]byte{clientHello, 0, byte(len(body) >> 8), byte(len(body))}, body...)
}

// stream is the message in its records.
func (s shape) stream() []byte { return inRecords(s.message(), s.records...) }

func inRecords(m []byte, lengths ...int) []byte {
	var out []byte
	for _, n := range append(lengths, len(m)) {
		n = min(n, len(m))
		if n > 0 {
			out = append(append(out, handshake, 3, 1), sized(2, m[:n])...)
			m = m[n:]
		}
	}
	return out
}

// answer is a ServerHello, or a HelloRetryRequest, that selects the group.
func answer(retry bool, group int, pad int) []byte {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	share := u16(nil, group)
	if retry {
		copy(body[2:], retryRandom)
	} else {
		share = append(share, sized(2, make([]byte, 32+pad))...)
	}
	body = append(body, 0, 0x13, 1, 0)
	exts := append(u16(nil, extVersions), sized(2, []byte{3, 4})...)
	exts = append(u16(exts, extKeyShare), sized(2, share)...)
	body = append(body, sized(2, exts)...)
	return inRecords(append([]byte{serverHello, 0, byte(len(body) >> 8), byte(len(body))}, body...))
}
