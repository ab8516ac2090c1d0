package lab

import (
	"strings"
	"testing"
)

const (
	pqList   = "x25519mlkem768+x25519"
	deferred = "x25519+~x25519mlkem768"
)

// seen builds an observation of a healthy cell; each test breaks one thing.
func seen(t *testing.T, client, server PeerID, offer, accept, link, group string, change func(*Observation)) Observation {
	t.Helper()
	o := Observation{
		Cell:      NewCell(client, server, MustOffer(offer), MustOffer(accept), link),
		Attempt:   1,
		Addressed: "server-1",
		Client:    End{Done: true, Data: true, Reached: "server-1"},
		Server:    End{Done: true, Data: true},
		Wire: Wire{
			Connected:    true,
			ClientHellos: []Hello{{Bytes: 1500, Segments: 2, Records: 1, TLS13: true, SHA256: "aa", Groups: MustOffer(offer).Groups()}},
			AtServer:     []Hello{{Bytes: 1500, Segments: 2, Records: 1, TLS13: true, SHA256: "aa"}},
			AppToServer:  100, AppToClient: 900, HandshakeMS: 3, ClientClose: "fin-client",
		},
		Path: Path{Packets: 20, Delivered: 20, BudgetMS: 1000},
	}
	if group != "" {
		g := groups(t, group)[0]
		o.Client.Group = g.String()
		o.Wire.ServerHello = &ServerHello{Bytes: 1215, Version: 0x0304, Group: g}
	}
	if change != nil {
		change(&o)
	}
	return o
}

// silent removes everything after the hello.
func silent(o *Observation) {
	o.Client, o.Server = End{TimedOut: true}, End{}
	o.Wire.ServerHello, o.Wire.AppToClient, o.Wire.AppToServer, o.Wire.ClientClose = nil, 0, 0, ""
}

func refusedWith(alert string) func(*Observation) {
	return func(o *Observation) {
		silent(o)
		o.Client.TimedOut = false
		o.Wire.Alerts = []Alert{{From: "server", Name: alert, Code: 40}}
	}
}

func blackhole(o *Observation) {
	silent(o)
	o.Path.Dropped = 2
	o.Path.Drops = []Drop{{Packet: 4, Dir: "to server", Reason: "mtu-icmp-eaten", Bytes: 1500}, {Packet: 5, Dir: "to server", Reason: "mtu-icmp-eaten", Bytes: 1500}}
}

func ran(clean, classical Outcome) []ControlTaken {
	var cs []ControlTaken
	if clean != "" {
		cs = append(cs, ControlTaken{Kind: ControlClean, Outcome: clean})
	}
	if classical != "" {
		cs = append(cs, ControlTaken{Kind: ControlClassical, Outcome: classical})
	}
	return cs
}

