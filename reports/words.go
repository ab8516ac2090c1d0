package reports

import (
	"fmt"
	"strings"

	"hybridlab/lab"
)

// outcomeWords say what an outcome means, for one cell and for several.
var outcomeWords = map[lab.Outcome][2]string{
	lab.Downgrade:    {"handshake came out weaker than both ends can do", "handshakes came out weaker than both ends can do"},
	lab.Failure:      {"handshake did not end as the rules allow", "handshakes did not end as the rules allow"},
	lab.Size:         {"handshake broke on the size of a message or on how it was cut", "handshakes broke on the size of a message or on how it was cut"},
	lab.Misroute:     {"connection reached another server than the one addressed", "connections reached another server than the one addressed"},
	lab.Misreport:    {"peer claimed another group than the wire shows", "peers claimed another group than the wire shows"},
	lab.Slow:         {"handshake took far longer than the link explains", "handshakes took far longer than the link explains"},
	lab.Inconclusive: {"cell could not be decided", "cells could not be decided"},
	lab.Flaky:        {"cell gave different results when repeated", "cells gave different results when repeated"},
	lab.Fault:        {"cell was lost to a failure of the lab itself", "cells were lost to a failure of the lab itself"},
	lab.Unsupported:  {"cell asks for what a peer cannot do", "cells ask for what a peer cannot do"},
}

// short says an outcome in a word or two, for legends and lists.
var short = map[lab.Outcome]string{
	lab.Classical: "classical by agreement",
	lab.Refused:   "refused as predicted",
}

func label(o lab.Outcome) string {
	if s, ok := short[o]; ok {
		return s
	}
	return name(o)
}

// causeWords finish the sentence that outcomeWords begin.
var causeWords = map[lab.Cause]string{
	lab.CausePMTUBlackhole:            "packets over the path's MTU were dropped and no ICMP told the sender",
	lab.CauseFragmentsDropped:         "IP fragments did not pass",
	lab.CausePacketLoss:               "the link lost packets the handshake needed",
	lab.CauseCorruption:               "the link changed bytes",
	lab.CauseHelloRewritten:           "the server received another ClientHello than the client sent",
	lab.CauseShareMalformed:           "a key share cannot be of the group it is sent for",
	lab.CauseLegsDiffer:               "it was encrypted twice, post-quantum for the client and classical for the server",
	lab.CauseHRRIgnored:               "a HelloRetryRequest got no second ClientHello",
	lab.CauseServerPreferredClassical: "the server took a classical share although a post-quantum group was common",
	lab.CauseClientPreferredClassical: "the client's own order or shares made it classical",
	lab.CauseTLS12:                    "TLS 1.2 was negotiated, which has no post-quantum groups",
	lab.CauseRSTAfterHello:            "the ClientHello was answered with a TCP reset",
	lab.CauseFINAfterHello:            "the connection was closed in answer to the ClientHello",
	lab.CauseSilentAfterHello:         "the ClientHello was never answered",
	lab.CauseSilentMidHandshake:       "nothing more came after the ServerHello",
	lab.CauseClosedMidHandshake:       "the connection was closed after the ServerHello",
	lab.CauseNoApplicationData:        "the handshake ended, but no application data crossed",
	lab.CausePQInTLS12:                "the server chose a post-quantum group in a TLS 1.2 handshake",
	lab.CauseNoConnection:             "TCP did not connect",
	lab.CauseNoServer:                 "the server ended, or was not ready in time, instead of listening",
	lab.CauseNoHello:                  "the client connected and sent no ClientHello",
	lab.CauseWrongServer:              "the certificate shown was another server's",
	lab.CauseClaimDiffers:             "the ServerHello on the wire names another one",
	lab.CauseUnexpectedGroup:          "a group came out that the rules do not predict",
	lab.CauseUnexpectedSuccess:        "a handshake completed where a refusal was predicted",
	lab.CauseUnexpectedHRR:            "there was a HelloRetryRequest more or fewer than predicted",
	lab.CauseHelloSizeDiffers:         "a hello is larger or smaller than predicted",
	lab.CauseTooSlow:                  "the packets arrived in time and the answers did not",
}

// because says a cause in words; a cause unknown here is named as it is.
func because(c lab.Cause) string {
	if s, ok := causeWords[c]; ok {
		return s
	}
	if alert, ok := strings.CutPrefix(string(c), "alert-"); ok {
		return "the alert " + strings.ReplaceAll(name(alert), "-", "_") + " ended it"
	}
	return name(c)
}

// sentence says what a group is, its number first: the reader's "so what".
func (g *group) sentence() string { return number(g.count) + " " + g.words() }

// words is the sentence without its number.
func (g *group) words() string {
	words, ok := outcomeWords[g.outcome]
	if !ok {
		words = [2]string{"cell ended as " + name(g.outcome), "cells ended as " + name(g.outcome)}
	}
	s := words[min(g.count-1, 1)]
	if g.cause != "" {
		s += ": " + because(g.cause)
	}
	return s + "."
}

// culprit says who is to blame, or nothing.
func (g *group) culprit() string {
	switch b := name(g.blame); {
	case b == "":
		return ""
	case strings.HasPrefix(b, "box "):
		return b
	default:
		return "the " + b
	}
}

