package lab

import (
	"fmt"
	"slices"
	"strings"
)

// broken is the last rule: the handshake did not complete and was not
// refused as predicted. The evidence names the cause; the controls say
// whether the link is to blame and whether size is the trigger.
func (j *judge) broken() bool {
	cause, blame, what := j.evidence()
	if j.boxed(cause, what) {
		return true
	}
	clean, classical, x25519 := j.control(ControlClean), j.control(ControlClassical), "X25519"
	if j.o.Cell.Cert != "" {
		classical, x25519 = j.control(ControlSmall), "X25519 with the smallest certificate"
	}
	what = fmt.Sprintf("%s; predicted %s", what, j.expected())
	switch {
	case j.o.Path.Starved && j.o.Client.TimedOut && cause != CausePMTUBlackhole && cause != CauseFragmentsDropped:
		return j.decide(Inconclusive, cause, "", "%s; but the lab was short of CPU while it waited", what)
	case j.o.Path.Starved && cause == CauseNoServer:
		return j.decide(Inconclusive, cause, "", "%s; but it was short of CPU while it should have come up", what)
	case j.idle():
		return j.decide(Failure, cause, blame, "%s", what)
	case clean == Fault || classical == Fault:
		return j.decide(Inconclusive, cause, "", "%s; a control could not be run, the lab failed", what)
	case clean != "" && !clean.Worked() && blame == blameLink:
		return j.decide(Inconclusive, cause, "", "%s; the same groups end as %s over a clean link too, so the link alone does not explain it", what, clean)
	case clean != "" && !clean.Worked():
		return j.decide(Failure, cause, blame, "%s; the same over a clean link", what)
	case classical != "" && classical != Unsupported && !classical.Worked() && (clean != "" || blame == blameLink):
		return j.decide(Inconclusive, cause, blameLink, "%s; %s ends as %s on this link too, so neither group nor size is shown to matter", what, x25519, classical)
	case clean.Worked() && classical.Worked() && j.sized(cause):
		j.v.Trigger = TriggerSize
		return j.decide(Size, cause, blameLink, "%s; %s passes on this link, and the same groups pass on a clean one", what, x25519)
	case clean.Worked():
		return j.decide(Failure, cause, blameLink, "%s; the same groups pass over a clean link", what)
	}
	return j.decide(Failure, cause, blame, "%s", what)
}

// idle reports whether nothing was ever on the link: what did not happen on
// it, no control can explain by it.
func (j *judge) idle() bool { return j.o.Path.Packets == 0 && !j.o.Wire.Connected }

// sized reports whether the evidence points at the size or the cutting of
// what was sent: the link dropped for size, or a flight of several segments
// met silence where nothing was dropped at random.
func (j *judge) sized(c Cause) bool {
	switch c {
	case CausePMTUBlackhole, CauseFragmentsDropped:
		return true
	case CausePacketLoss, CauseCorruption:
		return false
	}
	return j.v.HelloSegments > 1
}

// control is the outcome of a control, "" when it was not run.
func (j *judge) control(kind string) Outcome {
	for _, c := range j.controls {
		if c.Kind == kind {
			return c.Outcome
		}
	}
	return ""
}

// evidence names the cause of a broken handshake, whom the packets point at,
// and says it in words. Drops come first: what the link did is certain.
func (j *judge) evidence() (Cause, string, string) {
	if cause, what, ok := j.dropped(); ok {
		return cause, blameLink, what
	}
	w := j.o.Wire
	if j.rewritten() {
		return CauseHelloRewritten, j.pathBlame(), "the server received another ClientHello than the client sent"
	}
	if a, ok := j.alert(); ok {
		return CauseOfAlert(a.Name), a.From, fmt.Sprintf("the %s sent alert %s", a.From, a.Name)
	}
	switch {
	case j.idle() && j.o.Client == (End{}): // no client was run
		return CauseNoServer, blameServer, "the server did not start" + words(j.o.Server)
	case j.idle():
		return CauseNoConnection, blameClient, fmt.Sprintf("the client sent no packet%s%s", j.fate(), words(j.o.Client))
	case !w.Connected:
		return CauseNoConnection, blameServer, "the TCP connection was not established"
	case len(w.ClientHellos) == 0:
		return CauseNoHello, blameClient, "the client connected and sent no ClientHello" + words(j.o.Client)
	case w.ServerHello == nil && w.HRR != nil && len(w.ClientHellos) == 1:
		return CauseHRRIgnored, blameClient, "the client did not answer the HelloRetryRequest" + words(j.o.Client)
	case w.ServerHello == nil:
		return j.afterHello()
	case w.ClientClose != "" && !j.gaveUp():
		kind, from, _ := strings.Cut(w.ClientClose, "-")
		return CauseClosedMidHandshake, from, fmt.Sprintf("the %s closed with a %s after the ServerHello%s", from, strings.ToUpper(kind), j.wordsOf(from))
	case w.AppToServer > 0 && w.AppToClient > 0:
		return CauseNoApplicationData, blameServer, "the handshake ended but application data did not cross"
	}
	return CauseSilentMidHandshake, j.silentSide(), "nothing more came after the ServerHello"
}