func TestClassify(t *testing.T) {
	type change = func(*Observation)
	for _, tt := range []struct {
		name           string
		client, server PeerID
		offer, accept  string
		group          string
		change         change
		controls       []ControlTaken
		outcome        Outcome
		cause          Cause
		blame          string
	}{
		{"hybrid", "go", "go", pqList, pqList, "x25519mlkem768", nil, nil, Hybrid, "", ""},
		{"classical by agreement", "go", "go", "x25519", pqList, "x25519", nil, nil, Classical, "", ""},
		{"refused as predicted", "go", "go", "x25519mlkem768", "x25519", "", refusedWith("handshake_failure"), nil, Refused, "", ""},
		{"another alert than predicted", "go", "go", "x25519mlkem768", "x25519", "", refusedWith("illegal_parameter"), ran(Failure, Classical), Failure, "alert-illegal-parameter", "server"},
		{"refused where success was predicted", "go", "go", pqList, pqList, "", refusedWith("handshake_failure"), ran(Failure, Classical), Failure, "alert-handshake-failure", "server"},

		{"server took the classical share", "tier", "tier", deferred, pqList, "x25519", nil, nil, Downgrade, CauseServerPreferredClassical, "server"},
		{"its twin asks again", "tier", "go", deferred, pqList, "x25519mlkem768", func(o *Observation) { o.Wire.HRR = &ServerHello{} }, nil, Hybrid, "", ""},
		{"hello rewritten on the way", "go", "go", pqList, pqList, "x25519", func(o *Observation) { o.Wire.AtServer[0].SHA256 = "bb" }, nil, Downgrade, CauseHelloRewritten, "link"},
		{"TLS 1.2 came out", "go", "go", pqList, pqList, "x25519", func(o *Observation) { o.Wire.ServerHello.Version = 0x0303 }, nil, Downgrade, CauseTLS12, "server"},
		{"post-quantum group in TLS 1.2", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Wire.ServerHello.Version = 0x0303 }, nil, Failure, CausePQInTLS12, "server"},
		{"client never offered it", "go", "go", pqList, pqList, "x25519", func(o *Observation) { o.Wire.ClientHellos[0].Groups = MustOffer("x25519").Groups() }, nil, Downgrade, CauseClientPreferredClassical, "client"},

		{"wrong server", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Client.Reached = "server-2" }, nil, Misroute, CauseWrongServer, "link"},
		{"client lies", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Client.Group = "x25519" }, nil, Misreport, CauseClaimDiffers, "client"},
		{"server lies", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Server.Group = "x25519" }, nil, Misreport, CauseClaimDiffers, "server"},
		{"client has another name for it", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Client.Group = "x25519_mlkem768" }, nil, Hybrid, "", ""},
		{"server does not say", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Server.Group = "" }, nil, Hybrid, "", ""},
		{"server says nothing that can be read", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Server.Group = "ECDHE" }, nil, Hybrid, "", ""},
		{"success where refusal was predicted", "go", "go", "x25519mlkem768", "x25519", "x25519mlkem768", nil, ran("", Classical), Failure, CauseUnexpectedSuccess, "server"},
		{"a round trip too many", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Wire.HRR = &ServerHello{} }, nil, Failure, CauseUnexpectedHRR, "server"},
		{"slow", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Wire.HandshakeMS = 1500 }, nil, Slow, CauseTooSlow, "server"},
		{"slow, and the engine was late", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Wire.HandshakeMS, o.Path.Late = 1500, true }, nil, Hybrid, "", ""},
		{"slow, and the link dropped", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Wire.HandshakeMS, o.Path.Drops = 1500, []Drop{{Reason: "loss"}} }, nil, Hybrid, "", ""},

		{"slow, and the last ACK was on its way", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Wire.HandshakeMS, o.Path.Drops = 1500, []Drop{{Reason: "cell-closed"}} }, nil, Slow, CauseTooSlow, "server"},

		{"black hole", "go", "go", pqList, pqList, "", blackhole, ran(Hybrid, Classical), Size, CausePMTUBlackhole, "link"},
		{"black hole for a cell that should be refused", "go", "go", "x25519mlkem768", "x25519", "", blackhole, ran(Refused, Classical), Size, CausePMTUBlackhole, "link"},
		{"black hole, X25519 fails too", "go", "go", pqList, pqList, "", blackhole, ran(Hybrid, Failure), Inconclusive, CausePMTUBlackhole, "link"},
		{"black hole, clean fails too", "go", "go", pqList, pqList, "", blackhole, ran(Failure, Classical), Inconclusive, CausePMTUBlackhole, ""},
		{"black hole, control broke", "go", "go", pqList, pqList, "", blackhole, ran(Fault, Classical), Inconclusive, CausePMTUBlackhole, ""},
		{"black hole seen by X25519 itself", "go", "go", "x25519", "x25519", "", blackhole, ran(Classical, ""), Failure, CausePMTUBlackhole, "link"},
		{"silence while the lab was starved", "go", "go", pqList, pqList, "", func(o *Observation) { silent(o); o.Path.Starved = true }, ran(Hybrid, Classical), Inconclusive, CauseSilentAfterHello, ""},
		{"black hole while the lab was starved", "go", "go", pqList, pqList, "", func(o *Observation) { blackhole(o); o.Path.Starved = true }, ran(Hybrid, Classical), Size, CausePMTUBlackhole, "link"},
		{"random loss is not size", "go", "go", pqList, pqList, "", func(o *Observation) {
			silent(o)
			o.Path.Drops = []Drop{{Packet: 1, Dir: "to server", Reason: "loss"}}
		}, ran(Hybrid, Classical), Failure, CausePacketLoss, "link"},
		{"silence, nothing dropped", "go", "go", pqList, pqList, "", silent, ran(Hybrid, Classical), Size, CauseSilentAfterHello, "link"},
		{"X25519 fails on the clean link too", "go", "go", pqList, pqList, "", refusedWith("internal_error"), ran("", Failure), Failure, "alert-internal-error", "server"},
		{"silence on the clean link too", "go", "go", pqList, pqList, "", silent, ran(Failure, Classical), Failure, CauseSilentAfterHello, "server"},
		{"RST", "go", "go", pqList, pqList, "", func(o *Observation) { silent(o); o.Wire.ClientClose = "rst-server" }, nil, Failure, CauseRSTAfterHello, "server"},
		{"FIN", "go", "go", pqList, pqList, "", func(o *Observation) { silent(o); o.Wire.ClientClose = "fin-server" }, nil, Failure, CauseFINAfterHello, "server"},
		{"no connection", "go", "go", pqList, pqList, "", func(o *Observation) { silent(o); o.Wire.Connected = false }, nil, Failure, CauseNoConnection, "server"},
		{"no hello", "go", "go", pqList, pqList, "", func(o *Observation) { silent(o); o.Wire.ClientHellos = nil }, nil, Failure, CauseNoHello, "client"},
		{"HRR ignored", "go", "go", deferred, pqList, "", func(o *Observation) { silent(o); o.Wire.HRR = &ServerHello{} }, nil, Failure, CauseHRRIgnored, "client"},
		{"no data", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Client.Data = false; o.Wire.ClientClose = "" }, nil, Failure, CauseNoApplicationData, "server"},
		{"closed after the ServerHello", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Client.Data, o.Wire.AppToClient = false, 0 }, nil, Failure, CauseClosedMidHandshake, "client"},

		{"silence after the ServerHello until the client gave up", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) {
			o.Client.Data, o.Client.TimedOut, o.Wire.AppToClient, o.Wire.AppToServer = false, true, 0, 0
		}, nil, Failure, CauseSilentMidHandshake, "client"},

		{"unsupported", "go", "go", pqList, pqList, "", func(o *Observation) { silent(o); o.Client.Unsupported = "exit 127" }, nil, Unsupported, "", ""},
		{"evidence incomplete", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Wire.Unseen = 7 }, nil, Inconclusive, "", ""},
		{"the lab broke", "go", "go", pqList, pqList, "", func(o *Observation) { o.Fault = "container gone" }, nil, Fault, "", ""},
		{"the books do not add up", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Path.Uncounted = 1 }, nil, Fault, "", ""},
		{"offload leaked", "go", "go", pqList, pqList, "x25519mlkem768", func(o *Observation) { o.Wire.OverMSS = 1 }, nil, Fault, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var k catalogue
			o := seen(t, tt.client, tt.server, tt.offer, tt.accept, "somelink", tt.group, tt.change)
			server := k.Rules(tt.server)
			v := Classify(o, Predict(o.Cell, k.Rules(tt.client), server), server, tt.controls)
			if v.Outcome != tt.outcome || v.Cause != tt.cause || v.Blame != tt.blame {
				t.Errorf("judged %s %s, blame %q; want %s %s, blame %q\nwhy: %s", v.Outcome, v.Cause, v.Blame, tt.outcome, tt.cause, tt.blame, v.Why)
			}
			if v.Why == "" || strings.Contains(v.Why, "%!") || len(v.Attempts) != 1 {
				t.Errorf("why %q, attempts %v", v.Why, v.Attempts)
			}
		})
	}
}

