package wire

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// ErrTruncated is in the error of a parser whose input ended too early: more
// bytes might have made it whole. Any other error is a fault in bytes that
// are there.
var ErrTruncated = errors.New("truncated")

// cursor reads one structure leniently. Where bytes are missing it hands out
// those that are there, and notes the first thing that was wrong; reading on
// is always safe.
type cursor struct {
	s    cryptobyte.String
	open bool // cut short: what is missing may never have been captured
	err  *error
}

// newCursor reads a message body, which may have been cut short anywhere.
func newCursor(body []byte, err *error) cursor { return cursor{s: body, open: true, err: err} }

func (c *cursor) empty() bool { return c.s.Empty() }

func (c *cursor) fail(format string, args ...any) {
	if *c.err == nil {
		*c.err = fmt.Errorf(format, args...)
	}
}

// missing notes that a field is not all there.
func (c *cursor) missing(what string, n int) {
	switch {
	case *c.err != nil:
	case c.open:
		*c.err = fmt.Errorf("%s: %w, %d bytes missing", what, ErrTruncated, n)
	default:
		*c.err = fmt.Errorf("%s: runs %d bytes past the end of what holds it", what, n)
	}
}

// bytes reads n bytes, or as many as there are.
func (c *cursor) bytes(n int, what string) []byte {
	if short := n - len(c.s); short > 0 {
		c.missing(what, short)
		n = len(c.s)
	}
	var b []byte
	c.s.ReadBytes(&b, n)
	return b[:len(b):len(b)] // who appends to a result must not write into the capture
}

func (c *cursor) uint8(what string) (v uint8) {
	if !c.s.ReadUint8(&v) {
		c.missing(what, 1)
	}
	return v
}

func (c *cursor) uint16(what string) (v uint16) {
	if !c.s.ReadUint16(&v) {
		c.missing(what, 2-len(c.s))
		c.s = nil
	}
	return v
}

// vector8 and vector16 open a length-prefixed vector (RFC 8446 section 3.4)
// and also return the length it claims, which is more than it holds where
// it was cut short.
func (c *cursor) vector8(what string) (cursor, int)  { return c.vector(int(c.uint8(what)), what) }
func (c *cursor) vector16(what string) (cursor, int) { return c.vector(int(c.uint16(what)), what) }

func (c *cursor) vector(n int, what string) (cursor, int) {
	cut := n > len(c.s)
	in := c.bytes(n, what)
	return cursor{s: in, open: c.open && cut, err: c.err}, n
}

// uint16s reads the rest as a list of 16-bit values.
func (c *cursor) uint16s(what string) []uint16 {
	list := make([]uint16, len(c.s)/2)
	for i := range list {
		c.s.ReadUint16(&list[i])
	}
	if !c.empty() {
		c.missing(what, 1)
	}
	return list
}

// end notes bytes that have no business being there.
func (c *cursor) end() {
	if !c.empty() {
		c.fail("%d bytes follow its end", len(c.s))
	}
}
