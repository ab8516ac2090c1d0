package lab

import "slices"

// Outcome is the closed set of results of a cell.
type Outcome string

const (
	Hybrid    Outcome = "hybrid"    // a post-quantum group (hybrid or pure ML-KEM), as predicted
	Classical Outcome = "classical" // a classical group, as predicted
	Refused   Outcome = "refused"   // no common ground, refused as predicted

	Downgrade Outcome = "downgrade" // both ends were set up for post-quantum; something weaker came out
	Failure   Outcome = "failure"   // the handshake did not end as the rules allow: it broke, or completed where it must not
	Size      Outcome = "size"      // it did not complete, and size, segmentation or record cuts are the trigger
	Misroute  Outcome = "misroute"  // completed, with a server other than the one addressed
	Misreport Outcome = "misreport" // a peer claims another group than the wire shows
	Slow      Outcome = "slow"      // completed, far later than the link explains

	Unsupported  Outcome = "unsupported"  // a peer cannot do what the cell asks, declared or probed
	Inconclusive Outcome = "inconclusive" // the control failed too, or the evidence is incomplete
	Flaky        Outcome = "flaky"        // attempts disagree
	Fault        Outcome = "fault"        // the lab broke, not a peer
)

// Outcomes lists every outcome in report order.
var Outcomes = []Outcome{Hybrid, Classical, Refused, Downgrade, Failure, Size, Misroute, Misreport, Slow,
	Unsupported, Inconclusive, Flaky, Fault}

// Finding reports whether the outcome is something a user must look at.
func (o Outcome) Finding() bool {
	switch o {
	case Downgrade, Failure, Size, Misroute, Misreport, Slow:
		return true
	}
	return false
}

// Disputed reports whether one attempt is not enough: a finding, or evidence
// that did not suffice, is run again and compared with controls.
func (o Outcome) Disputed() bool { return o.Finding() || o == Inconclusive }

// Telling reports whether the outcome says something about the peers and the
// path, good or bad.
func (o Outcome) Telling() bool {
	return o != Inconclusive && o != Fault && o != Unsupported && o != Flaky
}

// Pass reports whether the outcome is as predicted.
func (o Outcome) Pass() bool { return o == Hybrid || o == Classical || o == Refused }

// Worked reports whether the handshake came to an end both sides accept,
// wanted or not: what a control has to show to clear the path.
func (o Outcome) Worked() bool {
	switch o {
	case Downgrade, Misreport, Slow:
		return true
	}
	return o.Pass()
}

// Letter is the outcome's mark in a matrix, so that colour is never alone.
func (o Outcome) Letter() string {
	switch o {
	case Hybrid:
		return "H"
	case Classical:
		return "c"
	case Refused:
		return "r"
	case Downgrade:
		return "D"
	case Failure:
		return "F"
	case Size:
		return "S"
	case Misroute:
		return "M"
	case Misreport:
		return "L"
	case Slow:
		return "T"
	case Unsupported:
		return "-"
	case Inconclusive:
		return "?"
	case Flaky:
		return "~"
	case Fault:
		return "!"
	}
	return " "
}

// Verdict is one line of verdicts.jsonl. Its schema is published in
// reports/verdict.schema.json; an absent field is not known, never zero.
type Verdict struct {
	Cell      string   `json:"cell"`
	Client    PeerID   `json:"client"`
	Server    PeerID   `json:"server"`
	Offer     Offer    `json:"offer"`
	Accept    Offer    `json:"accept"`
	Link      string   `json:"link"`
	Boxes     []string `json:"boxes"`
	Cert      string   `json:"cert,omitempty"` // kind of the server's certificate; absent: DefaultCert
	Predicted []string `json:"predicted"`      // results the rules allow: "hybrid X25519MLKEM768", "refused handshake_failure"
	Outcome   Outcome  `json:"outcome"`
	Cause     Cause    `json:"cause,omitempty"`
	Blame     string   `json:"blame,omitempty"` // "client", "server", "link" or "box NAME"
	Group     string   `json:"group,omitempty"` // negotiated, from the wire
	// What the ends say the group is, as they name it; absent: one does not say.
	ClientClaim string `json:"client_claim,omitempty"`
	ServerClaim string `json:"server_claim,omitempty"`
	Fallback    bool   `json:"fallback,omitempty"` // the client's hello offered a post-quantum group, and a classical one came out
	Version     string `json:"version,omitempty"`
	HRR         *bool  `json:"hrr,omitempty"`

	HelloBytes     int         `json:"hello_bytes,omitempty"`
	PredictedBytes int         `json:"predicted_hello_bytes,omitempty"` // by the client's rules; absent: no claim
	HelloSegments  int         `json:"hello_segments,omitempty"`
	HelloRecords   int         `json:"hello_records,omitempty"`
	Hellos         []HelloSeen `json:"hellos,omitempty"`       // both ends', in order; those that are not all there apart
	HandshakeMS    float64     `json:"handshake_ms,omitempty"` // absent where the engine was late

	Trigger    Trigger        `json:"trigger,omitempty"`
	Threshold  int            `json:"threshold,omitempty"`   // in Trigger.Unit
	Why        string         `json:"why"`                   // what the packets say: one plain sentence
	Traced     string         `json:"traced,omitempty"`      // what triage found out, likewise
	Triage     []Trial        `json:"triage,omitempty"`      // its trials; of a search for a number, those on both sides of it
	TriageRuns int            `json:"triage_runs,omitempty"` // trials in all
	Like       string         `json:"like,omitempty"`        // the cell whose triage this finding shares
	Remedy     string         `json:"remedy,omitempty"`
	Known      string         `json:"known,omitempty"` // name of the known deviation that explains it
	Control    []ControlTaken `json:"control,omitempty"`
	Capture    string         `json:"capture,omitempty"`
	Evidence   []int          `json:"evidence,omitempty"` // packets of the capture that prove it, from 1
	Attempts   []Attempt      `json:"attempts"`
	Inputs     string         `json:"inputs,omitempty"` // SHA-256 of everything it was made from; absent: not known
	Reused     string         `json:"reused,omitempty"` // the run that it was taken over from
	Shard      int            `json:"shard,omitempty"`  // that ran and traced it, from 1, in a run that was merged
}

// Comparable is the verdict without what two runs of the same cell and seed
// may measure differently: the time, and where in the capture a packet lies;
// and without which of the two ran the cell.
func (v Verdict) Comparable() Verdict {
	v.Reused, v.Shard = "", 0
	v.HandshakeMS, v.Evidence = 0, nil
	v.ClientClaim, v.ServerClaim = "", "" // a server's may come too late to be heard
	v.Attempts = slices.Clone(v.Attempts)
	for i := range v.Attempts {
		v.Attempts[i].HandshakeMS = 0
	}
	return v
}

// HelloSeen is a hello as it left its sender, and its size as predicted.
type HelloSeen struct {
	Message   string `json:"message"` // "ClientHello", "HelloRetryRequest" or "ServerHello"
	Bytes     int    `json:"bytes"`   // record headers included
	Predicted int    `json:"predicted,omitempty"`
}

// Attempt is one run of the cell; every one is recorded.
type Attempt struct {
	Outcome     Outcome `json:"outcome"`
	Cause       Cause   `json:"cause,omitempty"`
	HandshakeMS float64 `json:"handshake_ms,omitempty"` // absent where it did not complete, or the engine was late
}
