package fidelity

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// Verdict says whether two sides do the same.
type Verdict string

const (
	Alike        Verdict = "alike"
	Differs      Verdict = "differs"
	Inconclusive Verdict = "inconclusive" // the machine was too late too often
)

// Row is one statistic of both sides.
type Row struct {
	What, Asked, Kernel, Engine string
	Difference, Bound           string // and how much of it chance and lateness explain
	Verdict                     Verdict
}

// measure is a statistic of a case: kernel and engine side by side.
type measure func(c Case, k, e Stats) Row

const (
	// z is the quantile of the normal distribution that both tails beyond
	// have 0.01 % of.
	z = 3.8906
	// alpha is the same chance, for the bound of Dvoretzky, Kiefer, Wolfowitz
	// and Massart.
	alpha = 0.0001
	// tolerable is the share of the time the machine may be late in, both
	// sides together, and the delays still say something.
	tolerable = 0.25
)

// Compare is the rows of a case.
func Compare(c Case, kernel, engine Stats) (rows []Row) {
	for _, m := range c.measures {
		rows = append(rows, m(c, kernel, engine))
	}
	return rows
}

func verdict(alike bool) Verdict {
	if alike {
		return Alike
	}
	return Differs
}

// timed is a verdict about times, which need a machine that has time.
func timed(k, e Stats, alike bool) Verdict {
	if k.Stalled+e.Stalled > tolerable {
		return Inconclusive
	}
	return verdict(alike)
}

// share compares two proportions. memory is how much a packet's fate says
// about the next one's, which makes a sample worth fewer packets.
func share(what string, asked, memory float64, kHits, eHits int, k, e Stats) Row {
	pk, pe := float64(kHits)/float64(k.Sent), float64(eHits)/float64(e.Sent)
	worth := (1 - memory) / (1 + memory)
	p := float64(kHits+eHits) / float64(k.Sent+e.Sent)
	bound := z * math.Sqrt(p*(1-p)*(1/float64(k.Sent)+1/float64(e.Sent))/worth)
	return Row{what, percent(asked), percent(pk), percent(pe), percent(pk - pe), percent(bound), verdict(math.Abs(pk-pe) <= bound)}
}

func percent(p float64) string { return fmt.Sprintf("%.2f%%", 100*p) }

func lost(c Case, k, e Stats) Row {
	return share(c.Name, float64(c.Shape.Loss.Rate), 0, k.Lost, e.Lost, k, e)
}

func lostInBursts(c Case, k, e Stats) Row {
	b := c.Shape.Loss.Burst
	return share(c.Name+": lost", float64(b.Enter/(b.Enter+b.Leave)), float64(1-b.Enter-b.Leave), k.Lost, e.Lost, k, e)
}

func doubled(c Case, k, e Stats) Row {
	return share(c.Name, float64(c.Shape.Duplicate), 0, k.Doubled, e.Doubled, k, e)
}

func overtaken(c Case, k, e Stats) Row {
	return share(c.Name+": overtaken", float64(c.Shape.Reorder.Rate), 0, k.Overtaken, e.Overtaken, k, e)
}

// inOrder: where the link keeps the order, not one packet is overtaken.
func inOrder(c Case, k, e Stats) Row {
	return Row{c.Name + ": overtaken", "0", fmt.Sprint(k.Overtaken), fmt.Sprint(e.Overtaken), fmt.Sprint(k.Overtaken - e.Overtaken), "0",
		verdict(k.Overtaken == 0 && e.Overtaken == 0)}
}

// burstLength compares two means.
func burstLength(c Case, k, e Stats) Row {
	mk, vk := meanAndVariance(k.Bursts)
	me, ve := meanAndVariance(e.Bursts)
	bound := z * math.Sqrt(vk/float64(len(k.Bursts))+ve/float64(len(e.Bursts)))
	asked := 1 / float64(c.Shape.Loss.Burst.Leave)
	number := func(f float64) string { return fmt.Sprintf("%.2f", f) }
	return Row{c.Name + ": mean length", number(asked), number(mk), number(me), number(mk - me), number(bound), verdict(math.Abs(mk-me) <= bound)}
}