// fate is how a client ended that did nothing on the wire.
func (j *judge) fate() string {
	switch c := j.o.Client; {
	case c.TimedOut:
		return " until its time was up"
	case c.Exit == 0:
		return " and claims success"
	default:
		return fmt.Sprintf(" and ended with exit code %d", c.Exit)
	}
}

func (j *judge) afterHello() (Cause, string, string) {
	size := fmt.Sprintf("a ClientHello of %d bytes in %d segments", j.v.HelloBytes, j.v.HelloSegments)
	if j.v.HelloSegments == 1 {
		size = fmt.Sprintf("a ClientHello of %d bytes in one segment", j.v.HelloBytes)
	}
	switch c := j.o.Wire.ClientClose; {
	case c == "", strings.HasSuffix(c, "-client"):
		return CauseSilentAfterHello, blameServer, "no answer to " + size
	case c == "rst-server":
		return CauseRSTAfterHello, blameServer, "RST in answer to " + size + words(j.o.Server)
	}
	return CauseFINAfterHello, blameServer, "the connection was closed in answer to " + size + words(j.o.Server)
}

// gaveUp reports whether the first to close was a client at its deadline:
// then what came before is silence, and the close only its end.
func (j *judge) gaveUp() bool {
	return j.o.Client.TimedOut && strings.HasSuffix(j.o.Wire.ClientClose, "-client")
}

func (j *judge) silentSide() string {
	if j.o.Wire.AppToServer > 0 {
		return blameServer
	}
	return blameClient
}

// dropped turns the link's books into a cause. Drops for size count only
// when the sender was not told: with ICMP it had its chance.
func (j *judge) dropped() (Cause, string, bool) {
	for _, k := range []struct {
		cause   Cause
		reasons []string
		what    string
	}{
		{CausePMTUBlackhole, []string{"mtu-icmp-eaten"}, "larger than the link's MTU, and no ICMP told the sender"},
		{CauseFragmentsDropped, []string{"fragment-dropped"}, "IP fragments, which this link does not pass"},
		{CausePacketLoss, []string{"loss", "loss-burst", "loss-nth", "queue-full"}, "lost on the link"},
	} {
		var hit []Drop
		for _, d := range j.o.Path.Drops {
			if slices.Contains(k.reasons, d.Reason) {
				hit = append(hit, d)
			}
		}
		if len(hit) > 0 {
			j.proof(hit)
			// How often it was tried, and as which packet, is a matter of time.
			return k.cause, fmt.Sprintf("packets %s of up to %d bytes were dropped as %s", hit[0].Dir, largest(hit, hit[0].Dir), k.what), true
		}
	}
	if j.o.Path.Corrupted > 0 {
		return CauseCorruption, "the link changed bytes of packets", true
	}
	return "", "", false
}

// mostProof bounds the packets named as evidence.
const mostProof = 8

func (j *judge) proof(hit []Drop) {
	for _, d := range hit[:min(len(hit), mostProof)] {
		j.v.Evidence = append(j.v.Evidence, d.Packet)
	}
}

// proveHellos names, beside what is named already, the packets of the hello
// before the path and behind it, and what ended the connection: enough to see
// who did what to which bytes.
func (j *judge) proveHellos() {
	w := j.o.Wire
	packets := slices.Clone(j.v.Evidence)
	for _, hs := range [][]Hello{w.ClientHellos, w.AtServer} {
		if len(hs) > 0 {
			packets = append(packets, hs[len(hs)-1].Packets...)
		}
	}
	if a, ok := j.alert(); ok {
		packets = append(packets, a.Packet)
	}
	packets = append(packets, w.ClosePacket)
	packets = slices.DeleteFunc(packets, func(n int) bool { return n == 0 })
	slices.Sort(packets)
	packets = slices.Compact(packets)
	j.v.Evidence = packets[:min(len(packets), mostProof)]
}

func largest(drops []Drop, dir string) int {
	most := 0
	for _, d := range drops {
		if d.Dir == dir {
			most = max(most, d.Bytes)
		}
	}
	return most
}

func (j *judge) wordsOf(side string) string {
	if side == blameServer {
		return words(j.o.Server)
	}
	return words(j.o.Client)
}

// words quotes a peer, shortly.
func words(e End) string {
	if e.Error == "" {
		return ""
	}
	const most = 160
	s := e.Error
	if len(s) > most {
		s = s[:most] + "..."
	}
	return fmt.Sprintf(" (it says %q)", s)
}
