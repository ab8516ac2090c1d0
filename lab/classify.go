package lab

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hybridlab/lab/wire"
)

// Classify compares what was seen with what the rules allow. It is pure. The
// controls are the outcomes of other cells that differ in one variable; none
// are needed for a pass, and a finding judged without them blames nobody that
// they could have cleared.
func Classify(o Observation, p Prediction, server Rules, controls []ControlTaken) Verdict {
	j := &judge{o: o, p: p, server: server, controls: controls, v: newVerdict(o, p, controls)}
	for _, rule := range rules {
		if rule(j) {
			break
		}
	}
	if j.v.Outcome.Finding() {
		j.proveHellos()
	}
	if j.v.Outcome != Fault && j.v.Outcome != Unsupported {
		j.v.Why += j.deaths()
	}
	j.v.Attempts = []Attempt{{Outcome: j.v.Outcome, Cause: j.v.Cause, HandshakeMS: j.v.HandshakeMS}}
	return j.v
}

// rules in order: the first that applies decides. What makes the evidence
// worthless comes before what the evidence says.
var rules = []func(*judge) bool{
	(*judge).fault,
	(*judge).unsupported,
	(*judge).incomplete,
	(*judge).misroute,
	(*judge).misreport,
	(*judge).leaked,
	(*judge).malformed,
	(*judge).legs,
	(*judge).downgrade,
	(*judge).surprise,
	(*judge).slow,
	(*judge).sizes,
	(*judge).agreed,
	(*judge).refused,
	(*judge).answered,
	(*judge).broken,
}

type judge struct {
	o        Observation
	p        Prediction
	server   Rules
	controls []ControlTaken
	v        Verdict
}

// newVerdict copies what is fact whatever the judgement: axes and sizes.
func newVerdict(o Observation, p Prediction, controls []ControlTaken) Verdict {
	c := o.Cell
	v := Verdict{
		Cell: c.ID, Client: c.Client, Server: c.Server, Offer: c.Offer, Accept: c.Accept, Link: c.Link, Cert: c.Cert,
		Boxes: append([]string{}, c.Boxes...), Predicted: p.Strings(), Control: controls, Capture: o.Capture,
	}
	hellos := p.Hellos
	if len(o.Wire.ClientHellos) > 0 {
		h := o.Wire.ClientHellos[0]
		v.HelloBytes, v.HelloSegments, v.HelloRecords = h.Bytes, h.Segments, h.Records
		if h.SHA256 != "" { // all of it is there
			hellos = hellos.Settled(h.Bytes)
		}
	}
	v.ClientClaim, v.ServerClaim = o.Client.Group, o.Server.Group
	v.PredictedBytes, v.Hellos = hellos.First(), hellos.seen(o.Wire)
	if sh := o.Wire.ServerHello; sh != nil {
		v.Version = versionName(sh.Version)
		v.Group = groupName(sh)
		hrr := o.Wire.HRR != nil
		v.HRR = &hrr
		v.Fallback = len(o.Wire.ClientHellos) > 0 && !sh.Group.PostQuantum() && slices.ContainsFunc(o.Wire.ClientHellos[0].Groups, wire.Group.PostQuantum)
	}
	if !o.Path.Late {
		v.HandshakeMS = o.Wire.HandshakeMS
	}
	return v
}

func versionName(v uint16) string {
	switch v {
	case 0x0304:
		return "TLS 1.3"
	case 0x0303:
		return "TLS 1.2"
	}
	return fmt.Sprintf("0x%04x", v)
}

// decide sets the judgement; it returns true so that a rule can end with it.
func (j *judge) decide(o Outcome, c Cause, blame, format string, args ...any) bool {
	j.v.Outcome, j.v.Cause, j.v.Blame = o, c, blame
	j.v.Why = fmt.Sprintf(format, args...)
	return true
}

// The culprits. A box is "box NAME".
const (
	blameClient = "client"
	blameServer = "server"
	blameLink   = "link"
)