func TestDowngradeNamesTheCure(t *testing.T) {
	var k catalogue
	o := seen(t, "tier", "tier", deferred, pqList, "clean", "x25519", nil)
	v := Settle(k, []Observation{o, o}, nil)
	if v.Remedy != tieredRules.Cure || len(v.Attempts) != 2 {
		t.Errorf("remedy %q, attempts %v", v.Remedy, v.Attempts)
	}
}

func TestAttemptsThatDisagreeAreFlaky(t *testing.T) {
	var k catalogue
	bad := seen(t, "go", "go", pqList, pqList, "clean", "", silent)
	good := seen(t, "go", "go", pqList, pqList, "clean", "x25519mlkem768", nil)
	if v := Settle(k, []Observation{bad, good}, nil); v.Outcome != Flaky || v.Blame != "" || !strings.Contains(v.Why, "disagree") {
		t.Errorf("judged %s: %s", v.Outcome, v.Why)
	}
	if v := Settle(k, []Observation{bad, bad}, nil); v.Outcome != Failure {
		t.Errorf("two equal attempts judged %s", v.Outcome)
	}
	if v := Settle(k, []Observation{bad, good}, nil); strings.Contains(v.Why, shuffled) {
		t.Errorf("said of a client that does not: %s", v.Why)
	}
	if v := Settle(shufflers{k}, []Observation{bad, good}, nil); !strings.HasSuffix(v.Why, shuffled) {
		t.Errorf("not said of a client that shuffles: %s", v.Why)
	}
}

