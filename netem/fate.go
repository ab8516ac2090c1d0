package netem

import (
	"crypto/sha256"
	"encoding/binary"
)

// key makes the fates of one cell. It knows the seed and the cell's name and
// nothing about where and when the cell runs.
type key [2]uint64

func newKey(seed uint64, name string) key {
	h := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, seed), name...))
	return key{binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])}
}

// purpose separates the decisions about one packet from one another.
type purpose uint8

const (
	forLoss purpose = iota
	forBurstStep
	forBurstLoss
	forDuplicate
	forReorder
	forJitter
	forCorrupt
	forCorruptByte
	forBox
)

// draw is uniform in 64 bits, and the same for the same arguments.
func (k key) draw(why purpose, l *lane, id identity, piece int) uint64 {
	h := mix(k[0] ^ uint64(why)<<32 ^ uint64(l.dir)<<40 ^ uint64(id.class)<<48 ^ uint64(piece))
	h = mix(h ^ uint64(id.ordinal)<<32 ^ uint64(id.times))
	return mix(h ^ k[1] ^ uint64(id.flow))
}

// mix scatters 64 bits so that each bit of the input matters to each bit of
// the output: the finalizer of MurmurHash3, after an offset that keeps zero
// from being its own image.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// unit maps a draw to [0, 1).
func unit(draw uint64) float64 { return float64(draw>>11) / (1 << 53) }

// happens says whether an event of chance p happens on this draw.
func (p Chance) happens(draw uint64) bool { return unit(draw) < float64(p) }
