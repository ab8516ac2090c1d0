package lab

// Trigger is the one variable that sets a finding off, as triage found it: with
// it the breakage comes, without it it goes, everything else being equal. The
// list is closed.
type Trigger string

const (
	TriggerSize         Trigger = "size"              // bytes of the ClientHello, record headers included, however it is cut
	TriggerSegmentation Trigger = "segmentation"      // the ClientHello comes in more than one TCP segment
	TriggerRecordCut    Trigger = "record-cut"        // the ClientHello comes in more than one TLS record
	TriggerGap          Trigger = "gap"               // time between two segments of the ClientHello
	TriggerCodePoint    Trigger = "code-point"        // the group is offered or chosen, its key share not being needed
	TriggerKeyShare     Trigger = "key-share"         // the group's key share is in the ClientHello, or is not
	TriggerSchemes      Trigger = "signature-schemes" // signature schemes advertised
	TriggerGREASE       Trigger = "grease"            // reserved values in the lists, RFC 8701
	TriggerHRR          Trigger = "hrr"               // the server answers with a HelloRetryRequest
	TriggerName         Trigger = "sni-position"      // where server_name lies in the ClientHello or its first segment
	TriggerTLSVersion   Trigger = "tls-version"       // TLS 1.3 is offered
	TriggerMTU          Trigger = "mtu"               // bytes of an IP packet
	TriggerLoss         Trigger = "loss"              // packets lost by chance
	TriggerCorruption   Trigger = "corruption"        // bytes changed on the way
	TriggerMalformed    Trigger = "malformed-share"   // the key share is wrong on purpose
	TriggerChance       Trigger = "chance"            // handshakes alike in everything come to different ends
)

// Triggers lists them all.
var Triggers = []Trigger{TriggerSize, TriggerSegmentation, TriggerRecordCut, TriggerGap, TriggerCodePoint, TriggerKeyShare,
	TriggerSchemes, TriggerGREASE, TriggerHRR, TriggerName, TriggerTLSVersion, TriggerMTU, TriggerLoss, TriggerCorruption,
	TriggerMalformed, TriggerChance}

// Sized reports whether what triggers is a size or a cut: then a handshake
// that broke is a finding of size.
func (t Trigger) Sized() bool {
	switch t {
	case TriggerSize, TriggerSegmentation, TriggerRecordCut, TriggerMTU:
		return true
	}
	return false
}

// Unit is what a threshold of the trigger counts: the smallest value that
// breaks, or, where small values break, the largest. Empty: it has none.
func (t Trigger) Unit() string {
	switch t {
	case TriggerSize, TriggerSegmentation:
		return "bytes of ClientHello"
	case TriggerRecordCut:
		return "bytes of the first record"
	case TriggerName:
		return "bytes of the first segment"
	case TriggerMTU:
		return "bytes of IP packet"
	case TriggerGap:
		return "ms"
	case TriggerSchemes:
		return "signature schemes"
	}
	return ""
}

// Trial is one run that triage made for a finding: what was different, in
// which cell, and what came of it. The cell's id is all it takes to run it
// again.
type Trial struct {
	Changed string  `json:"changed"`
	Cell    string  `json:"cell"`
	Seed    uint64  `json:"seed,omitempty"` // absent: the run's
	Outcome Outcome `json:"outcome"`
	Cause   Cause   `json:"cause,omitempty"`
}
