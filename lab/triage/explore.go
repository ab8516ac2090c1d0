package triage

import (
	"fmt"
	"slices"
	"strings"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// conclude asks for the trials and weighs them. What is certain without a
// comparison of hellos comes first.
func (x *explorer) conclude() Conclusion {
	switch x.broken.Cause {
	case lab.CausePacketLoss:
		return x.byLink(lab.TriggerLoss, "loses packets that the handshake needs")
	case lab.CauseCorruption:
		return x.byLink(lab.TriggerCorruption, "changes bytes on the way")
	}
	switch x.broken.Outcome {
	case lab.Downgrade:
		return x.downgrade()
	case lab.Slow:
		return x.unknown("a trial of another hello says nothing about time")
	}
	x.run(x.opening()...)
	if x.chance() {
		return x.concluded(lab.TriggerChance, 0, nil, x.does("some handshakes and not others"), fmt.Sprintf("the same handshake with %d other seeds comes to different ends, so it is by chance", anotherSeeds))
	}
	if x.fate(x.little()) == same {
		return x.anyHello()
	}
	for _, cause := range []func() (Conclusion, bool){
		x.peculiar, x.packets, x.segments, x.record, x.sizes, x.retry, x.groups, x.classicals,
	} {
		if c, ok := cause(); ok {
			return c
		}
	}
	return x.unknown("no one change mends it")
}

// opening are the trials that every finding gets, side by side: one change
// each, to the finding's hello, to its imitation and to a small one.
func (x *explorer) opening() []Trial {
	trials := []Trial{
		x.clean(), x.bare(), x.imitated(), x.ownClassical(), x.little(), x.older(), x.newer(), x.retried(), x.direct(),
		x.whole(x.real), x.chopped(x.real), x.whole(x.mimic), x.chopped(x.mimic),
		x.little(padded(x.bytes())), x.whole(x.small.with(padded(x.bytes()))),
		x.little(padded(paddedBytes)), x.littleCut(firstCut), x.littleCut(lastCut), x.littleRecord(firstCut), x.littleRecord(lastRecord),
	}
	for n := range anotherSeeds {
		trials = append(trials, x.reseeded(n))
	}
	for _, s := range x.mimic.set {
		trials = append(trials, x.without(s.Key))
	}
	for _, g := range x.postQuantum() {
		trials = append(trials, x.listing(g), x.offering(g), x.choosing(g), x.beside(g), x.both(g))
	}
	return slices.DeleteFunc(trials, func(t Trial) bool { return t.Changed == "" })
}

func (x *explorer) littleCut(n int, set ...lab.Setting) Trial {
	return x.little(append([]lab.Setting{padded(paddedBytes), number("cut", n)}, set...)...)
}

func (x *explorer) littleRecord(n int) Trial {
	return x.little(padded(paddedBytes), number("record", n))
}

// chance: the finding's own cell with other seeds.
func (x *explorer) chance() bool {
	was := map[fate]bool{same: true}
	for n := range anotherSeeds {
		was[x.fate(x.reseeded(n))] = true
	}
	return was[gone]
}

// start is the setup that changes are made to: the imitation where it breaks
// as the finding does, else what can be done with the finding's own client.
func (x *explorer) start() setup {
	if x.imitates() {
		return x.mimic
	}
	return x.real
}

func (x *explorer) imitates() bool { return x.fate(x.imitated()) == same }

// byLink: it is the link's doing, if a clean one mends it.
func (x *explorer) byLink(t lab.Trigger, what string) Conclusion {
	if x.fate(x.clean()) != gone {
		return x.unknown("a clean link does not mend it")
	}
	return x.concluded(t, 0, (*explorer).clean, what, "over a clean link the same handshake passes")
}

// anyHello: even the smallest hello breaks, so nothing that is said of hellos
// explains it but what they have in common.
func (x *explorer) anyHello() Conclusion {
	o := x.saw(x.little())
	switch {
	case x.fate(x.older()) == gone && x.fate(x.newer()) == same:
		return x.concluded(lab.TriggerTLSVersion, 0, (*explorer).older,
			x.does("every ClientHello that offers TLS 1.3"), "a ClientHello of TLS 1.2 passes", x.alsoSmall())
	case x.f.Seen.Wire.HRR != nil && o.Wire.HRR != nil && o.Wire.ServerHello == nil:
		return x.concluded(lab.TriggerHRR, 0, nil,
			x.does("the second ClientHello, after the HelloRetryRequest"), x.alsoSmall())
	}
	if x.all(gone, x.littleCut(firstCut), x.littleCut(lastCut)) {
		return x.concluded(lab.TriggerSegmentation, 0, nil, x.does("a ClientHello that comes in one segment"), "cut in two, wherever, it passes", x.alsoSmall())
	}
	return x.unknown("it breaks for every ClientHello", x.alsoSmall())
}

func (x *explorer) alsoSmall() string {
	return fmt.Sprintf("%s alone, in %s bytes, ends the same way", x.classical(), count(x.helloOf(x.little()).Bytes))
}

func (x *explorer) helloOf(t Trial) lab.Hello {
	if hs := x.saw(t).Wire.ClientHellos; len(hs) > 0 {
		return hs[0]
	}
	return lab.Hello{}
}

// peculiarities of a hello, the most particular first: where two are needed
// together, the one that is rarer names the trigger.
var peculiarities = []struct {
	keys    []string
	trigger lab.Trigger
	what    string
}{
	{[]string{"flaw", "classical"}, lab.TriggerMalformed, "the malformed key share"},
	{[]string{"gap"}, lab.TriggerGap, "a pause between two segments of the ClientHello"},
	{[]string{"record"}, lab.TriggerRecordCut, "a ClientHello in several TLS records"},
	{[]string{"records"}, lab.TriggerRecordCut, "a ClientHello in several TLS records"},
	{[]string{"schemes"}, lab.TriggerSchemes, "a long list of signature schemes"},
	{[]string{"ml-dsa"}, lab.TriggerSchemes, "ML-DSA in signature_algorithms"},
	{[]string{"ml-dsa-cert"}, lab.TriggerSchemes, "ML-DSA in signature_algorithms_cert"},
	{[]string{"grease"}, lab.TriggerGREASE, "reserved values (GREASE) in a ClientHello"},
	{[]string{"late-name"}, lab.TriggerName, "a ClientHello with server_name behind the key shares"},
}

// peculiar: something about this hello that few have. Left out, it is mended.
func (x *explorer) peculiar() (Conclusion, bool) {
	if !x.imitates() {
		return Conclusion{}, false
	}
	for _, p := range peculiarities {
		if !x.mimic.has(p.keys[0]) || x.fate(x.without(p.keys...)) != gone {
			continue
		}
		cure := func(x *explorer) Trial { return x.without(p.keys...) }
		clauses := []string{x.does(p.what), "without it the same ClientHello passes"}
		threshold := 0
		switch p.trigger {
		case lab.TriggerGap:
			var say string
			threshold, say = x.gaps()
			clauses = append(clauses, say)
		case lab.TriggerRecordCut:
			return x.recordCut(cure)
		case lab.TriggerSchemes:
			if p.keys[0] == "schemes" {
				var say string
				threshold, say = x.schemes()
				clauses = append(clauses, say)
			}
		case lab.TriggerName:
			if c, ok := x.position(cure); ok {
				return c, true
			}
		}
		return x.concluded(p.trigger, threshold, cure, clauses[0], clauses[1:]...), true
	}
	return Conclusion{}, false
}

// packets: the size of packets, if bytes are lost on the way and in small
// packets are not.
func (x *explorer) packets() (Conclusion, bool) {
	s := x.start()
	if !x.loses() || x.fate(x.chopped(s)) != gone {
		return Conclusion{}, false
	}
	at, ok := x.rises(smallMSS, x.largestMSS(), func(n int) Trial { return x.segmented(s, n) })
	if !ok {
		return Conclusion{}, false
	}
	size, dir := x.lost(x.segmented(s, at))
	what := "large packets"
	if size > 0 {
		what = fmt.Sprintf("IP packets of %s bytes and more %s", count(size), strings.Replace(dir, "to ", "to the ", 1))
	}
	var hello string
	if n, ok := x.threshold(); ok && dir == "to server" {
		hello = fmt.Sprintf("that is a ClientHello of %s bytes and more, %s alone padded to that size too", count(n), x.classical())
	}
	return x.concluded(lab.TriggerMTU, size, (*explorer).choppedReal, x.does(what), hello,
		fmt.Sprintf("in segments of %d bytes the same handshake passes", smallMSS)), true
}

// loses reports whether something that was sent did not arrive.
func (x *explorer) loses() bool {
	w := x.f.Seen.Wire
	return w.LostUp+w.LostDown > 0 || x.broken.Cause == lab.CausePMTUBlackhole || x.broken.Cause == lab.CauseFragmentsDropped
}

func (x *explorer) choppedReal() Trial { return x.chopped(x.real) }

// largestMSS allows segments as large as the finding's: TCP's options come off
// it, forty bytes at most.
func (x *explorer) largestMSS() int { return x.f.Seen.Wire.MaxPayload + 40 }

// lost is the smallest IP packet that was dropped in a trial, and which way it
// was going.
func (x *explorer) lost(t Trial) (size int, dir string) {
	for _, d := range x.saw(t).Path.Drops {
		if d.Reason != "cell-closed" && (size == 0 || d.Bytes < size) {
			size, dir = d.Bytes, d.Dir
		}
	}
	return size, dir
}

// segments: that the hello takes more than one, if in one it passes.
func (x *explorer) segments() (Conclusion, bool) {
	s := x.start()
	cut := x.mimic.has("cut") || x.mimic.has("segments")
	cure := func(x *explorer) Trial { return x.whole(x.start()) }
	switch {
	case x.imitates() && cut && x.fate(x.without("cut", "segments", "gap")) == gone:
		cure = func(x *explorer) Trial { return x.without("cut", "segments", "gap") }
	case x.fate(x.whole(s)) != gone:
		return Conclusion{}, false
	}
	early, late := x.fate(x.littleCut(firstCut)), x.fate(x.littleCut(lastCut))
	switch {
	case late == same:
		return x.anyCut(cure), true
	case early == same && late == gone:
		return x.position(cure)
	case early == gone && late == gone && x.imitates() && x.fate(x.cutWhole()) == gone:
		return x.concluded(lab.TriggerSegmentation, 0, cure, x.does("a server's answer in more than one segment"),
			"a ClientHello cut in two passes as long as the answer comes in one segment", x.wholePasses()), true
	}
	return Conclusion{}, false
}

// anyCut: a hello in two segments breaks wherever it is cut.
func (x *explorer) anyCut(cure func(*explorer) Trial) Conclusion {
	at, found := x.threshold()
	what := "a ClientHello in more than one segment"
	if found {
		what += fmt.Sprintf(", here of %s bytes and more", count(at))
	}
	return x.concluded(lab.TriggerSegmentation, at, cure, x.does(what), x.samePadded(),
		fmt.Sprintf("%s alone in %d bytes is enough when it is cut in two", x.classical(), paddedBytes), x.wholePasses())
}

// samePadded compares with a classical hello of the finding's size.
func (x *explorer) samePadded() string {
	if x.fate(x.little(padded(x.bytes()))) != same {
		return ""
	}
	return fmt.Sprintf("%s alone padded to %s bytes ends the same way, so it is not the group", x.classical(), count(x.bytes()))
}

func (x *explorer) wholePasses() string {
	if x.fate(x.whole(x.start())) != gone {
		return ""
	}
	return fmt.Sprintf("the same ClientHello in one segment (MTU %s) passes", count(jumboMTU))
}

// position: it depends on what the first segment holds. The place of the cut
// at which that changes says what it is.
func (x *explorer) position(cure func(*explorer) Trial) (Conclusion, bool) {
	cuts := x.search(append(Grid(1, lastCut, 8), firstCut), func(n int) Trial { return x.littleCut(n) })
	if len(cuts) != 1 || cuts[0].Before != same || cuts[0].After != gone {
		return Conclusion{}, false
	}
	last := cuts[0].At - 1
	name := x.helloOf(x.little(padded(paddedBytes))).NameEnd
	trigger, what := lab.TriggerSegmentation, fmt.Sprintf("a first segment that ends before byte %s of the ClientHello", count(cuts[0].At))
	if cuts[0].At == name {
		trigger, what = lab.TriggerName, "a first segment that does not hold the whole server_name"
	}
	return x.concluded(trigger, last, cure, x.does(what),
		fmt.Sprintf("a ClientHello of %d bytes with %s alone breaks when its first segment has %s bytes, and passes with %s", paddedBytes, x.classical(), count(last), count(last+1)),
		x.wholePasses()), true
}

// record: that the hello takes more than one TLS record. A stock hello does so
// only over 16 KiB.
func (x *explorer) record() (Conclusion, bool) {
	if h, ok := x.hello(); !ok || h.Records < 2 || x.fate(x.littleRecord(firstCut)) != same && x.fate(x.littleRecord(lastRecord)) != same {
		return Conclusion{}, false
	}
	return x.recordCut(func(x *explorer) Trial { return x.without("record", "records") })
}

func (x *explorer) recordCut(cure func(*explorer) Trial) (Conclusion, bool) {
	cuts := x.search(append(Grid(1, lastRecord, 8), firstCut), x.littleRecord)
	everywhere := x.fate(x.littleRecord(1)) == same
	what, threshold := "a ClientHello in more than one TLS record", 0
	var where string
	switch {
	case len(cuts) == 0 && everywhere:
		where = fmt.Sprintf("%s alone in two records breaks wherever it is cut", x.classical())
	case len(cuts) == 1 && everywhere && cuts[0].After == gone:
		threshold = cuts[0].At - 1
		what = fmt.Sprintf("a ClientHello whose first record has %s bytes or fewer", count(threshold))
		where = fmt.Sprintf("with %s it passes", count(threshold+1))
	case len(cuts) == 1 && cuts[0].After == same:
		threshold = cuts[0].At
		what = fmt.Sprintf("a ClientHello in two TLS records, the first of %s bytes or more", count(threshold))
		where = fmt.Sprintf("with %s it passes", count(threshold-1))
	}
	return x.concluded(lab.TriggerRecordCut, threshold, cure, x.does(what), where, "in one record the same ClientHello passes"), true
}

// sizes: the size of the hello, if a classical one of the same size breaks
// too, also in one segment.
func (x *explorer) sizes() (Conclusion, bool) {
	big := padded(x.bytes())
	if x.fate(x.little(big)) != same || x.fate(x.whole(x.small.with(big))) != same {
		return Conclusion{}, false
	}
	at, found := x.threshold()
	if !found {
		return Conclusion{}, false
	}
	clauses := []string{x.does(fmt.Sprintf("a ClientHello of %s bytes and more", count(at)))}
	clauses = append(clauses, x.samePadded(), fmt.Sprintf("with %s bytes it passes", count(at-1)))
	if x.all(gone, x.littleCut(firstCut), x.littleCut(lastCut)) {
		clauses = append(clauses, "a small one cut in two passes, and the large one in one segment does not, so it is not how it is cut")
	}
	if x.fate(x.little(big, number("records", recordBytes))) == gone {
		clauses = append(clauses, fmt.Sprintf("in records of %s bytes it passes, so it is the size of a record that counts", count(recordBytes)))
	}
	return x.concluded(lab.TriggerSize, at, (*explorer).ownClassical, clauses[0], clauses[1:]...), true
}

// retry: that the server answers with a HelloRetryRequest.
func (x *explorer) retry() (Conclusion, bool) {
	if x.f.Seen.Wire.HRR == nil || x.fate(x.retried()) != same || x.direct().Changed != "" && x.fate(x.direct()) != gone {
		return Conclusion{}, false
	}
	clauses := []string{x.does("the second ClientHello, after the HelloRetryRequest"), fmt.Sprintf("%s alone ends the same way when it takes a HelloRetryRequest", x.classical())}
	if x.direct().Changed != "" {
		clauses = append(clauses, "with the key share sent at once it passes")
	}
	return x.concluded(lab.TriggerHRR, 0, (*explorer).directOrClassical, clauses[0], clauses[1:]...), true
}

func (x *explorer) directOrClassical() Trial {
	if t := x.direct(); t.Changed != "" {
		return t
	}
	return x.ownClassical()
}

// groups: that it is this group, where a classical hello of the same size and
// cut passes.
func (x *explorer) groups() (Conclusion, bool) {
	twin := x.little(x.mimic.without("flaw", "classical").with(padded(x.bytes())).set...)
	if !x.imitates() || x.fate(twin) != gone || x.fate(x.ownClassical()) == same {
		return Conclusion{}, false
	}
	if x.fate(x.whole(x.start())) == gone {
		return x.unknown("it takes more than one segment and the group together"), true
	}
	padding := fmt.Sprintf("%s alone padded to %s bytes passes, so it is not the size", x.classical(), count(x.bytes()))
	var listed, shared, missing, lonely, chosen []wire.Group
	for _, g := range x.postQuantum() {
		switch {
		case x.fate(x.listing(g)) == same:
			listed = append(listed, g)
		case x.fate(x.offering(g)) == same && x.fate(x.listing(g)) == gone:
			shared = append(shared, g)
		case x.fate(x.choosing(g)) != same || x.fate(x.offering(g)) != gone:
		case x.fate(x.beside(g)) == gone:
			lonely = append(lonely, g)
		case x.fate(x.beside(g)) == same && x.fate(x.both(g)) == gone:
			missing = append(missing, g)
		case x.fate(x.both(g)) == same:
			chosen = append(chosen, g)
		}
	}
	switch {
	case len(missing) > 0:
		return x.concluded(lab.TriggerKeyShare, 0, (*explorer).ownClassical, x.does(fmt.Sprintf("a ClientHello without a key share of %s", x.classical())),
			fmt.Sprintf("with one beside that of %s it passes, and %s is still chosen", join(missing), join(missing)), padding), true
	case len(lonely) > 0:
		return x.concluded(lab.TriggerCodePoint, 0, (*explorer).ownClassical, x.does("a ClientHello that offers post-quantum groups only"),
			fmt.Sprintf("with %s listed too it passes, and %s is still chosen", x.classical(), join(lonely)), padding), true
	case len(listed) > 0:
		return x.concluded(lab.TriggerCodePoint, 0, (*explorer).ownClassical, x.does("a ClientHello that offers "+join(listed)),
			"it is enough to list it and send no key share", padding), true
	case len(shared) > 0:
		return x.concluded(lab.TriggerKeyShare, 0, (*explorer).ownClassical, x.does("a ClientHello with the key share of "+join(shared)),
			"only listed, without the key share, it passes", padding), true
	case len(chosen) > 0:
		return x.concluded(lab.TriggerCodePoint, 0, (*explorer).ownClassical, x.does("a handshake in which "+join(chosen)+" is chosen"),
			"offered to a server that chooses another group, it passes", padding), true
	}
	return Conclusion{}, false
}

// classicals: that it is the classical group, where the finding offers nothing
// else and another one passes.
func (x *explorer) classicals() (Conclusion, bool) {
	offered := x.real.offer.Groups()
	if len(offered) != 1 || offered[0].PostQuantum() || x.fate(x.ownAnother()) != gone {
		return Conclusion{}, false
	}
	return x.concluded(lab.TriggerCodePoint, 0, (*explorer).ownAnother, x.does("a ClientHello that offers "+join(offered)+" only"),
		fmt.Sprintf("with %s in its place it passes", x.ownAnother().Cell.Offer)), true
}

func join(gs []wire.Group) string {
	var names []string
	for _, g := range gs {
		names = append(names, g.String())
	}
	return strings.Join(names, " or ")
}

// downgrade: who made it classical, and by what.
func (x *explorer) downgrade() Conclusion {
	pq := x.postQuantum()
	trials := []Trial{x.imitated(), x.bare(), x.elsewhere()}
	for _, g := range pq {
		trials = append(trials, x.sending(g), x.choosing(g))
	}
	x.run(slices.DeleteFunc(trials, func(t Trial) bool { return t.Changed == "" })...)
	switch {
	case x.broken.Cause == lab.CauseTLS12:
		return x.unknown("TLS 1.2 was negotiated")
	case len(x.real.boxes) > 0 && x.fate(x.bare()) == gone:
		return x.concluded(lab.TriggerCodePoint, 0, (*explorer).bare, "keeps "+join(pq)+" from being negotiated", "without it the same handshake is post-quantum")
	case !x.imitates():
		return x.unknown("an imitation of the hello does not end the same way")
	}
	for _, g := range pq {
		if x.fate(x.sending(g)) == gone {
			return x.concluded(lab.TriggerKeyShare, 0, func(x *explorer) Trial { return x.sending(g) },
				fmt.Sprintf("takes a classical key share where it could ask for %s's", g), fmt.Sprintf("with %s's key share sent at once it is chosen", g))
		}
	}
	for _, g := range pq {
		if x.fate(x.sending(g)) == same {
			return x.concluded(lab.TriggerCodePoint, 0, nil, fmt.Sprintf("does not choose %s", g), "not even with its key share sent at once")
		}
	}
	return x.unknown("no one change makes it post-quantum")
}