func (j *judge) fault() bool {
	switch {
	case j.o.Fault != "":
		return j.decide(Fault, "", "", "the lab failed: %s", j.o.Fault)
	case j.o.Path.Uncounted != 0:
		return j.decide(Fault, "", "", "the engine's books do not explain %d packets", j.o.Path.Uncounted)
	case j.o.Wire.OverMSS != 0:
		return j.decide(Fault, "", "", "%d TCP segments exceed the receiver's MSS: segmentation offload reached the engine, so this cell tested nothing", j.o.Wire.OverMSS)
	}
	return false
}

func (j *judge) unsupported() bool {
	switch {
	case j.o.Client.Unsupported != "":
		return j.decide(Unsupported, "", "", "client %s: %s", j.o.Cell.Client, j.o.Client.Unsupported)
	case j.o.Server.Unsupported != "":
		return j.decide(Unsupported, "", "", "server %s: %s", j.o.Cell.Server, j.o.Server.Unsupported)
	}
	return false
}

func (j *judge) incomplete() bool {
	if j.o.Wire.Unseen == 0 {
		return false
	}
	return j.decide(Inconclusive, "", "", "%d bytes were acknowledged that the capture never saw", j.o.Wire.Unseen)
}

// completed: a ServerHello on the wire and application data both ways. No
// data, no pass.
func (j *judge) completed() bool {
	w := j.o.Wire
	return w.ServerHello != nil && w.AppToServer > 0 && w.AppToClient > 0 && j.o.Client.Data
}

func (j *judge) misroute() bool {
	reached := j.o.Client.Reached
	if reached == "" || j.o.Addressed == "" || reached == j.o.Addressed {
		return false
	}
	j.proveDeeds()
	return j.decide(Misroute, CauseWrongServer, j.pathBlame(), "the client was sent to %q and reached %q", j.o.Addressed, reached)
}

// misreport: what a peer says of the group is held against the ServerHello on
// its side, by the number that its name for it stands for. A peer that does
// not say, or says what nobody can read, is not compared.
func (j *judge) misreport() bool {
	hello := j.o.Wire.ServerHello
	if hello == nil {
		return false
	}
	for _, e := range []struct {
		who   string
		hello *ServerHello
		End
	}{{blameClient, hello, j.o.Client}, {blameServer, cmp.Or(j.o.Wire.FromServer, hello), j.o.Server}} {
		if is, known := e.hello.Group.Called(e.Group); e.hello.Group != 0 && known && !is {
			return j.decide(Misreport, CauseClaimDiffers, e.who, "the %s says %s, the ServerHello says %s", e.who, e.Group, e.hello.Group)
		}
	}
	return false
}

func groupName(h *ServerHello) string {
	if h.Group == 0 {
		return ""
	}
	return h.Group.String()
}

// legs: what reached the client is not what the server chose. A box ended TLS
// between them, and the leg that nobody looks at is the weaker one.
func (j *judge) legs() bool {
	near, far := j.o.Wire.ServerHello, j.o.Wire.FromServer
	if !j.completed() || far == nil || len(j.p.CommonPQ) == 0 || !near.Group.PostQuantum() || far.Group.PostQuantum() {
		return false
	}
	j.proveDeeds()
	return j.decide(Downgrade, CauseLegsDiffer, j.pathBlame(), "the client's connection came out with %s, the server's with %s: %s", j.v.Group, groupName(far), j.legsInWords())
}

// bridged: it completed although the two ends could not have done so with each
// other, or not so, as a box ended TLS between them. It is a pass, and as good
// as the weaker leg.
func (j *judge) bridged() bool {
	near, far := j.o.Wire.ServerHello, j.o.Wire.FromServer
	if far == nil || !j.rewritten() {
		return false
	}
	weaker := near
	if near.Group.PostQuantum() {
		weaker = far
	}
	return j.decide(kindOf(weaker.Group), "", "", "%s; by themselves the ends would have come to %s%s", j.legsInWords(), j.expected(), j.quietDeeds())
}

