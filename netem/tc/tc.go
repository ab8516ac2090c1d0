// Package tc has the kernel do what a link says: it turns one direction of a
// netem.Link into tc-netem queueing disciplines and puts them on a device by
// netlink, for kernels that have sch_netem. The path engine is what the lab
// uses; this is for those who want the same link on a wire of their own, and
// for holding the engine against the kernel (see netem/fidelity).
//
// # What becomes of a key
//
//	loss.rate       loss, random
//	loss.burst      loss, Gilbert-Elliott (TCA_NETEM_LOSS); loss.rate beside it goes into both its states
//	duplicate       duplicate
//	corrupt.rate    corrupt
//	rate, queue     rate and limit, without the device's own header
//	delay           latency
//	jitter          latency and jitter about the middle, at a rate so high that it only keeps the order
//	reorder         a delay distribution of two points: zero, and reorder.by
//
// The kernel's own "reorder" is not what a link means by it: that one sends
// the chosen packets ahead at once, last come first served, where a link
// holds them back.
//
// A netem qdisc waits for the latency before it waits for the rate, and its
// limit counts the packets of both. A link's queue holds those that wait for
// the rate only, so a link with rate and delay is two qdiscs, one the child
// of the other; and one with jitter and reordering is one more. Hence Tree.
//
// What the kernel cannot do is refused, with what can (see Refusal); what it
// does a little differently is said (see Differences).
//
// # Packets
//
// netem decides about what the kernel hands it, and that may be a
// super-packet of 64 kB, which is then lost or delayed as one. Apply
// therefore makes the device's own senders cut their segments before they
// come to the qdisc (gso_max_segs 1). What the machine forwards was glued
// together by the device it came in on: ethtool -K THAT-DEVICE gro off.
package tc

import (
	"fmt"
	"math"
	"strings"
	"time"

	"hybridlab/netem"
)

// Tree is the qdiscs of one device, each the child of the one before. An
// empty one is a direction in which the link does nothing.
type Tree []Qdisc

// Qdisc is a netem queueing discipline, in the kernel's terms.
type Qdisc struct {
	Limit     uint32        // packets it holds
	Delay     time.Duration // of every packet
	Jitter    time.Duration // without Table uniform, this much either way; with it, the unit of Table
	Table     []int16       // delay distribution: each as likely, in 1/8192 of Jitter. The kernel takes it and never tells it
	Loss      uint32        // chance, in 1/2^32
	Burst     Burst         // in place of Loss
	Duplicate uint32        // chance
	Corrupt   uint32        // chance
	Rate      uint64        // bytes a second; 0: unlimited
	Overhead  int32         // added to the size of a packet, for Rate
	Seed      uint64        // of its random numbers; 0: the kernel's choice
}

// Burst is the kernel's Gilbert-Elliott model: struct tc_netem_gemodel.
type Burst struct {
	P  uint32 // good to bad
	R  uint32 // bad to good
	H  uint32 // a packet passes in the bad state
	K1 uint32 // a packet is lost in the good state
}

func (b Burst) on() bool { return b != Burst{} }

// chance is a probability in the kernel's units.
func chance(p netem.Chance) uint32 { return uint32(math.Round(float64(p) * math.MaxUint32)) }

// percent prints one.
func percent(u uint32) string {
	return fmt.Sprintf("%.4g%%", float64(u)/math.MaxUint32*100)
}

// String is the qdisc in the words of the tc command.
func (q Qdisc) String() string {
	var b strings.Builder
	say := func(wanted bool, format string, args ...any) {
		if wanted {
			fmt.Fprintf(&b, format, args...)
		}
	}
	say(true, "netem limit %d", q.Limit)
	say(q.Delay > 0 || q.Jitter > 0, " delay %s", q.Delay)
	say(q.Jitter > 0, " %s", q.Jitter)
	say(len(q.Table) > 0, " distribution {%s of packets}", percent(q.share()))
	say(q.Loss > 0, " loss %s", percent(q.Loss))
	say(q.Burst.on(), " loss gemodel %s %s %s %s", percent(q.Burst.P), percent(q.Burst.R), percent(math.MaxUint32-q.Burst.H), percent(q.Burst.K1))
	say(q.Duplicate > 0, " duplicate %s", percent(q.Duplicate))
	say(q.Corrupt > 0, " corrupt %s", percent(q.Corrupt))
	say(q.Rate > 0, " rate %s", netem.Bitrate(q.Rate*8))
	say(q.Overhead != 0, " packetoverhead %d", q.Overhead)
	say(q.Seed > 0, " seed %d", q.Seed)
	return b.String()
}

// share is the part of Table that is not zero.
func (q Qdisc) share() uint32 {
	n := 0
	for _, v := range q.Table {
		if v != 0 {
			n++
		}
	}
	return chance(netem.Chance(float64(n) / float64(len(q.Table))))
}
