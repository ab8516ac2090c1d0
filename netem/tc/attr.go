package tc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The attributes of a netem qdisc (linux/pkt_sched.h). vishvananda/netlink
// knows neither loss models nor nanoseconds nor seeds.
const (
	attrDelayDist = 2
	attrCorrupt   = 4
	attrLoss      = 5
	attrRate      = 6
	attrRate64    = 8
	attrLatency64 = 10
	attrJitter64  = 11
	attrSeed      = 14

	lossGilbertElliott = 2 // within attrLoss

	typeMask = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
	maxRate  = 1<<32 - 1
	optSize  = 24 // struct tc_netem_qopt
)

var native = binary.NativeEndian

// appendAttr appends a netlink attribute: length, type, value, padding.
func appendAttr(b []byte, kind uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(4+len(value)))
	b = native.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func words(v ...uint32) (b []byte) {
	for _, w := range v {
		b = native.AppendUint32(b, w)
	}
	return b
}

func word64(v uint64) []byte { return native.AppendUint64(nil, v) }

// options is the value of TCA_OPTIONS.
func (q Qdisc) options() []byte {
	// Latency and jitter of the structure are in ticks of 64 ns: see below.
	b := words(0, q.Limit, q.Loss, 0, q.Duplicate, 0)
	add := func(wanted bool, kind uint16, value []byte) {
		if wanted {
			b = appendAttr(b, kind, value)
		}
	}
	add(q.Delay > 0, attrLatency64, word64(uint64(q.Delay)))
	add(q.Jitter > 0, attrJitter64, word64(uint64(q.Jitter)))
	add(len(q.Table) > 0, attrDelayDist, tableBytes(q.Table))
	add(q.Burst.on(), attrLoss, appendAttr(nil, lossGilbertElliott, words(q.Burst.P, q.Burst.R, q.Burst.H, q.Burst.K1)))
	add(q.Corrupt > 0, attrCorrupt, words(q.Corrupt, 0))
	add(q.Rate > maxRate, attrRate64, word64(q.Rate))
	add(q.Rate > 0, attrRate, words(uint32(min(q.Rate, maxRate)), uint32(q.Overhead), 0, 0))
	add(q.Seed > 0, attrSeed, word64(q.Seed))
	return b
}

func tableBytes(table []int16) (b []byte) {
	for _, v := range table {
		b = native.AppendUint16(b, uint16(v))
	}
	return b
}

var errShort = errors.New("it ends in the middle")

// parseOptions reads what the kernel says of a netem qdisc.
func parseOptions(b []byte) (q Qdisc, err error) {
	if len(b) < optSize {
		return q, fmt.Errorf("read options of a netem qdisc: %w", errShort)
	}
	q.Limit, q.Loss, q.Duplicate = native.Uint32(b[4:]), native.Uint32(b[8:]), native.Uint32(b[16:])
	if err = eachAttr(b[optSize:], q.setAttr); err != nil {
		return q, fmt.Errorf("read options of a netem qdisc: %w", err)
	}
	return q, nil
}

// setAttr takes one option; those the lab never sets are passed over.
func (q *Qdisc) setAttr(kind uint16, v []byte) error {
	least := map[uint16]int{attrCorrupt: 4, attrRate: 8, attrRate64: 8, attrLatency64: 8, attrJitter64: 8, attrSeed: 8}
	if len(v) < least[kind] {
		return errShort
	}
	switch kind {
	case attrLatency64:
		q.Delay = time.Duration(native.Uint64(v))
	case attrJitter64:
		q.Jitter = time.Duration(native.Uint64(v))
	case attrCorrupt:
		q.Corrupt = native.Uint32(v)
	case attrRate:
		q.Rate, q.Overhead = max(q.Rate, uint64(native.Uint32(v))), int32(native.Uint32(v[4:]))
	case attrRate64:
		q.Rate = max(q.Rate, native.Uint64(v))
	case attrSeed:
		q.Seed = native.Uint64(v)
	case attrDelayDist:
		for ; len(v) >= 2; v = v[2:] {
			q.Table = append(q.Table, int16(native.Uint16(v)))
		}
	case attrLoss:
		return eachAttr(v, q.setLoss)
	}
	return nil
}

func (q *Qdisc) setLoss(kind uint16, v []byte) error {
	if kind != lossGilbertElliott {
		return nil
	}
	if len(v) < 16 {
		return errShort
	}
	q.Burst = Burst{P: native.Uint32(v), R: native.Uint32(v[4:]), H: native.Uint32(v[8:]), K1: native.Uint32(v[12:])}
	return nil
}

// eachAttr calls take for every attribute in b.
func eachAttr(b []byte, take func(kind uint16, v []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return errShort
		}
		size := int(native.Uint16(b))
		if size < 4 || size > len(b) {
			return errShort
		}
		if err := take(native.Uint16(b[2:])&typeMask, b[4:size]); err != nil {
			return err
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return nil
}