func meanAndVariance(xs []int) (mean, variance float64) {
	for _, x := range xs {
		mean += float64(x) / float64(len(xs))
	}
	for _, x := range xs {
		variance += (float64(x) - mean) * (float64(x) - mean) / float64(len(xs)-1)
	}
	return mean, variance
}

func median(c Case, k, e Stats) Row {
	dk, de := quantile(k.Delays, 0.5), quantile(e.Delays, 0.5)
	asked := c.Shape.Delay + c.Shape.Jitter/2
	return Row{c.Name + ": median", millis(asked), millis(dk), millis(de), millis(dk - de), millis(medianBound(c, k, e)),
		timed(k, e, (dk-de).Abs() <= medianBound(c, k, e))}
}

// medianBound is what lateness explains, and for a jitter chance: as much as
// half the distribution's bound is of a uniform distribution.
func medianBound(c Case, k, e Stats) time.Duration {
	return allowed + time.Duration(distanceBound(k, e)*float64(c.Shape.Jitter))
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(ms)) }

func quantile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(ds))[int(q*float64(len(ds)-1))]
}

// distribution compares all delays by the statistic of Kolmogorov and
// Smirnov, allowing each side to be late.
func distribution(c Case, k, e Stats) Row {
	d, bound := distance(k.Delays, e.Delays), distanceBound(k, e)
	text := func(f float64) string { return fmt.Sprintf("%.3f", f) }
	return Row{c.Name + ": distribution", "", fmt.Sprintf("%d delays", len(k.Delays)), fmt.Sprintf("%d delays", len(e.Delays)), text(d), text(bound), timed(k, e, d <= bound)}
}

// distance is how far the two distributions are apart at most when neither
// is moved by more than the lateness allowed to the other.
func distance(a, b []time.Duration) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return max(ahead(a, b), ahead(b, a))
}

// ahead is by how much a's share of short delays is larger than b's at most,
// b's being late.
func ahead(a, b []time.Duration) (most float64) {
	for i, x := range a {
		below, _ := slices.BinarySearch(b, x+allowed+1)
		most = max(most, float64(i+1)/float64(len(a))-float64(below)/float64(len(b)))
	}
	return most
}

func distanceBound(k, e Stats) float64 {
	n, m := float64(len(k.Delays)), float64(len(e.Delays))
	return math.Sqrt(-math.Log(alpha/2)/2*(n+m)/(n*m)) + k.Stalled + e.Stalled
}

// rate compares the spacing of packets that leave a full queue.
func rate(c Case, k, e Stats) Row {
	const bound = 0.01
	bits := func(s Stats) float64 { return float64(8*c.Size) / s.Spacing.Seconds() }
	off := bits(k)/bits(e) - 1
	text := func(f float64) string { return fmt.Sprintf("%.1f kbit/s", f/1000) }
	return Row{c.Name, text(float64(c.Shape.Rate)), text(bits(k)), text(bits(e)), percent(off), percent(bound), timed(k, e, math.Abs(off) <= bound)}
}

// queue compares how many packets of a burst were dropped: those the queue
// had no room for, less what the wire took while the burst was being sent.
func queue(c Case, k, e Stats) Row {
	each := time.Duration(float64(8*c.Size) / float64(c.Shape.Rate) * float64(time.Second))
	bound := int(k.Sending/each) + int(e.Sending/each)
	off := k.Lost - e.Lost
	return Row{c.Name + ": dropped", fmt.Sprint(c.Packets - c.Shape.Queue), fmt.Sprint(k.Lost), fmt.Sprint(e.Lost), fmt.Sprint(off), fmt.Sprint(bound),
		verdict(max(off, -off) <= bound)}
}

// WriteTable prints rows for people.
func WriteTable(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tASKED\tKERNEL\tENGINE\tDIFFERENCE\tBOUND\tVERDICT")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.What, r.Asked, r.Kernel, r.Engine, r.Difference, r.Bound, r.Verdict)
	}
	return t.Flush()
}