// legsInWords says what came out before and behind whoever ended TLS on the
// way, and what that one asked the server for.
func (j *judge) legsInWords() string {
	front, back, offered := cmp.Or(j.v.Group, noCurve), "unknown", "no post-quantum group"
	if far := j.o.Wire.FromServer; far != nil {
		back = cmp.Or(groupName(far), noCurve)
	}
	if at := j.o.Wire.AtServer; len(at) > 0 && slices.ContainsFunc(at[0].Groups, wire.Group.PostQuantum) {
		offered = "a post-quantum group"
	}
	return fmt.Sprintf("it was decrypted on the way: front leg %s, back leg %s, whose ClientHello offered %s", front, back, offered)
}

func (j *judge) downgrade() bool {
	if !j.completed() || len(j.p.CommonPQ) == 0 || j.o.Wire.ServerHello.Group.PostQuantum() {
		return false
	}
	pq := j.p.CommonPQ[0]
	switch w := j.o.Wire; {
	case j.rewritten():
		j.proveDeeds()
		return j.decide(Downgrade, CauseHelloRewritten, j.pathBlame(),
			"both ends are set up for %s; the server received another ClientHello than the client sent, and %s came out; %s", pq, j.v.Group, j.legsInWords())
	case w.ServerHello.Version != 0x0304:
		return j.decide(Downgrade, CauseTLS12, blameServer, "both ends are set up for %s; %s came out, which has no post-quantum groups", pq, j.v.Version)
	case !slices.ContainsFunc(w.ClientHellos[0].Groups, wire.Group.PostQuantum):
		j.v.Remedy = j.p.Cure
		return j.decide(Downgrade, CauseClientPreferredClassical, blameClient, "the client is set up for %s and never offered it", pq)
	}
	j.v.Remedy = j.server.Cure
	if slices.Contains(j.server.Withdrawn, pq) {
		return j.decide(Downgrade, CauseServerPreferredClassical, blameServer,
			"both ends are set up for %s; the server took it in its configuration, without a word, and never negotiates it: %s came out", pq, j.v.Group)
	}
	return j.decide(Downgrade, CauseServerPreferredClassical, blameServer,
		"both ends are set up for %s; the server took the client's %s share instead of asking for %s with a HelloRetryRequest", pq, j.v.Group, pq)
}

// rewritten reports whether the server received another first hello than the
// client sent. A hello that is incomplete on either side has no digest and
// proves nothing.
func (j *judge) rewritten() bool {
	a, b := j.o.Wire.ClientHellos, j.o.Wire.AtServer
	return len(a) > 0 && len(b) > 0 && a[0].SHA256 != "" && b[0].SHA256 != "" && a[0].SHA256 != b[0].SHA256
}

// leaked: post-quantum groups exist in TLS 1.3 only; one in a TLS 1.2
// handshake is a server's mistake, whatever the rules expect.
func (j *judge) leaked() bool {
	sh := j.o.Wire.ServerHello
	if sh == nil || sh.Version >= 0x0304 || !sh.Group.PostQuantum() {
		return false
	}
	return j.decide(Failure, CausePQInTLS12, blameServer, "the server chose %s in a %s handshake", j.v.Group, j.v.Version)
}

// surprise: it completed, and not in a way the rules allow.
func (j *judge) surprise() bool {
	if !j.completed() {
		return false
	}
	sh, hrr := j.o.Wire.ServerHello, j.o.Wire.HRR != nil
	var group bool
	for _, r := range j.p.Allowed {
		if r.Outcome == Refused || r.Group != sh.Group {
			continue
		}
		if r.HRR == hrr {
			return false
		}
		group = true
	}
	expected := j.expected()
	switch {
	case j.bridged():
		return true
	case group:
		return j.decide(Failure, CauseUnexpectedHRR, blameServer, "%s came out as predicted, but HelloRetryRequest seen is %t: the rules say %s", j.v.Group, hrr, expected)
	case slices.ContainsFunc(j.p.Allowed, func(r Result) bool { return r.Outcome != Refused }):
		return j.decide(Failure, CauseUnexpectedGroup, blameServer, "completed %s; the rules say %s", with(j.v.Group), expected)
	}
	return j.decide(Failure, CauseUnexpectedSuccess, blameServer, "completed %s; the rules say %s", with(j.v.Group), expected)
}

