package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gopacket/gopacket/pcapgo"
)

// Block types of pcapng, and the smallest length each may have.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	blockSecrets   = 10

	minSection   = 28
	minInterface = 20
	minPacket    = 32
	minSecrets   = 20

	maxBlock = 1 << 20  // bytes; what WritePcapng writes takes half of it
	maxFile  = 64 << 20 // bytes
)

// blocks hands a pcapng file on to pcapgo block by block.
//
// pcapgo keeps the key log to itself and believes every length in the file: a
// wrong one makes it read on in the middle of the next block, and a gzip file
// may unpack to any size. Here every length is checked against the block it is
// in, the key log is kept, and what WritePcapng does not write is refused or
// left out.
type blocks struct {
	r          *bufio.Reader
	keylog     []byte
	offset     int64  // in the file, of the next block
	block      []byte // the current one
	rest       []byte // what of it is still to be read
	interfaces int
}

func (b *blocks) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		pass, err := b.next()
		if err != nil {
			return 0, err
		}
		if pass {
			b.rest = b.block
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// next reads a whole block and reports whether it is for pcapgo.
func (b *blocks) next() (pass bool, err error) {
	at := b.offset
	defer func() {
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("block at offset %d: %w", at, err)
		}
	}()
	head, err := b.r.Peek(12)
	if len(head) == 0 && errors.Is(err, io.EOF) && at > 0 {
		return false, io.EOF
	}
	if err != nil {
		return false, short(err)
	}
	if err := b.order(head); err != nil {
		return false, err
	}
	n := binary.LittleEndian.Uint32(head[4:])
	if n < 12 || n%4 != 0 || n > maxBlock {
		return false, fmt.Errorf("length %d: want a multiple of 4 from 12 to %d", n, maxBlock)
	}
	if at+int64(n) > maxFile {
		return false, fmt.Errorf("the file is larger than %d MiB", maxFile>>20)
	}
	if cap(b.block) < int(n) {
		b.block = make([]byte, max(n, 4096))
	}
	b.block = b.block[:n]
	if _, err := io.ReadFull(b.r, b.block); err != nil {
		return false, short(err)
	}
	b.offset += int64(n)
	if end := binary.LittleEndian.Uint32(b.block[n-4:]); end != n {
		return false, fmt.Errorf("length is %d at its start and %d at its end", n, end)
	}
	return b.check()
}

// short turns the end of the file into an error: it came too early.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// order checks the start of the file: one section, in our byte order.
func (b *blocks) order(head []byte) error {
	typ, magic := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[8:])
	switch {
	case b.offset == 0 && typ != blockSection:
		return errors.New("not a pcapng file")
	case b.offset == 0 && magic == 0x4d3c2b1a:
		return errors.New("big-endian pcapng: hybridlab does not write it")
	case b.offset == 0 && magic != 0x1a2b3c4d:
		return fmt.Errorf("byte order mark %#x: not a pcapng file", magic)
	case b.offset > 0 && typ == blockSection:
		return errors.New("a second section: want one cell in a file")
	}
	return nil
}

// check looks into the block and reports whether it is for pcapgo.
func (b *blocks) check() (pass bool, err error) {
	switch typ := binary.LittleEndian.Uint32(b.block); typ {
	case blockSection:
		return true, b.options(minSection)
	case blockInterface:
		if b.interfaces++; b.interfaces > 2 {
			return false, errors.New("a third interface: want client side and server side")
		}
		return true, b.options(minInterface)
	case blockPacket:
		n, err := b.length(minPacket, 20)
		if err != nil {
			return false, err
		}
		return true, b.options(minPacket + (n+3)&^3)
	case blockSecrets:
		n, err := b.length(minSecrets, 12)
		if err == nil && binary.LittleEndian.Uint32(b.block[8:]) == pcapgo.DSB_SECRETS_TYPE_TLS {
			b.keylog = append(b.keylog, b.block[16:16+n]...)
		}
		return false, err
	}
	return false, nil
}

// length reads the length of a block's data, which is at offset at; least is
// the length of the block without data.
func (b *blocks) length(least, at int) (int, error) {
	if len(b.block) < least {
		return 0, fmt.Errorf("%d bytes: want at least %d", len(b.block), least)
	}
	n := binary.LittleEndian.Uint32(b.block[at:])
	if int64(n) > int64(len(b.block)-least) {
		return 0, fmt.Errorf("%d bytes of data in a block of %d", n, len(b.block))
	}
	return int(n), nil
}

// options walks the options that follow the first least-4 bytes.
func (b *blocks) options(least int) error {
	if len(b.block) < least {
		return fmt.Errorf("%d bytes: want at least %d", len(b.block), least)
	}
	for o := b.block[least-4 : len(b.block)-4]; len(o) > 0; {
		code, n := binary.LittleEndian.Uint16(o), int(binary.LittleEndian.Uint16(o[2:]))
		if code == 0 {
			if n != 0 || len(o) != 4 {
				return errors.New("options go on after their end")
			}
			return nil
		}
		if n = 4 + (n+3)&^3; n > len(o) {
			return fmt.Errorf("option %d runs past the end of the block", code)
		}
		o = o[n:]
	}
	return nil
}
