package lab

import (
	"hybridlab/lab/wire"
)

// Observation is everything that was seen of one attempt at one cell. It is
// data: no judgement, JSON on disk (observations.jsonl), enough to judge the
// cell again without its packets.
type Observation struct {
	Cell      Cell   `json:"cell"`
	Attempt   int    `json:"attempt"`             // 1 for the first
	Trial     bool   `json:"trial,omitempty"`     // run for triage: no attempt at a cell of the plan
	Seed      uint64 `json:"seed,omitempty"`      // of a trial that was run with another seed than the run's
	Addressed string `json:"addressed,omitempty"` // identity of the server the client was sent to
	Client    End    `json:"client"`
	Server    End    `json:"server"`
	Wire      Wire   `json:"wire"`
	Path      Path   `json:"path"`
	Capture   string `json:"capture,omitempty"` // pcapng file, relative to the run directory
	Fault     string `json:"fault,omitempty"`   // the lab broke: why; everything else is then suspect

	CaptureSHA256 string `json:"capture_sha256,omitempty"` // of that file
	// How the ends were started; of passes it is not kept.
	ClientSetup *Setup `json:"client_setup,omitempty"`
	ServerSetup *Setup `json:"server_setup,omitempty"`
}

// Setup is how a peer is started: the lab's account, not the peer's.
type Setup struct {
	InProcess bool              `json:"in_process,omitempty"` // it ran within hybridlab; this is how it runs as a program of its own
	Argv      []string          `json:"argv"`                 // {dir} stands for the directory the files are in
	Env       []string          `json:"env,omitempty"`        // NAME=value
	Files     map[string]string `json:"files,omitempty"`      // configuration, by name; of certificates and keys only what they are
	Stdin     string            `json:"stdin,omitempty"`
}

// End is what one peer said and did. Nothing in it is trusted for the
// negotiated group: it is compared with Wire.
type End struct {
	Exit        int    `json:"exit"`                  // exit code; 127: cannot do what was asked
	Unsupported string `json:"unsupported,omitempty"` // why the peer cannot do what was asked
	TimedOut    bool   `json:"timed_out,omitempty"`   // stopped by the lab at the cell's deadline
	Done        bool   `json:"done,omitempty"`        // handshake completed, by its own account
	Data        bool   `json:"data,omitempty"`        // received application data from the other end
	Group       string `json:"group,omitempty"`       // group it claims, IANA name; empty: it does not say
	Version     string `json:"version,omitempty"`     // protocol it claims, "TLS 1.3"
	Reached     string `json:"reached,omitempty"`     // client only: common name of the certificate it was shown
	Error       string `json:"error,omitempty"`       // the peer's own words, at most 2 KiB
	CPUMicros   int64  `json:"cpu_us,omitempty"`      // user + system time of the process, microseconds
}

// Wire is what the capture proves. Slices are in order of appearance.
type Wire struct {
	ClientHellos []Hello      `json:"client_hellos,omitempty"` // as they left the client; the second answers a HelloRetryRequest
	AtServer     []Hello      `json:"at_server,omitempty"`     // as they reached the server
	HRR          *ServerHello `json:"hrr,omitempty"`           // as the client received it
	ServerHello  *ServerHello `json:"server_hello,omitempty"`  // as the client received it
	FromServer   *ServerHello `json:"from_server,omitempty"`   // the ServerHello as it left the server
	Alerts       []Alert      `json:"alerts,omitempty"`        // plaintext alerts only: later ones are encrypted
	Forged       []string     `json:"forged,omitempty"`        // what reached an end and the other end never sent: "rst to client", "data to server"
	LostUp       int          `json:"lost_up,omitempty"`       // bytes of the client's stream that never reached the server
	LostDown     int          `json:"lost_down,omitempty"`     // bytes of the server's stream that never reached the client
	ClientClose  string       `json:"client_close,omitempty"`  // how the client's side ended first: "fin-client" "rst-client" "fin-server" "rst-server"; empty: silence
	ClosePacket  int          `json:"close_packet,omitempty"`  // number in the capture, from 1, of the FIN or RST that did it
	AppToServer  int          `json:"app_to_server"`           // application_data record bytes seen after the handshake began
	AppToClient  int          `json:"app_to_client"`
	HandshakeMS  float64      `json:"handshake_ms,omitempty"` // first SYN to the client's Finished, client side
	Connected    bool         `json:"connected"`              // the TCP handshake completed on the client side
	MaxPayload   int          `json:"max_payload"`            // largest TCP payload seen from either end, bytes
	OverMSS      int          `json:"over_mss,omitempty"`     // segments larger than the receiver's MSS: offload leaked, the cell is void
	Unseen       int          `json:"unseen,omitempty"`       // bytes acknowledged but never captured: the evidence is incomplete
	Retransmits  int          `json:"retransmits,omitempty"`  // TCP segments sent again, both ends
	DecodeErr    string       `json:"decode_err,omitempty"`   // first thing the decoder could not read
}

