package lab

import "hybridlab/lab/wire"

// Session is what a handshake came to for those who wanted it, whatever was
// predicted and whoever is to blame: what an operator counts. An outcome says
// whether that is right.
type Session string

const (
	SessionHybrid    Session = "hybrid"    // post-quantum key exchange
	SessionClassical Session = "classical" // classical, and nothing else was offered
	SessionFallback  Session = "fallback"  // classical, and the client's hello offered a post-quantum group
	SessionRefused   Session = "refused"   // no common ground, refused as predicted
	SessionFailed    Session = "failed"    // it broke, or ended at another server
	SessionUndecided Session = "undecided" // nothing is known: unsupported, inconclusive, flaky, or the lab's fault
)

// Sessions lists them in report order.
var Sessions = []Session{SessionHybrid, SessionClassical, SessionFallback, SessionRefused, SessionFailed, SessionUndecided}

// Session is what the cell's handshake came to.
func (v Verdict) Session() Session {
	switch {
	case v.Outcome == Refused:
		return SessionRefused
	case !v.Outcome.Telling():
		return SessionUndecided
	case !v.Outcome.Worked():
		return SessionFailed
	case v.postQuantum():
		return SessionHybrid
	case v.Fallback:
		return SessionFallback
	}
	return SessionClassical
}

func (v Verdict) postQuantum() bool {
	g, err := wire.LookupGroup(v.Group)
	return v.Outcome == Hybrid || err == nil && g.PostQuantum()
}
