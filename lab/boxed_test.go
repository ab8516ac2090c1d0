package lab

import (
	"slices"
	"strings"
	"testing"

	"hybridlab/lab/capture"
	"hybridlab/lab/capture/capturetest"
)

// behind puts the observation's cell behind boxes.
func behind(boxes ...string) func(*Observation) {
	return func(o *Observation) {
		c := o.Cell
		o.Cell = NewCell(c.Client, c.Server, c.Offer, c.Accept, c.Link, boxes...)
	}
}

// TestBoxed: who is blamed behind boxes follows from what both sides saw and
// from the cell without them.
func TestBoxed(t *testing.T) {
	reset := func(o *Observation) {
		silent(o)
		o.Client.TimedOut = false
		o.Wire.ClientClose, o.Wire.Forged, o.Wire.LostUp = "rst-server", []string{"rst to client"}, 1500
		o.Path.Boxes = []Deed{{Box: "b", Action: "RST(client)", Packets: []int{9, 5}, Times: 2, Fix: "an update"}}
		o.Path.Drops = []Drop{{Packet: 5, Dir: "to server", Reason: dropBox, Bytes: 1500}}
	}
	hung := func(o *Observation) { reset(o); silent(o); o.Wire.Forged = nil }
	server := func(o *Observation) { // the server's own reset
		silent(o)
		o.Client.TimedOut = false
		o.Wire.ClientClose = "rst-server"
	}
	whole := func(o *Observation) { o.Wire.ClientHellos[0].Segments = 1 }
	later := func(o *Observation) {
		o.Wire.HRR = &ServerHello{}
		o.Wire.ClientHellos = append(o.Wire.ClientHellos, Hello{})
	}
	starved := func(o *Observation) { o.Path.Starved = true }
	bare := func(o Outcome) []ControlTaken { return []ControlTaken{{Kind: ControlNoBox, Outcome: o}} }
	type change = func(*Observation)
	for _, tt := range []struct {
		name     string
		changes  []change
		controls []ControlTaken
		outcome  Outcome
		cause    Cause
		blame    string
	}{
		{"a reset nobody sent", []change{behind("b"), reset}, bare(Hybrid), Size, CauseRSTAfterHello, "box b"},
		{"the same for a hello in one segment", []change{behind("b"), reset, whole}, bare(Hybrid), Failure, CauseRSTAfterHello, "box b"},
		{"the same after a HelloRetryRequest", []change{behind("b"), reset, later}, bare(Hybrid), Failure, CauseRSTAfterHello, "box b"},
		{"before any control", []change{behind("b"), reset}, nil, Size, CauseRSTAfterHello, "box b"},
		{"no connection through it", []change{behind("b"), func(o *Observation) {
			silent(o)
			o.Wire.Connected, o.Wire.ClientHellos, o.Wire.AtServer = false, nil, nil
			o.Path.Drops = []Drop{{Packet: 1, Dir: "to server", Reason: dropBox, Bytes: 60}}
			o.Path.Boxes = []Deed{{Box: "b", Action: "drop", Packets: []int{1}}}
		}}, bare(Hybrid), Failure, CauseNoConnection, "box b"},
		{"swallowed", []change{behind("b"), hung}, bare(Hybrid), Size, CauseSilentAfterHello, "box b"},
		{"without the box it is reset too", []change{behind("b"), reset}, append(bare(Failure), ran(Failure, Failure)...), Failure, CauseRSTAfterHello, "server"},
		{"the control was not run", []change{behind("b"), reset}, bare(Fault), Inconclusive, CauseRSTAfterHello, ""},
		{"the server's own reset", []change{behind("b"), server}, append(bare(Failure), ran(Failure, Classical)...), Failure, CauseRSTAfterHello, "server"},
		{"the lab was starved, and the box certainly dropped", []change{behind("b"), hung, starved}, bare(Hybrid), Size, CauseSilentAfterHello, "box b"},
		{"the lab was starved, and the box only delayed", []change{behind("b"), hung, starved, func(o *Observation) { o.Path.Drops = nil }}, bare(Hybrid), Inconclusive, CauseSilentAfterHello, ""},
		{"of two boxes the one that did it", []change{behind("a", "b"), reset}, bare(Hybrid), Size, CauseRSTAfterHello, "box b"},
		{"of two boxes the first that did something", []change{behind("a", "b"), reset, func(o *Observation) {
			o.Path.Boxes = append(o.Path.Boxes, Deed{Box: "a", Action: "drop(seg2)", Packets: []int{4}}, Deed{Box: "a", Action: "leak(1)"})
		}}, bare(Hybrid), Size, CauseRSTAfterHello, "box a"},
		{"two boxes and no account", []change{behind("a", "b"), reset, func(o *Observation) { o.Path.Boxes = nil }}, bare(Hybrid), Size, CauseRSTAfterHello, "box a+b"},
		{"a rewritten hello that was refused", []change{behind("b"), refusedWith("illegal_parameter"), func(o *Observation) { o.Wire.AtServer[0].SHA256 = "bb" }}, bare(Hybrid), Size, CauseHelloRewritten, "box b"},
		{"slow behind a box that holds back", []change{behind("b"), func(o *Observation) {
			o.Wire.ServerHello = &ServerHello{Version: 0x0304, Group: groups(t, "x25519mlkem768")[0]}
			o.Wire.HandshakeMS = 1600
			o.Path.Boxes = []Deed{{Box: "b", Action: "delay(1.5s)", Packets: []int{7}}}
		}}, bare(Hybrid), Slow, CauseTooSlow, "box b"},
	} {
		o := seen(t, "go", "go", pqList, pqList, "clean", "", func(o *Observation) {
			for _, c := range tt.changes {
				c(o)
			}
		})
		p := Predict(o.Cell, goRules, goRules)
		v := Classify(o, p, goRules, tt.controls)
		if v.Outcome != tt.outcome || v.Cause != tt.cause || v.Blame != tt.blame {
			t.Errorf("%s: %s %s, blame %q; want %s %s, blame %q: %s", tt.name, v.Outcome, v.Cause, v.Blame, tt.outcome, tt.cause, tt.blame, v.Why)
		}
		if tt.name == "a reset nobody sent" && (!slices.Equal(v.Evidence, []int{5, 9}) || v.Remedy != "an update") {
			t.Errorf("evidence %v, remedy %q", v.Evidence, v.Remedy)
		}
	}
}

