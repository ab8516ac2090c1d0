package lab

import (
	"fmt"
	"time"
)

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
	Links       []LinkInfo      `json:"links,omitempty"` // of the plan, with what they do: a link file is not kept
	Boxes       []BoxInfo       `json:"boxes,omitempty"`
	Cells       int             `json:"cells"`                    // planned
	Judged      int             `json:"judged"`                   // verdicts written
	Reused      int             `json:"reused,omitempty"`         // of these, taken over from an older run
	Excluded    []Exclusion     `json:"excluded"`                 // combinations left out, with the reason
	PlanDigest  string          `json:"plan_digest"`              // of the whole plan, also in a shard of it
	Level       string          `json:"level,omitempty"`          // of thoroughness; absent: the cells were named
	Shard       string          `json:"shard,omitempty"`          // "2/3": the part of the plan that this run is
	Merged      []string        `json:"merged,omitempty"`         // the runs of the shards that this one was made of
	Missing     []string        `json:"missing_shards,omitempty"` // of a plan that was merged in part
	Counts      map[Outcome]int `json:"counts"`
	Unexpected  int             `json:"unexpected"`      // findings and flaky cells that no known deviation explains
	Known       []KnownSeen     `json:"known,omitempty"` // known deviations it was judged with
	Command     string          `json:"command"`         // the command line that runs it again
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
	// declares or its configuration file makes them: without them the run could not be judged again.
	Rules *Rules `json:"rules,omitempty"`
	// Config is the user's file that a row's server was configured by.
	Config *ConfigInfo `json:"config,omitempty"`
}

// ConfigInfo is what a configuration file said about TLS, each line with its
// number.
type ConfigInfo struct {
	File  string   `json:"file"`
	Taken []string `json:"taken"`          // what the server was told
	Left  []string `json:"left,omitempty"` // what concerns TLS and is the lab's to say, as certificates are
}

// BoxInfo is the provenance of a middlebox and what it did in the run.
type BoxInfo struct {
	Name       string   `json:"name"`         // as cells name it
	ID         string   `json:"id,omitempty"` // number of the breakage it stands for
	About      string   `json:"about,omitempty"`
	Origin     string   `json:"origin,omitempty"`
	Confidence string   `json:"confidence,omitempty"` // "confirmed", "reported" or "inferred"
	Evidence   []string `json:"evidence,omitempty"`   // links
	Fix        string   `json:"fix,omitempty"`
	Version    string   `json:"version,omitempty"` // of a real middlebox: its own words
	Image      string   `json:"image,omitempty"`   // and the digest of its image
	Cells      int      `json:"cells"`             // planned behind it
	Triggered  int      `json:"triggered"`         // of these, in how many it did something
	Probes     int      `json:"probes,omitempty"`  // its positive controls: cells in which it must be found
	Missed     []string `json:"missed,omitempty"`  // those that came to something else, and what: the lab failed
	Entry      string   `json:"entry,omitempty"`   // what it does, as a file of boxes says it
	Own        bool     `json:"own,omitempty"`     // of a file of the user's
}

// Missed are the positive controls of boxes that came to something else than
// they must.
func (r Report) Missed() []string {
	var out []string
	for _, b := range r.Boxes {
		for _, m := range b.Missed {
			out = append(out, fmt.Sprintf("box %s was not caught: %s", b.Name, m))
		}
	}
	return out
}

// LinkInfo says what a link does, as far as a reader needs it.
type LinkInfo struct {
	Name  string  `json:"name"`
	About string  `json:"about,omitempty"`
	RTTMS float64 `json:"rtt_ms"`        // delay of both directions together, jitter apart
	MTU   int     `json:"mtu,omitempty"` // toward the server, bytes of IP packet; absent: no limit of its own
	IPv6  bool    `json:"ipv6,omitempty"`
	Entry string  `json:"entry,omitempty"` // what it does, as a file of links says it
	Own   bool    `json:"own,omitempty"`   // of a file of the user's
}

// Exclusion is a combination that is not run.
type Exclusion struct {
	Cell   string `json:"cell"`
	Reason string `json:"reason"`
}
