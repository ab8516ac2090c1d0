package triage

import (
	"slices"
	"strings"

	"hybridlab/lab"
)

// concluded is a conclusion with its sentence: the culprit and what it does,
// then what the trials showed.
func (x *explorer) concluded(t lab.Trigger, threshold int, cure func(*explorer) Trial, does string, shown ...string) Conclusion {
	blame := x.culprit()
	text := subject(blame) + " " + does
	for _, s := range append(shown, x.imitation()) {
		if s != "" {
			text += "; " + s
		}
	}
	return Conclusion{Trigger: t, Threshold: threshold, Blame: blame, Text: text, cure: cure}
}

// unknown is what is said where the trials do not.
func (x *explorer) unknown(why string, more ...string) Conclusion {
	parts := append([]string{"inconclusive: " + why}, more...)
	parts = slices.DeleteFunc(append(parts, x.imitation()), func(s string) bool { return s == "" })
	return Conclusion{Text: strings.Join(parts, "; ")}
}

// imitation says so where the conclusion rests on the finding's client alone.
func (x *explorer) imitation() string {
	t := x.imitated()
	if _, run := x.seen[lab.TrialKey(t.Cell.ID, 0)]; !run || x.imitates() {
		return ""
	}
	return "an imitation of the ClientHello does not break, so this rests on the client's own alone"
}

func subject(blame string) string {
	if strings.HasPrefix(blame, "box ") {
		return blame
	}
	return "the " + blame
}

// does says what the culprit does to something.
func (x *explorer) does(what string) string {
	cause := string(x.broken.Cause)
	if alert, ok := strings.CutPrefix(cause, "alert-"); ok {
		return "answers " + what + " with the alert " + strings.ReplaceAll(alert, "-", "_")
	}
	if form, ok := doings[x.broken.Cause]; ok {
		return strings.ReplaceAll(form, "%", what)
	}
	return "does not get along with " + what + " (" + cause + ")"
}

var doings = map[lab.Cause]string{
	lab.CausePMTUBlackhole:            "loses % and tells nobody",
	lab.CauseFragmentsDropped:         "cuts % into fragments and loses those",
	lab.CauseHelloRewritten:           "rewrites %",
	lab.CauseHRRIgnored:               "lets no answer to the HelloRetryRequest through after %",
	lab.CauseRSTAfterHello:            "resets the connection on %",
	lab.CauseFINAfterHello:            "closes the connection on %",
	lab.CauseSilentAfterHello:         "leaves % without an answer",
	lab.CauseSilentMidHandshake:       "lets the handshake stall on %",
	lab.CauseClosedMidHandshake:       "breaks the handshake off on %",
	lab.CauseNoApplicationData:        "lets no application data cross after %",
	lab.CauseWrongServer:              "sends % to another server",
	lab.CauseClaimDiffers:             "claims another group than the wire shows for %",
	lab.CauseUnexpectedGroup:          "answers % with a group that its rules do not predict",
	lab.CauseUnexpectedSuccess:        "completes the handshake on %, which it must refuse",
	lab.CauseUnexpectedHRR:            "asks for a second ClientHello, or fails to, on %",
	lab.CausePQInTLS12:                "uses in TLS 1.2 the group of %",
	lab.CauseNoServer:                 "does not come up for %",
	lab.CauseNoConnection:             "takes no connection for %",
	lab.CauseServerPreferredClassical: "prefers a classical group on %",
}

// culprit is who does it: what can be taken away or exchanged, and it works.
// The judge's word stands where the trials have none.
func (x *explorer) culprit() string {
	switch {
	case len(x.real.boxes) == 1 && x.fate(x.bare()) == gone:
		return "box " + x.real.boxes[0]
	case len(x.real.boxes) > 1 && x.fate(x.bare()) == gone:
		return x.oneBox()
	case x.clean().Changed != "" && x.fate(x.clean()) == gone:
		return "link"
	case !x.imitates():
		return x.f.Verdict.Blame
	case x.fate(x.elsewhere()) == gone:
		return "server"
	}
	return x.f.Verdict.Blame
}

// oneBox is the box of a chain without which it works.
func (x *explorer) oneBox() string {
	var trials []Trial
	for i := range x.real.boxes {
		trials = append(trials, x.unboxed(i))
	}
	x.run(trials...)
	for i, box := range x.real.boxes {
		if x.fate(trials[i]) == gone {
			return "box " + box
		}
	}
	return x.f.Verdict.Blame
}
