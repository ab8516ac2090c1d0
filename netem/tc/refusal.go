package tc

import (
	"fmt"
	"math"
	"strings"

	"hybridlab/netem"
)

// Refusal is why a direction of a link cannot be left to the kernel: all its
// reasons.
type Refusal []Reason

// Reason is one key of a link that the kernel cannot do.
type Reason struct {
	Key     string // as in links.yaml: "loss.nth"
	Why     string
	Instead string // what does it
}

func (r Refusal) Error() string {
	var lines []string
	for _, why := range r {
		lines = append(lines, fmt.Sprintf("%s: %s; instead: %s", why.Key, why.Why, why.Instead))
	}
	return "the kernel cannot do all of it:\n  " + strings.Join(lines, "\n  ")
}

const engine = "the path engine (hybridlab run)"

// refuse lists what of a shape no qdisc does.
func refuse(s netem.Shape) (out Refusal) {
	add := func(wanted bool, key, why, instead string) {
		if wanted {
			out = append(out, Reason{key, why, instead})
		}
	}
	const exact = "netem draws lots, it does not choose a packet"
	add(len(s.Loss.Nth) > 0, "loss.nth", exact, engine)
	add(len(s.Loss.NthData) > 0, "loss.nth_data", exact, engine)
	add(len(s.Corrupt.Nth) > 0, "corrupt.nth", exact, engine)
	add(len(s.Corrupt.NthData) > 0, "corrupt.nth_data", exact, engine)
	add(s.Corrupt.Checksum == netem.FixedChecksum, "corrupt.checksum", "netem does not make checksums right again", engine)
	refuseSize(s, add)
	refuseTime(s, add)
	return out
}

func refuseSize(s netem.Shape, add func(bool, string, string, string)) {
	const clamp = "nft add rule inet filter forward tcp flags syn tcp option maxseg size set N"
	switch {
	case s.MTU > 0 && s.TooBig == netem.EatICMP:
		add(true, "too_big: eat", "a qdisc has no MTU, and the kernel tells the sender where the device has one", engine)
	case s.MTU > 0 && s.TooBig == netem.Fragment:
		add(true, "too_big: fragment", "a qdisc does not fragment, and the kernel leaves packets whole that say so", engine)
	default:
		add(s.MTU > 0, "mtu", "a qdisc has no MTU, the device has",
			fmt.Sprintf("ip link set DEV mtu %d and leave the key out (--without mtu), or %s", s.MTU, engine))
	}
	add(s.ClampMSS, "clamp_mss", "a qdisc does not change packets", clamp)
	add(s.MSS > 0, "mss", "a qdisc does not change packets", clamp)
	add(s.Fragments == netem.DropFragments, "fragments: drop", "a qdisc does not look at headers",
		"nft add rule inet raw prerouting ip frag-off & 0x3fff != 0 drop, or "+engine)
}

func refuseTime(s netem.Shape, add func(bool, string, string, string)) {
	add(s.Jitter/2 > maxSpread, "jitter", fmt.Sprintf("netem knows no more than %s", 2*maxSpread), engine)
	add(heldBack(s.Reorder) > maxSpread, "reorder.by", fmt.Sprintf("netem knows no more than %s", maxSpread), engine)
	if p := float64(s.Reorder.Rate); p > 0 {
		n, k := nearest(p)
		add(math.Abs(float64(k)/float64(n)-p) > p/100, "reorder.rate",
			fmt.Sprintf("a delay distribution of %d points has nothing near %s", maxTable, s.Reorder.Rate), engine)
	}
	add(s.Duplicate > 0 && len(timing(s)) > 1, "duplicate",
		"a netem that duplicates must be the only one of its device, and the other keys take more than one", "a link without one of rate, delay, jitter, reorder, or "+engine)
}

// Differences says, for people, what the kernel does a little differently
// from what the link says.
func Differences(s netem.Shape) (out []string) {
	if s.Corrupt.Rate > 0 {
		out = append(out, "corrupt: the kernel flips one bit anywhere in a packet's headers, the device's included, or what lies beside them; a link changes one byte of the payload")
	}
	if s.Duplicate > 0 && (s.Loss.Rate > 0 || bursts(s.Loss.Burst)) {
		out = append(out, "duplicate: a packet that is both lost and duplicated arrives once, and the second copy may be lost by itself; on a link, both copies share one fate")
	}
	if s.Duplicate > 0 && s.Rate > 0 {
		out = append(out, "duplicate: the copy goes first where the queue has room for one")
	}
	return out
}