// TestQuietDeeds: what a box did that nobody noticed is said beside the pass.
func TestQuietDeeds(t *testing.T) {
	o := seen(t, "go", "go", pqList, pqList, "clean", "x25519mlkem768", func(o *Observation) {
		behind("b")(o)
		o.Path.Boxes = []Deed{{Box: "b", Action: "pass-uninspected", Times: 1}}
	})
	v := Classify(o, Predict(o.Cell, goRules, goRules), goRules, nil)
	if v.Outcome != Hybrid || !strings.HasSuffix(v.Why, "; box b: pass-uninspected") {
		t.Errorf("%s: %s", v.Outcome, v.Why)
	}
}

// TestControlWithoutBoxes is there where there are boxes, and differs in
// nothing else.
func TestControlWithoutBoxes(t *testing.T) {
	c := NewCell("go", "go", MustOffer(pqList), MustOffer(pqList), "mtu1280", "a", "b").WithCert("rsa2048")
	got := map[string]string{}
	for _, k := range Controls(c, "clean", catalogue{}) {
		got[k.Kind] = k.Cell.ID
	}
	want := map[string]string{
		ControlNoBox: "go/go+rsa2048/x25519mlkem768+x25519/mtu1280",
		ControlClean: "go/go+rsa2048/x25519mlkem768+x25519/clean/a+b",
		ControlSmall: "go/go/x25519/mtu1280/a+b",
	}
	for kind, id := range want {
		if got[kind] != id {
			t.Errorf("%s: %q, want %q", kind, got[kind], id)
		}
	}
	for _, k := range Controls(NewCell("go", "go", MustOffer(pqList), MustOffer(pqList), "mtu1280"), "clean", catalogue{}) {
		if k.Kind == ControlNoBox {
			t.Error("a cell without boxes has a control without boxes")
		}
	}
}

// TestForgedAndLost: what the two sides of the path differ in.
func TestForgedAndLost(t *testing.T) {
	hello := []byte("hello")
	for _, tt := range []struct {
		name     string
		play     func(*capturetest.Path)
		forged   []string
		up, down int
	}{
		{"nothing", func(p *capturetest.Path) { p.Close(capture.ToClient) }, nil, 0, 0},
		{"a reset from nowhere", func(p *capturetest.Path) {
			p.Packets = append(p.Packets, capture.Packet{Side: capture.ClientSide, Dir: capture.ToClient, Data: p.Packet(capture.ClientSide, capturetest.Segment{Dir: capture.ToClient, Flags: capture.RST | capture.ACK})})
		}, []string{"rst to client"}, 0, 0},
		{"the server's own reset", func(p *capturetest.Path) { p.Reset(capture.ToClient) }, nil, 0, 0},
		{"dropped on the way", func(p *capturetest.Path) {
			p.Put(capturetest.Segment{Flags: capture.ACK, Payload: hello, Drop: "box"})
		}, nil, 5, 0},
		{"dropped on the way back", func(p *capturetest.Path) {
			p.Put(capturetest.Segment{Dir: capture.ToClient, Flags: capture.ACK, Payload: hello, Drop: "box"})
		}, nil, 0, 5},
		{"other bytes", func(p *capturetest.Path) {
			p.Put(capturetest.Segment{Flags: capture.ACK, Payload: hello})
			last := &p.Packets[len(p.Packets)-1]
			fixed := p.Packet(last.Side, capturetest.Segment{Flags: capture.ACK, Payload: []byte("jello")})
			last.Data = fixed
		}, []string{"data to server"}, 0, 0},
	} {
		p := capturetest.New(false)
		p.Open()
		tt.play(p)
		w := ObserveWire(p.Packets)
		if !slices.Equal(w.Forged, tt.forged) || w.LostUp != tt.up || w.LostDown != tt.down {
			t.Errorf("%s: forged %q, lost %d up and %d down", tt.name, w.Forged, w.LostUp, w.LostDown)
		}
	}
}

