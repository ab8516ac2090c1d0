package crafted

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"hybridlab/lab/wire"
)

// Flaw is what is wrong, on purpose, with the key shares of a client's
// post-quantum groups, or else of its classical ones, in its first hello and
// in its second. The others stay sound.
type Flaw string

const (
	FlawTruncated    Flaw = "truncated"     // the last byte is missing
	FlawPadded       Flaw = "padded"        // a zero byte follows
	FlawEmpty        Flaw = "empty"         // key_exchange<1..2^16-1> of no bytes
	FlawNonCanonical Flaw = "non-canonical" // a coefficient of the ML-KEM key is 4095, and q is 3329: FIPS 203 section 7.2
	FlawSwapped      Flaw = "swapped"       // the halves in the other order
	FlawZeroX25519   Flaw = "zero-x25519"   // the X25519 half is all zero, and so is the secret: RFC 7748 section 6.1
	FlawPointHybrid  Flaw = "point-hybrid"  // the NIST point in SEC 1's hybrid form, first byte 6 or 7
	FlawPointShort   Flaw = "point-short"   // the NIST point compressed, first byte 2 or 3
	FlawDuplicate    Flaw = "duplicate"     // the same share twice
	FlawUnlisted     Flaw = "unlisted"      // one more share, of a hybrid not in supported_groups
	FlawReversed     Flaw = "reversed"      // shares in the opposite order of supported_groups
)

var flaws = []Flaw{FlawTruncated, FlawPadded, FlawEmpty, FlawNonCanonical, FlawSwapped, FlawZeroX25519, FlawPointHybrid, FlawPointShort,
	FlawDuplicate, FlawUnlisted, FlawReversed}

// Flaws lists them.
func Flaws() []Flaw { return slices.Clone(flaws) }

// spoil returns the shares of a hello that lists the groups, with the flaw.
func (f Flaw) spoil(shares []keyShare, listed []wire.Group, classical bool) ([]keyShare, error) {
	if f != "" && !slices.Contains(flaws, f) {
		return nil, fmt.Errorf("spoil key shares by %q: want one of %q", f, flaws)
	}
	var out []keyShare
	for _, s := range shares {
		meant := s.group.PostQuantum() != classical
		if meant {
			s.data = f.share(exchanges[s.group], slices.Clone(s.data))
		}
		out = append(out, s)
		if f == FlawDuplicate && meant {
			out = append(out, s)
		}
	}
	switch f {
	case FlawReversed:
		slices.Reverse(out)
	case FlawUnlisted:
		return withUnlisted(out, listed)
	}
	return out, nil
}

func (f Flaw) share(x exchange, data []byte) []byte {
	switch f {
	case FlawEmpty:
		return nil
	case FlawTruncated:
		return data[:len(data)-1]
	case FlawPadded:
		return append(data, 0)
	}
	var halves [][]byte
	for _, half := range x {
		n, _ := half.sizes()
		halves = append(halves, f.half(half, data[:n]))
		data = data[n:]
	}
	if f == FlawSwapped {
		slices.Reverse(halves)
	}
	return slices.Concat(halves...)
}

func (f Flaw) half(k kem, data []byte) []byte {
	c, isCurve := k.(curve)
	odd := data[len(data)-1] & 1 // of a NIST point: its y
	switch {
	case !isCurve && f == FlawNonCanonical:
		data[0], data[1] = 0xff, data[1]|0x0f
	case isCurve && c == x25519 && f == FlawZeroX25519:
		clear(data)
	case isCurve && c != x25519 && f == FlawPointHybrid:
		data[0] = 6 | odd
	case isCurve && c != x25519 && f == FlawPointShort:
		data[0] = 2 | odd
		return data[:1+len(data)/2]
	}
	return data
}

func withUnlisted(shares []keyShare, listed []wire.Group) ([]keyShare, error) {
	for _, g := range []wire.Group{wire.X25519MLKEM768, wire.SecP256r1MLKEM768} {
		if slices.Contains(listed, g) {
			continue
		}
		data, _, err := exchanges[g].generate()
		return append(shares, keyShare{g, data}), err
	}
	return shares, nil
}

// Death is how a server ends a connection once the second ClientHello has
// come, instead of going on.
type Death string

const (
	DeathReset  Death = "reset"  // TCP RST
	DeathSilent Death = "silent" // nothing, until the client goes
	DeathAlert  Death = "alert"  // illegal_parameter
)

var errOnPurpose = errors.New("ended after the second ClientHello, as it was set up to")

// Deaths lists them.
func Deaths() []Death { return []Death{DeathReset, DeathSilent, DeathAlert} }

// die ends the connection as the shape says; it returns nil where it does not.
func (c *Conn) die() error {
	switch death := c.cfg.Shape.Death; death {
	case "":
		return nil
	case DeathReset:
		return c.leaveUnread()
	case DeathSilent:
		c.net.SetDeadline(time.Time{}) // whoever gives up first is the client
		_, err := io.Copy(io.Discard, c.net)
		return errors.Join(errOnPurpose, err)
	case DeathAlert:
		if _, err := c.records.message(); err != nil {
			return err
		}
		return alertf(alertIllegalParameter, "%v", errOnPurpose)
	default:
		return fmt.Errorf("end a connection by %q: want one of %q", death, Deaths())
	}
}

// leaveUnread reads the next handshake record but for its last byte: to close
// a connection with data unread is to reset it (RFC 1122 section 4.2.2.13).
func (c *Conn) leaveUnread() error {
	for {
		header := make([]byte, recordHeader)
		if _, err := io.ReadFull(c.net, header); err != nil {
			return err
		}
		n := int64(header[3])<<8 + int64(header[4])
		if header[0] == typeHandshake {
			_, err := io.CopyN(io.Discard, c.net, n-1)
			return errors.Join(errOnPurpose, err)
		}
		if _, err := io.CopyN(io.Discard, c.net, n); err != nil {
			return err
		}
	}
}
