package reports

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hybridlab/lab"
	"hybridlab/lab/wire"
)

// sample is a made-up run of every combination of the given axes.
type sample struct {
	clients, servers []lab.PeerID
	cases            [][2]string
	links            []string
	boxes            []string
}

// small is 24 cells with findings of two kinds, large more than ten thousand
// with every outcome.
var (
	small = sample{
		clients: []lab.PeerID{"go@1.26", "openssl@trixie"},
		servers: []lab.PeerID{"go@1.26", "openssl@trixie"},
		cases:   [][2]string{{"x25519", "x25519"}, {"x25519mlkem768", "x25519mlkem768"}, {"x25519+~x25519mlkem768", "x25519mlkem768+x25519"}},
		links:   []string{"clean", "mtu1280-icmp-eaten"},
	}
	large = sample{
		clients: []lab.PeerID{"curl@trixie", "firefox@140", "go@1.26", "gnutls@trixie", "openssl@bookworm", "openssl@trixie"},
		servers: []lab.PeerID{"caddy@2.10", "go@1.26", "haproxy@bookworm", "haproxy@trixie", "nginx@trixie", "openssl@trixie", "rustls@0.23"},
		cases:   square("x25519", "secp256r1", "x25519mlkem768", "secp256r1mlkem768", "x25519mlkem768+x25519"),
		links:   []string{"clean", "frag-drop", "loss1", "loss5", "mobile", "mss536", "mtu1280", "mtu1280-icmp-eaten", "pppoe1492", "rtt100"},
	}
)

// sampleLinks are the links of both samples.
var sampleLinks = map[string]lab.LinkInfo{
	"clean": {Name: "clean", About: "A perfect IPv4 path."}, "frag-drop": {Name: "frag-drop", MTU: 1400}, "loss1": {Name: "loss1", RTTMS: 20},
	"loss5": {Name: "loss5", RTTMS: 20}, "mobile": {Name: "mobile", RTTMS: 180}, "mss536": {Name: "mss536", MTU: 576}, "mtu1280": {Name: "mtu1280", MTU: 1280},
	"mtu1280-icmp-eaten": {Name: "mtu1280-icmp-eaten", MTU: 1280}, "pppoe1492": {Name: "pppoe1492", RTTMS: 30, MTU: 1492}, "rtt100": {Name: "rtt100", RTTMS: 100, IPv6: true},
}

func square(lists ...string) (out [][2]string) {
	for _, o := range lists {
		for _, a := range lists {
			out = append(out, [2]string{o, a})
		}
	}
	return out
}

// verdicts makes them in plan order, as a stream.
func (s sample) verdicts(yield func(lab.Verdict, error) bool) {
	n := 0
	for _, c := range s.clients {
		for _, srv := range s.servers {
			for _, cs := range s.cases {
				offer, accept := lab.MustOffer(cs[0]), lab.MustOffer(cs[1])
				for _, l := range s.links {
					n++
					if !yield(judged(lab.NewCell(c, srv, offer, accept, l, s.boxes...), n), nil) {
						return
					}
				}
			}
		}
	}
}

// judged makes up a verdict that is plausible for its cell.
func judged(c lab.Cell, n int) lab.Verdict {
	hrr := c.Offer.Explicit()
	v := lab.Verdict{
		Cell: c.ID, Client: c.Client, Server: c.Server, Offer: c.Offer, Accept: c.Accept, Link: c.Link,
		Boxes: append([]string{}, c.Boxes...), Version: "TLS 1.3", HRR: &hrr,
		HelloBytes: 247, HelloSegments: 1, HelloRecords: 1, HandshakeMS: 1.25 + float64(n%7)/8,
	}
	var common []wire.Group
	pq := false
	for _, g := range c.Offer.Groups() {
		pq = pq || g.PostQuantum()
		if c.Accept.Has(g) {
			common = append(common, g)
		}
	}
	if pq && !hrr {
		v.HelloBytes, v.HelloSegments = 1449, 2
	}
	switch {
	case len(common) == 0:
		v.Outcome, v.Predicted = lab.Refused, []string{"refused handshake_failure"}
		v.Version, v.HRR, v.Why = "", nil, "no common group: the server sent handshake_failure, as predicted"
	default:
		g := common[len(common)-1]
		if g.PostQuantum() {
			v.Outcome = lab.Hybrid
		} else {
			v.Outcome = lab.Classical
		}
		v.Group, v.Predicted, v.Why = g.String(), []string{fmt.Sprintf("%s %s", v.Outcome, g)}, g.String()+", as predicted"
	}
	if v.Version != "" {
		v.Hellos = []lab.HelloSeen{{Message: "ClientHello", Bytes: v.HelloBytes, Predicted: v.HelloBytes}, {Message: "ServerHello", Bytes: 122}}
	}
	spoil(&v, c, n)
	v.Attempts = append(v.Attempts, lab.Attempt{Outcome: v.Outcome, Cause: v.Cause})
	return v
}