// where says how far the group reaches along each axis, compared with all
// that was run: "only link mtu1280 (12 of 12 cells there)".
func (g *group) where(all axes) []string {
	return []string{
		reach("link", g.axes.paths, all.paths),
		reach("client", g.axes.clients, all.clients),
		reach("server", g.axes.servers, all.servers),
		reach("pairing", g.axes.pairings, all.pairings),
	}
}

// reach names up to three values of an axis, and counts more than that.
func reach(axis string, hit, all map[string]int) string {
	const most = 3
	vs := values(hit)
	switch {
	case len(vs) == len(all) && len(all) == 2:
		return "both " + axis + "s"
	case len(vs) == len(all) && len(all) > 1:
		return fmt.Sprintf("all %s", count(len(all), axis))
	case len(vs) == 1 && len(all) > 1:
		return fmt.Sprintf("only %s %s (%s of %s there)", axis, vs[0], number(hit[vs[0]]), count(all[vs[0]], "cell"))
	case len(vs) == 1:
		return axis + " " + vs[0]
	case len(vs) <= most:
		return axis + "s " + list(vs)
	}
	return fmt.Sprintf("%s of %s", number(len(vs)), count(len(all), axis))
}

// answer is the run in one sentence.
func (s *summary) answer() string {
	findings, pass := s.sum(lab.Outcome.Finding), s.sum(lab.Outcome.Pass)
	switch {
	case s.total == 0:
		return "No cell was run."
	case findings > 0:
		return fmt.Sprintf("%s of %s did not do what both stacks’ rules predict%s.", number(findings), count(findings+pass, "handshake"), s.ofThese())
	case pass == 0:
		return fmt.Sprintf("Nothing learned: none of %s could be judged.", count(s.total, "cell"))
	case pass == 1:
		return "The one handshake judged did what both stacks’ rules predict."
	}
	return fmt.Sprintf("All %s did what both stacks’ rules predict.", count(pass, "handshake"))
}

// ofThese says how many of the findings somebody expected.
func (s *summary) ofThese() string {
	if s.known == 0 {
		return ""
	}
	return fmt.Sprintf(", %s of them as known", number(s.known))
}

// details are the sentences under the answer.
func (s *summary) details(rep lab.Report) []string {
	var out []string
	for _, part := range []struct {
		what string
		keep func(lab.Outcome) bool
	}{{"Findings", lab.Outcome.Finding}, {"As predicted", lab.Outcome.Pass}, {"Without a result", neither}} {
		if t := s.tally(part.keep); t != "" {
			out = append(out, part.what+": "+t+".")
		}
	}
	if r := s.reuse(); r != "" {
		out = append(out, capital(r)+".")
	}
	return append(out, s.warnings(rep)...)
}

// reuse says how many verdicts are those of older runs.
func (s *summary) reuse() string {
	n := 0
	for _, k := range s.reused {
		n += k
	}
	switch runs := values(s.reused); len(runs) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%s reused from run %s, their inputs unchanged", number(n), runs[0])
	default:
		return fmt.Sprintf("%s reused from %s, their inputs unchanged", number(n), count(len(runs), "run"))
	}
}

// warnings say what the counts do not: that there could have been more.
func (s *summary) warnings(rep lab.Report) []string {
	var out []string
	if rep.Interrupted || rep.Ended.IsZero() {
		out = append(out, "The run was stopped before its end.")
	}
	if len(rep.Missing) > 0 {
		out = append(out, fmt.Sprintf("Shard %s is missing, and its cells are not in here.", list(names(rep.Missing))))
	}
	for _, k := range rep.Gone() {
		out = append(out, gone(k))
	}
	if missing := rep.Cells - s.total; missing > 0 {
		out = append(out, fmt.Sprintf("%s of %s have no verdict.", number(missing), count(rep.Cells, "planned cell")))
	}
	return append(out, boxWarnings(rep.Boxes)...)
}

// boxWarnings name the boxes that the lab cannot vouch for.
func boxWarnings(boxes []lab.BoxInfo) []string {
	var out []string
	for _, b := range boxes {
		for _, m := range b.Missed {
			out = append(out, fmt.Sprintf("Box %s was not caught: %s", name(b.Name), name(m)))
		}
		if b.Triggered == 0 && b.Version == "" { // of a real one nobody knows what would
			out = append(out, fmt.Sprintf("Box %s was never triggered in %s.", name(b.Name), count(b.Cells, "cell")))
		}
	}
	return out
}

// gone is a known deviation that the run did not find.
func gone(k lab.KnownSeen) string {
	return fmt.Sprintf("The known deviation %s is gone: none of %s ended so; take it off the list.", name(k.Name), count(k.Cells, "cell"))
}

// tally is "12 hybrid, 4 classical by agreement", leaving out what is zero.
func (s *summary) tally(keep func(lab.Outcome) bool) string {
	var parts []string
	for _, o := range s.present() {
		if keep(o) {
			parts = append(parts, number(s.counts[o])+" "+label(o))
		}
	}
	return strings.Join(parts, ", ")
}