// Hello sums up one ClientHello and how it was cut.
type Hello struct {
	Bytes    int          `json:"bytes"`              // record headers included
	Segments int          `json:"segments"`           // TCP segments that carried it
	Records  int          `json:"records"`            // TLS records that carried it
	Groups   []wire.Group `json:"groups"`             // supported_groups
	Shares   []wire.Group `json:"shares"`             // key_share entries
	Faults   []ShareFault `json:"faults,omitempty"`   // shares that cannot be of their group
	TLS13    bool         `json:"tls13"`              // supported_versions lists 0x0304
	Session  *int         `json:"session,omitempty"`  // bytes of legacy_session_id
	SHA256   string       `json:"sha256"`             // of the handshake message: equal hellos were not rewritten
	Packets  []int        `json:"packets,omitempty"`  // numbers in the capture, from 1, of the segments that carried it
	Schemes  int          `json:"schemes,omitempty"`  // entries of signature_algorithms
	GapMS    float64      `json:"gap_ms,omitempty"`   // longest time between two of these segments
	NameEnd  int          `json:"name_end,omitempty"` // offset just behind the server_name extension, record header included, where there is one record
	Traits   []string     `json:"traits,omitempty"`   // what is unusual about it, as the crafted peer's settings call it: "grease", "ml-dsa", "ml-dsa-cert", "late-name"
}

// ShareFault is a key share that cannot be of its group, by its size or by
// what its bytes give away.
type ShareFault struct {
	Group wire.Group `json:"group"`
	What  string     `json:"what"` // "1215 bytes, not 1216"
}

// ServerHello sums up a ServerHello or HelloRetryRequest, or, for TLS 1.2,
// the group of the ServerKeyExchange.
type ServerHello struct {
	Bytes   int        `json:"bytes"`
	Version uint16     `json:"version"` // selected: 0x0304 for TLS 1.3
	Group   wire.Group `json:"group"`   // 0: none (a PSK, RSA key exchange)
	Cipher  uint16     `json:"cipher"`
	Fault   string     `json:"fault,omitempty"`  // why its share cannot be of the group
	Cookie  int        `json:"cookie,omitempty"` // bytes of a HelloRetryRequest's cookie
}

// Alert is a plaintext alert record.
type Alert struct {
	From string `json:"from"` // "client" or "server"
	Name string `json:"name"` // RFC 8446 section 6 name: "handshake_failure"
	Code uint8  `json:"code"`

	Packet int `json:"packet,omitempty"` // number in the capture, from 1
}

// Path is what the engine says about the link.
type Path struct {
	Packets   int      `json:"packets"`             // received from both ends
	Delivered int      `json:"delivered"`           // handed to an end; counts duplicates and fragments
	Drops     []Drop   `json:"drops,omitempty"`     // first 64; Dropped has the total
	Dropped   int      `json:"dropped,omitempty"`   // packets the engine did not deliver
	ICMP      int      `json:"icmp,omitempty"`      // "too big" messages the engine sent
	Corrupted int      `json:"corrupted,omitempty"` // packets whose bytes the link changed
	MaxLateUS int64    `json:"max_late_us"`         // worst lateness against the link's schedule, microseconds
	BudgetMS  int64    `json:"budget_ms,omitempty"` // longest a handshake takes that the link explains, drops apart; 0: no claim
	Late      bool     `json:"late,omitempty"`      // lateness beyond what a timing claim can bear
	Starved   bool     `json:"starved,omitempty"`   // the lab itself got too little CPU while the cell ran
	Boxes     []Deed   `json:"boxes,omitempty"`     // what the boxes did
	Ends      []BoxEnd `json:"box_ends,omitempty"`  // how the real middleboxes of the path ended
	Uncounted int      `json:"uncounted,omitempty"` // packets the books do not explain: always 0, or the cell is a fault
}

// Drop is one packet that did not arrive, and why.
type Drop struct {
	Packet int    `json:"packet"` // 1-based number in the capture
	Dir    string `json:"dir"`    // "to server", "to client"
	Reason string `json:"reason"`
	Bytes  int    `json:"bytes"` // IP length
}

// BoxEnd is how the process of a real middlebox ended that served the attempt.
type BoxEnd struct {
	Box  string `json:"box"`
	Died bool   `json:"died,omitempty"` // by itself, before the lab ended it
	Exit int    `json:"exit"`           // exit code, 128 and more for a signal
	Said string `json:"said,omitempty"` // the end of what it printed, at most 2 KiB

	Setup *Setup `json:"setup,omitempty"` // how it was started; of passes it is not kept
}

// Deed is something a box did: the engine's account.
type Deed struct {
	Box     string `json:"box"`
	Action  string `json:"action"`            // as the box's entry has it: "RST(client)"
	Packets []int  `json:"packets,omitempty"` // numbers in the capture, from 1, of those it dropped, changed or made; absent: it touched none
	Times   int    `json:"times"`
	Fix     string `json:"fix,omitempty"` // what mends such a box, as far as is known
}