// shufflers is a catalogue whose clients shuffle their extensions.
type shufflers struct{ catalogue }

func (s shufflers) Rules(id PeerID) Rules {
	r := s.catalogue.Rules(id)
	r.Shuffles = true
	return r
}

func TestAStarvedAttemptHasNoSay(t *testing.T) {
	var k catalogue
	starved := seen(t, "go", "go", pqList, pqList, "clean", "", func(o *Observation) { silent(o); o.Path.Starved = true })
	bad := seen(t, "go", "go", pqList, pqList, "clean", "", silent)
	v := Settle(k, []Observation{starved, bad}, nil)
	if v.Outcome != Failure || len(v.Attempts) != 2 || v.Attempts[0].Outcome != Inconclusive {
		t.Errorf("judged %s, attempts %v; want the failure of the attempt that counts, and both recorded", v.Outcome, v.Attempts)
	}
	if v := Settle(k, []Observation{starved, starved}, nil); v.Outcome != Inconclusive {
		t.Errorf("two starved attempts judged %s", v.Outcome)
	}
}

// TestFallback: a classical group although the client's hello had a
// post-quantum one, wanted or not.
func TestFallback(t *testing.T) {
	for _, tt := range []struct {
		offer, group string
		want         bool
	}{
		{pqList, "x25519", true},
		{deferred, "x25519", true},
		{"x25519", "x25519", false},
		{pqList, "x25519mlkem768", false},
		{pqList, "", false},
	} {
		o := seen(t, "go@1.26", "go@1.26", tt.offer, "x25519", "clean", tt.group, nil)
		if v := Classify(o, Prediction{}, Rules{}, nil); v.Fallback != tt.want {
			t.Errorf("offer %s, %q came out: fallback %t", tt.offer, tt.group, v.Fallback)
		}
	}
}

// TestClassifyMute: a server that is known for closing without an alert, and
// what it must not hide.
func TestClassifyMute(t *testing.T) {
	mute := goRules
	mute.NoMatch = NoAlert
	closed := func(o *Observation) {
		o.Wire.ServerHello, o.Wire.ClientClose = nil, "fin-server"
		o.Client.Done, o.Client.Data, o.Wire.AppToClient, o.Wire.AppToServer = false, false, 0, 0
	}
	for _, tt := range []struct {
		name   string
		server Rules
		change func(*Observation)
		want   Outcome
	}{
		{"closed", mute, func(*Observation) {}, Refused},
		{"reset", mute, func(o *Observation) { o.Wire.ClientClose = "rst-server" }, Refused},
		{"the client complains of it", mute, func(o *Observation) { o.Wire.Alerts = []Alert{{From: "client", Name: "decode_error", Code: 50}} }, Refused},
		{"another server's rules", goRules, func(*Observation) {}, Failure},
		{"an alert after all", mute, func(o *Observation) { o.Wire.Alerts = []Alert{{From: "server", Name: "internal_error", Code: 80}} }, Failure},
		{"the client closed", mute, func(o *Observation) { o.Wire.ClientClose = "fin-client" }, Failure},
		{"no hello came", mute, func(o *Observation) { o.Wire.ClientHellos = nil }, Failure},
	} {
		o := seen(t, "go", "go", "x25519", "secp256r1", "clean", "x25519", func(o *Observation) { closed(o); tt.change(o) })
		if v := Classify(o, Predict(o.Cell, goRules, tt.server), tt.server, nil); v.Outcome != tt.want {
			t.Errorf("%s: judged %s %s: %s", tt.name, v.Outcome, v.Cause, v.Why)
		}
	}
}