// with is how it completed, in words.
func with(group string) string {
	if group == "" {
		return noCurve
	}
	return "with " + group
}

// slow makes a claim only where the engine was on time and the link dropped
// and damaged nothing: recovery costs a timeout of a second or more.
func (j *judge) slow() bool {
	p, ms := j.o.Path, j.o.Wire.HandshakeMS
	if !j.completed() || p.Late || p.BudgetMS == 0 || ms <= float64(p.BudgetMS) || p.Corrupted > 0 || j.linkDropped() {
		return false
	}
	j.proveDeeds()
	return j.decide(Slow, CauseTooSlow, j.slowBlame(), "the handshake took %.0f ms; the link explains %d ms, and it dropped nothing", ms, p.BudgetMS)
}

// linkDropped reports whether the link kept a packet from arriving. What was
// still on its way when the lab closed the cell does not count.
func (j *judge) linkDropped() bool {
	return slices.ContainsFunc(j.o.Path.Drops, func(d Drop) bool { return d.Reason != "cell-closed" && d.Reason != dropBox })
}

func (j *judge) slowBlame() string {
	bare := j.control(ControlNoBox)
	if box := j.culprit(); box != "" && bare != Slow {
		return box
	}
	if bare.Pass() {
		return j.pathBlame()
	}
	if j.o.Wire.Retransmits > 0 {
		return blameLink
	}
	return blameServer
}

func (j *judge) agreed() bool {
	if !j.completed() {
		return false
	}
	how := ""
	if j.o.Wire.HRR != nil {
		how = " after a HelloRetryRequest"
	}
	if j.rewritten() {
		how += "; " + j.legsInWords()
	}
	return j.decide(kindOf(j.o.Wire.ServerHello.Group), "", "", "%s, as predicted%s%s", cmp.Or(j.v.Group, noCurve), how, j.quietDeeds())
}

// refused: a server's alert, where the rules say refusal; or, where it is for
// the client to look at the server's certificate, the client's; or no alert from
// a server that is known for sending none.
func (j *judge) refused() bool {
	if j.mute() {
		return j.decide(Refused, "", "", "%s: the server closed the connection without an alert, as predicted", j.p.reason())
	}
	a, ok := j.refusal()
	return ok && j.decide(Refused, "", "", "%s: the %s sent %s, as predicted", j.p.reason(), a.From, a.Name)
}

func (j *judge) mute() bool {
	w := j.o.Wire
	fromServer := slices.ContainsFunc(w.Alerts, func(a Alert) bool { return a.From == blameServer })
	closed := len(w.ClientHellos) > 0 && w.ServerHello == nil && strings.HasSuffix(w.ClientClose, "-server")
	return closed && !fromServer && !j.rewritten() && slices.Contains(j.p.Allowed, Result{Outcome: Refused, Alert: NoAlert})
}

func (j *judge) refusal() (Alert, bool) {
	a, ok := j.alert()
	if sh := j.o.Wire.ServerHello; !ok || sh != nil && (a.From != blameClient || sh.Version >= versionTLS13) {
		return Alert{}, false
	}
	return a, slices.ContainsFunc(j.p.Allowed, func(r Result) bool {
		return r.Outcome == Refused && (a.Name == r.Alert || r.Alert == "")
	})
}

func (j *judge) alert() (Alert, bool) {
	for _, a := range j.o.Wire.Alerts {
		if a.Name != "close_notify" {
			return a, true
		}
	}
	return Alert{}, false
}
