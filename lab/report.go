package lab

import "time"

// SchemaVersion numbers the formats of report.json and verdicts.jsonl.
const SchemaVersion = 1

// Report is report.json: what was run, with what, and the counts.
type Report struct {
	Schema      int             `json:"schema"`
	Run         string          `json:"run"`    // run id, also the label on every container
	Fabric      string          `json:"fabric"` // "embedded" or "containers"
	FabricWhy   string          `json:"fabric_why,omitempty"`
	Seed        uint64          `json:"seed"`
	Tool        string          `json:"tool"`   // hybridlab's commit
	Kernel      string          `json:"kernel"` // kernel whose TCP the cells used, or "gvisor netstack"
	Started     time.Time       `json:"started"`
	Ended       time.Time       `json:"ended"`
	Interrupted bool            `json:"interrupted,omitempty"` // stopped before the plan was through
	Peers       []PeerInfo      `json:"peers"`
	Cells       int             `json:"cells"`    // planned
	Judged      int             `json:"judged"`   // verdicts written
	Excluded    []Exclusion     `json:"excluded"` // combinations left out, with the reason
	PlanDigest  string          `json:"plan_digest"`
	Counts      map[Outcome]int `json:"counts"`
	Command     string          `json:"command"` // the command line that runs it again
}

// PeerInfo is the provenance of one peer, read from the running binary.
type PeerInfo struct {
	ID      PeerID `json:"id"`
	Version string `json:"version"`         // the binary's own words
	Image   string `json:"image,omitempty"` // image digest; empty in the embedded fabric
	// Capabilities, declared and as probed on the wire.
	Client      Capability `json:"client"`
	Server      Capability `json:"server"`
	Unavailable string     `json:"unavailable,omitempty"` // why the peer cannot be used here
	// Rules are those of a peer that the lab has no row for, as its image
	// declares them: without them the run could not be judged again.
	Rules *Rules `json:"rules,omitempty"`
}

// Exclusion is a combination that is not run.
type Exclusion struct {
	Cell   string `json:"cell"`
	Reason string `json:"reason"`
}