// spoil turns some cells into findings and into what has no result.
func spoil(v *lab.Verdict, c lab.Cell, n int) {
	find := func(o lab.Outcome, cause lab.Cause, blame, why string) {
		v.Outcome, v.Cause, v.Blame, v.Why = o, cause, blame, why
		v.Capture = fmt.Sprintf("captures/cell-%d.pcapng", n)
		v.Attempts = []lab.Attempt{{Outcome: o, Cause: cause}}
	}
	hybrid := v.Outcome == lab.Hybrid
	switch {
	case strings.HasPrefix(string(c.Client), "openssl@bookworm") && v.HelloBytes > 1000:
		find(lab.Unsupported, "", "", "client openssl@bookworm: 3.0 has no ML-KEM")
		v.Group, v.Version, v.HRR, v.Capture = "", "", nil, ""
	case c.Link == "mtu1280-icmp-eaten" && v.HelloSegments > 1:
		find(lab.Size, lab.CausePMTUBlackhole, "link", "3 packets to server were dropped as larger than the link's MTU, and no ICMP told the sender (first: packet 4, 1500 bytes); predicted "+strings.Join(v.Predicted, " or ")+"; X25519 passes on this link, and the same groups pass on a clean one")
		v.Group, v.Version, v.HRR, v.HandshakeMS, v.Trigger = "", "", nil, 0, "size"
		v.Control = []lab.ControlTaken{
			{Kind: lab.ControlClassical, Cell: string(c.Client) + "/" + string(c.Server) + "/x25519/" + c.Link, Outcome: lab.Classical},
			{Kind: lab.ControlClean, Cell: strings.Replace(c.ID, c.Link, "clean", 1), Outcome: lab.Hybrid},
		}
	case c.Server == "openssl@trixie" && c.Offer.Explicit():
		find(lab.Downgrade, lab.CauseServerPreferredClassical, "server", "both ends are set up for X25519MLKEM768; the server took the client's x25519 share instead of asking for X25519MLKEM768 with a HelloRetryRequest")
		v.Group, v.Remedy = "x25519", "list the hybrid in a tier of its own: X25519MLKEM768 / X25519"
	case c.Server == "haproxy@bookworm" && hybrid && c.Link != "clean":
		find(lab.Failure, lab.CauseRSTAfterHello, "server", "RST in answer to a ClientHello of 1449 bytes in 2 segments")
	case c.Server == "rustls@0.23" && n%97 == 0:
		find(lab.Misreport, lab.CauseClaimDiffers, "client", "the client says X25519, the ServerHello says X25519MLKEM768")
	case c.Link == "mobile" && n%41 == 0:
		find(lab.Slow, lab.CauseTooSlow, "server", "the handshake took 912 ms; the link explains 180 ms, and it dropped nothing")
		v.HandshakeMS = 912
	case c.Link == "loss5" && n%13 == 0:
		find(lab.Flaky, "", "", "2 attempts disagree: failure packet-loss, hybrid")
	case n%2999 == 0:
		find(lab.Fault, "", "", "the lab failed: peer container openssl@trixie is gone")
	}
}

// report is the head that belongs to the sample.
func (s sample) report() lab.Report {
	n := len(s.clients) * len(s.servers) * len(s.cases) * len(s.links)
	start := time.Date(2026, 11, 23, 4, 44, 0, 0, time.UTC)
	rep := lab.Report{
		Schema: lab.SchemaVersion, Run: "20261123-044400-7f3a", Fabric: "containers", FabricWhy: "a Docker daemon answers", Seed: 7,
		Tool: "9b75baf", Kernel: "Linux 6.12.48", Started: start, Ended: start.Add(12430 * time.Millisecond),
		Cells: n, Judged: n, PlanDigest: "4be1f0c2a9d35e77", Counts: map[lab.Outcome]int{}, Peers: []lab.PeerInfo{}, Excluded: []lab.Exclusion{},
		Command: "hybridlab run --fabric containers --seed 7",
	}
	for _, l := range s.links {
		rep.Links = append(rep.Links, sampleLinks[l])
	}
	versions := map[lab.PeerID]string{"go@1.26": "go1.26.8 crypto/tls", "openssl@trixie": "OpenSSL 3.5.4 30 Sep 2025", "nginx@trixie": "nginx version: nginx/1.26.3"}
	seen := map[lab.PeerID]bool{}
	for _, id := range append(append([]lab.PeerID{}, s.clients...), s.servers...) {
		if !seen[id] {
			seen[id] = true
			p := lab.PeerInfo{ID: id, Version: versions[id]}
			p.Client.Declared, p.Server.Declared = []wire.Group{wire.X25519}, []wire.Group{wire.X25519}
			rep.Peers = append(rep.Peers, p)
		}
	}
	for i := range 5 {
		rep.Excluded = append(rep.Excluded, lab.Exclusion{Cell: fmt.Sprintf("go@1.26/go@1.26/mlkem768/link%d", i), Reason: "client go@1.26: has no group mlkem768"})
	}
	return rep
}