// TestDeaths: a real middlebox that ended by itself is told of, one that the lab
// ended is not; and one that is slow without a word is blamed where the same
// without it is not.
func TestDeaths(t *testing.T) {
	judge := func(controls []ControlTaken, change func(*Observation)) Verdict {
		o := seen(t, "go", "go", pqList, pqList, "clean", "x25519mlkem768", func(o *Observation) {
			behind("real@1")(o)
			change(o)
		})
		return Classify(o, Predict(o.Cell, goRules, goRules), goRules, controls)
	}
	bare := []ControlTaken{{Kind: ControlNoBox, Outcome: Hybrid}}
	for _, died := range []bool{true, false} {
		v := judge(bare, func(o *Observation) {
			silent(o)
			o.Wire.LostUp = 1500
			o.Path.Ends = []BoxEnd{{Box: "real@1", Died: died, Exit: 139, Said: "assertion failed\n"}}
		})
		told := strings.HasSuffix(v.Why, `; box real@1 ended by itself, exit code 139 (it says "assertion failed")`)
		if told != died || !v.Outcome.Finding() || v.Blame != "box real@1" {
			t.Errorf("died %t: %s, blame %q: %s", died, v.Outcome, v.Blame, v.Why)
		}
	}
	slow := func(o *Observation) { o.Wire.HandshakeMS = 5200 }
	if v := judge(bare, slow); v.Outcome != Slow || v.Blame != "box real@1" {
		t.Errorf("slow: %s, blame %q: %s", v.Outcome, v.Blame, v.Why)
	}
	if v := judge([]ControlTaken{{Kind: ControlNoBox, Outcome: Slow}}, slow); v.Outcome != Slow || v.Blame != blameServer {
		t.Errorf("slow without it too: %s, blame %q: %s", v.Outcome, v.Blame, v.Why)
	}
}

// TestLegs: behind a box that ends TLS each leg is judged by its own hellos.
func TestLegs(t *testing.T) {
	const hybrid, classical, both = "x25519mlkem768", "x25519", "x25519mlkem768+x25519"
	for _, tt := range []struct {
		name              string
		offer, accept     string
		front, back, asks string
		outcome           Outcome
		cause             Cause
		blame             string
	}{
		{"both hybrid", both, both, hybrid, hybrid, both, Hybrid, "", ""},
		{"a weaker back", both, both, hybrid, classical, both, Downgrade, CauseLegsDiffer, "box b"},
		{"a weaker back, as it asked for no more", both, both, hybrid, classical, classical, Downgrade, CauseLegsDiffer, "box b"},
		{"a weaker front", both, both, classical, hybrid, both, Downgrade, CauseHelloRewritten, "box b"},
		{"neither", both, both, classical, classical, classical, Downgrade, CauseHelloRewritten, "box b"},
		{"a client of old", classical, both, classical, hybrid, both, Classical, "", ""},
		{"a server of old", both, classical, hybrid, classical, both, Classical, "", ""},
		{"ends with nothing in common", hybrid, classical, hybrid, classical, both, Classical, "", ""},
		{"and the other way", classical, hybrid, classical, hybrid, both, Classical, "", ""},
	} {
		o := seen(t, "go", "go", tt.offer, tt.accept, "clean", tt.front, func(o *Observation) {
			behind("b")(o)
			o.Wire.AtServer[0].SHA256, o.Wire.AtServer[0].Groups = "bb", groups(t, strings.Split(tt.asks, "+")...)
			o.Wire.FromServer = &ServerHello{Version: 0x0304, Group: groups(t, tt.back)[0]}
			o.Client.Group, o.Server.Group = "", ""
		})
		v := Classify(o, Predict(o.Cell, goRules, goRules), goRules, nil)
		if v.Outcome != tt.outcome || v.Cause != tt.cause || v.Blame != tt.blame {
			t.Errorf("%s: %s %s, blame %q; want %s %s, blame %q: %s", tt.name, v.Outcome, v.Cause, v.Blame, tt.outcome, tt.cause, tt.blame, v.Why)
		}
		legs := "front leg " + groups(t, tt.front)[0].String() + ", back leg " + groups(t, tt.back)[0].String()
		if asked := strings.Contains(v.Why, "offered a post-quantum group"); !strings.Contains(v.Why, legs) || asked != strings.Contains(tt.asks, hybrid) {
			t.Errorf("%s: %s", tt.name, v.Why)
		}
	}
}