// knownRun is the small sample with its downgrades expected, and something
// expected that is gone.
func knownRun() (lab.Report, Verdicts) {
	var vs []lab.Verdict
	for v := range small.verdicts {
		vs = append(vs, v)
	}
	rep := small.report()
	rep.Recount(lab.Deviations{
		{Name: "openssl-takes-classical", Server: []string{"openssl@*"}, Outcome: lab.Downgrade, Reason: "One tuple.", See: "openssl/openssl#30109"},
		{Name: "resets", Client: []string{"go@*"}, Outcome: lab.Failure, Cause: lab.CauseRSTAfterHello, Reason: "Somebody said so."},
		{Name: "elsewhere", Client: []string{"curl@*"}, Outcome: lab.Failure, Reason: "Not run here."},
	}, vs)
	return rep, Slice(vs)
}

// reusedRun is the small sample, half of it another run's.
func reusedRun() (lab.Report, Verdicts) {
	var vs []lab.Verdict
	for v := range small.verdicts {
		if len(vs)%2 == 0 {
			v.Reused = "20261122-044400-11aa"
		}
		vs = append(vs, v)
	}
	rep := small.report()
	rep.Recount(nil, vs)
	return rep, Slice(vs)
}

// hostile is what a peer might say: markup, quotes, terminal control, bidi
// tricks, line separators, broken UTF-8, and what ends a data block.
var hostile = []string{
	`</script><script>alert(1)</script>`,
	`<!--<script>`,
	`"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`,
	"`${alert(1)}`",
	"javascript:alert(1)",
	"\x1b[2J\x1b[31mred\x1b[0m",
	"\x1b]0;owned\x07title",
	"\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
	"\u009b31mC1",
	"line\r\nbreak\ttab\vvt\x00nul\x7fdel",
	"user\u202egnp.exe",
	"zero\u200bwidth\ufeff\u2066iso\u2069",
	"sep\u2028para\u2029end",
	"bad\xff\xfeutf8\xc3",
	"]]>&amp;&lt;{{.}}<%= 7*7 %>",
	"| a | b |\n|---|\n[x](javascript:alert(1)) ``` @everyone **",
	"\U000e0041tag \ufffd \U0010ffff",
	strings.Repeat("A", 5000),
}

// spiked has every text field of a verdict say s.
func spiked(s string, o lab.Outcome) lab.Verdict {
	yes := true
	return lab.Verdict{
		Cell: "cell " + s, Client: lab.PeerID(s), Server: lab.PeerID(s), Offer: lab.MustOffer("x25519"), Accept: lab.MustOffer("default"),
		Link: s, Boxes: []string{s}, Predicted: []string{s}, Outcome: o, Cause: lab.Cause(s), Blame: s, Group: s, Version: s, HRR: &yes,
		HelloBytes: 1, Trigger: lab.Trigger(s), Why: s, Traced: s, Like: s, Reused: s, Triage: []lab.Trial{{Changed: s, Cell: s, Outcome: lab.Outcome(s)}}, Remedy: s, Control: []lab.ControlTaken{{Kind: s, Cell: s, Outcome: lab.Outcome(s)}},
		Capture: s, Attempts: []lab.Attempt{{Outcome: lab.Outcome(s), Cause: lab.Cause(s)}},
	}
}

// spikedRun is a run in which everything is hostile.
func spikedRun() (lab.Report, Verdicts) {
	var vs []lab.Verdict
	rep := small.report()
	for i, s := range hostile {
		known := spiked(s, lab.Outcome(s))
		known.Known = s
		vs = append(vs, spiked(s, lab.Outcomes[i%len(lab.Outcomes)]), spiked(s, lab.Failure), known)
		rep.Peers = append(rep.Peers, lab.PeerInfo{ID: lab.PeerID(s), Version: s, Image: s, Unavailable: s})
		rep.Excluded = append(rep.Excluded, lab.Exclusion{Cell: s, Reason: s})
	}
	for _, s := range hostile {
		rep.Known = append(rep.Known, lab.KnownSeen{Deviation: lab.Deviation{Name: s, Reason: s, See: s, Outcome: lab.Outcome(s)}, Cells: 1})
	}
	all := strings.Join(hostile, " ")
	rep.Run, rep.Fabric, rep.FabricWhy, rep.Tool, rep.Kernel, rep.PlanDigest, rep.Command = all, hostile[0], all, all, all, all, all
	return rep, Slice(vs)
}

var errTorn = errors.New("torn line")

// torn ends in an error after two verdicts.
func torn(yield func(lab.Verdict, error) bool) {
	n := 0
	for v := range small.verdicts {
		if n++; n > 2 {
			yield(lab.Verdict{}, errTorn)
			return
		}
		if !yield(v, nil) {
			return
		}
	}
}
